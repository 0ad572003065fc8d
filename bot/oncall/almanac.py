"""What schedules look up besides themselves: which days are holidays, and who stands in a calendar file when.

Both come from outside (a list, an iCal file, the `holidays` package) and are brought here at load. The answers depend
on nothing but their arguments; they are remembered because expanding a calendar takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Holidays:
    """`dates` by day, `yearly` by month and day, and calendars that are asked for one year at a time."""

    dates: Mapping[date, str] = field(default_factory=dict)
    yearly: Mapping[tuple[int, int], str] = field(default_factory=dict)
    years: tuple[Callable[[int], Mapping[date, str]], ...] = ()

    def name_of(self, day: date) -> str | None:
        """What the day is called, None when it is a day like any other."""
        named = self.dates.get(day) or self.yearly.get((day.month, day.day))
        return named or next((year[day] for ask in self.years if day in (year := ask(day.year))), None)


def remembered(ask: Callable[[int], Mapping[date, str]]) -> Callable[[int], Mapping[date, str]]:
    return lru_cache(maxsize=64)(ask)


@dataclass(frozen=True)
class Shift:
    """`people` have the duty from `start` until just before `end`, both UTC."""

    start: datetime
    end: datetime
    people: tuple[str, ...]


Rota = Callable[[ZoneInfo, int, int], tuple[Shift, ...]]  # zone for times without one, year, month → by start


@dataclass(frozen=True)
class Almanac:
    """`holidays` by the name of their calendar, `rotas` by the path of their file, as the on-call files write them.

    A calendar that is not here has no holidays and no shifts: `check` has told.
    """

    holidays: Mapping[str, Holidays] = field(default_factory=dict)
    rotas: Mapping[str, Rota] = field(default_factory=dict)

    def holiday(self, calendar: str, day: date) -> str | None:
        known = self.holidays.get(calendar)
        return known.name_of(day) if known is not None else None


NOTHING = Almanac()
