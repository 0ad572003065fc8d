"""Notes for whoever has the next shift: the button of a hand-over, its window, and what is written there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError, RemoteError
from bot.slack import answers
from bot.slack.authorize import NotAllowedError
from bot.slack.changes import broken
from bot.slack.duty_blocks import NOTES
from bot.slack.errors import call
from bot.slack.kit import Block
from bot.slack.reception import SLOW, Reception
from bot.slack.text import plain
from bot.slack.web import redact

logger = logging.getLogger(__name__)

_LONGEST = 2000
_NO_WINDOW = "Slack did not open the window. Write the notes as an answer to the hand-over instead."


class HandOver:
    def __init__(self, reception: Reception) -> None:
        self._at = reception

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(NOTES)(self._on_button)
        bolt.view(NOTES)(self._on_submit)

    async def _on_button(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        url = body.get("response_url")
        try:
            self._at.authorize(body)
        except NotAllowedError as refusal:
            self._at.tell_later(url, answers.say(str(refusal)))
            return
        view = _window(str(action.get("value") or ""), str(url or ""))
        self._at.spawn(self._open(str(body.get("trigger_id") or ""), view, url))

    async def _open(self, trigger: str, view: Block, url: str | None) -> None:
        """All of it at once: nothing has to be asked for it."""
        try:
            await call("views.open", self._at.web.views_open(trigger_id=trigger, view=view))
        except RemoteError as error:
            logger.info("slack: views.open failed: %s", redact(str(error)))
            await self._at.tell(url, answers.say(_NO_WINDOW))

    async def _on_submit(self, ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        """The window closes once the notes are written down; a second submit of it adds nothing."""
        page_id, _, url = str(view.get("private_metadata") or "").partition("|")
        values = (view.get("state") or {}).get("values") or {}
        text = str(((values.get(NOTES) or {}).get("text") or {}).get("value") or "")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack(response_action="errors", errors={NOTES: plain(str(refusal), 300)})
            return
        records = self._at.desks.records
        if records is None:
            await ack()
            return
        key = f"{view.get('id')}|{NOTES}|{actor.id}"
        task = self._at.spawn(records.hand_on(actor, page_id, text, event_key=key))
        if await self._at.done_in_time(task):
            problem = _problem(task)
            await (ack(response_action="errors", errors={NOTES: problem}) if problem else ack())
            return
        await ack()
        await self._at.tell(url, answers.say(SLOW))
        await asyncio.wait({task})
        await self._at.tell(url, answers.say(_problem(task) or "The notes are recorded."))


def _problem(task: asyncio.Task[None]) -> str:
    """What the person is told, empty when all went well."""
    error = task.exception()
    if error is None:
        return ""
    return plain(str(error), 300) if isinstance(error, AgentpagerError) else broken("", None)


def _window(page_id: str, url: str) -> Block:
    def words(text: str) -> Block:
        return {"type": "plain_text", "text": text, "emoji": False}

    written = {
        "type": "plain_text_input",
        "action_id": "text",
        "multiline": True,
        "max_length": _LONGEST,
        "placeholder": words("What is half done, what to watch, what not to touch"),
    }
    return {
        "type": "modal",
        "callback_id": NOTES,
        "private_metadata": f"{page_id}|{url}"[:3000],
        "title": words("Hand-over notes"),
        "submit": words("Post"),
        "close": words("Cancel"),
        "blocks": [
            {"type": "input", "block_id": NOTES, "label": words("For whoever has it now"), "element": written},
        ],
    }
