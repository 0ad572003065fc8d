"""Turns of a rotation on the wall clock: how long one is, when it begins, which one an instant falls into.

Hand-offs are times of the wall clock, compared as UTC instants. One inside the hour that is lost when clocks go forward
happens an hour later (RFC 5545, 3.3.5), one inside the repeated hour at its first passing. A turn all of which the
clock leaves out is left out with it: a turn of Apia's 30 December 2011, a day that never was, is nobody's.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from bot.schema import format_duration, parse_duration

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WHICH = ("first", "second", "third", "fourth", "last")
_WEEK = timedelta(weeks=1)
_MONTHS = re.compile(r"(\d{1,4})mo")
_MOST_MONTHS = 1200
HANDOFF = (
    r"^((?:(?:first|second|third|fourth|last) )?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) |(?:[1-9]|[12]\d|3[01]) )?"
    r"(?:[01]\d|2[0-3]):[0-5]\d$"
)


@dataclass(frozen=True)
class Every:
    """The length of a turn: months of the calendar, or a span of the wall clock."""

    span: timedelta = timedelta()
    months: int = 0

    def __str__(self) -> str:
        return f"{self.months}mo" if self.months else format_duration(self.span)


def read_every(value: object) -> object:
    """`1d`, `2w`, `8h`; `1mo` for months of the calendar. Raises ValueError with the way out."""
    if isinstance(value, timedelta):
        value = format_duration(value)
    if not isinstance(value, str):
        return value
    months = _MONTHS.fullmatch(value)
    if months is not None:
        every = Every(months=int(months[1]))
        if not 1 <= every.months <= _MOST_MONTHS:
            raise ValueError(f'"{value}" is no length of a turn; write 1mo to {_MOST_MONTHS}mo')
        return every
    try:
        span = parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 1mo for a month") from None
    if span <= timedelta():
        raise ValueError(f'"{value}" is no length of a turn; write for example 1d, 1w or 1mo')
    return Every(span)


@dataclass(frozen=True)
class Handoff:
    """`weekday` counts from Monday = 0; `which` of them in the month, -1 for the last; `day` of the month."""

    clock: time
    weekday: int | None = None
    which: int = 0
    day: int | None = None

    @property
    def monthly(self) -> bool:
        """Whether it only makes sense for turns of months."""
        return self.day is not None or self.which != 0


@lru_cache(maxsize=1024)
def parse_handoff(text: str) -> Handoff:
    """`Mon 09:00`, `09:00`, `15 09:00` (of the month), `first Mon 09:00`, `last Fri 17:00`."""
    *words, clock = text.split(" ")
    at = time.fromisoformat(clock)
    if not words:
        return Handoff(at)
    if words[-1] not in WEEKDAYS:
        return Handoff(at, day=int(words[-1]))
    which = (1, 2, 3, 4, -1)[WHICH.index(words[0])] if len(words) == 2 else 0
    return Handoff(at, WEEKDAYS.index(words[-1]), which)


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of a time of the wall clock; one with an offset of its own is taken at its word."""
    return (wall if wall.tzinfo else wall.replace(tzinfo=zone)).astimezone(UTC)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return instant(datetime.combine(day, time()), zone)


@dataclass(frozen=True)
class Turns:
    """Turn 0 begins at the hand-off on or before `start`, and holds before that too."""

    every: Every
    handoff: Handoff
    start: date
    zone: ZoneInfo

    def at(self, now: datetime) -> int:
        """The turn in force: the latest one whose hand-off has come."""
        turn = self._nearest(now.astimezone(self.zone).replace(tzinfo=None))
        while self._begins(turn) > now:
            turn -= 1
        while self._begins(turn + 1) <= now:
            turn += 1
        return max(turn, 0)

    def end(self, turn: int) -> datetime:
        """When the turn gives way. Turns that begin in a lost hour are moved past it, maybe past the next one."""
        earliest = self._begins(turn + 1)
        following = turn + 2
        while self._wall(following) <= earliest.astimezone(self.zone).replace(tzinfo=None):
            earliest = min(earliest, self._begins(following))
            following += 1
        return earliest

    def _begins(self, turn: int) -> datetime:
        return instant(self._wall(turn), self.zone)

    def _wall(self, turn: int) -> datetime:
        if not self.every.months:
            return self._anchor + turn * self.every.span
        anchor = self._anchor
        return self._in_month(anchor.year * 12 + anchor.month - 1 + turn * self.every.months)

    def _nearest(self, wall: datetime) -> int:
        if not self.every.months:
            return (wall - self._anchor) // self.every.span
        anchor = self._anchor
        turn = ((wall.year - anchor.year) * 12 + wall.month - anchor.month) // self.every.months
        return turn if self._wall(turn) <= wall else turn - 1

    @cached_property
    def _anchor(self) -> datetime:
        """The wall clock's hand-off on or before the day of the start."""
        if self.every.months:
            month = self.start.year * 12 + self.start.month - 1
            this = self._in_month(month)
            return this if this.date() <= self.start else self._in_month(month - 1)
        weekday = self.start.weekday() if self.handoff.weekday is None else self.handoff.weekday
        back = (self.start.weekday() - weekday) % 7 if self.every.span >= _WEEK else 0
        return datetime.combine(self.start - timedelta(days=back), self.handoff.clock)

    def _in_month(self, month: int) -> datetime:
        """The hand-off of a month, counted from year 0. A day that the month has not is its last one."""
        first = date(month // 12, month % 12 + 1, 1)
        days = monthrange(first.year, first.month)[1]
        handoff = self.handoff
        if handoff.weekday is None:
            day = min(handoff.day or self.start.day, days)
        else:
            day = (handoff.weekday - first.weekday()) % 7 + 1 + 7 * (max(handoff.which, 1) - 1)
            if handoff.which < 0:
                day += (days - day) // 7 * 7
        return datetime.combine(first.replace(day=day), handoff.clock)


@lru_cache(maxsize=4096)
def turns(every: Every, handoff: str, start: date, zone: str) -> Turns:
    return Turns(every, parse_handoff(handoff), start, ZoneInfo(zone))
