"""The home tab: drawn when somebody opens it, and again after whatever they change in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError
from bot.incidents.model import Incident, State
from bot.ports import Actor
from bot.slack import home_view
from bot.slack.authorize import NotAllowedError, caller_of, moment_of
from bot.slack.home_view import ACK, REFRESH, UNOVERRIDE, UNSILENCE, Facts
from bot.slack.reception import SLOW, Reception

logger = logging.getLogger(__name__)

_STAYS_OPEN = timedelta(hours=1)  # Slack does not say when somebody leaves the tab
_CHANGES = {"block_actions", "view_submission", "message_action"}
_LOOKED_AT = 50  # open incidents of which it is asked whom they have paged


class HomeTab:
    def __init__(self, reception: Reception) -> None:
        self._at = reception
        self._opened: dict[str, datetime] = {}

    def register(self, bolt: AsyncApp) -> None:
        bolt.use(self._watch)
        bolt.event("app_home_opened")(self._on_opened)
        for action_id in (ACK, UNSILENCE, UNOVERRIDE, REFRESH):
            bolt.action(action_id)(self._on_click)

    async def _on_opened(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        if event.get("tab") == "home":
            now = self._at.clock.now()
            self._opened = {user: at for user, at in self._opened.items() if now - at < _STAYS_OPEN}
            self._opened[caller_of(body).user] = now
            self._at.spawn(self._publish(body))

    async def _watch(self, body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> None:
        """What somebody changes elsewhere shows in the tab that they have open."""
        await next_()
        at = self._opened.get(caller_of(body).user)
        if at is not None and self._at.clock.now() - at < _STAYS_OPEN and _may_change(body):
            self._at.spawn(self._publish(body))

    async def _on_click(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        try:
            actor = self._at.authorize(body)
        except NotAllowedError:
            await ack()
            self._at.spawn(self._publish(body))
            return
        task = self._at.spawn(self._change(actor, body, action))
        done = await self._at.done_in_time(task)
        await ack()
        note = task.result() if done else SLOW
        self._at.spawn(self._publish(body, note))
        if not done:
            self._at.spawn(self._publish_when_done(body, task))

    async def _publish_when_done(self, body: dict[str, Any], task: asyncio.Task[str]) -> None:
        await self._publish(body, await task)

    async def _change(self, actor: Actor, body: dict[str, Any], action: dict[str, Any]) -> str:
        """Carries it out; returns what the person is told at the top of the tab."""
        value, what = str(action.get("value") or "").partition("|")[0], str(action.get("action_id"))
        key = f"{value}|{what}|{caller_of(body).user}|{moment_of(body, action)}"
        desks = self._at.desks
        try:
            match what:
                case home_view.ACK:
                    return (await desks.commands.ack(actor, value, event_key=key)).message
                case home_view.UNSILENCE:
                    ended = await desks.silencing.expire(actor, value)
                    return f"{ended.id} has ended; what it hid and still fires wakes its owner."
                case home_view.UNOVERRIDE:
                    return f"{(await desks.rotas.end(actor, value, event_key=key)).id} is taken back."
                case _:
                    return ""
        except AgentpagerError as error:
            return str(error)
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", what, value, actor.id)
            return "Not recorded: something failed inside agentpager. Try again."

    async def _publish(self, body: dict[str, Any], note: str = "") -> None:
        user = caller_of(body).user
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            if str(refusal):  # an empty one is for bots, which look at nothing
                await self._show(user, home_view.newcomer(user, str(refusal), self._at.clock.now()))
            return
        try:
            facts = await self._facts(actor, note)
            view = home_view.draw(facts, self._at.clock.now())
        except Exception:  # the tab must not stand as it was, as if that were so now
            logger.exception("slack: the home tab of %s could not be drawn", actor.id)
            view = home_view.failed(note, self._at.clock.now())
        await self._show(user, view)

    async def _show(self, user: str, view: dict[str, Any]) -> None:
        await self._at.quietly("views.publish", self._at.web.views_publish(user_id=user, view=view))

    async def _facts(self, actor: Actor, note: str) -> Facts:
        person, book, now, desks = actor.person, self._at.book, self._at.clock.now(), self._at.desks
        assert person is not None  # authorize lets in nobody else
        rows = [row for row in await desks.commands.incidents() if not row.suppressed or row.acked_by == actor.id]
        mine = [row for row in rows[:_LOOKED_AT] if await self._concerns(row, actor)]
        teams = {f"team:{team.id}" for team in book.teams.values() if person.id in team.members}
        rest = [row for row in rows if row.owner in teams and row not in mine]
        shifts = await asyncio.to_thread(home_view.shifts_of, person.id, book, now)
        changes = [row for row in await desks.rotas.changes() if person.id in row.people or row.by == actor.id]
        silences = [row for row in await desks.silencing.silences() if row.created_by == actor.id]
        return Facts(
            person=person,
            shifts=shifts,
            pause=await desks.rest.rest(person.slack) if desks.rest is not None else None,
            mine=tuple(mine),
            teams=tuple(rest),
            agents=tuple(await desks.commands.status()),
            silences=tuple(silences),
            changes=tuple(changes),
            scopes=self._at.home.scopes if self._at.home is not None else (),
            external_url=desks.explaining.external_url,
            note=note,
            book=book,
        )

    async def _concerns(self, incident: Incident, actor: Actor) -> bool:
        """They have it, or have been paged for it and nobody has it."""
        if incident.acked_by is not None:
            return incident.acked_by == actor.id
        person = actor.person.id if actor.person else ""
        return incident.state is State.OPEN and person in await self._at.desks.commands.paged(incident)


def _may_change(body: dict[str, Any]) -> bool:
    """A command, or a click that the tab does not show by itself."""
    own = any(str(action.get("action_id", "")).startswith("home.") for action in body.get("actions") or ())
    return not own and ("command" in body or body.get("type") in _CHANGES)
