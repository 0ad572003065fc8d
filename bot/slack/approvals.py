"""Actions in Slack: the window in which one is asked for, and the buttons with which people agree to it or refuse."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError, RemoteError
from bot.ports import Actor
from bot.slack import answers
from bot.slack import approval_blocks as shapes
from bot.slack.authorize import NotAllowedError, caller_of, moment_of
from bot.slack.errors import call
from bot.slack.reception import SLOW, Reception
from bot.slack.web import redact

logger = logging.getLogger(__name__)

_BROKEN = "Not recorded: something failed inside agentpager. Try again, or use `agentpager action`."


@dataclass(frozen=True)
class _Asked:
    """What a button or window is about: a step of an incident, or with `undo` a step or run to take back."""

    incident: str
    step: str
    undo: bool
    token: str = ""


class Approvals:
    def __init__(self, reception: Reception) -> None:
        self._at = reception

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(shapes.ASK)(self._on_ask)
        bolt.action(shapes.TAKE_BACK)(self._on_ask)
        bolt.action(shapes.SEND)(self._on_send)
        bolt.action(shapes.APPROVE)(self._on_word)
        bolt.action(shapes.REFUSE)(self._on_word)
        bolt.view(shapes.SUBMIT)(self._on_submit)

    # --- asking -----------------------------------------------------------------------------------------------------

    async def _on_ask(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        reference, _, rest = str(action.get("value") or "").partition("|")
        asked = _Asked(reference, rest.partition("|")[2], undo=action["action_id"] == shapes.TAKE_BACK)
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            self._at.tell_later(body.get("response_url"), answers.say(str(refusal)))
            return
        self._at.spawn(self._show(asked, actor, body))

    async def _show(self, asked: _Asked, actor: Actor, body: dict[str, Any]) -> None:
        """A skeleton at once, then the request. Over another window it is put on top of it."""
        web, trigger = self._at.web, str(body.get("trigger_id") or "")
        view = shapes.skeleton(asked.incident)
        opening = {"views.push": web.views_push} if body.get("view") else {}
        view_id = ""
        for method, opens in (opening | {"views.open": web.views_open}).items():
            try:
                opened = await call(method, opens(trigger_id=trigger, view=view))
                view_id = str((opened.get("view") or {}).get("id") or "")
                break
            except RemoteError as error:
                logger.info("slack: %s failed: %s", method, redact(str(error)))
        shown = await self._window(asked, actor)
        if view_id:
            await self._at.quietly("views.update", web.views_update(view_id=view_id, view=shown))
        else:
            await self._tell(body, {"text": f"Action of {asked.incident}", "blocks": shapes.message(shown)})

    async def _window(self, asked: _Asked, actor: Actor) -> dict[str, Any]:
        try:
            found = await self._at.desks.acting.propose(actor, asked.incident, asked.step, undo=asked.undo)
        except AgentpagerError as error:
            return shapes.refused(asked.incident, f"It cannot be asked for: {error}.")
        except Exception:  # the window is open and must not wait for ever
            logger.exception("slack: the request of %s could not be shown", asked.incident)
            return shapes.refused(asked.incident, "The request could not be shown: something failed inside agentpager.")
        return shapes.window(found, self._at.book, self._at.clock.now())

    async def _on_submit(self, ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        """Answered with what has become of it: the window closes, or says why nothing was asked for."""
        asked = _read(str(view.get("private_metadata") or ""))
        values = ((view.get("state") or {}).get("values") or {}).get(shapes.REASON) or {}
        reason = str((values.get(shapes.REASON) or {}).get("value") or "")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            why = str(refusal) or "Nothing was done."
            await ack(response_action="update", view=shapes.refused(asked.incident, why))
            return
        key = f"{asked.incident}|{shapes.SUBMIT}|{view.get('id', '')}|{actor.id}"
        task = self._at.spawn(self._ask(asked, actor, reason, key))
        if not await self._at.done_in_time(task):
            await ack(response_action="update", view=shapes.refused(asked.incident, SLOW))
            self._at.spawn(self._show_later(task, asked, str(view.get("id") or "")))
        elif why := task.result():
            await ack(response_action="update", view=shapes.refused(asked.incident, why))
        else:
            await ack()

    async def _on_send(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """From the message that stands in for the window."""
        asked, url = _read(str(action.get("value") or "")), body.get("response_url")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack()
            self._at.tell_later(url, answers.say(str(refusal)))
            return
        key = f"{asked.incident}|{shapes.SEND}|{actor.id}|{asked.token}|{moment_of(body, action)}"
        task = self._at.spawn(self._ask(asked, actor, "", key))
        in_time = await self._at.done_in_time(task)
        await ack()
        if in_time:
            self._at.tell_later(url, answers.say(task.result() or "Recorded. A message shows how it goes."))
        else:
            self._at.tell_later(url, answers.say(SLOW))
            self._at.spawn(self._tell_when_done(task, url))

    async def _ask(self, asked: _Asked, actor: Actor, reason: str, key: str) -> str:
        """Empty when it has been asked for: a message shows how it goes."""
        try:
            await self._at.desks.acting.ask(
                actor, asked.incident, asked.step, undo=asked.undo, token=asked.token, reason=reason, event_key=key
            )
        except AgentpagerError as error:
            return f"Nothing was asked for: {error}."
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", asked.step, asked.incident, actor.id)
            return _BROKEN
        return ""

    async def _show_later(self, task: asyncio.Task[str], asked: _Asked, view_id: str) -> None:
        view = shapes.refused(asked.incident, await task or "Recorded. A message shows how it goes.")
        await self._at.quietly("views.update", self._at.web.views_update(view_id=view_id, view=view))

    # --- agreeing and refusing --------------------------------------------------------------------------------------

    async def _on_word(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        run_id, url = str(action.get("value") or ""), body.get("response_url")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack()
            self._at.tell_later(url, answers.say(str(refusal)))
            return
        key = f"{run_id}|{action['action_id']}|{caller_of(body).user}|{moment_of(body, action)}"
        task = self._at.spawn(self._say(action["action_id"], run_id, actor, key))
        in_time = await self._at.done_in_time(task)
        await ack()
        if in_time:
            self._at.tell_later(url, answers.say(task.result()))
        else:
            self._at.tell_later(url, answers.say(SLOW))
            self._at.spawn(self._tell_when_done(task, url))

    async def _say(self, word: str, run_id: str, actor: Actor, key: str) -> str:
        """What the person must be told; empty when the message itself shows it."""
        acting = self._at.desks.acting
        try:
            settled = await (acting.agree if word == shapes.APPROVE else acting.refuse)(actor, run_id, event_key=key)
        except AgentpagerError as error:
            return str(error)[:1].upper() + str(error)[1:] + "."
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", word, run_id, actor.id)
            return _BROKEN
        return "" if settled.changed else settled.message

    async def _tell_when_done(self, task: asyncio.Task[str], url: str | None) -> None:
        await self._at.tell(url, answers.say(await task or "Recorded."))

    async def _tell(self, body: dict[str, Any], answer: answers.Answer) -> None:
        """To who clicked: beside the message, or, in a window, by a message of our own."""
        if url := body.get("response_url"):
            await self._at.tell(url, answer)
            return
        posted = self._at.web.chat_postMessage(channel=caller_of(body).user, unfurl_links=False, **answer)
        await self._at.quietly("chat.postMessage", posted)


def _read(metadata: str) -> _Asked:
    """Of a window, see approval_blocks.window."""
    incident, step, kind, token = [*metadata.split("|"), "", "", ""][:4]
    return _Asked(incident, step, kind == "undo", token)
