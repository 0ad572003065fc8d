"""The buttons of messages that change an incident at once, without a window."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError, ConflictError
from bot.ports import Actor
from bot.slack import answers, rows, storm
from bot.slack.authorize import NotAllowedError, caller_of, moment_of
from bot.slack.changes import broken, carry_out
from bot.slack.reception import SLOW, Reception
from bot.slack.windows.opening import Opening

logger = logging.getLogger(__name__)

_VERBS = {
    rows.ACK: "ack",
    rows.KEEP: "ack",
    rows.DECLINE: "pass",
    rows.RELEASE: "release",
    rows.RIGHT: "mark",
    rows.NOISE: "mark",
    storm.ACK_ALL: "ack_all",
}
_MARKS = {rows.RIGHT: "right", rows.NOISE: "noise"}


@dataclass(frozen=True)
class _Click:
    """A click that is allowed, and what it asks for."""

    body: dict[str, Any]
    action_id: str
    reference: str
    actor: Actor
    key: str

    @property
    def verb(self) -> str:
        return _VERBS[self.action_id]


class Buttons:
    def __init__(self, reception: Reception) -> None:
        self._at = reception
        self._opening = Opening(reception)

    def register(self, bolt: AsyncApp) -> None:
        for action_id in _VERBS:
            bolt.action(action_id)(self._on_button)

    async def _on_button(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        reference, action_id = str(action.get("value") or "").partition("|")[0], str(action["action_id"])
        url = body.get("response_url")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack()
            self._at.tell_later(url, answers.say(str(refusal)))
            return
        key = f"{reference}|{action_id}|{caller_of(body).user}|{moment_of(body, action)}"
        click = _Click(body, action_id, reference, actor, key)
        task = self._at.spawn(self._clicked(click))
        if await self._at.done_in_time(task):
            await ack()
            if (answer := task.result()) is not None:
                self._at.tell_later(url, answer)
        else:
            await ack()
            self._at.tell_later(url, answers.say(SLOW))
            what = "All of them" if click.verb == "ack_all" else reference
            self._at.spawn(self._tell_when_done(task, url, f"{what}: recorded."))

    async def _clicked(self, click: _Click) -> answers.Answer | None:
        """What the person must be told; None when the message itself shows it."""
        try:
            if click.action_id == rows.ACK and await self._not_theirs(click):
                self._at.spawn(self._ask(click))
                return None
            return await self._change(click)
        except ConflictError as error:
            return await self._taken(click, error) or answers.say(str(error))
        except AgentpagerError as error:
            return answers.say(str(error))
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", click.verb, click.reference, click.actor.id)
            return answers.say(broken(click.verb, click.reference))

    async def _change(self, click: _Click) -> answers.Answer | None:
        more = _MARKS.get(click.action_id, "")
        commands = self._at.desks.commands
        outcome = await carry_out(commands, click.verb, click.actor, click.reference, click.key, more)
        return None if outcome.changed else answers.say(outcome.message)

    async def _not_theirs(self, click: _Click) -> bool:
        incident = await self._at.desks.commands.incident(click.reference)
        return await self._opening.not_theirs(click.actor, incident)

    async def _ask(self, click: _Click) -> None:
        """“Take over from Ana?” Where no window can be opened the click counts: that somebody has it matters more."""
        try:
            if await self._opening.open("take", click.reference, click.actor, click.body):
                return
            answer = await self._change(click)
        except AgentpagerError as error:
            answer = answers.say(str(error))
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", click.verb, click.reference, click.actor.id)
            answer = answers.say(broken(click.verb, click.reference))
        if answer is not None:
            await self._at.tell(click.body.get("response_url"), answer)

    async def _taken(self, click: _Click, error: ConflictError) -> answers.Answer | None:
        """Somebody was faster: who and when, and a way to take it all the same."""
        if error.holder is None or click.action_id not in {rows.ACK, rows.KEEP}:
            return None
        return self._opening.taken(await self._at.desks.commands.incident(click.reference))

    async def _tell_when_done(self, task: asyncio.Task[answers.Answer | None], url: str | None, recorded: str) -> None:
        await self._at.tell(url, await task or answers.say(recorded))
