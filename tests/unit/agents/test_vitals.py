"""The few numbers beside an agent's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.agents.record import HOUR, Hour, Sums
from bot.agents.vitals import vitals

NOW = datetime(2026, 11, 21, 14, 20, tzinfo=UTC)
TWO = NOW.replace(minute=0)


def hour(start: datetime, **fields) -> Hour:
    return Hour(agent="a", start=start, upto=start + HOUR, minutes=60, run_minutes=60, **fields)


def test_an_hour_that_has_begun_counts_with_the_one_before():
    """80 minutes, in which 4 dollars went: 3 an hour."""
    hours = [
        hour(TWO - 2 * HOUR, runs=100.0),
        hour(TWO - HOUR, runs=30.0, bad=3.0, cost_usd=3.0, cost_minutes=60),
        hour(TWO, runs=10.0, bad=1.0, cost_usd=1.0, cost_minutes=20),
    ]
    found = vitals(hours, None, [], NOW)
    assert (found.hour_from, found.hour.runs, found.day.runs) == (TWO - HOUR, 40.0, 140.0)
    assert found.hour.success == pytest.approx(0.9)
    assert found.pace == pytest.approx(3.0)


@pytest.mark.parametrize(("seconds", "running"), [(120, True), (121, False)])
def test_an_agent_runs_while_its_last_minutes_count_runs(seconds, running):
    found = vitals([hour(TWO, run_seen=NOW - timedelta(seconds=seconds))], None, [], NOW)
    assert found.running is running


def test_what_happened_last_may_be_long_ago():
    seen = NOW - timedelta(days=9)
    found = vitals([], Sums(seen, 1.0, 0.0, run_seen=seen, success_seen=seen), [], NOW)
    assert found.last_run == found.last_success == seen - timedelta(minutes=5)
    assert found.day.runs is None


def test_an_agent_of_which_nothing_is_known_has_no_numbers():
    found = vitals([], None, [], NOW)
    assert (found.running, found.last_run, found.pace, found.hour.runs) == (False, None, None, None)
