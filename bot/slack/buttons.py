"""The buttons of messages that change an incident at once, without a window."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError
from bot.ports import Actor
from bot.slack import answers, rows, storm
from bot.slack.authorize import NotAllowedError, caller_of
from bot.slack.changes import broken, carry_out
from bot.slack.reception import SLOW, Reception

logger = logging.getLogger(__name__)

_VERBS = {
    rows.ACK: "ack",
    rows.KEEP: "ack",
    rows.DECLINE: "pass",
    rows.RESOLVE: "resolve",
    rows.RELEASE: "release",
    storm.ACK_ALL: "ack_all",
}


class Buttons:
    def __init__(self, reception: Reception) -> None:
        self._at = reception

    def register(self, bolt: AsyncApp) -> None:
        for action_id in _VERBS:
            bolt.action(action_id)(self._on_button)

    async def _on_button(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        reference = str(action.get("value") or "").partition("|")[0]
        verb = _VERBS[action["action_id"]]
        url = body.get("response_url")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack()
            self._at.tell_later(url, answers.say(str(refusal)))
            return
        key = f"{reference}|{action['action_id']}|{caller_of(body).user}|{action.get('action_ts', '')}"
        task = self._at.spawn(self._change(verb, actor, reference, key))
        if await self._at.done_in_time(task):
            await ack()
            if text := task.result():
                self._at.tell_later(url, answers.say(text))
        else:
            await ack()
            self._at.tell_later(url, answers.say(SLOW))
            what = "All of them" if verb == "ack_all" else reference
            self._at.spawn(self._tell_when_done(task, url, f"{what}: recorded."))

    async def _change(self, verb: str, actor: Actor, reference: str | None, key: str | None) -> str:
        """Carries out one change; returns what the person must be told, empty when the message itself shows it."""
        try:
            outcome = await carry_out(self._at.desks.commands, verb, actor, reference, key)
        except AgentpagerError as error:
            return str(error)
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", verb, reference, actor.id)
            return broken(verb, reference)
        return "" if outcome.changed else outcome.message

    async def _tell_when_done(self, task: asyncio.Task[str], url: str | None, recorded: str) -> None:
        await self._at.tell(url, answers.say(await task or recorded))
