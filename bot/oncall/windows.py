"""Windows of the week: weekdays and hours in a zone, holidays taken out or asked for.

A window belongs to the day it begins on: `days: [Fri]`, `hours: 22:00-06:00` ends on Saturday morning, and so does its
holiday.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from bot.oncall.almanac import Almanac
from bot.oncall.turns import WEEKDAYS, instant
from bot.schema import Model

_DAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_ALL_DAY = "00:00-24:00"
_LOOK_AHEAD = 8  # days: further ones cannot differ, but for holidays, and then it is asked again
_ONE_DAY = timedelta(days=1)

Days = Annotated[str, Field(pattern=f"^{_DAY}(-{_DAY})?$", examples=["Mon", "Mon-Fri"])]
Hours = Annotated[str, Field(pattern=f"^{_CLOCK}-({_CLOCK}|24:00)$", examples=["09:00-17:00", "22:00-06:00"])]


def one_or_several(value: object) -> object:
    """A list of one may be written without its brackets."""
    return (value,) if isinstance(value, str) else value


Calendars = Annotated[tuple[str, ...], BeforeValidator(one_or_several)]


class Window(Model):
    days: Annotated[tuple[Days, ...], BeforeValidator(one_or_several)] = ()
    hours: Hours = _ALL_DAY
    not_on: Calendars = ()
    only_on: Calendars = ()

    def __str__(self) -> str:
        parts = [",".join(self.days), self.hours if self.hours != _ALL_DAY else ""]
        parts += [f"not on {' or '.join(self.not_on)}"] if self.not_on else []
        parts += [f"only on {' or '.join(self.only_on)}"] if self.only_on else []
        return " ".join(part for part in parts if part) or "always"


def within(windows: Sequence[Window], zone: ZoneInfo, at: datetime, almanac: Almanac) -> bool:
    """Whether one of the windows is open; no windows at all means always."""
    today = at.astimezone(zone).date()
    return not windows or any(
        start <= at < end
        for window in windows
        for day in (today, today - _ONE_DAY)
        if (span := _span(window, zone, day, almanac)) is not None
        for start, end in (span,)
    )


def next_edge(windows: Sequence[Window], zone: ZoneInfo, at: datetime, almanac: Almanac) -> datetime | None:
    """When a window next opens or closes, or until when it is certain that none does; None without windows."""
    if not windows:
        return None
    today = at.astimezone(zone).date()
    certain = instant(datetime.combine(today + _LOOK_AHEAD * _ONE_DAY, time()), zone)
    edges = [edge for window in windows for span in _spans(window, zone, today, almanac, at) for edge in span]
    return min([certain, *(edge for edge in edges if edge > at)])


def _spans(
    window: Window, zone: ZoneInfo, today: date, almanac: Almanac, at: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """From yesterday's on; the first one that begins after `at` is enough."""
    for offset in range(-1, _LOOK_AHEAD):
        span = _span(window, zone, today + offset * _ONE_DAY, almanac)
        if span is not None:
            yield span
            if span[0] > at:
                return


def spans(
    windows: Sequence[Window], zone: ZoneInfo, start: datetime, end: datetime, almanac: Almanac
) -> Iterator[tuple[datetime, datetime]]:
    """When the windows are open between two instants; they may overlap, and stand in no order."""
    if not windows:
        yield start, end
        return
    first, last = start.astimezone(zone).date() - _ONE_DAY, end.astimezone(zone).date()
    for window in windows:
        for offset in range((last - first).days + 1):
            span = _span(window, zone, first + offset * _ONE_DAY, almanac)
            if span is not None and span[0] < end and span[1] > start:
                yield max(span[0], start), min(span[1], end)


def _span(window: Window, zone: ZoneInfo, day: date, almanac: Almanac) -> tuple[datetime, datetime] | None:
    """The window that begins on that day, if one does."""
    if window.days and WEEKDAYS[day.weekday()] not in _weekdays(window.days):
        return None
    if any(almanac.holiday(calendar, day) for calendar in window.not_on):
        return None
    if window.only_on and not any(almanac.holiday(calendar, day) for calendar in window.only_on):
        return None
    return _hours(window.hours, zone.key, day)


@lru_cache(maxsize=65536)
def _hours(hours: str, zone: str, day: date) -> tuple[datetime, datetime] | None:
    opens, closes = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    if closes <= opens:
        closes += 24 * 60
    midnight, known = datetime.combine(day, time()), ZoneInfo(zone)
    start, end = (instant(midnight + timedelta(minutes=minutes), known) for minutes in (opens, closes))
    return (start, end) if start < end else None  # all of it may be in the hour that clocks leave out


@lru_cache(maxsize=1024)
def _weekdays(days: tuple[str, ...]) -> frozenset[str]:
    """`Mon-Fri` and `Fri-Mon` taken apart."""
    found: set[str] = set()
    for text in days:
        first, _, last = text.partition("-")
        here = WEEKDAYS.index(first)
        count = (WEEKDAYS.index(last or first) - here) % 7
        found.update(WEEKDAYS[(here + step) % 7] for step in range(count + 1))
    return frozenset(found)
