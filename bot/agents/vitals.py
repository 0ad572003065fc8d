"""How an agent is doing, in the few numbers that fit beside its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.agents import record
from bot.agents.budget import Budget
from bot.agents.cost import by_the_hour
from bot.agents.record import HOUR, Hour, Sums, Track, between, track

DAY = timedelta(days=1)
_NOW = timedelta(minutes=2)  # the record is a minute behind, and asked for once a minute


@dataclass(frozen=True)
class Vitals:
    """`hour` is this hour with the one before, from `hour_from` on; `day` the last 24 hours. `running` says that runs
    have ended within the last minutes; `pace` is dollars an hour."""

    hour_from: datetime
    hour: Track
    day: Track
    running: bool = False
    last_run: datetime | None = None
    last_success: datetime | None = None
    pace: float | None = None
    budgets: tuple[Budget, ...] = ()


def vitals(hours: Sequence[Hour], sums: Sums | None, budgets: Sequence[Budget], now: datetime) -> Vitals:
    """`hours` are the agent's of the last 25; `sums` go further back, for what happened last."""
    this = now.replace(minute=0, second=0, microsecond=0)
    recent = between(hours, this - HOUR, now)
    lately = track(recent)
    known: list[Hour | Sums] = [*hours, *([sums] if sums is not None else [])]
    seen = max((one.run_seen for one in known if one.run_seen is not None), default=None)
    return Vitals(
        hour_from=lately.since or this - HOUR,
        hour=lately,
        day=track(between(hours, now - DAY, now)),
        running=seen is not None and now - seen <= _NOW,
        last_run=record.last_run(known),
        last_success=record.last_success(known),
        pace=by_the_hour(recent),
        budgets=tuple(budgets),
    )
