"""What is left of an error budget, counted from the track record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.agents.record import HOUR, Hour, Sums

SUCCESS = "success"


@dataclass(frozen=True)
class Budget:
    """`since` is when the record of this window begins, `start` when the window does; a record that is younger than the
    window tells of its own time only."""

    agent: str
    objective: str
    title: str
    target: float
    window: timedelta
    start: datetime
    since: datetime | None = None
    events: float = 0.0
    bad: float = 0.0

    @property
    def young(self) -> bool:
        return self.since is not None and self.since - self.start > HOUR

    @property
    def good(self) -> float | None:
        """The share that was kept; None without an event."""
        return 1.0 - self.bad / self.events if self.events > 0 else None

    @property
    def left(self) -> float | None:
        """The share of the budget that is left: below 0 when more is gone than there was, None without an event."""
        return round(1.0 - self.bad / ((1.0 - self.target) * self.events), 9) if self.events > 0 else None


def window_of(window: timedelta, now: datetime) -> datetime:
    """The begin of the first whole hour of the window."""
    start = now - window
    whole = start.replace(minute=0, second=0, microsecond=0)
    return whole if whole == start else whole + HOUR


def success(agent: str, target: float, window: timedelta, sums: Sums | None, now: datetime) -> Budget:
    """`sums` are the agent's since `window_of` the same; None: nothing is known of it."""
    budget = Budget(agent, SUCCESS, "success of runs", target, window, window_of(window, now))
    return budget if sums is None else replace(budget, since=sums.since, events=sums.runs, bad=sums.bad)


def objective(
    agent: str, name: str, title: str, target: float, window: timedelta, hours: Iterable[Hour], now: datetime
) -> Budget:
    start = window_of(window, now)
    mine = [(hour.start, hour.slo[name]) for hour in hours if hour.start >= start and name in hour.slo]
    since = min((begin for begin, _ in mine), default=None)
    events, bad = sum(pair[0] for _, pair in mine), sum(pair[1] for _, pair in mine)
    return Budget(agent, name, title, target, window, start, since, events, bad)
