"""The machine's clock is set while we run, and while we do not: no step comes early, none late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from core_world import WORLD, alert, ended

from bot import pipeline
from bot.clock import SteadyClock
from bot.clock_watch import ClockWatch
from bot.incidents import people
from bot.incidents.model import Event
from bot.joint import Update
from bot.paging.model import PageState
from bot.store.database import Database

START = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)


class Machine:
    """A database, a clock that can be set, and a pager's clock on it."""

    def __init__(self, store: Database) -> None:
        self.store = store
        self.wall, self.steady, self.boot = START.timestamp(), 500.0, "boot-1"
        self.escalated: list[float] = []

    async def start(self) -> None:
        self.clock = SteadyClock(lambda: self.wall, lambda: self.steady, self.boot)
        self.watch = ClockWatch(self.store, self.clock, lambda: WORLD)
        await self.watch.begin()

    async def fire(self) -> None:
        update = Update(group="g", evaluated_at=self.clock.now(), alerts=(alert(group="g"),))
        await pipeline.observe(self.store, update, WORLD, self.clock.now())

    async def tick(self) -> None:
        await self.watch.look()
        if self.watch.settling:
            return
        now = self.clock.now()
        for incident_id in await self.store.overdue(now):
            for decision in await pipeline.escalate(self.store, incident_id, WORLD, now):
                if decision.event in {Event.ESCALATED, Event.ACK_ASKED, Event.SNOOZE_ENDED}:
                    self.escalated.append(self.steady - 500)

    async def passes(self, seconds: float) -> None:
        for span in (*[50.0] * int(seconds // 50), seconds % 50):
            await self.sleeps(span)

    async def sleeps(self, seconds: float) -> None:
        """No tick in between."""
        self.wall += seconds
        self.steady += seconds
        await self.tick()

    async def jumps(self) -> list[dict[str, str]]:
        return [entry.detail for _, entry, _ in await self.store.audit_rows() if entry.action == "clock.jumped"]


@pytest.fixture
async def machine(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    made = Machine(store)
    await made.start()
    yield made
    await store.close()


JUMPS = [5, 3600, 86400, -5, -3600, -86400]


@pytest.mark.parametrize("jump", JUMPS)
async def test_set_while_we_run_it_moves_no_step(machine, jump):
    await machine.fire()
    await machine.passes(100)
    machine.wall += jump
    await machine.passes(199)
    assert machine.escalated == []
    await machine.passes(1)
    assert machine.escalated == [300]
    assert await machine.jumps() == [{"seconds": f"{jump:+.1f}", "incidents": "1", "pages": "3"}]


@pytest.mark.parametrize("jump", JUMPS)
async def test_set_while_we_are_down_it_moves_no_step(machine, jump):
    await machine.fire()
    await machine.passes(100)
    machine.wall += jump + 50
    machine.steady += 50
    await machine.start()
    await machine.start()  # and killed right after: the deadlines go with the clock once
    await machine.passes(149)
    assert machine.escalated == []
    await machine.passes(1)
    assert machine.escalated == [300]
    assert len(await machine.jumps()) == 1


async def test_what_is_decided_between_the_jump_and_its_discovery_counts_on_one_time(machine):
    machine.wall += 86400
    machine.steady += 0.3
    await machine.fire()
    await machine.passes(299)
    assert machine.escalated == []
    await machine.passes(1)
    assert len(machine.escalated) == 1


async def test_a_page_that_waits_goes_with_the_clock(machine):
    await machine.fire()
    machine.wall -= 86400
    await machine.passes(0.5)
    pages = await machine.store.pages_of("INC-1")
    assert {page.state for page in pages} == {PageState.DUE}
    assert {page.due_at for page in pages} == {START - timedelta(days=1)}


async def test_a_snooze_keeps_its_time_of_day(machine):
    await machine.fire()
    until = START + timedelta(hours=1, minutes=10)
    now = machine.clock.now()
    await pipeline.act(machine.store, "INC-1", lambda i: people.snooze(i, "person:ana", until, now), WORLD, now, None)
    machine.wall += 3600
    await machine.passes(599)
    assert machine.escalated == []
    await machine.passes(1)
    assert len(machine.escalated) == 1


async def test_after_a_suspend_of_hours_one_level_is_paged_in_the_first_minute(machine):
    await machine.fire()
    await machine.sleeps(8 * 3600)
    await machine.passes(19)
    assert machine.escalated == []
    await machine.passes(1)
    assert machine.escalated == [8 * 3600 + 20]
    await machine.passes(59)
    assert len(machine.escalated) == 1
    assert await machine.jumps() == []


@pytest.mark.parametrize("how", ["asleep", "down", "started anew"])
async def test_what_has_ended_meanwhile_wakes_nobody_after_a_sleep(machine, how):
    await machine.fire()
    await machine.sleeps(8 * 3600 if how == "asleep" else 1)
    if how != "asleep":
        machine.wall += 8 * 3600
        machine.steady = 50.0 if how == "started anew" else machine.steady + 8 * 3600
        machine.boot = "boot-2" if how == "started anew" else machine.boot
        await machine.start()
    await machine.passes(15)
    over = Update(group="g", evaluated_at=machine.clock.now(), alerts=(ended(alert(group="g"), machine.clock.now()),))
    await pipeline.observe(machine.store, over, WORLD, machine.clock.now())
    await machine.passes(600)
    assert machine.escalated == []


async def test_a_short_stop_keeps_nobody_waiting(machine):
    await machine.fire()
    await machine.passes(299)
    machine.wall, machine.steady = machine.wall + 5, machine.steady + 5
    await machine.start()
    await machine.passes(1)
    assert len(machine.escalated) == 1


async def test_after_a_start_of_the_machine_with_a_wrong_clock_nothing_waits_longer_than_its_whole_wait(machine):
    await machine.fire()
    machine.wall -= 86400
    machine.boot = "boot-2"
    await machine.start()
    (incident,) = await machine.store.unresolved()
    assert incident.next_at == START - timedelta(days=1) + timedelta(minutes=5)
    assert all(page.due_at <= machine.clock.now() for page in await machine.store.pages_of("INC-1"))
    assert [entry.detail for _, entry, _ in await machine.store.audit_rows() if entry.action == "clock.bounded"]


async def test_a_clock_that_is_kept_right_by_a_second_moves_nothing(machine):
    await machine.fire()
    for _ in range(5):
        machine.wall += 1.5
        await machine.passes(1)
    assert await machine.jumps() == []
    assert machine.clock.now() == machine.clock.wall()
