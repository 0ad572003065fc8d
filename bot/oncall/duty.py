"""Who is on duty at an instant. Computed from the rota each time, never stored.

Turns are counted on the wall clock of the schedule's zone and compared as UTC instants, so that a hand-off happens
exactly once on the nights when clocks change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.oncall.model import WEEKDAYS, Layer, Override, Schedule

_LOOK_AHEAD = 200  # changes examined before `until` is given as open-ended


@dataclass(frozen=True)
class Duty:
    """`person` is None while nobody has the duty; `until` is the next instant with another answer, None if there is none."""

    person: str | None
    until: datetime | None
    why: str


def on_duty(schedule: Schedule, at: datetime) -> Duty:
    person, why = _person_at(schedule, at)
    for instant in _changes(schedule, at):
        if _person_at(schedule, instant)[0] != person:
            return Duty(person, instant, why)
    return Duty(person, None, why)


def _person_at(schedule: Schedule, at: datetime) -> tuple[str | None, str]:
    zone = ZoneInfo(schedule.timezone)
    for override in reversed(schedule.overrides):
        start, until = _override_span(override, zone)
        if start <= at < until:
            return override.person, f"override in {schedule.id}"
    for layer in reversed(schedule.layers):
        if _begins(layer, zone) <= at:
            return layer.people[_turn(layer, zone, at) % len(layer.people)], f"on call in {schedule.id}"
    return None, f"{schedule.id} has not started"


def _changes(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(schedule.timezone)
    fixed = [_begins(layer, zone) for layer in schedule.layers]
    for override in schedule.overrides:
        fixed += _override_span(override, zone)
    pending = sorted(instant for instant in fixed if instant > after)
    turns = [max(_turn(layer, zone, after), 0) for layer in schedule.layers]
    for _ in range(_LOOK_AHEAD):
        handoffs = [_boundary(layer, zone, turn + 1) for layer, turn in zip(schedule.layers, turns, strict=True)]
        instant = min([*handoffs, *pending[:1]])
        turns = [turn + (handoff == instant) for handoff, turn in zip(handoffs, turns, strict=True)]
        if pending and pending[0] == instant:
            pending.pop(0)
        yield instant


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
