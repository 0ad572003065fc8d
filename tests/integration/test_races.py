"""Several people at once, clicks that come twice or late, an ack beside a step that is due: in any order exactly one
transition and one audit row. The real desk and store, and every order that the loop can bring about is drawn.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from core_world import GROUP, NOW, WORLD, alert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import delivery, pipeline
from bot.commands import Desk
from bot.errors import ConflictError, RemoteError
from bot.incidents.model import Incident, State
from bot.joint import Update
from bot.paging.model import PageKind
from bot.ports import Actor, Outcome
from bot.renderings import Renderings
from bot.store.database import Database

FEW = settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
PEOPLE = ("ana", "ben", "cat", "dan")


class StandingClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self):
        return self.time


class DeadWatcher:
    async def ask(self, method: str, params: dict, seconds: float) -> None:
        raise RemoteError("the watcher is not running", code="watcher_down")


class Town:
    """A desk over a store, and one incident that has just paged Ana."""

    def __init__(self, folder: Path) -> None:
        self.clock = StandingClock()
        self.store = Database("sqlite:///pager.db", folder)
        renderings = Renderings(self.store, DeadWatcher(), self.clock, on_late=lambda _: None)
        self.desk = Desk(self.store, renderings, self.clock, lambda: WORLD, lambda _: {}, lambda _: None)

    async def open(self) -> None:
        await self.store.open()
        await pipeline.observe(self.store, Update(group=GROUP, evaluated_at=NOW, alerts=(alert(),)), WORLD, NOW)

    async def incident(self) -> Incident:
        found = await self.store.incident("INC-1")
        assert found is not None
        return found

    async def changes(self) -> list[str]:
        """The audit trail of what was done after it opened."""
        rows = await self.store.history.audit_of("INC-1")
        told = [row.action.removeprefix("incident.") for row in rows if row.action.startswith("incident.")]
        return [action for action in told if action not in {"fired", "updated"}]

    async def press(self, verb: str, person: str, key: str) -> Outcome | ConflictError:
        actor = Actor(f"person:{person}", person.title(), "slack", WORLD.book.people[person])
        try:
            return await getattr(self.desk, verb)(actor, "INC-1", event_key=key)
        except ConflictError as error:
            return error

    async def escalate(self) -> None:
        await pipeline.escalate(self.store, "INC-1", WORLD, self.clock.now())

    async def claim_all(self) -> None:
        for page in await self.store.waiting(self.clock.now()):
            await delivery.claim(self.store, page.id, self.clock.now())


def played(story: Callable[[Town], Awaitable[None]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as name:
            town = Town(Path(name))
            await town.open()
            try:
                await story(town)
            finally:
                await town.store.close()

    asyncio.run(run())


async def after_turns(turns: int, work: Awaitable[object]) -> object:
    """Lets others go first, that many times."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return await work


TURNS = st.integers(0, 30)


@FEW
@given(people=st.permutations(PEOPLE), turns=st.lists(TURNS, min_size=4, max_size=4))
def test_of_several_who_acknowledge_at_once_one_has_it_and_the_others_hear_who(people, turns):
    async def story(town: Town) -> None:
        clicks = [after_turns(turn, town.press("ack", who, who)) for who, turn in zip(people, turns, strict=True)]
        answers = await asyncio.gather(*clicks)
        holder = (await town.incident()).acked_by
        won = [answer for answer in answers if isinstance(answer, Outcome) and answer.changed]
        lost = [answer for answer in answers if isinstance(answer, ConflictError)]
        assert (len(won), len(lost)) == (1, 3)
        assert {error.holder for error in lost} == {holder}
        assert await town.changes() == ["acked"]

    played(story)


@FEW
@given(times=st.integers(1, 4), turns=st.lists(TURNS, min_size=4, max_size=4), verb=st.sampled_from(["ack", "decline"]))
def test_one_click_delivered_up_to_four_times_is_one_change(times, turns, verb):
    async def story(town: Town) -> None:
        answers = await asyncio.gather(*(after_turns(turn, town.press(verb, "ana", "k1")) for turn in turns[:times]))
        assert sum(isinstance(answer, Outcome) and answer.changed for answer in answers) == 1
        assert await town.changes() == ["acked" if verb == "ack" else "declined"]

    played(story)


@FEW
@given(turns=st.lists(TURNS, min_size=3, max_size=3))
def test_an_ack_beside_a_step_that_is_due_leaves_nobody_to_be_woken(turns):
    async def story(town: Town) -> None:
        town.clock.time = NOW + timedelta(minutes=5)
        ack, due, claim = turns
        await asyncio.gather(
            after_turns(ack, town.press("ack", "ana", "k1")),
            after_turns(due, town.escalate()),
            after_turns(claim, town.claim_all()),
        )
        assert (await town.incident()).state is State.ACKED
        assert await town.changes() in (["acked"], ["escalated", "acked"])
        await town.claim_all()
        left = [page for page in await town.store.waiting(town.clock.now()) if page.kind is PageKind.PAGE]
        assert left == []

    played(story)


@FEW
@given(order=st.permutations([("ack", "ana"), ("decline", "ben"), ("resolve", "cat"), ("release", "ana")]))
def test_clicks_in_any_order_and_once_more_each_are_done_once_or_explained(order):
    """A click that comes too late is refused in words; delivered again it changes nothing."""

    async def story(town: Town) -> None:
        for verb, who in order:
            await town.press(verb, who, f"{verb}.{who}")
        before, rows = await town.incident(), await town.changes()
        again = [await town.press(verb, who, f"{verb}.{who}") for verb, who in order]
        done = [answer for answer in again if isinstance(answer, Outcome) and answer.changed]
        accepted_late = len(await town.changes()) - len(rows)
        assert accepted_late == len(done), "every change has its one row"
        if not done:
            assert await town.incident() == before

    played(story)
