"""The window behind the Runbook button."""

from __future__ import annotations

import logging
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError, RemoteError
from bot.slack import answers, rows, runbook
from bot.slack.authorize import NotAllowedError
from bot.slack.errors import call
from bot.slack.reception import Reception
from bot.slack.web import redact

logger = logging.getLogger(__name__)


class RunbookWindow:
    def __init__(self, reception: Reception) -> None:
        self._at = reception

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(rows.RUNBOOK)(self._on_button)

    async def _on_button(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        reference = str(action.get("value") or "").partition("|")[0]
        try:
            self._at.authorize(body)
        except NotAllowedError as refusal:
            self._at.tell_later(body.get("response_url"), answers.say(str(refusal)))
            return
        self._at.spawn(self._show(reference, str(body.get("trigger_id") or ""), body.get("response_url")))

    async def _show(self, reference: str, trigger: str, url: str | None) -> None:
        """A skeleton at once, since the trigger lasts three seconds; then the real thing with fresh checks."""
        view_id = ""
        try:
            opened = await call(
                "views.open", self._at.web.views_open(trigger_id=trigger, view=runbook.skeleton(reference))
            )
            view_id = str((opened.get("view") or {}).get("id") or "")
        except RemoteError as error:
            logger.info("slack: views.open failed, answering with a message: %s", redact(str(error)))
        view = await self._view(reference)
        if view_id:
            await self._at.quietly("views.update", self._at.web.views_update(view_id=view_id, view=view))
        else:
            await self._at.tell(url, {"text": f"Runbook {reference}", "blocks": view["blocks"][:40]})

    async def _view(self, reference: str) -> dict[str, Any]:
        try:
            incident = await self._at.desks.commands.incident(reference)
            rendered = await self._at.desks.commands.rendered(incident, fresh=True)
        except AgentpagerError as error:
            return runbook.failed_modal(reference, f"The runbook could not be shown: {error}")
        except Exception:  # the window is open and must not wait for ever
            logger.exception("slack: the runbook of %s could not be shown", reference)
            return runbook.failed_modal(
                reference, "The runbook could not be shown: something failed inside agentpager."
            )
        return runbook.modal(incident, rendered, self._at.clock.now())
