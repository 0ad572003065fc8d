"""Turns of a rotation as layers of ours, and spans of the week as windows.

Where other systems count from an instant, we count from a hand-off on the wall clock of the schedule's zone, and a
layer takes effect at a midnight.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.importing.intervals import weekly
from bot.oncall.turns import WEEKDAYS
from bot.schema import format_duration

_DAY = timedelta(days=1)
_WEEK = timedelta(weeks=1)
_MINUTES = 24 * 60
Windows = list[dict[str, Any]]


def instant(text: str) -> datetime | None:
    """An instant with its offset; UTC where there is none."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo("UTC"))


def zone_of(name: str) -> str | None:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return None


def layer(
    people: Sequence[str], first: datetime, length: timedelta, zone: str, begins: datetime, now: datetime
) -> dict[str, Any]:
    """Turns of `length` from `first` on, which keep to the wall clock of the zone. The layer counts from `begins`:
    where that is past, it is written as it stands; where it is to come, from the turn that it falls into."""
    wall = _wall(first, zone)
    order = list(people)
    start = wall
    if begins > now and begins > first:
        turn = (_wall(begins, zone) - wall) // length
        order = [*order[turn % len(order) :], *order[: turn % len(order)]]
        start = wall + turn * length
        if length == _WEEK:  # the hand-off on or before the day is the same one
            start = datetime.combine(_wall(begins, zone).date(), start.time())
    clock = f"{wall:%H:%M}"
    return {
        "people": order[:1] if len(set(order)) == 1 else order,
        "every": format_duration(length),
        "handoff": f"{WEEKDAYS[wall.weekday()]} {clock}" if length >= _WEEK else clock,
        "start": start.date().isoformat(),
    }


def early(entry: dict[str, Any], begins: datetime, zone: str, now: datetime) -> str:
    """What differs at the beginning of a layer that is still to come; empty when nothing does."""
    start = datetime.combine(date.fromisoformat(entry["start"]), datetime.min.time())
    if begins <= now or start == _wall(begins, zone):
        return ""
    return f"it takes effect at midnight of {entry['start']}, there on {_wall(begins, zone):%Y-%m-%d %H:%M}"


def _wall(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, second=0, microsecond=0)


def until(end: datetime, zone: str) -> tuple[str, bool]:
    """The day at whose midnight a layer ends, and whether that is the very instant."""
    wall = end.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    exact = (wall.hour, wall.minute, wall.second) == (0, 0, 0)
    return (wall.date() if exact else wall.date() + _DAY).isoformat(), exact


def windows_of(spans: Iterable[tuple[int, int, int]]) -> Windows:
    """Windows for spans of a week: weekday, minute of the day, and how many minutes. Those of several days become one
    for each day; a week or more is always."""
    by_hours: dict[tuple[int, int], set[int]] = {}
    over_night: dict[tuple[int, int], set[int]] = {}
    for weekday, start, length in spans:
        if length >= 7 * _MINUTES:
            return []
        if start + length <= _MINUTES:
            by_hours.setdefault((start, start + length), set()).add(weekday)
        elif length < _MINUTES:
            over_night.setdefault((start, start + length - _MINUTES), set()).add(weekday)
        else:
            here, begin, rest = weekday, start, length
            while rest > 0:
                part = min(rest, _MINUTES - begin)
                by_hours.setdefault((begin, begin + part), set()).add(here)
                here, begin, rest = (here + 1) % 7, 0, rest - part
    return [*weekly(by_hours), *weekly(over_night)]
