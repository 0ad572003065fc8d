"""Shifts as iCalendar text, for people's own calendars. Pure: where it is served from is others' work.

Events are transparent: being on call does not make anybody busy. The same shift has the same UID each time, so that a
calendar that fetches it again changes its entry instead of adding one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from bot.oncall.almanac import Shift
from bot.oncall.duty import shifts
from bot.oncall.model import Book, Schedule

_WIDTH = 75  # octets of a line, RFC 5545, 3.1


def of_schedule(name: str, book: Book, start: datetime, end: datetime, now: datetime) -> str:
    """Everybody's shifts in one schedule; hours that nobody has are no events. Read as a layer it is the same rota
    again. `now` is when the text is made."""
    schedule = book.schedules[name]
    events: list[str] = []
    for shift in shifts(schedule, start, end, book.almanac):
        for person in shift.people:
            called = book.people[person].name if person in book.people else person
            events += _event(name, person, f"{name}: {called}", shift, now)
    return _calendar(f"On call: {name}", events)


def of_person(person: str, book: Book, start: datetime, end: datetime, now: datetime) -> str:
    """One person's shifts in all schedules."""
    events: list[str] = []
    for name, schedule in book.schedules.items():
        if not _may_have(person, schedule):
            continue
        for shift in shifts(schedule, start, end, book.almanac):
            if person in shift.people:
                events += _event(name, person, f"On call: {name}", shift, now)
    called = book.people[person].name if person in book.people else person
    return _calendar(f"{called}: on call", events)


def _may_have(person: str, schedule: Schedule) -> bool:
    """Without computing it: whether the schedule names them at all, or leaves that to a calendar."""
    named = {one for layer in schedule.layers for one in layer.people}
    named |= {one for swap in schedule.swaps for one in swap.people}
    named |= {override.person for override in schedule.overrides}
    return person in named or any(layer.ical is not None for layer in schedule.layers)


def _calendar(name: str, events: Iterable[str]) -> str:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//agentpager//on-call//EN", f"X-WR-CALNAME:{_text(name)}"]
    head += [f"NAME:{_text(name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT1H", "X-PUBLISHED-TTL:PT1H"]
    lines = [*head, *events, "END:VCALENDAR"]
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _event(schedule: str, person: str, summary: str, shift: Shift, now: datetime) -> list[str]:
    return [
        "BEGIN:VEVENT",
        f"UID:{_text(f'{schedule}.{person}.{_stamp(shift.start)}@agentpager')}",
        f"DTSTAMP:{_stamp(now)}",
        f"DTSTART:{_stamp(shift.start)}",
        f"DTEND:{_stamp(shift.end)}",
        f"SUMMARY:{_text(summary)}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return "".join(escaped.replace("\r", "").replace("\n", "\\n"))


def _folded(line: str) -> Iterator[str]:
    """At most 75 octets a line, a continuation begins with a space; no character is cut in two."""
    current, size = "", 0
    for sign in line:
        octets = len(sign.encode())
        if size + octets > _WIDTH:
            yield current
            current, size = " ", 1
        current, size = current + sign, size + octets
    yield current
