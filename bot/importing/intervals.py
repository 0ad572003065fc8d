"""Time intervals of Alertmanager as windows of ours: hours of weekdays; single days as a calendar of holidays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.importing.reading import Item
from bot.oncall.turns import WEEKDAYS

_DAY = 24 * 60
_WEEK = 7 * _DAY
_YEARS_AHEAD = 3
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
Minutes = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Span:
    """One entry of an interval. `days` are single days of the calendar, None where every day counts."""

    weekdays: frozenset[int]
    hours: tuple[tuple[int, int], ...]  # minutes of the day
    days: tuple[str, ...] | None
    zone: str


def spans_of(interval: Item, today: date) -> list[Span]:
    """The entries of `time_intervals` of one named interval; what cannot be read is told."""
    return [span for one in interval.each() if (span := _span(one, today)) is not None]


def _span(item: Item, today: date) -> Span | None:
    item.source.done.add(item.path)
    try:
        weekdays = _numbers(item.texts("weekdays"), _DAYS, 1, 7, offset=1) if item.has("weekdays") else range(7)
        hours = tuple(
            (_minutes(one.text("start_time", "00:00")), _minutes(one.text("end_time", "24:00")))
            for one in item.all_of("times")
        )
        days = _days(item, today)
        zone = item.text("location") or "UTC"
        if zone == "Local":
            zone = "UTC"
            item.tell("changed", "time interval", "location Local is UTC here: write the zone of the mute windows")
        ZoneInfo(zone)
    except (ValueError, KeyError, OSError) as error:
        item.tell("left", "time interval", f"{error}; write a mute window for it, see docs/incidents.md")
        return None
    return Span(frozenset(weekdays), hours or ((0, _DAY),), days, zone)


def _minutes(text: str) -> int:
    hours, colon, minutes = text.partition(":")
    if not colon or not hours.isdigit() or not minutes.isdigit() or int(hours) * 60 + int(minutes) > _DAY:
        raise ValueError(f'"{text}" is no time of day')
    return int(hours) * 60 + int(minutes)


def _numbers(texts: Iterable[str], names: tuple[str, ...], low: int, high: int, *, offset: int = 0) -> list[int]:
    """`monday:friday`, `1:5`, `december`: each number of the ranges. `offset` is the number of the first name."""
    found: list[int] = []
    for text in texts:
        first, _, last = text.strip().lower().partition(":")
        start, end = (_number(part.strip(), names, offset) for part in (first, last or first))
        if names is _DAYS and end < start == high:
            start = low - 1  # the week begins on a Sunday there: sunday:thursday
        elif not low <= start <= end <= high:
            raise ValueError(f'"{text}" is no range')
        found += range(start, end + 1)
    return [(number - offset) % 7 for number in found] if names is _DAYS else found


def _number(text: str, names: tuple[str, ...], offset: int) -> int:
    if text in names:
        return names.index(text) + offset
    return int(text)


def _days(item: Item, today: date) -> tuple[str, ...] | None:
    """Single days, with their year where years are given or the month's length counts; None where all count."""
    month_days, months, years = (item.texts(name) for name in ("days_of_month", "months", "years"))
    if not month_days and not months and not years:
        return None
    wanted_months = _numbers(months, _MONTHS, 1, 12, offset=1) if months else list(range(1, 13))
    exact = bool(years) or any(text.strip().startswith("-") for text in month_days)
    in_years = _numbers(years, (), 1, 9999) if years else [today.year + ahead for ahead in range(_YEARS_AHEAD)]
    if years:
        in_years = [year for year in in_years if year >= today.year][:_YEARS_AHEAD]
    found: dict[str, None] = {}
    for year in in_years if exact else [2024]:  # a leap year, for days of every year
        for month in wanted_months:
            for day in _of_month(month_days, year, month):
                found[day.isoformat() if exact else f"{day:%m-%d}"] = None
    return tuple(found)


def _of_month(texts: list[str], year: int, month: int) -> list[date]:
    first = date(year, month, 1)
    length = ((first + timedelta(days=31)).replace(day=1) - first).days
    if not texts:
        return [first + timedelta(days=day) for day in range(length)]
    found = []
    for text in texts:
        begin, _, end = text.strip().partition(":")
        start, stop = (int(part) for part in (begin, end or begin))
        start, stop = (number if number > 0 else length + 1 + number for number in (start, stop))
        found += [first + timedelta(days=day - 1) for day in range(max(start, 1), min(stop, length) + 1)]
    return found


def windows(spans: Iterable[Span], calendar: str) -> list[dict[str, Any]]:
    """Our windows for entries of one zone; `calendar` is the name of the calendar that holds their single days."""
    found: list[dict[str, Any]] = []
    for number, span in enumerate(spans):
        for start, end in span.hours:
            window: dict[str, Any] = {}
            if len(span.weekdays) < 7:
                window["days"] = day_ranges(span.weekdays)
            if (start, end) != (0, _DAY):
                window["hours"] = f"{_clock(start)}-{_clock(end)}"
            if span.days is not None:
                window["only_on"] = f"{calendar}-{number + 1}"
            found.append(window or {"hours": "00:00-24:00"})
    return found


def outside(spans: Iterable[Span]) -> list[dict[str, Any]] | None:
    """Windows for all the time that none of the entries covers; None where single days make that impossible."""
    open_at = [False] * _WEEK
    for span in spans:
        if span.days is not None:
            return None
        for weekday in span.weekdays:
            for start, end in span.hours:
                for minute in range(start, end):
                    open_at[weekday * _DAY + minute] = True
    by_hours: dict[tuple[int, int], set[int]] = {}
    for weekday in range(7):
        day = open_at[weekday * _DAY : (weekday + 1) * _DAY]
        minute = 0
        while minute < _DAY:
            end = minute
            while end < _DAY and day[end] == day[minute]:
                end += 1
            if not day[minute]:
                by_hours.setdefault((minute, end), set()).add(weekday)
            minute = end
    return weekly(by_hours)


def weekly(by_hours: dict[tuple[int, int], set[int]]) -> list[dict[str, Any]]:
    """Hours of weekdays as windows."""
    found = []
    for (start, end), weekdays in by_hours.items():
        window: dict[str, Any] = {}
        if len(weekdays) < 7:
            window["days"] = day_ranges(weekdays)
        if (start, end) != (0, _DAY) or not window:
            window["hours"] = f"{_clock(start)}-{_clock(end)}"
        found.append(window)
    return found


def day_ranges(weekdays: Iterable[int]) -> list[str]:
    """`[0, 1, 2, 5]` as `Mon-Wed` and `Sat`."""
    runs: list[list[int]] = []
    for day in sorted(weekdays):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return [WEEKDAYS[run[0]] if len(run) == 1 else f"{WEEKDAYS[run[0]]}-{WEEKDAYS[run[-1]]}" for run in runs]


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
