"""Who is on duty at an instant. Computed from the rota each time, never stored.

Turns are counted on the wall clock of the schedule's zone and compared as UTC instants, so that a hand-off happens
exactly once on the nights when clocks change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.oncall.model import WEEKDAYS, Layer, Override, Schedule


@dataclass(frozen=True)
class Duty:
    """`person` is None while nobody has the duty; `until` is the next instant with another answer, None if there
    is none."""

    person: str | None
    until: datetime | None
    why: str


def on_duty(schedule: Schedule, at: datetime) -> Duty:
    person, why = _person_at(schedule, at)
    instant = _next_change(schedule, at)
    while instant is not None and _person_at(schedule, instant)[0] == person:
        instant = _next_change(schedule, instant)
    return Duty(person, instant, why)


def _person_at(schedule: Schedule, at: datetime) -> tuple[str | None, str]:
    zone = ZoneInfo(schedule.timezone)
    if (override := _override_at(schedule, zone, at)) is not None:
        return override.person, f"override in {schedule.id}"
    if (layer := _layer_at(schedule, zone, at)) is not None:
        return layer.people[_turn(layer, zone, at) % len(layer.people)], f"on call in {schedule.id}"
    return None, f"{schedule.id} has not started"


def _override_at(schedule: Schedule, zone: ZoneInfo, at: datetime) -> Override | None:
    for override in reversed(schedule.overrides):
        start, until = _override_span(override, zone)
        if start <= at < until:
            return override
    return None


def _layer_at(schedule: Schedule, zone: ZoneInfo, at: datetime) -> Layer | None:
    return next((layer for layer in reversed(schedule.layers) if _begins(layer, zone) <= at), None)


def _next_change(schedule: Schedule, after: datetime) -> datetime | None:
    """The next instant at which the answer may change. Turns count only where they show: in the layer in force, when
    no override hides it and more than one person takes turns."""
    zone = ZoneInfo(schedule.timezone)
    instants = [_begins(layer, zone) for layer in schedule.layers]
    for override in schedule.overrides:
        instants += _override_span(override, zone)
    layer = _layer_at(schedule, zone, after)
    if layer is not None and len(set(layer.people)) > 1 and _override_at(schedule, zone, after) is None:
        instants.append(_boundary(layer, zone, _turn(layer, zone, after) + 1))
    return min((instant for instant in instants if instant > after), default=None)


def _override_span(override: Override, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return _instant(override.start, zone), _instant(override.until, zone)


def _instant(moment: datetime, zone: ZoneInfo) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _begins(layer: Layer, zone: ZoneInfo) -> datetime:
    return datetime.combine(layer.start, time(), zone).astimezone(UTC)


def _anchor(layer: Layer) -> datetime:
    """The wall-clock hand-off on or before the day the layer starts: the beginning of turn 0."""
    weekday, clock = layer.handoff.split(" ")
    back = (layer.start.weekday() - WEEKDAYS.index(weekday)) % 7 if layer.every >= timedelta(weeks=1) else 0
    return datetime.combine(layer.start - timedelta(days=back), time.fromisoformat(clock))


def _boundary(layer: Layer, zone: ZoneInfo, turn: int) -> datetime:
    return (_anchor(layer) + turn * layer.every).replace(tzinfo=zone).astimezone(UTC)


def _turn(layer: Layer, zone: ZoneInfo, at: datetime) -> int:
    """The turn in force; the hours between the start of the first day and the first hand-off belong to turn 0."""
    turn = (at.astimezone(zone).replace(tzinfo=None) - _anchor(layer)) // layer.every
    while _boundary(layer, zone, turn) > at:
        turn -= 1
    while _boundary(layer, zone, turn + 1) <= at:
        turn += 1
    return max(turn, 0)
