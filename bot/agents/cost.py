"""What an agent costs: today against its budget, by the run, and what it would cost at another volume.

Everything from the track record. Little data is said to be little: a forecast names the days it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.agents.model import Agent
from bot.agents.record import HOUR, Hour, Track, between, by_day, track

WEEK = timedelta(days=7)
LOOK_BACK = timedelta(days=31)
FEW_DAYS = 5  # fewer show no usual spread
_WHOLE_DAY = 20 * 60  # minutes
_MOST_DAYS = 366  # a budget that lasts longer is not gone at all
_FEW_MINUTES = 10
_FAR = 5.0  # times the busiest day seen; what happens there nobody has seen


@dataclass(frozen=True)
class Spending:
    """One agent's money at `now`. `pace` is dollars an hour since `pace_since`; `usual` is what the rest of the day
    cost on the days before, the least and the most. `gone_at` is when the day's budget is, or was, used up."""

    agent: str
    now: datetime
    since: datetime | None = None
    today: float | None = None
    budget: float | None = None
    pace: float | None = None
    pace_since: datetime | None = None
    forecast: float | None = None
    usual: tuple[float, float] | None = None
    gone_at: datetime | None = None
    per_run: float | None = None
    per_run_target: float | None = None
    week: float | None = None
    week_before: float | None = None

    @property
    def over(self) -> bool:
        return self.budget is not None and self.today is not None and self.today >= self.budget

    @property
    def trend(self) -> float | None:
        """This week against the one before: 0.1 is a tenth more."""
        return self.week / self.week_before - 1.0 if self.week is not None and self.week_before else None


def spending(agent: Agent, hours: Sequence[Hour], now: datetime, zone: ZoneInfo) -> Spending:
    """`hours` are the agent's of the two weeks until now."""
    priced = [hour for hour in hours if hour.cost_minutes]
    if not priced:
        return Spending(agent.id, now, budget=agent.budget_usd_day, per_run_target=agent.cost_per_run_usd)
    midnight, tomorrow = _day(now, zone)
    day = between(priced, midnight, tomorrow)
    today = math.fsum(hour.cost_usd for hour in day)
    pace, pace_since = _pace(priced, now)
    left = (tomorrow - now) / HOUR
    week, before = track(between(priced, now - WEEK, now)), track(between(priced, now - 2 * WEEK, now - WEEK))
    whole = bool(priced) and min(hour.start for hour in priced) <= now - 2 * WEEK + HOUR
    return Spending(
        agent=agent.id,
        now=now,
        since=min(hour.start for hour in priced),
        today=today,
        budget=agent.budget_usd_day,
        pace=pace,
        pace_since=pace_since,
        forecast=today + pace * left if pace is not None else None,
        usual=_usual(priced, now, zone),
        gone_at=_gone_at(day, today, agent.budget_usd_day, pace, now, tomorrow),
        per_run=week.cost_per_run,
        per_run_target=agent.cost_per_run_usd,
        week=week.cost_usd,
        week_before=before.cost_usd if whole else None,
    )


def _day(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    local = now.astimezone(zone).date()
    ends = (datetime.combine(one, time(), zone) for one in (local, local + timedelta(days=1)))
    begin, end = ends
    return begin.astimezone(now.tzinfo), end.astimezone(now.tzinfo)


def _pace(hours: Sequence[Hour], now: datetime) -> tuple[float | None, datetime]:
    """Over the minutes with figures of this hour and the one before: one alone may have just begun."""
    this = now.replace(minute=0, second=0, microsecond=0)
    lately = between(hours, this - HOUR, this + HOUR)
    since = min((hour.start for hour in lately), default=this)
    return by_the_hour(lately), since


def by_the_hour(hours: Sequence[Hour]) -> float | None:
    """None while too few minutes are counted to say."""
    minutes = sum(hour.cost_minutes for hour in hours)
    return math.fsum(hour.cost_usd for hour in hours) * 60 / minutes if minutes >= _FEW_MINUTES else None


def _usual(hours: Sequence[Hour], now: datetime, zone: ZoneInfo) -> tuple[float, float] | None:
    """What the hours after this one cost on each of the seven days before, where each has figures."""
    rests = []
    for back in range(1, 8):
        begin, end = _day(now - timedelta(days=back), zone)
        if not between(hours, begin, end):
            return None
        rests.append(math.fsum(hour.cost_usd for hour in between(hours, now - timedelta(days=back), end)))
    return min(rests), max(rests)


def _gone_at(
    day: Sequence[Hour], today: float, budget: float | None, pace: float | None, now: datetime, tomorrow: datetime
) -> datetime | None:
    if budget is None:
        return None
    if today >= budget:
        spent = 0.0
        for hour in sorted(day, key=lambda one: one.start):
            if (spent := spent + hour.cost_usd) >= budget:
                return min(hour.start + HOUR, now)
    if pace is None or pace <= 0:
        return None
    at = now + (budget - today) / pace * HOUR if (budget - today) / pace < _MOST_DAYS * 24 else tomorrow
    return at if at < tomorrow else None


@dataclass(frozen=True)
class Forecast:
    """What `at` runs a day would cost. Ranges are of days: the least and the most, or, of many, a tenth from either
    end. `gone_on` is the day on which `budget` would be used up if that volume began tomorrow; `spent` of it is spent
    already."""

    agent: str
    at: float
    days: int
    since: datetime | None
    runs: float
    busiest: float
    per_run: float | None = None
    per_run_range: tuple[float, float] | None = None
    per_run_target: float | None = None
    budget_day: float | None = None
    budget: float | None = None
    budget_is_given: bool = False
    spent: float = 0.0
    gone_on: date | None = None
    gone_range: tuple[date | None, date | None] | None = None

    @property
    def day(self) -> float | None:
        return self.per_run * self.at if self.per_run is not None else None

    @property
    def day_range(self) -> tuple[float, float] | None:
        low_high = self.per_run_range
        return (low_high[0] * self.at, low_high[1] * self.at) if low_high is not None else None

    @property
    def month(self) -> float | None:
        return self.day * 30 if self.day is not None else None

    @property
    def bearable(self) -> float | None:
        """The runs a day that the day's budget pays for."""
        return self.budget_day / self.per_run if self.budget_day and self.per_run else None

    @property
    def far(self) -> bool:
        """Whether nobody has seen anything like that volume."""
        return self.busiest > 0 and self.at > _FAR * self.busiest


def forecast(
    agent: Agent, hours: Sequence[Hour], at: float | None, budget: float | None, now: datetime, zone: ZoneInfo
) -> Forecast:
    """`at` is runs a day; without it those of the registry, else those of the days seen. `budget` is for this month;
    without it the day's, for each of its days. `hours` are the agent's of the last `LOOK_BACK`."""
    days = _whole_days(hours, now, zone)
    told = {day: one for day, one in days.items() if one.runs and one.runs >= 1 and one.cost_usd is not None}
    sums = _sum(told)
    seen = sums.runs / len(told) if told and sums.runs else 0.0
    wanted = at or agent.runs_per_day or seen
    low_high = _spread([one.cost_per_run for one in told.values() if one.cost_per_run is not None])
    month_budget = budget or _month_budget(agent, now, zone)
    found = Forecast(
        agent=agent.id,
        at=float(wanted),
        days=len(told),
        since=sums.since,
        runs=sums.runs or 0.0,
        busiest=max((one.runs or 0.0 for one in told.values()), default=0.0),
        per_run=sums.cost_per_run,
        per_run_range=low_high,
        per_run_target=agent.cost_per_run_usd,
        budget_day=agent.budget_usd_day,
        budget=month_budget,
        budget_is_given=budget is not None,
        spent=_spent(hours, now, zone),
    )
    return _exhausted(found, now.astimezone(zone).date())


def _whole_days(hours: Sequence[Hour], now: datetime, zone: ZoneInfo) -> Mapping[date, Track]:
    """Without today, and without days of which little is counted, unless there is nothing else."""
    days = by_day(hours, zone)
    today = now.astimezone(zone).date()
    before = {day: one for day, one in days.items() if day != today and one.cost_usd is not None and one.runs}
    whole = {day: one for day, one in before.items() if one.minutes >= _WHOLE_DAY}
    return whole or before or days


def _sum(days: Mapping[date, Track]) -> Track:
    if not days:
        return Track()
    return Track(
        since=min(one.since for one in days.values() if one.since is not None),
        runs=math.fsum(one.runs or 0.0 for one in days.values()),
        cost_usd=math.fsum(one.cost_usd or 0.0 for one in days.values()),
        priced=math.fsum(one.priced for one in days.values()),
    )


def _spread(values: Sequence[float]) -> tuple[float, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    cut = len(ordered) // 10
    return ordered[cut], ordered[len(ordered) - 1 - cut]


def _month_budget(agent: Agent, now: datetime, zone: ZoneInfo) -> float | None:
    if agent.budget_usd_day is None:
        return None
    first = now.astimezone(zone).date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return agent.budget_usd_day * (following - first).days


def _spent(hours: Sequence[Hour], now: datetime, zone: ZoneInfo) -> float:
    first = datetime.combine(now.astimezone(zone).date().replace(day=1), time(), zone)
    return math.fsum(hour.cost_usd for hour in hours if hour.start >= first)


def _exhausted(found: Forecast, today: date) -> Forecast:
    if found.budget is None or not found.day or found.day_range is None:
        return found
    left = max(found.budget - found.spent, 0.0)
    low, high = found.day_range
    return replace(
        found,
        gone_on=_after(today, left, found.day),
        gone_range=(_after(today, left, high), _after(today, left, low)),
    )


def _after(today: date, left: float, by_the_day: float) -> date | None:
    """The day within which it is gone, tomorrow being the first."""
    if by_the_day <= 0 or left / by_the_day > _MOST_DAYS:
        return None
    return today + timedelta(days=max(math.ceil(left / by_the_day - 1e-9), 1))
