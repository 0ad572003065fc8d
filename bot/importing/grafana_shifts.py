"""Shifts of Grafana OnCall as layers. Shifts of one level that overlap are on call together there; of our layers one is
in force. So a schedule becomes several where that happens, each with another of the shifts on top: asked together they
name the same people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.importing.reading import Item
from bot.importing.rotations import windows_of
from bot.oncall.duty import at_duty, shifts
from bot.oncall.model import Schedule
from bot.oncall.turns import WEEKDAYS
from bot.schema import format_duration

_BY_DAY = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
_MONTH = timedelta(days=28)
_PROBED = timedelta(weeks=6)
_MOST = 6
Entry = dict[str, Any]


@dataclass(frozen=True)
class Shift:
    """`variants` are layers that are on call together, each with one of those who are."""

    level: int
    variants: tuple[Entry, ...]


def shift_of(item: Item, groups: Sequence[Sequence[str]], start: datetime) -> tuple[Shift | None, str]:
    """`groups` take turns, `start` is a time of the wall clock. Also says what differs, or why there is none."""
    duration = timedelta(seconds=item.number("duration"))
    rolling = item.text("type") == "rolling_users"
    index = item.number("start_rotation_from_user_index") if rolling else 0
    groups = [*groups[index:], *groups[:index]] if 0 <= index < len(groups) else groups
    interval = max(item.number("interval", 1), 1)
    days = [_BY_DAY.index(day) for day in item.texts("by_day") if day in _BY_DAY]
    week_start = item.text("week_start") or "SU"
    item.ignore("rotation_start") if not item.has("rotation_start") else item.text("rotation_start")
    level = item.number("level")
    for key in ("by_month", "by_monthday"):
        if item.texts(key):
            return None, f"{key} is nothing that turns and windows of the week can say; use a calendar: ical:"
    frequency = item.text("frequency")
    pattern = _pattern(frequency, interval, days, week_start, start, duration)
    if isinstance(pattern, str):
        return None, pattern
    every, handoff, begins, windows = pattern
    if not rolling and interval > 1:  # fixed people in every so many weeks or days: the turns between are nobody's
        every = every / interval
        groups = [*groups, *[["none"]] * (interval - 1)]
    size = max(len(group) for group in groups)
    variants = []
    for number in range(size):
        people = [group[min(number, len(group) - 1)] for group in groups]
        entry: Entry = {
            "people": people[:1] if len(set(people)) == 1 else people,
            "every": f"{interval}mo" if frequency == "monthly" else format_duration(every),
            "handoff": handoff,
            "start": begins.date().isoformat(),
        }
        if until := item.text("until"):
            entry["until"] = _until(until)
        if windows:
            entry["restrictions"] = windows
        variants.append(entry)
    return Shift(level, tuple(variants)), ""


def _until(text: str) -> str:
    try:
        end = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return text[:10]
    return (end.date() if end.time() == datetime.min.time() else end.date() + _DAY).isoformat()


def _pattern(
    frequency: str, interval: int, days: Sequence[int], week_start: str, start: datetime, duration: timedelta
) -> tuple[timedelta, str, datetime, list[Entry]] | str:
    """Length of a turn, hand-off, when the first one begins, windows; or why that cannot be said."""
    clock = f"{start:%H:%M}"
    minute, minutes = start.hour * 60 + start.minute, round(duration.total_seconds() / 60)
    weekday = WEEKDAYS[start.weekday()]
    if frequency == "hourly":
        length = timedelta(hours=interval)
        whole = duration >= length
        return (
            (length, clock, start, [])
            if whole and not days
            else "hourly turns with pauses between them cannot be said here"
        )
    if frequency == "daily" and not days:
        length = interval * _DAY
        if duration >= length:
            return length, clock, start, []
        if interval == 1:
            return length, clock, start, windows_of([(day, minute, minutes) for day in range(7)])
        return "turns of several days with pauses between them cannot be said here; use a calendar: ical:"
    if frequency == "weekly" and days:
        if duration > _DAY:
            return "weekly shifts on several days that last longer than a day overlap; use a calendar: ical:"
        first = _BY_DAY.index(week_start) if week_start in _BY_DAY else 6
        begins = start - timedelta(days=(start.weekday() - first) % 7)
        windows = (
            [] if duration == _DAY and len(set(days)) == 7 else windows_of([(day, minute, minutes) for day in days])
        )
        return interval * _WEEK, f"{WEEKDAYS[first]} {clock}", begins, windows
    if frequency == "weekly":
        length = interval * _WEEK
        if duration >= length:
            return length, f"{weekday} {clock}", start, []
        if interval == 1:
            return length, f"{weekday} {clock}", start, windows_of([(start.weekday(), minute, minutes)])
        return "turns of several weeks with pauses between them cannot be said here; use a calendar: ical:"
    if frequency == "monthly" and duration >= _MONTH and not days:
        return _MONTH, f"{start.day} {clock}", start, []
    return f"{frequency or 'no'} frequency with these days cannot be said here; use a calendar: ical:"


def schedules(found: Sequence[Shift], zone: str, overrides: Sequence[Entry], now: datetime) -> tuple[list[Entry], bool]:
    """One schedule, or several to be asked together; and whether there would be too many."""
    levels: dict[int, list[Entry]] = {}
    for shift in found:
        levels.setdefault(shift.level, []).extend(shift.variants)
    together = max((len(parallel) for parallel in levels.values() if _overlap(parallel, zone, now)), default=1)
    made = []
    for number in range(min(together, _MOST)):
        layers: list[Entry] = []
        for level in sorted(levels):
            parallel = levels[level]
            on_top = number % len(parallel)
            layers += [*parallel[:on_top], *parallel[on_top + 1 :], parallel[on_top]]
        entry: Entry = {"timezone": zone, "layers": layers}
        if overrides:
            entry["overrides"] = list(overrides)
        made.append(entry)
    return made, together > _MOST


def _overlap(parallel: Sequence[Entry], zone: str, now: datetime) -> bool:
    """Whether two of them ever name different people at the same time, looked at wherever one of them changes."""
    if len(parallel) < 2:
        return False
    rotas = [Schedule.model_validate({"timezone": zone, "layers": [entry]}) for entry in parallel]
    starts = (datetime.fromisoformat(str(entry["start"])).replace(tzinfo=ZoneInfo(zone)) for entry in parallel)
    first = max([now, *starts]).astimezone(UTC)
    changes = {change.start for rota in rotas for change in shifts(rota, first, first + _PROBED)}
    return any(len({person for rota in rotas for person in at_duty(rota, at)[0]}) > 1 for at in changes)
