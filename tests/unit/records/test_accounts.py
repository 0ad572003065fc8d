"""Error budgets, money and forecasts as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from bot.agents.budget import SUCCESS, Budget
from bot.agents.cost import Forecast, Spending
from bot.agents.record import Track
from bot.agents.vitals import Vitals
from bot.records.accounts import (
    budget_words,
    cost_lines,
    cost_row,
    count,
    forecast_lines,
    in_full,
    in_short,
    money,
    scarce,
    share,
    span,
    week_row,
)

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
MONTH = timedelta(weeks=4)


def budget(bad: float, objective: str = SUCCESS, title: str = "success of runs", **fields) -> Budget:
    known = {"start": NOW - MONTH, "since": NOW - MONTH, "events": 1000.0}
    return Budget("refund-agent", objective, title, 0.95, MONTH, bad=bad, **known | fields)


@pytest.mark.parametrize(
    ("dollars", "words"),
    [
        (0, "$0.00"), (12345.6, "$12,346"), (123.4, "$123"), (12.345, "$12.35"), (0.5, "$0.50"), (0.0123, "$0.0123"),
        (0.0001, "less than $0.0005"), (-3, "-$3.00"),
    ],
)  # fmt: skip
def test_money_has_cents_where_there_are_dollars(dollars, words):
    assert money(dollars) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "100 %"),
        (0.976, "97.6 %"),
        (0.9999, "99.99 %"),
        (0.9999999, "99.99 %"),
        (0.0004, "less than 0.1 %"),
        (0, "0 %"),
        (-0.18, "-18 %"),
    ],
)
def test_what_is_not_all_is_never_shown_as_all(value, words):
    assert share(value) == words


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (0.2, "less than 1"), (1.4, "1"), (12480.2, "12,480")])
def test_runs_are_whole(value, words):
    assert count(value) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=20), "less than a minute"), (timedelta(minutes=119), "119 min"), (timedelta(hours=2), "2 h"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"), (timedelta(days=2, hours=4, minutes=3), "2 d 4 h"),
    ],
)  # fmt: skip
def test_spans_are_as_exact_as_they_need_be(length, words):
    assert span(length) == words


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (0, "100 % left; 100 % good"),
        (25, "50 % left; 97.5 % good"),
        (50, "gone; 95 % good"),
        (100, "gone, 100 % over; 90 % good"),
    ],
)
def test_a_budget_says_what_is_left(bad, words):
    assert budget_words(budget(bad)) == f"Budget for success of runs: {words}, target 95 % over 4w"


def test_a_young_record_says_since_when():
    young = budget(25, since=datetime(2026, 11, 12, 9, tzinfo=UTC))
    assert budget_words(young).endswith("target 95 % over 4w, since Thu 2026-11-12 09:00 UTC")


def test_nothing_counted_is_not_a_whole_budget():
    words = budget_words(budget(0, events=0.0, since=None))
    assert words == "Budget for success of runs: nothing to count yet (target 95 % over 4w)"
    assert scarce([budget(0, events=0.0)]) == []


def test_the_digest_has_the_scarcest_first():
    told = scarce([budget(5), budget(60, "latency", "runs within 20s")])
    assert told == [
        "refund-agent, runs within 20s: gone, 20 % over; 94 % good, target 95 %",
        "refund-agent: 90 % left; 99.5 % good, target 95 %",
    ]


def vitals(**fields) -> Vitals:
    known = {
        "hour_from": NOW - timedelta(hours=1),
        "hour": Track(runs=42.0, bad=1.0, cost_usd=1.2),
        "day": Track(runs=980.0, bad=24.5, cost_usd=24.0),
        "last_run": NOW - timedelta(minutes=31),
        "last_success": NOW - timedelta(minutes=40),
        "pace": 1.2,
        "budgets": (budget(25), budget(10, "latency", "runs within 20s")),
    }
    return Vitals(**known | fields)


def test_beside_a_name_stands_one_line():
    assert in_short(vitals(), NOW) == "ran 31 min ago, 980 runs in 24 h, 97.5 % good, $1.20/h, budget 50 % left"
    assert (
        in_short(vitals(running=True, pace=None, budgets=()), NOW) == "ran within 5 min, 980 runs in 24 h, 97.5 % good"
    )


def test_an_agent_of_which_nothing_is_known_has_no_line():
    nothing = Vitals(hour_from=NOW, hour=Track(), day=Track())
    assert in_short(nothing, NOW) == ""
    assert in_full(nothing, NOW) == ["Last run not known"]


def test_alone_it_says_everything():
    assert in_full(vitals(), NOW) == [
        "Last run 31 min ago, last success 40 min ago",
        "Runs: 42 since 13:00 UTC, 97.6 % good",
        "Runs: 980 in 24 h, 97.5 % good",
        "Cost: $1.20/h, $24.00 in 24 h",
        "Budget for success of runs: 50 % left; 97.5 % good, target 95 % over 4w",
        "Budget for runs within 20s: 80 % left; 99 % good, target 95 % over 4w",
    ]


def test_no_run_is_said_and_is_no_success():
    idle = vitals(hour=Track(runs=0.0), day=Track(runs=0.0), budgets=(), pace=0.0)
    assert in_full(idle, NOW)[1:] == ["Runs: no run since 13:00 UTC", "Runs: no run in 24 h", "Cost: $0.00/h"]


def spending(**fields) -> Spending:
    known = {
        "since": NOW - timedelta(days=14), "today": 61.2, "budget": 80.0, "pace": 9.4,
        "pace_since": NOW - timedelta(hours=1), "forecast": 155.2, "usual": (34.9, 56.8),
        "gone_at": NOW + timedelta(hours=2), "per_run": 0.0612,
        "per_run_target": 0.05, "week": 498.0, "week_before": 444.6,
    }  # fmt: skip
    return Spending("refund-agent", NOW, **known | fields)


def test_the_cost_of_an_agent_is_told_in_the_order_of_the_questions():
    """The example of docs/slo.md."""
    assert cost_lines(spending()) == [
        "Today so far: $61.20 of $80.00 (76.5 %)",
        "Pace since 13:00 UTC: $9.40/h; at that the day ends at $155",
        "Going on as on the last seven days it ends at $96.10 to $118",
        "At this pace the day's budget is gone at 16:00 UTC, in 2 h",
        "Cost per run in seven days: $0.0612, target $0.0500: 1.2 times as much",
        "Seven days: $498, 12 % more than the seven before",
    ]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"budget": None, "gone_at": None}, "Today so far: $61.20, no budget in its file"),
        ({"gone_at": None}, "At this pace the day's budget lasts"),
        ({"today": 90.0, "gone_at": NOW - timedelta(hours=1)}, "The day's budget was used up by 13:00 UTC"),
        ({"pace": None, "gone_at": None}, "Pace: too few minutes of the last two hours are counted to say"),
        ({"per_run": None}, "Cost per run: not known, no run was counted in seven days"),
        ({"per_run": 0.04}, "Cost per run in seven days: $0.0400, target $0.0500: kept"),
        ({"week_before": None}, "Seven days: $498, counted since 2026-11-07 14:00 UTC"),
        ({"week_before": 500.0}, "Seven days: $498, as the seven before"),
        ({"week_before": 996.0}, "Seven days: $498, 50 % less than the seven before"),
    ],
)
def test_each_line_says_what_there_is_to_say(fields, line):
    assert line in cost_lines(spending(**fields))


def test_no_figures_of_cost_are_no_cost_of_nothing():
    unknown = Spending("refund-agent", NOW, budget=80.0)
    assert cost_lines(unknown)[0].startswith("Nothing says what refund-agent costs")
    assert cost_row(unknown) == "refund-agent: no figures of cost"


def test_among_others_an_agent_is_one_line():
    assert cost_row(spending()) == "refund-agent: $61.20 of $80.00 today, $9.40/h, gone at 16:00 UTC, $0.0612 a run"
    assert "budget used up" in cost_row(spending(today=90.0, gone_at=NOW))
    assert week_row(spending()) == (
        "refund-agent, seven days: $498, 12 % more than the seven before; "
        "$0.0612 a run, target $0.0500: 1.2 times as much"
    )


def forecasted(**fields) -> Forecast:
    known = {
        "at": 50_000.0, "days": 19, "since": datetime(2026, 11, 2, tzinfo=UTC), "runs": 8020.0, "busiest": 543.0,
        "per_run": 0.0612, "per_run_range": (0.054, 0.079), "per_run_target": 0.05, "budget_day": 80.0,
        "budget": 5000.0, "budget_is_given": True, "spent": 410.0, "gone_on": date(2026, 11, 23),
        "gone_range": (date(2026, 11, 23), date(2026, 11, 23)),
    }  # fmt: skip
    return Forecast("refund-agent", **known | fields)


def test_a_forecast_says_what_it_rests_on():
    """The example of docs/slo.md."""
    assert forecast_lines(forecasted()) == [
        "Cost per run: $0.0612 ($0.0540 to $0.0790), target $0.0500: 1.2 times as much",
        "At 50,000 runs a day: $3,060 a day ($2,700 to $3,950)",
        "Its budget of $80.00 a day is too little: it pays for 1,307 runs a day",
        "The given budget of $5,000, $410 of it spent: gone on Mon 2026-11-23, if that volume begins tomorrow",
        "From 8,020 runs on 19 days since 2026-11-02 00:00 UTC; the range is that of the days",
        "50,000 runs a day are 92 times the busiest day seen: nobody has seen whether rate limits, caches and prices "
        "hold there",
    ]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"days": 1}, "Little to go by: 8,020 runs on 1 day since 2026-11-02 00:00 UTC; one day shows no range"),
        ({"spent": 5000.0}, "The given budget of $5,000, $5,000 of it spent: it is used up"),
        ({"gone_on": None}, "The given budget of $5,000, $410 of it spent: lasts longer than a year"),
        (
            {"gone_range": (date(2026, 11, 22), None), "budget_is_given": False},
            "This month's budget of $5,000, $410 of it spent: gone on Mon 2026-11-23 "
            "(from Sun 2026-11-22 to later than in a year), if that volume begins tomorrow",
        ),
        ({"at": 1000.0}, "Its budget of $80.00 a day is enough: it pays for 1,307 runs a day"),
    ],
)
def test_a_forecast_says_how_sure_it_is(fields, line):
    assert line in forecast_lines(forecasted(**fields))


def test_there_is_no_forecast_from_nothing():
    (line,) = forecast_lines(Forecast("refund-agent", 1000.0, 0, None, 0.0, 0.0))
    assert line.startswith("No day of refund-agent has both runs and costs")
