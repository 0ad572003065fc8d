"""What counts as one agent's hour, and what sums of hours say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.agents.record import (
    Figures,
    Hour,
    Track,
    between,
    by_agent,
    by_day,
    ends,
    fresh,
    hour_of,
    last_run,
    last_success,
    minute,
    track,
)

TWO = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return TWO + timedelta(minutes=minutes)


def counted(*minutes: tuple[int, Figures]) -> Hour:
    hour = fresh("refund-agent", at(1))
    for end, figures in minutes:
        hour = hour.plus(at(end), figures)
    return hour


def hour(start: datetime = TWO, agent: str = "refund-agent", **figures) -> Hour:
    return Hour(agent=agent, start=start, upto=start + timedelta(hours=1), **figures)


@pytest.mark.parametrize(
    ("end", "begins"), [(at(0), at(-60)), (at(1), at(0)), (at(59), at(0)), (at(60), at(0)), (at(61), at(60))]
)
def test_a_minute_belongs_to_the_hour_that_it_lies_in(end, begins):
    assert hour_of(end) == begins


def test_minutes_add_up():
    found = counted(
        (1, Figures(runs=4.0, bad=1.0, handoffs=0.5, cost_usd=0.2, tokens=900.0, llm_calls=12.0)),
        (2, Figures(runs=2.0, bad=0.0, handoffs=0.0, cost_usd=0.1, tokens=100.0, llm_calls=3.0)),
    )
    assert (found.runs, found.bad, found.handoffs, found.cost_usd) == (6.0, 1.0, 0.5, 0.3)
    assert (found.tokens, found.llm_calls, found.minutes, found.active) == (1000.0, 15.0, 2, 2)
    assert found.upto == at(2)


@pytest.mark.parametrize("again", [1, 2])
def test_a_minute_counts_once_however_often_and_late_it_comes(again):
    before = counted((1, Figures(runs=4.0)), (2, Figures(runs=2.0)))
    assert before.plus(at(again), Figures(runs=9.0)) is before


def test_minutes_in_which_nothing_ran_are_seen_but_not_active():
    found = counted((1, Figures(runs=0.0, cost_usd=0.0)), (2, Figures(runs=1.0)))
    assert (found.minutes, found.active, found.run_minutes, found.cost_minutes) == (2, 1, 2, 1)


def test_an_agent_of_which_nothing_is_known_but_its_last_success_was_not_seen():
    assert counted((1, Figures(last_success=at(0).timestamp()))).minutes == 0


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_what_is_no_amount_counts_as_unknown(wrong):
    found = counted((1, Figures(runs=wrong, cost_usd=wrong)))
    assert (found.runs, found.cost_usd, found.run_minutes, found.cost_minutes) == (0.0, 0.0, 0, 0)


def test_there_are_never_more_bad_runs_than_runs():
    """Two rates of one counter each may lie a scrape apart."""
    assert counted((1, Figures(runs=0.8, bad=1.0))).bad == 0.8
    assert counted((1, Figures(bad=1.0))).bad == 0.0


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (None, [at(-4), at(-3), at(-2), at(-1), at(0)]),
        (at(-2), [at(-1), at(0)]),
        (at(0), []),
        (at(-600), [at(-4), at(-3), at(-2), at(-1), at(0)]),
    ],
)
def test_whole_minutes_are_counted_that_were_not_yet_and_of_which_there_are_samples(before, found):
    assert ends(before, at(0) + timedelta(seconds=59)) == found


def test_answers_are_put_together_by_agent():
    found = minute(
        at(1),
        {
            "runs": [({"agent": "refund-agent"}, 4.0), ({"agent": "crm-agent"}, 1.0), ({}, 7.0)],
            "cost_usd": [({"agent": "crm-agent"}, float("nan"))],
        },
    )
    assert found.agents == {"refund-agent": Figures(runs=4.0), "crm-agent": Figures(runs=1.0)}


def test_objectives_are_counted_by_their_names():
    found = minute(
        at(1),
        {
            "slo_total": [({"agent": "a", "slo": "latency"}, 4.0), ({"agent": "a", "slo": "grounded"}, 9.0)],
            "slo_bad": [({"agent": "a", "slo": "latency"}, 1.0), ({"agent": "a"}, 5.0)],
        },
    )
    assert found.agents == {"a": Figures(slo={"latency": (4.0, 1.0)})}
    twice = counted((1, found.agents["a"]), (2, Figures(slo={"latency": (2.0, 3.0), "grounded": (1.0, 0.0)})))
    assert twice.slo == {"latency": (6.0, 3.0), "grounded": (1.0, 0.0)}


def test_the_last_run_is_as_late_as_the_five_minutes_of_samples_allow():
    """It shows in five minutes; in the last of them only the run of almost five minutes ago is left."""
    found = counted((7, Figures(runs=0.2)), (8, Figures(runs=0.0)))
    assert last_run([found]) == at(2)
    assert last_run([hour()]) is None


def test_the_last_success_is_what_the_agent_says_else_what_its_runs_say():
    failing = counted((7, Figures(runs=1.0, bad=0.0)), (8, Figures(runs=1.0, bad=1.0)))
    assert last_success([failing]) == at(2)
    saying = counted((7, Figures(runs=1.0, bad=0.0, last_success=at(6.5).timestamp())))
    assert last_success([saying]) == at(6.5)


def test_a_success_in_the_future_is_not_believed():
    assert counted((7, Figures(last_success=at(8).timestamp()))).last_success is None


def test_hours_sum_up_to_a_track():
    found = track(
        [
            hour(runs=90.0, bad=9.0, run_minutes=60, cost_usd=4.5, cost_minutes=60, minutes=60, active=50),
            hour(at(60), runs=10.0, bad=1.0, run_minutes=30, cost_usd=0.5, cost_minutes=30, minutes=30, active=9),
        ]
    )
    assert (found.since, found.minutes, found.active) == (TWO, 90, 59)
    assert (found.runs, found.bad, found.cost_usd) == (100.0, 10.0, 5.0)
    assert found.success == pytest.approx(0.9)
    assert found.cost_per_run == pytest.approx(0.05)


def test_runs_without_figures_of_money_do_not_make_a_run_cheaper():
    """Costs are measured since an hour, runs since two."""
    found = track([hour(runs=90.0, run_minutes=60), hour(at(60), runs=10.0, cost_usd=2.0, cost_minutes=60)])
    assert (found.runs, found.cost_per_run) == (100.0, pytest.approx(0.2))


def test_what_nothing_says_is_unknown_and_not_nothing():
    priceless = track([hour(runs=3.0, run_minutes=60)])
    assert (priceless.runs, priceless.cost_usd, priceless.cost_per_run) == (3.0, None, None)
    spending = track([hour(cost_usd=1.0, cost_minutes=60)])
    assert (spending.runs, spending.success, spending.cost_per_run) == (None, None, None)
    idle = track([hour(run_minutes=60, cost_minutes=60)])
    assert (idle.runs, idle.success, idle.cost_usd, idle.cost_per_run) == (0.0, None, 0.0, None)
    assert track([]) == Track()


def test_hours_are_told_apart_by_when_they_begin_and_by_agent():
    hours = [hour(at(-60)), hour(), hour(agent="crm-agent"), hour(at(60))]
    assert between(hours, TWO, at(60)) == hours[1:3]
    assert by_agent(hours) == {"refund-agent": [hours[0], hours[1], hours[3]], "crm-agent": [hours[2]]}


def test_days_are_those_of_the_zone():
    """23:00 UTC is midnight in Madrid in winter."""
    late = datetime(2026, 11, 4, 22, tzinfo=UTC)
    hours = [hour(late + timedelta(hours=number), runs=1.0 + number, run_minutes=60) for number in (1, 0)]
    found = by_day(hours, ZoneInfo("Europe/Madrid"))
    assert {day: one.runs for day, one in found.items()} == {date(2026, 11, 4): 1.0, date(2026, 11, 5): 2.0}
