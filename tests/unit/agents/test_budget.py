"""What is left of an error budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.agents import budget
from bot.agents.record import HOUR, Hour, Sums

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)
START = datetime(2026, 11, 20, 13, tzinfo=UTC)  # the first whole hour of a day until NOW


def success(runs: float, bad: float, target: float = 0.9, since: datetime = START) -> budget.Budget:
    return budget.success("refund-agent", target, DAY, Sums(since, runs, bad), NOW)


@pytest.mark.parametrize(("bad", "left"), [(0, 1.0), (5, 0.5), (10, 0.0), (15, -0.5), (100, -9.0)])
def test_of_a_hundred_runs_ten_may_fail(bad, left):
    found = success(100, bad)
    assert found.left == pytest.approx(left)
    assert found.good == pytest.approx(1 - bad / 100)


def test_without_a_run_there_is_nothing_to_say():
    assert success(0, 0).left is None
    assert budget.success("refund-agent", 0.9, DAY, None, NOW).good is None


@pytest.mark.parametrize(("since", "young"), [(START, False), (START + HOUR, False), (START + 2 * HOUR, True)])
def test_a_record_that_is_younger_than_the_window_is_known_to_be(since, young):
    """The first hour may have had no run."""
    assert success(100, 5, since=since).young is young


def test_a_window_begins_with_a_whole_hour():
    assert budget.window_of(DAY, NOW) == START
    assert budget.window_of(DAY, NOW.replace(minute=0)) == START - HOUR


def test_an_objective_counts_its_own_events_within_the_window():
    def hour(start: datetime, **slo: tuple[float, float]) -> Hour:
        return Hour(agent="refund-agent", start=start, upto=start + HOUR, runs=7.0, run_minutes=60, slo=slo)

    hours = [
        hour(START - HOUR, latency=(50.0, 50.0)),
        hour(START, latency=(60.0, 3.0), grounded=(9.0, 9.0)),
        hour(START + HOUR),
        hour(START + 2 * HOUR, latency=(40.0, 2.0)),
    ]
    found = budget.objective("refund-agent", "latency", "runs within 20s", 0.9, DAY, hours, NOW)
    assert (found.events, found.bad, found.since) == (100.0, 5.0, START)
    assert found.left == pytest.approx(0.5)
    nothing = budget.objective("refund-agent", "other", "other", 0.9, DAY, hours, NOW)
    assert (nothing.since, nothing.left) == (None, None)
