"""The track record on a real database, and counted from series as a watcher has them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from config_files import sources_of
from core_world import NOW, after
from hand_clock import HandClock

from bot.agents.record import ASKED, Figures, Hour, Minute, minute, track
from bot.config import load
from bot.errors import RemoteError
from bot.ledger import Ledger
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.store.database import Database

FILES = {
    "agentpager.yaml": "store: {retention: {track_record: 2d}}\n",
    "oncall/all.yaml": "people:\n  ana: {name: Ana, slack: U0ANA}\nfallback: 'person:ana'\n",
    "agents/all.yaml": "agents:\n  refund-agent: {owner: ana}\n  crm-agent: {owner: ana}\n",
}


class CountingWatcher:
    """Says that each agent had one run in every minute; `gone` makes it fail."""

    def __init__(self, *agents: str) -> None:
        self.agents, self.gone, self.asked = agents, False, []

    async def ask(self, method, params, seconds):
        assert method == "minutes"
        if self.gone:
            raise RemoteError("the watcher is not running", code="watcher_down")
        self.asked.append([after(seconds=end - NOW.timestamp()) for end in params["ends"]])
        figures = dict.fromkeys(self.agents, Figures(runs=1.0, bad=0.0))
        return [Minute(at=end, agents=figures).model_dump(mode="json", exclude_none=True) for end in self.asked[-1]]


@pytest.fixture
async def store(tmp_path):
    database = Database("sqlite:///pager.db", tmp_path)
    await database.open()
    yield database
    await database.close()


async def add(store: Database, *minutes: Minute) -> None:
    async with store.transaction() as tx:
        for one in minutes:
            await tx.add_minute(one)


def ran(minutes: int, agent: str = "refund-agent", runs: float = 2.0) -> Minute:
    return Minute(at=after(minutes=minutes), agents={agent: Figures(runs=runs, bad=0.0)})


async def test_minutes_become_hours(store):
    await add(store, ran(59), ran(60), ran(61), ran(61, "crm-agent"))
    found = await store.agent_hours(NOW, after(days=1))
    assert [(one.agent, one.start, one.runs) for one in found] == [
        ("refund-agent", NOW, 4.0),
        ("crm-agent", after(hours=1), 2.0),
        ("refund-agent", after(hours=1), 2.0),
    ]
    assert await store.agent_hours(NOW, after(days=1), "crm-agent") == [found[1]]
    assert await store.agent_hours(NOW, after(hours=1)) == [found[0]]


async def test_a_minute_that_was_counted_counts_no_more(store):
    await add(store, ran(1), ran(2))
    await add(store, ran(1, runs=9.0), ran(2, runs=9.0), ran(3))
    (found,) = await store.agent_hours(NOW, after(days=1))
    assert (found.runs, found.upto) == (6.0, after(minutes=3))


async def test_the_last_minute_that_was_counted_is_known_after_a_restart(store):
    assert await store.counted_until(NOW) is None
    await add(store, ran(1), ran(3, "crm-agent"), ran(2))
    assert await store.counted_until(after(minutes=9)) == after(minutes=3)
    assert await store.counted_until(after(days=1)) is None


async def test_old_hours_are_forgotten_the_oldest_first(store):
    await add(store, ran(1), ran(61), ran(121))
    async with store.transaction() as tx:
        assert await tx.forget_agent_hours(after(hours=2), most=1) == 1
    assert [one.start for one in await store.agent_hours(NOW, after(days=1))] == [after(hours=1), after(hours=2)]
    async with store.transaction() as tx:
        assert await tx.forget_agent_hours(after(hours=2)) == 1
    assert [one.start for one in await store.agent_hours(NOW, after(days=1))] == [after(hours=2)]


def ledger_on(store: Database, watcher: CountingWatcher) -> tuple[Ledger, HandClock]:
    clock = HandClock(NOW)
    clock.time = after(minutes=30, seconds=20)
    config = load(sources_of(FILES))
    return Ledger(store, watcher, clock, lambda: config), clock


async def runs(store: Database, agent: str = "refund-agent") -> float:
    return track(await store.agent_hours(after(days=-9), after(days=9), agent)).runs or 0.0


async def test_the_ledger_counts_each_minute_once(store):
    watcher = CountingWatcher("refund-agent")
    ledger, clock = ledger_on(store, watcher)
    await ledger.tick()
    assert watcher.asked == [[after(minutes=number) for number in range(26, 31)]]
    await ledger.tick()
    assert await runs(store) == 5
    clock.time += timedelta(minutes=1)
    await ledger.tick()
    assert watcher.asked[1:] == [[after(minutes=31)]]
    assert await runs(store) == 6


async def test_minutes_of_a_watcher_that_was_away_are_counted_afterwards(store):
    watcher = CountingWatcher("refund-agent")
    ledger, clock = ledger_on(store, watcher)
    await ledger.tick()
    watcher.gone = True
    clock.time += timedelta(minutes=1)
    await ledger.tick()
    watcher.gone = False
    clock.time += timedelta(minutes=2)
    await ledger.tick()
    assert watcher.asked[1:] == [[after(minutes=31), after(minutes=32), after(minutes=33)]]


async def test_a_new_pager_goes_on_where_the_one_before_stopped(store):
    watcher = CountingWatcher("refund-agent")
    ledger, _ = ledger_on(store, watcher)
    await ledger.tick()
    again, clock = ledger_on(store, watcher)
    clock.time += timedelta(minutes=2)
    await again.tick()
    assert watcher.asked[1:] == [[after(minutes=31), after(minutes=32)]]


async def test_only_agents_of_the_registry_have_a_record(store):
    ledger, _ = ledger_on(store, CountingWatcher("refund-agent", "nobodys-agent"))
    await ledger.tick()
    assert {one.agent for one in await store.agent_hours(after(days=-9), after(days=9))} == {"refund-agent"}


async def test_the_ledger_forgets_what_is_older_than_is_kept(store):
    await add(store, ran(-3 * 24 * 60), ran(-24 * 60))
    ledger, _ = ledger_on(store, CountingWatcher())
    await ledger.tick()
    assert [one.start for one in await store.agent_hours(after(days=-9), after(days=9))] == [after(hours=-25)]


# Counted from samples ------------------------------------------------------------------------------------------------


def counted(increments: dict[float, float], every: float, minutes: int) -> Hour:
    """A counter that grows by so much at these seconds, scraped every so many; from its rates, taken each minute."""
    scraped = SeriesStore(float(minutes * 60 + 900))
    runs = scraped.intern({"__name__": "agent_runs_total", "agent": "a", "outcome": "success"})
    moments = np.arange(0.0, minutes * 60 + every, every)
    levels = np.array([1000.0 + sum(by for at, by in increments.items() if at <= moment) for moment in moments])
    for moment, level in zip(moments.tolist(), levels.tolist(), strict=True):
        scraped.append_at(np.array([runs]), np.array([NOW.timestamp() + moment]), np.array([level]))
    engine = Engine(scraped)
    rate = parse("sum by (agent) (rate(agent_runs_total[5m]))")
    for number in range(1, minutes + 1):
        at = NOW.timestamp() + number * 60
        for _, value in engine.instant(rate, at):
            scraped.append_at(
                np.array([scraped.intern({"__name__": "agent:runs:rate5m", "agent": "a"})]),
                np.array([at]),
                np.array([value]),
            )
    found = Hour(agent="a", start=NOW, upto=NOW)
    for number in range(1, minutes + 1):
        end = after(minutes=number)
        answers = {name: engine.instant(parse(query), end.timestamp()) for name, query in ASKED.items()}
        figures = minute(end, answers).agents.get("a")
        if figures is not None:
            found = found.plus(end, figures)
    return found


@pytest.mark.parametrize("every", [5.0, 15.0, 30.0, 60.0])
def test_as_many_runs_are_counted_as_there_were_however_often_is_scraped(every):
    steady = {600.0 + 7.0 * number: 1.0 for number in range(300)}
    assert counted(steady, every, 60).runs == pytest.approx(300, rel=0.02)


@pytest.mark.parametrize("moment", [900.0, 914.0, 931.0, 959.0])
def test_a_single_run_counts_as_one_wherever_between_two_scrapes_it_ends(moment):
    assert counted({moment: 1.0}, 15.0, 30).runs == pytest.approx(1.0, abs=0.2)


async def test_a_clock_that_was_a_year_ahead_does_not_stop_it_for_a_year(store):
    watcher = CountingWatcher("refund-agent")
    ledger, clock = ledger_on(store, watcher)
    clock.time += timedelta(days=365)
    await ledger.tick()
    for _ in range(2):  # also after a restart
        clock.time = after(minutes=31 + len(watcher.asked), seconds=20)
        await ledger.tick()
        assert watcher.asked[-1][-1] == clock.time - timedelta(seconds=20)
        ledger = Ledger(store, watcher, clock, lambda: load(sources_of(FILES)))
