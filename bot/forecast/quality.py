"""How good a schedule is: the hours nobody has, who has how many of the nights and weekends, who has two at once.

Nights are 22:00 to 07:00 and weekends Saturday and Sunday, on the clock of the person who has the duty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from bot.forecast.nights import NIGHT
from bot.forecast.spans import Span, Spans, common, length, rest, union
from bot.oncall.almanac import NOTHING
from bot.oncall.duty import shifts
from bot.oncall.model import BLANK, Book, Schedule
from bot.oncall.windows import Window, spans

WEEKEND = (Window(days=("Sat", "Sun")),)


@dataclass(frozen=True)
class Load:
    """What one person has of one schedule. `shifts` counts stretches of duty, broken at the edges of the report."""

    person: str
    shifts: int
    total: timedelta
    nights: timedelta
    weekends: timedelta


@dataclass(frozen=True)
class Quality:
    """`loads` has everybody whom the schedule names or finds on duty, who has most first."""

    schedule: str
    timezone: str
    gaps: tuple[Span, ...]
    covered: float
    loads: tuple[Load, ...]

    @property
    def night_fairness(self) -> float:
        return _fairness([load.nights for load in self.loads if load.nights or not load.total])

    @property
    def weekend_fairness(self) -> float:
        return _fairness([load.weekends for load in self.loads if load.weekends or not load.total])


def _fairness(hours: list[timedelta]) -> float:
    """The least that anybody has as a share of the most: 1 is the same for all. Those who have duty, but by the shape
    of the rota none of these hours, are left out; those who have no duty at all are not."""
    most = max(hours, default=timedelta())
    return 1.0 if not most else min(hours) / most


@dataclass(frozen=True)
class Double:
    """One person on duty in several schedules at the same time."""

    person: str
    schedules: tuple[str, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Report:
    start: datetime
    end: datetime
    schedules: tuple[Quality, ...]
    doubles: tuple[Double, ...]


def report(book: Book, start: datetime, end: datetime) -> Report:
    duties = {name: _duties(schedule, book, start, end) for name, schedule in book.schedules.items()}
    found = [_quality(book.schedules[name], duty, book, start, end) for name, duty in duties.items()]
    return Report(start, end, tuple(found), tuple(_doubles(duties)))


def _duties(schedule: Schedule, book: Book, start: datetime, end: datetime) -> dict[str, Spans]:
    """Person → when they have it; everybody in a rotation is there, with nothing if so it is."""
    out: dict[str, Spans] = {person: [] for layer in schedule.layers for person in layer.people if person != BLANK}
    for shift in shifts(schedule, start, end, book.almanac):
        for person in shift.people:
            out.setdefault(person, []).append((shift.start, shift.end))
    return {person: union(found) for person, found in out.items()}


def _quality(schedule: Schedule, duties: dict[str, Spans], book: Book, start: datetime, end: datetime) -> Quality:
    known = [found for person, found in duties.items() if person in book.people]
    gaps = rest([(start, end)], union(span for found in known for span in found))
    loads = [_load(person, found, book) for person, found in duties.items()]
    return Quality(
        schedule=schedule.id,
        timezone=schedule.timezone,
        gaps=tuple(gaps),
        covered=1 - length(gaps) / (end - start),
        loads=tuple(sorted(loads, key=lambda load: (-load.total, load.person))),
    )


def _load(person: str, found: Spans, book: Book) -> Load:
    zone = ZoneInfo(book.people[person].timezone if person in book.people else "UTC")
    return Load(person, len(found), length(found), _within(found, NIGHT, zone), _within(found, WEEKEND, zone))


def _within(found: Spans, windows: tuple[Window, ...], zone: ZoneInfo) -> timedelta:
    if not found:
        return timedelta()
    return length(common(found, union(spans(windows, zone, found[0][0], found[-1][1], NOTHING))))


def _doubles(duties: dict[str, dict[str, Spans]]) -> Iterable[Double]:
    """By person and set of schedules; a person who has three at once is told once, for the three."""
    for person in sorted({person for duty in duties.values() for person in duty}):
        mine = {name: duty[person] for name, duty in duties.items() if duty.get(person)}
        found: dict[tuple[str, ...], Spans] = {}
        edges = sorted({edge for held in mine.values() for span in held for edge in span})
        for start, end in pairwise(edges):
            here = tuple(name for name, held in mine.items() if any(a <= start < b for a, b in held))
            if len(here) > 1:
                found.setdefault(here, []).append((start, end))
        for names, times in found.items():
            yield Double(person, names, tuple(union(times)))
