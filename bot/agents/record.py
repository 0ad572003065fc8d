"""The track record: what each agent did by the hour, and sums of it, counted by the minute from the canonical series.

A minute is the value of `agent:runs:rate5m` at its end, times sixty. Five minutes of samples lie under each rate, so
that every run is in five of them with a fifth each. From the samples of that minute alone, whatever happened between
two scrapes on either side of its end would be guessed from the rest, and with a scrape a minute there would be nothing.
The price: a run counts up to five minutes late, and a watcher that starts anew has lost part of its last five minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime

from bot.schema import Model

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SMEAR = timedelta(minutes=5)  # the window of the rates
CATCH_UP = 5  # whole minutes that can still be counted; the samples of earlier ones may be gone

# Field of `Figures` → what the watcher asks for it: so much in a minute, by agent. The two of `slo` fill one field.
ASKED = {
    "runs": "sum by (agent) (agent:runs:rate5m) * 60",
    "bad": "sum by (agent) (agent:runs_bad:rate5m) * 60",
    "handoffs": "sum by (agent) (agent:handoffs:rate5m) * 60",
    "cost_usd": "sum by (agent) (agent:cost_usd:rate5m) * 60",
    "tokens": "sum by (agent) (agent:tokens:rate5m) * 60",
    "llm_calls": "sum by (agent) (agent:llm_calls:rate5m) * 60",
    "last_success": "max by (agent) (agent_last_success_timestamp_seconds)",
    "slo_total": "sum by (agent, slo) (agent:slo_total:rate5m) * 60",
    "slo_bad": "sum by (agent, slo) (agent:slo_bad:rate5m) * 60",
}
_SUMMED = ("runs", "bad", "handoffs", "cost_usd", "tokens", "llm_calls")
_DIGITS = 6
_PAIR = 2


class Figures(Model):
    """What one agent did in one minute; None: nothing says it. `last_success` is in seconds since the epoch. `slo`
    holds of each objective beside the success of runs all events and the bad ones."""

    runs: float | None = None
    bad: float | None = None
    handoffs: float | None = None
    cost_usd: float | None = None
    tokens: float | None = None
    llm_calls: float | None = None
    last_success: float | None = None
    slo: dict[str, tuple[float, float]] = {}


class Minute(Model):
    """The minute that ends at `at`, a whole one, for each agent of which anything is known."""

    at: AwareDatetime
    agents: dict[str, Figures] = {}


class Hour(Model):
    """One agent's hour from `start` on, as far as it is counted: until `upto`.

    `minutes` are those in which anything was known of it; of them there were figures of runs in `run_minutes` and of
    money in `cost_minutes`, and runs ended in `active`. `run_seen` and `success_seen` are the last minutes in which
    runs, or good ones, counted; `last_success` is what the agent itself says.
    """

    agent: str
    start: AwareDatetime
    upto: AwareDatetime
    minutes: int = 0
    run_minutes: int = 0
    cost_minutes: int = 0
    active: int = 0
    runs: float = 0.0
    bad: float = 0.0
    handoffs: float = 0.0
    cost_usd: float = 0.0
    tokens: float = 0.0
    llm_calls: float = 0.0
    run_seen: AwareDatetime | None = None
    success_seen: AwareDatetime | None = None
    last_success: AwareDatetime | None = None
    slo: dict[str, tuple[float, float]] = {}

    def plus(self, at: datetime, figures: Figures) -> Hour:
        """With one more minute; itself when that minute is counted already."""
        if at <= self.upto:
            return self
        found = {name: _amount(getattr(figures, name)) for name in _SUMMED}
        runs, bad = found["runs"], min(found["bad"] or 0.0, found["runs"] or 0.0)
        sums = {name: round(getattr(self, name) + (found[name] or 0.0), _DIGITS) for name in _SUMMED}
        return self.model_copy(
            update=sums
            | {
                "upto": at,
                "bad": round(self.bad + bad, _DIGITS),
                "minutes": self.minutes + any(amount is not None for amount in found.values()),
                "run_minutes": self.run_minutes + (runs is not None),
                "cost_minutes": self.cost_minutes + (found["cost_usd"] is not None),
                "active": self.active + bool(runs),
                "run_seen": at if runs else self.run_seen,
                "success_seen": at if (runs or 0.0) - bad > 0 else self.success_seen,
                "last_success": _instant(figures.last_success, at) or self.last_success,
                "slo": _added(self.slo, figures.slo),
            }
        )


def hour_of(at: datetime) -> datetime:
    """The hour that the minute which ends at `at` belongs to."""
    return (at - MINUTE).replace(minute=0, second=0, microsecond=0)


def fresh(agent: str, at: datetime) -> Hour:
    """The hour of that minute, with nothing counted."""
    start = hour_of(at)
    return Hour(agent=agent, start=start, upto=start)


def ends(counted: datetime | None, now: datetime) -> list[datetime]:
    """The ends of the whole minutes that are to be counted now, the earliest first."""
    last = now.replace(second=0, microsecond=0)
    found = [last - number * MINUTE for number in range(CATCH_UP - 1, -1, -1)]
    return [end for end in found if counted is None or end > counted]


def minute(at: datetime, answers: Mapping[str, Iterable[tuple[Mapping[str, str], float]]]) -> Minute:
    """From the answers to `ASKED`, by their names."""
    agents: dict[str, dict[str, float]] = {}
    events: dict[str, dict[str, dict[str, float]]] = {}
    for name, samples in answers.items():
        for labels, value in samples:
            agent, slo = labels.get("agent", ""), labels.get("slo", "")
            if not agent or not math.isfinite(value):
                continue
            if not name.startswith("slo_"):
                agents.setdefault(agent, {})[name] = value
            elif slo:
                events.setdefault(agent, {}).setdefault(slo, {})[name] = value
    pairs = {
        agent: {slo: (of["slo_total"], of["slo_bad"]) for slo, of in named.items() if len(of) == _PAIR}
        for agent, named in events.items()
    }
    names = agents | dict.fromkeys(pairs)
    return Minute(at=at, agents={name: Figures(**agents.get(name, {}), slo=pairs.get(name, {})) for name in names})


@dataclass(frozen=True)
class Track:
    """Sums over some hours of one agent. `since` is the begin of the first hour of which there is anything; figures
    that nothing says are None. `priced` are the runs of the hours in which there were figures of money."""

    since: datetime | None = None
    minutes: int = 0
    active: int = 0
    runs: float | None = None
    bad: float = 0.0
    handoffs: float = 0.0
    cost_usd: float | None = None
    tokens: float = 0.0
    llm_calls: float = 0.0
    priced: float = 0.0

    @property
    def success(self) -> float | None:
        """The share of runs that did not end in failure or a timeout; None without a run."""
        return 1.0 - self.bad / self.runs if self.runs else None

    @property
    def cost_per_run(self) -> float | None:
        return self.cost_usd / self.priced if self.priced and self.cost_usd is not None else None


@dataclass(frozen=True)
class Sums:
    """What the store adds up by itself, over many agents and weeks: of the hours with figures of runs."""

    since: datetime
    runs: float
    bad: float
    run_seen: datetime | None = None
    success_seen: datetime | None = None
    last_success: datetime | None = None


def track(hours: Sequence[Hour]) -> Track:
    if not hours:
        return Track()
    return Track(
        since=min(hour.start for hour in hours),
        minutes=sum(hour.minutes for hour in hours),
        active=sum(hour.active for hour in hours),
        runs=math.fsum(hour.runs for hour in hours) if any(hour.run_minutes for hour in hours) else None,
        bad=math.fsum(hour.bad for hour in hours),
        handoffs=math.fsum(hour.handoffs for hour in hours),
        cost_usd=math.fsum(hour.cost_usd for hour in hours) if any(hour.cost_minutes for hour in hours) else None,
        tokens=math.fsum(hour.tokens for hour in hours),
        llm_calls=math.fsum(hour.llm_calls for hour in hours),
        priced=math.fsum(hour.runs for hour in hours if hour.cost_minutes),
    )


def between(hours: Iterable[Hour], start: datetime, end: datetime) -> list[Hour]:
    """The hours that begin in that time."""
    return [hour for hour in hours if start <= hour.start < end]


def by_agent(hours: Iterable[Hour]) -> dict[str, list[Hour]]:
    found: dict[str, list[Hour]] = {}
    for hour in hours:
        found.setdefault(hour.agent, []).append(hour)
    return found


def by_day(hours: Iterable[Hour], zone: ZoneInfo) -> dict[date, Track]:
    """The days of that zone that there is anything of, the earliest first."""
    days: dict[date, list[Hour]] = {}
    for hour in sorted(hours, key=lambda one: one.start):
        days.setdefault(hour.start.astimezone(zone).date(), []).append(hour)
    return {day: track(of) for day, of in days.items()}


def last_run(hours: Sequence[Hour | Sums]) -> datetime | None:
    """When the last run ended that is known of: within five minutes, within one once there was none for that long."""
    return max((hour.run_seen - SMEAR for hour in hours if hour.run_seen is not None), default=None)


def last_success(hours: Sequence[Hour | Sums]) -> datetime | None:
    """As the agent says, else as its runs say."""
    said = max((hour.last_success for hour in hours if hour.last_success is not None), default=None)
    counted = max((hour.success_seen - SMEAR for hour in hours if hour.success_seen is not None), default=None)
    return said or counted


def _amount(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) or value < 0 else value


def _added(
    before: Mapping[str, tuple[float, float]], more: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    found = dict(before)
    for name, (total, bad) in more.items():
        if (events := _amount(total)) is None or (wrong := _amount(bad)) is None:
            continue
        known = found.get(name, (0.0, 0.0))
        found[name] = (round(known[0] + events, _DIGITS), round(known[1] + min(wrong, events), _DIGITS))
    return found


def _instant(seconds: float | None, at: datetime) -> datetime | None:
    """What lies in the future is a wrong clock's."""
    if seconds is None or not 0 < seconds <= at.timestamp():
        return None
    return datetime.fromtimestamp(seconds, at.tzinfo)
