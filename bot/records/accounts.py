"""Error budgets, money and forecasts in words: the same sentences for Slack, the digest and the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

from typing_extensions import TypedDict

from bot.agents.budget import SUCCESS, Budget
from bot.agents.cost import FEW_DAYS, LOOK_BACK, Forecast, Spending
from bot.agents.record import Track
from bot.agents.vitals import Vitals
from bot.schema import format_duration

_TINY = 0.0005
_STEADY = 0.05  # a change of a week that is none


def money(dollars: float) -> str:
    """`$12,345`, `$123`, `$1.23`, `$0.0123`: three digits that count, cents where there are dollars."""
    size = abs(dollars)
    sign = "-" if dollars < 0 else ""
    if size >= 100:
        return f"{sign}${size:,.0f}"
    if size >= 0.1 or size == 0:
        return f"{sign}${size:.2f}"
    return f"{sign}${size:.4f}" if size >= _TINY else f"{sign}less than $0.0005"


def share(value: float) -> str:
    """`97.6 %`; what is not all is never shown as all, and something never as nothing."""
    percent = value * 100
    if 99.95 <= percent < 100:
        return f"{min(percent, 99.99):.2f} %"
    if 0 < percent < 0.05:
        return "less than 0.1 %"
    return f"{percent:.1f} %".replace(".0 %", " %")


def count(value: float) -> str:
    return f"{value:,.0f}" if value >= 0.5 or value == 0 else "less than 1"


def ago(at: datetime, now: datetime) -> str:
    return f"{span(now - at)} ago"


def span(length: timedelta) -> str:
    """To the minute; of days, to the hour."""
    minutes = max(round(length.total_seconds() / 60), 0)
    if minutes < 1:
        return "less than a minute"
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h" if hour else f"{days} d"
    if minutes < 2 * 60:
        return f"{minutes} min"
    return f"{hours} h {minute} min" if minute else f"{hours} h"


# How an agent is doing -----------------------------------------------------------------------------------------------


def in_short(vitals: Vitals, now: datetime) -> str:
    """One line beside the name of an agent; empty when nothing is known."""
    last = _last(vitals, now)
    ran = f"ran {last}" if last else ""
    parts = [ran, _runs(vitals.day, "in 24 h", " runs"), _pace(vitals.pace), _worst(vitals.budgets)]
    return ", ".join(part for part in parts if part)


def in_full(vitals: Vitals, now: datetime) -> list[str]:
    lines = [f"Last run {_last(vitals, now) or 'not known'}"]
    if vitals.last_success is not None:
        lines[0] += f", last success {ago(vitals.last_success, now)}"
    hour, day = _runs(vitals.hour, f"since {vitals.hour_from:%H:%M} UTC"), _runs(vitals.day, "in 24 h")
    lines += [f"Runs: {part}" for part in (hour, day) if part]
    if (pace := _pace(vitals.pace)) or vitals.day.cost_usd is not None:
        spent = f"{money(vitals.day.cost_usd)} in 24 h" if vitals.day.cost_usd is not None else ""
        lines.append("Cost: " + ", ".join(part for part in (pace, spent) if part))
    return [*lines, *(budget_words(one) for one in vitals.budgets)]


def _last(vitals: Vitals, now: datetime) -> str:
    if vitals.running:
        return "within 5 min"
    return ago(vitals.last_run, now) if vitals.last_run is not None else ""


def _runs(track: Track, when: str, noun: str = "") -> str:
    """`when` is "in 24 h" or "since 13:00 UTC"."""
    if track.runs is None:
        return ""
    if track.success is None:
        return f"no run {when}"
    return f"{count(track.runs)}{noun} {when}, {share(track.success)} good"


def _pace(pace: float | None) -> str:
    return f"{money(pace)}/h" if pace is not None else ""


def _worst(budgets: Sequence[Budget]) -> str:
    known = [one for one in budgets if one.left is not None]
    if not known:
        return ""
    worst = min(known, key=lambda one: one.left if one.left is not None else 1.0)
    return f"budget {_left(worst)}" + ("" if worst.objective == SUCCESS else f" ({worst.title})")


class BudgetJson(TypedDict):
    agent: str
    objective: str
    title: str
    target: float
    window: str
    events: float
    bad: float
    good_share: float | None
    budget_left: float | None
    since: str | None
    whole_window: bool


class VitalsJson(TypedDict):
    running: bool
    last_run: str | None
    last_success: str | None
    runs_24h: float | None
    good_share_24h: float | None
    cost_usd_24h: float | None
    cost_usd_hour: float | None
    budgets: list[BudgetJson]


def vitals_json(vitals: Vitals) -> VitalsJson:
    return {
        "running": vitals.running,
        "last_run": _iso(vitals.last_run),
        "last_success": _iso(vitals.last_success),
        "runs_24h": vitals.day.runs,
        "good_share_24h": vitals.day.success,
        "cost_usd_24h": vitals.day.cost_usd,
        "cost_usd_hour": vitals.pace,
        "budgets": [budget_row(one) for one in vitals.budgets],
    }


# Error budgets -------------------------------------------------------------------------------------------------------


def _left(budget: Budget) -> str:
    left = budget.left or 0.0
    return f"{share(left)} left" if left > 0 else f"gone, {share(-left)} over" if left < -_TINY else "gone"


def budget_words(budget: Budget) -> str:
    """`Budget for success of runs: 62 % left (97.1 % good of 95 % over 4w, since Wed 2026-11-04)`."""
    over = f"{share(budget.target)} over {format_duration(budget.window)}"
    if budget.good is None:
        return f"Budget for {budget.title}: nothing to count yet (target {over})"
    since = f", since {budget.since:%a %Y-%m-%d %H:%M} UTC" if budget.young and budget.since is not None else ""
    return f"Budget for {budget.title}: {_left(budget)}; {share(budget.good)} good, target {over}{since}"


def budget_row(budget: Budget) -> BudgetJson:
    """As JSON."""
    return {
        "agent": budget.agent,
        "objective": budget.objective,
        "title": budget.title,
        "target": budget.target,
        "window": format_duration(budget.window),
        "events": round(budget.events, 3),
        "bad": round(budget.bad, 3),
        "good_share": budget.good,
        "budget_left": budget.left,
        "since": budget.since.isoformat() if budget.since is not None else None,
        "whole_window": budget.since is not None and not budget.young,
    }


def scarce(budgets: Iterable[Budget]) -> list[str]:
    """For the digest: every agent's budget, the scarcest first."""
    known = sorted((one for one in budgets if one.left is not None), key=lambda one: one.left or 0.0)
    return [_scarce(one) for one in known]


def _scarce(budget: Budget) -> str:
    what = "" if budget.objective == SUCCESS else f", {budget.title}"
    young = f" since {budget.since:%Y-%m-%d}" if budget.young and budget.since is not None else ""
    good = share(budget.good or 0.0)
    return f"{budget.agent}{what}: {_left(budget)}; {good} good{young}, target {share(budget.target)}"


# Money ---------------------------------------------------------------------------------------------------------------


def cost_lines(one: Spending) -> list[str]:
    """What somebody on call wants to know of it, in the order they ask."""
    if one.today is None:
        return [
            f"Nothing says what {one.agent} costs: neither its metrics nor a gateway's in the last two weeks.",
            "docs/slo.md says where costs come from.",
        ]
    return [*_today(one), *_per_run(one), *_week(one)]


def _today(one: Spending) -> Iterator[str]:
    today = one.today or 0.0
    of = f" of {money(one.budget)} ({share(today / one.budget)})" if one.budget else ", no budget in its file"
    yield f"Today so far: {money(today)}{of}"
    if one.pace is not None and one.pace_since is not None and one.forecast is not None:
        ends = f"at that the day ends at {money(one.forecast)}"
        yield f"Pace since {one.pace_since:%H:%M} UTC: {money(one.pace)}/h; {ends}"
    else:
        yield "Pace: too few minutes of the last two hours are counted to say"
    if one.usual is not None:
        low, high = (money(today + rest) for rest in one.usual)
        yield f"Going on as on the last seven days it ends at {low} to {high}"
    yield from _gone(one)


def _gone(one: Spending) -> Iterator[str]:
    if one.budget is None:
        return
    if one.gone_at is None:
        if one.pace is not None:
            yield "At this pace the day's budget lasts"
    elif one.over:
        yield f"The day's budget was used up by {one.gone_at:%H:%M} UTC"
    else:
        yield f"At this pace the day's budget is gone at {one.gone_at:%H:%M} UTC, in {span(one.gone_at - one.now)}"


def _per_run(one: Spending) -> Iterator[str]:
    if one.per_run is None:
        yield "Cost per run: not known, no run was counted in seven days"
        return
    yield f"Cost per run in seven days: {money(one.per_run)}{_against(one.per_run, one.per_run_target)}"


def _week(one: Spending) -> Iterator[str]:
    if one.week is not None:
        yield f"Seven days: {_week_words(one)}"


def _week_words(one: Spending) -> str:
    week = money(one.week or 0.0)
    if one.trend is None:
        return f"{week}, counted since {one.since:%Y-%m-%d %H:%M} UTC" if one.since is not None else week
    if abs(one.trend) < _STEADY:
        return f"{week}, as the seven before"
    return f"{week}, {share(abs(one.trend))} {'more' if one.trend > 0 else 'less'} than the seven before"


def week_row(one: Spending) -> str:
    """For the digest."""
    run = f"; {money(one.per_run)} a run{_against(one.per_run, one.per_run_target)}" if one.per_run is not None else ""
    return f"{one.agent}, seven days: {_week_words(one)}{run}"


def cost_row(one: Spending) -> str:
    """One agent among others."""
    if one.today is None:
        return f"{one.agent}: no figures of cost"
    of = f" of {money(one.budget)}" if one.budget else ""
    pace = f", {_pace(one.pace)}" if one.pace is not None else ""
    gone = ""
    if one.over:
        gone = ", budget used up"
    elif one.gone_at is not None:
        gone = f", gone at {one.gone_at:%H:%M} UTC"
    run = f", {money(one.per_run)} a run" if one.per_run is not None else ""
    return f"{one.agent}: {money(one.today)}{of} today{pace}{gone}{run}"


class CostJson(TypedDict):
    agent: str
    at: str
    since: str | None
    today_usd: float | None
    budget_usd_day: float | None
    pace_usd_hour: float | None
    forecast_usd_day: float | None
    usual_usd_rest_of_day: list[float] | None
    budget_gone_at: str | None
    cost_per_run_usd: float | None
    cost_per_run_target_usd: float | None
    week_usd: float | None
    week_before_usd: float | None


def cost_json(one: Spending) -> CostJson:
    return {
        "agent": one.agent,
        "at": one.now.isoformat(),
        "since": _iso(one.since),
        "today_usd": one.today,
        "budget_usd_day": one.budget,
        "pace_usd_hour": one.pace,
        "forecast_usd_day": one.forecast,
        "usual_usd_rest_of_day": list(one.usual) if one.usual is not None else None,
        "budget_gone_at": _iso(one.gone_at),
        "cost_per_run_usd": one.per_run,
        "cost_per_run_target_usd": one.per_run_target,
        "week_usd": one.week,
        "week_before_usd": one.week_before,
    }


# Forecasts -----------------------------------------------------------------------------------------------------------


def forecast_lines(one: Forecast) -> list[str]:
    if one.per_run is None or one.day is None:
        return [
            f"No day of {one.agent} has both runs and costs in the record of the last {LOOK_BACK.days} days: "
            "there is nothing to forecast from. docs/slo.md says where they come from."
        ]
    low_high = one.per_run_range
    lines = [
        f"Cost per run: {money(one.per_run)}{_between(low_high)}{_against(one.per_run, one.per_run_target)}",
        f"At {count(one.at)} runs a day: {money(one.day)} a day{_between(one.day_range)}",
    ]
    if one.budget_day is not None and one.bearable is not None:
        fits = "enough" if one.day <= one.budget_day else "too little"
        lines.append(
            f"Its budget of {money(one.budget_day)} a day is {fits}: it pays for {count(one.bearable)} runs a day"
        )
    return [*lines, *_budget(one), *_caveats(one)]


def _between(low_high: tuple[float, float] | None) -> str:
    if low_high is None or money(low_high[0]) == money(low_high[1]):
        return ""
    return f" ({money(low_high[0])} to {money(low_high[1])})"


def _against(value: float, target: float | None) -> str:
    if target is None:
        return ""
    return f", target {money(target)}: {'kept' if value <= target else f'{value / target:.1f} times as much'}"


def _budget(one: Forecast) -> Iterator[str]:
    if one.budget is None:
        return
    whose = "The given budget" if one.budget_is_given else "This month's budget"
    spent = f", {money(one.spent)} of it spent" if one.spent else ""
    head = f"{whose} of {money(one.budget)}{spent}"
    if one.spent >= one.budget:
        yield f"{head}: it is used up"
    elif one.gone_on is None:
        yield f"{head}: lasts longer than a year"
    else:
        early, late = one.gone_range or (None, None)
        spread = f" (from {_day(early)} to {_day(late)})" if early != late else ""
        yield f"{head}: gone on {_day(one.gone_on)}{spread}, if that volume begins tomorrow"


def _day(day: date | None) -> str:
    return f"{day:%a %Y-%m-%d}" if day is not None else "later than in a year"


def _caveats(one: Forecast) -> Iterator[str]:
    since = f" since {one.since:%Y-%m-%d %H:%M} UTC" if one.since is not None else ""
    seen = f"{count(one.runs)} runs on {one.days} day{'s' * (one.days != 1)}{since}"
    if one.days == 1:
        yield f"Little to go by: {seen}; one day shows no range"
    elif one.days < FEW_DAYS:
        yield f"Little to go by: {seen}; the range is no more than what was seen"
    else:
        yield f"From {seen}; the range is that of the days"
    if one.far:
        yield (
            f"{count(one.at)} runs a day are {count(one.at / one.busiest)} times the busiest day seen: nobody has seen "
            "whether rate limits, caches and prices hold there"
        )


class ForecastJson(TypedDict):
    agent: str
    runs_per_day: float | None
    days: int
    since: str | None
    runs_seen: float
    busiest_day_runs: float
    cost_per_run_usd: float | None
    cost_per_run_range_usd: list[float] | None
    cost_per_run_target_usd: float | None
    day_usd: float | None
    day_range_usd: list[float] | None
    budget_usd_day: float | None
    runs_per_day_in_budget: float | None
    budget_usd: float | None
    spent_usd: float | None
    gone_on: str | None
    gone_between: list[str | None]
    lines: list[str]


def forecast_json(one: Forecast) -> ForecastJson:
    early, late = one.gone_range or (None, None)
    return {
        "agent": one.agent,
        "runs_per_day": one.at,
        "days": one.days,
        "since": _iso(one.since),
        "runs_seen": round(one.runs, 3),
        "busiest_day_runs": round(one.busiest, 3),
        "cost_per_run_usd": one.per_run,
        "cost_per_run_range_usd": _list(one.per_run_range),
        "cost_per_run_target_usd": one.per_run_target,
        "day_usd": one.day,
        "day_range_usd": _list(one.day_range),
        "budget_usd_day": one.budget_day,
        "runs_per_day_in_budget": one.bearable,
        "budget_usd": one.budget,
        "spent_usd": one.spent,
        "gone_on": one.gone_on.isoformat() if one.gone_on is not None else None,
        "gone_between": [day.isoformat() if day is not None else None for day in (early, late)],
        "lines": forecast_lines(one),
    }


def _list(pair: tuple[float, float] | None) -> list[float] | None:
    return list(pair) if pair is not None else None


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
