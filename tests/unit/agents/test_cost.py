"""What an agent costs today, by the run, and at another volume."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.agents.cost import Forecast, forecast, spending
from bot.agents.model import Agent
from bot.agents.record import HOUR, Hour

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)  # a Saturday
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


def agent(**fields) -> Agent:
    return Agent.model_validate({"id": "refund-agent", "owner": "ana"} | fields)


def hour(start: datetime, cost: float | None = 1.0, runs: float = 10.0, minutes: int = 60) -> Hour:
    return Hour(
        agent="refund-agent", start=start, upto=start + HOUR, minutes=minutes, run_minutes=minutes, runs=runs,
        cost_minutes=0 if cost is None else minutes, cost_usd=cost or 0.0,
    )  # fmt: skip


def hours(first: datetime, last: datetime, cost: float = 1.0, runs: float = 10.0) -> list[Hour]:
    count = round((last - first) / HOUR)
    return [hour(first + number * HOUR, cost, runs) for number in range(count)]


def test_today_is_counted_from_midnight_and_goes_on_at_the_pace_of_now():
    """A dollar an hour for fourteen hours; ten are left."""
    found = spending(agent(budget_usd_day=30), hours(MIDNIGHT - 5 * HOUR, NOW), NOW, UTC_ZONE)
    assert (found.today, found.budget) == (14.0, 30.0)
    assert found.pace == pytest.approx(1.0)
    assert found.forecast == pytest.approx(24.0)
    assert found.gone_at is None


def test_days_are_those_of_the_zone():
    found = spending(agent(), hours(MIDNIGHT - 5 * HOUR, NOW), NOW, ZoneInfo("Europe/Madrid"))
    assert found.today == 15.0


def test_the_pace_is_that_of_this_hour_and_the_one_before():
    """Half past two: an hour and a half, in which 6 + 3 dollars went."""
    lately = [*hours(MIDNIGHT, NOW - HOUR), hour(NOW - HOUR, 6.0), hour(NOW, 3.0, minutes=30)]
    found = spending(agent(), lately, NOW + HOUR / 2, UTC_ZONE)
    assert found.pace == pytest.approx(6.0)
    assert found.pace_since == NOW - HOUR


def test_minutes_that_nobody_counted_slow_no_pace():
    """Counted since a quarter to two: a dollar in fifteen minutes."""
    assert spending(agent(), [hour(NOW - HOUR, 1.0, minutes=15)], NOW, UTC_ZONE).pace == pytest.approx(4.0)


def test_nine_minutes_say_nothing_about_the_day():
    found = spending(agent(budget_usd_day=30), [hour(NOW - HOUR, 1.0, minutes=9)], NOW, UTC_ZONE)
    assert (found.today, found.pace, found.forecast, found.gone_at) == (1.0, None, None, None)


def test_a_budget_is_gone_when_the_rest_of_it_is_spent_at_this_pace():
    found = spending(agent(budget_usd_day=16.5), hours(MIDNIGHT, NOW), NOW, UTC_ZONE)
    assert found.gone_at == NOW + 2.5 * HOUR
    assert not found.over


def test_a_budget_that_is_used_up_was_so_by_the_end_of_an_hour():
    found = spending(agent(budget_usd_day=5), hours(MIDNIGHT, NOW), NOW, UTC_ZONE)
    assert found.over
    assert found.gone_at == MIDNIGHT + 5 * HOUR


def test_a_budget_without_a_pace_is_not_gone():
    quiet = hours(MIDNIGHT, NOW - 3 * HOUR) + hours(NOW - 3 * HOUR, NOW, 0.0)
    assert spending(agent(budget_usd_day=30), quiet, NOW, UTC_ZONE).gone_at is None


def test_the_cost_of_a_run_is_that_of_seven_days():
    told = hours(NOW - timedelta(days=8), NOW - timedelta(days=7), 99.0) + hours(NOW - timedelta(days=1), NOW, 0.5)
    assert spending(agent(), told, NOW, UTC_ZONE).per_run == pytest.approx(0.05)


def test_a_week_is_held_against_the_one_before_once_that_is_known_as_a_whole():
    fortnight = NOW - timedelta(days=14)
    told = hours(fortnight, NOW - timedelta(days=7), 1.0) + hours(NOW - timedelta(days=7), NOW, 1.5)
    found = spending(agent(), told, NOW, UTC_ZONE)
    assert (found.week, found.week_before) == (252.0, 168.0)
    assert found.trend == pytest.approx(0.5)
    assert spending(agent(), told[5:], NOW, UTC_ZONE).trend is None


def test_how_the_day_usually_ends_is_said_when_each_of_seven_days_says_it():
    """From two o'clock on ten hours: 10 dollars on one day and 20 on the others."""
    week = hours(MIDNIGHT - timedelta(days=7), MIDNIGHT - timedelta(days=6), 1.0)
    week += hours(MIDNIGHT - timedelta(days=6), NOW, 2.0)
    assert spending(agent(), week, NOW, UTC_ZONE).usual == (10.0, 20.0)
    assert spending(agent(), week[24:], NOW, UTC_ZONE).usual is None


def test_an_agent_without_figures_costs_nothing_known():
    silent = [hour(NOW - HOUR, None)]
    found = spending(agent(budget_usd_day=30), silent, NOW, UTC_ZONE)
    assert (found.today, found.pace, found.per_run, found.budget) == (None, None, None, 30.0)


# Forecasts -----------------------------------------------------------------------------------------------------------


def days(*per_run: float, runs: float = 240.0) -> list[Hour]:
    """Whole days until yesterday, each with so much a run."""
    found = []
    for back, price in enumerate(reversed(per_run), start=1):
        start = MIDNIGHT - timedelta(days=back)
        found += hours(start, start + timedelta(days=1), price * runs / 24, runs / 24)
    return found


def asked(told: list[Hour], at: float | None = 1000, budget: float | None = None, **fields) -> Forecast:
    return forecast(agent(**fields), told, at, budget, NOW, UTC_ZONE)


def test_a_forecast_is_the_cost_of_a_run_times_the_runs_with_the_range_of_the_days():
    found = asked(days(0.04, 0.05, 0.06), budget_usd_day=80, cost_per_run_usd=0.05)
    assert found.per_run == pytest.approx(0.05)
    assert found.per_run_range == pytest.approx((0.04, 0.06))
    assert found.day == pytest.approx(50)
    assert found.day_range == pytest.approx((40, 60))
    assert found.bearable == pytest.approx(1600)
    assert (found.days, found.runs) == (3, pytest.approx(720))


def test_today_counts_only_as_long_as_there_is_no_whole_day():
    today = hours(MIDNIGHT, NOW, 10.0)
    assert asked(days(0.04) + today).per_run == pytest.approx(0.04)
    assert asked(today).per_run == pytest.approx(1.0)


def test_the_rest_of_a_day_is_no_whole_day():
    begun = hours(MIDNIGHT - timedelta(days=1, hours=2), MIDNIGHT - timedelta(days=1), 1.0)
    assert asked(begun + hours(MIDNIGHT - timedelta(days=1), MIDNIGHT, 1.0)).days == 1
    assert asked(begun).days == 1


def test_a_tenth_of_many_days_does_not_widen_the_range():
    steady = [0.05] * 18
    assert asked(days(0.01, *steady, 9.0)).per_run_range == pytest.approx((0.05, 0.05))
    assert asked(days(0.01, *steady[:7], 9.0)).per_run_range == pytest.approx((0.01, 9.0))


def test_days_without_runs_or_without_costs_say_nothing():
    idle = hours(MIDNIGHT - timedelta(days=3), MIDNIGHT - timedelta(days=2), 0.0, 0.0)
    assert asked(days(0.04) + idle).days == 1
    assert asked([hour(NOW - HOUR, None)]).per_run is None
    assert asked([]).day is None


@pytest.mark.parametrize(
    ("at", "fields", "meant"), [(1000, {}, 1000), (None, {"runs_per_day": 700}, 700), (None, {}, 240)]
)
def test_the_volume_is_the_one_asked_for_else_the_one_declared_else_the_one_seen(at, fields, meant):
    assert asked(days(0.04, 0.04), at, **fields).at == pytest.approx(meant)


def test_a_given_budget_is_gone_on_the_day_that_its_rest_ends():
    """100 of 450 went this month; at 100 a day the rest ends within the fourth day from tomorrow on."""
    told = days(0.1, runs=1000)
    found = asked(told, 1000, 450)
    assert found.spent == pytest.approx(100)
    assert found.gone_on == date(2026, 11, 25)


def test_a_month_has_its_days_of_the_daily_budget():
    found = asked(days(0.1, runs=1000), 1000, budget_usd_day=20)
    assert (found.budget, found.budget_is_given) == (600.0, False)
    assert found.gone_on == date(2026, 11, 26)


def test_a_dear_day_ends_it_earlier_and_a_cheap_one_later():
    found = asked(days(0.05, 0.15, runs=1000), 1000, 500)
    assert found.spent == pytest.approx(200)
    assert found.gone_on == date(2026, 11, 24)
    assert found.gone_range == (date(2026, 11, 23), date(2026, 11, 27))


def test_what_was_spent_before_this_month_is_not_of_this_month():
    october = hours(datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), 1.0)
    assert asked(october + days(0.1, runs=1000), 1000, 450).spent == pytest.approx(100)


def test_a_budget_for_more_than_a_year_has_no_day():
    assert asked(days(0.0001), 10, 1e9).gone_on is None


@pytest.mark.parametrize(("at", "far"), [(1200, False), (1201, True)])
def test_five_times_the_busiest_day_is_further_than_anybody_has_seen(at, far):
    assert asked(days(0.04), at).far is far
