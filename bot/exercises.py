"""Pages that people ask for: of somebody who is needed now, and as a test of whether a page arrives. Implements
ports.Paging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bot import pipeline
from bot.errors import UsageError
from bot.incidents import exercise
from bot.incidents.decision import Decision, World
from bot.incidents.exercise import Target
from bot.oncall.model import Book
from bot.paging import measured
from bot.paging.model import Page, PageKind
from bot.ports import Actor, Clock, Outcome
from bot.store.database import Database


class Exercises:
    """`changed` is called with a decision that has just been written down."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        changed: Callable[[list[Decision]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._changed = changed

    async def page(self, actor: Actor, target: str, why: str = "", *, event_key: str | None = None) -> Outcome:
        world, now = self._world(), self._clock.now()
        meant = exercise.target_of(target, world)
        if meant.kind == "person" and actor.id == meant.name:
            raise UsageError("you would page yourself; to try whether a page reaches you: test me")

        def make(number: int) -> Decision:
            return exercise.manual(meant, why, actor.id, actor.name, number, world, now)

        decision = await pipeline.open_by_hand(self._store, make, world, now, event_key)
        if decision is None:
            return _known()
        self._changed([decision])
        wake = _names([one.person for one in decision.wake], world.book) or ", ".join(decision.channels) or "nobody"
        until = _again(decision, now)
        return Outcome(decision.incident, True, f"{decision.incident.id} pages {wake} now{until}")

    async def test(self, actor: Actor, target: str, *, event_key: str | None = None) -> Outcome:
        world, now = self._world(), self._clock.now()
        meant = self._tested(actor, target, world)

        def make(number: int) -> Decision:
            return exercise.test(meant, actor.id, actor.name, number, world, now)

        decision = await pipeline.open_by_hand(self._store, make, world, now, event_key)
        if decision is None:
            return _known()
        self._changed([decision])
        ways = _ways(await self._store.pages_of(decision.incident.id), now)
        people = [one.person for one in decision.wake]
        whom = "you" if people == [actor.person.id if actor.person else ""] else _names(people, world.book)
        minutes = round(exercise.TEST_LASTS.total_seconds() / 60)
        told = f"{decision.incident.id}: a test page is on its way to {whom} by {ways}. Acknowledge it: it ends by "
        told += f"itself and says how long it took. After {minutes} min it ends too, and nobody else is woken."
        return Outcome(decision.incident, True, told)

    def _tested(self, actor: Actor, target: str, world: World) -> Target:
        if target.strip().lower() not in {"", "me", "my page"}:
            return exercise.target_of(target, world)
        if actor.person is None:
            raise UsageError("say whose page to test: a person, or a team for whoever is on call for it")
        return Target("person", actor.person.id)


def _known() -> Outcome:
    return Outcome(None, False, "that has been recorded already")


def _names(people: Sequence[str], book: Book) -> str:
    return ", ".join(book.people[one].name if one in book.people else one for one in people)


def _again(decision: Decision, now: datetime) -> str:
    if decision.incident.next_at is None:
        return "."
    return f"; without an ack the next level is paged in {measured.seconds(decision.incident.next_at - now)}."


def _ways(pages: Sequence[Page], now: datetime) -> str:
    """`Slack, mail after 3 min`: how the first of the people is told."""
    told = [page for page in pages if page.kind is PageKind.PAGE]
    mine = [page for page in told if page.person == told[0].person]
    names = {"slack": "Slack", "email": "mail"}
    found = []
    for page in mine:
        later = page.due_at - now
        name = names.get(measured.by_of(page), measured.by_of(page))
        found.append(f"{name} after {measured.seconds(later)}" if later.total_seconds() >= 1 else name)
    return ", ".join(dict.fromkeys(found))
