"""iCalendar text as holidays and as a rota. The one door to icalendar and recurring-ical-events.

Whoever is named in an event's summary has the duty while it lasts; where the summary names nobody, its attendees do.
Times without a zone are in the zone of whoever asks. What cannot be read is left out, and told with its line.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain, repeat
from typing import Any
from zoneinfo import ZoneInfo

from bot.complaints import did_you_mean, quote
from bot.oncall.almanac import Rota, Shift, remembered
from bot.oncall.model import Person
from bot.oncall.turns import instant, midnight

MAX_BYTES = 4 << 20
_TOO_OFTEN = re.compile(r"FREQ=(SECONDLY|MINUTELY)", re.IGNORECASE)
_BETWEEN_NAMES = re.compile(r"\s*[,;+&/]\s*|\s+and\s+")
_LABEL = re.compile(r"^\s*(\[[^\]]*\]|[^:]*:)\s*")
_WORD = re.compile(r"[^\W_]+")
_MARGIN = timedelta(days=2)  # events without a zone may be a day off


@dataclass(frozen=True)
class Trouble:
    """Something in the file that is left out. `line` counts from 1."""

    line: int
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Calendar:
    """A file that could be read, as far as it could be."""

    parsed: Any
    events: tuple[tuple[int, Any], ...]  # line of the summary (or of the event), component


def parse(text: str) -> tuple[Calendar | None, list[Trouble]]:
    """The calendar without its broken events, and what is wrong with those."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return None, [Trouble(0, "calendar is larger than 4 MiB", "leave out what is past")]
    import icalendar  # noqa: PLC0415 - most have no such file, and every command would wait for it

    try:
        parsed = icalendar.Calendar.from_ical(text)
    except (ValueError, KeyError, IndexError) as error:
        return None, [Trouble(1, f"not an iCalendar file: {_first_line(error)}")]
    if parsed.name != "VCALENDAR":
        return None, [Trouble(1, "not an iCalendar file: it does not begin with BEGIN:VCALENDAR")]
    troubles, events = [], []
    top = [component for component in parsed.subcomponents if component.name == "VEVENT"]
    for line, event in zip(chain(_event_lines(text), repeat(1)), top, strict=False):
        if trouble := _trouble(event):
            troubles.append(Trouble(line, f"event {quote(event.get('SUMMARY'))} {trouble}"))
        else:
            events.append((line, event))
    _keep(parsed, [event for _, event in events])
    troubles += _leave_out_unplayable(parsed, events)
    return Calendar(parsed, tuple(events)), troubles


def _keep(parsed: Any, events: Sequence[Any]) -> None:
    """Leaves these events in the calendar, and nothing but time zones beside them."""
    zones = [component for component in parsed.subcomponents if component.name == "VTIMEZONE"]
    parsed.subcomponents = [*(zone for zone in zones if not zone.walk("VEVENT")), *events]


def _leave_out_unplayable(parsed: Any, events: list[tuple[int, Any]]) -> Iterator[Trouble]:
    """Events that read well each by itself and still cannot be written out; only then one after the other is tried."""
    if _plays(parsed, [event for _, event in events]):
        return
    candidates = list(events)
    events.clear()
    for line, event in candidates:
        _keep(parsed, [*(other for _, other in events), event])
        if _plays(parsed, [event]):
            events.append((line, event))
        else:
            yield Trouble(line, f"event {quote(event.get('SUMMARY'))} cannot be repeated as it says")
    _keep(parsed, [event for _, event in events])


def _plays(parsed: Any, events: Sequence[Any]) -> bool:
    """Tried around the first and the last of the events."""
    starts = sorted(_moment(event.start, ZoneInfo("UTC")) for event in events)
    try:
        for start in starts[:1] + starts[1:][-1:]:
            _between(parsed, start, start + timedelta(days=32))
    except Exception:  # noqa: BLE001 - a library of others, given text of strangers
        return False
    return True


def _trouble(event: Any) -> str:
    """What makes the event unusable."""
    if len(event.walk("VEVENT")) > 1:
        return "is not closed before the next one begins"
    if event.errors:
        name, text = event.errors[0]
        return f"cannot be read: {name or 'a line'}: {_first_line(text)}"
    if "DTSTART" not in event:
        return "has no DTSTART"
    for name in ("UID", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "RRULE", "SUMMARY", "STATUS"):
        if isinstance(event.get(name), list):
            return f"has several {name}"
    rule = event.get("RRULE")
    if rule is not None and _TOO_OFTEN.search(str(rule.to_ical() if hasattr(rule, "to_ical") else rule)):
        return "repeats more often than hourly"
    try:
        for moment in (event.start, event.end):  # both raise when they do not fit together
            _moment(moment, ZoneInfo("UTC"))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        return f"cannot be read: {_first_line(error)}"
    return ""


def _first_line(error: object) -> str:
    return str(error).strip().split("\n")[0][:200]


def _event_lines(text: str) -> Iterator[int]:
    """Where each event stands in the file: its summary, else its beginning."""
    begun = summary = 0
    for number, line in enumerate(text.splitlines(), 1):
        name = re.split("[;:]", line.upper(), maxsplit=1)[0]
        if line.upper().startswith("BEGIN:VEVENT"):
            begun, summary = number, 0
        elif begun and name == "SUMMARY":
            summary = number
        elif begun and line.upper().startswith("END:VEVENT"):
            yield summary or begun
            begun = 0


def holidays(calendar: Calendar) -> Any:
    """Year → the days of its events, by what they are called. Events with times count for the days they touch."""

    def year_of(year: int) -> Mapping[date, str]:
        days: dict[date, str] = {}
        for event in _expand(calendar, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)):
            day, last = _day(event.start), _day(event.end)
            whole = not isinstance(event.start, datetime)
            while day.year <= year and (day < last or (day == last and not whole) or day == _day(event.start)):
                if day.year == year:
                    days.setdefault(day, str(event.get("SUMMARY") or "holiday"))
                day += timedelta(days=1)
        return days

    return remembered(year_of)


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def rota(calendar: Calendar, people: Mapping[str, Person]) -> Rota:
    """Who has the duty in a month, by its events. An event that names nobody is nobody's shift."""

    @lru_cache(maxsize=256)
    def month_of(zone: str, year: int, month: int) -> tuple[Shift, ...]:
        known = ZoneInfo(zone)
        first = datetime(year, month, 1, tzinfo=UTC)
        last = (first + timedelta(days=32)).replace(day=1)
        found = []
        for event in _expand(calendar, first, last):
            start, end = _moment(event.start, known), _moment(event.end, known)
            if start < last and end > first and start < end and (named := people_in(event, people)[0]):
                found.append(Shift(start, end, tuple(named)))
        return tuple(sorted(found, key=lambda shift: (shift.start, shift.end, shift.people)))

    return lambda zone, year, month: month_of(zone.key, year, month)


def _moment(moment: date, zone: ZoneInfo) -> datetime:
    return instant(moment, zone) if isinstance(moment, datetime) else midnight(moment, zone)


def _expand(calendar: Calendar, start: datetime, end: datetime) -> list[Any]:
    """As `_between`. What fails all the same is nobody's shift: then the next layer or level is asked."""
    try:
        return _between(calendar.parsed, start, end)
    except Exception:  # noqa: BLE001 - a page must go out whatever a calendar holds
        return []


def _between(parsed: Any, start: datetime, end: datetime) -> list[Any]:
    """The events between two instants, repetitions written out, cancelled ones left out."""
    import recurring_ical_events  # noqa: PLC0415 - as above

    query = recurring_ical_events.of(parsed, skip_bad_series=True)
    found = query.between(start - _MARGIN, end + _MARGIN)
    return [event for event in found if str(event.get("STATUS", "")).upper() != "CANCELLED"]


def strangers(calendar: Calendar, people: Mapping[str, Person]) -> Iterator[Trouble]:
    """The events that name somebody whom the book does not know, or nobody at all."""
    told = set()
    for line, event in calendar.events:
        for name in people_in(event, people)[1]:
            if name not in told:
                told.add(name)
                known = [*people, *(person.name for person in people.values())]
                yield Trouble(line, f"{quote(name)} is nobody of the on-call files", did_you_mean(name, known))


def people_in(event: Any, people: Mapping[str, Person]) -> tuple[list[str], list[str]]:
    """The ids of those who have the duty, and the names that nobody has."""
    summary = str(event.get("SUMMARY") or "").strip()
    found, unknown = _named(_LABEL.sub("", summary) or summary, people)
    if found:
        return found, unknown
    mentioned = [person.id for person in people.values() if _mentions(summary, person)]
    if mentioned:
        return mentioned, []
    attending = [_by_address(address, people) for address in _attendees(event)]
    if any(attending):
        return [person for person in attending if person], []
    return [], [summary or "an event without a summary"]


def _named(text: str, people: Mapping[str, Person]) -> tuple[list[str], list[str]]:
    """`ana`, `Ana Ruiz`, `ana@example.com`, or several of them."""
    by_name: dict[str, str] = {}
    for person in people.values():
        for name in (person.name, person.email or "", person.id):
            by_name[name.casefold()] = person.id
    by_name.pop("", None)
    parts = [part for part in _BETWEEN_NAMES.split(text) if part]
    ids = [by_name.get(part.strip().casefold()) for part in parts]
    return [known for known in ids if known], [part for part, known in zip(parts, ids, strict=True) if not known]


def _mentions(summary: str, person: Person) -> bool:
    """The whole name, as words of their own. One word is not enough: another Ana may be meant."""
    name = _words(person.name)
    return len(name.split()) > 1 and name in _words(summary)


def _words(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _attendees(event: Any) -> Sequence[str]:
    given = event.get("ATTENDEE") or []
    return [str(one).casefold().removeprefix("mailto:") for one in (given if isinstance(given, list) else [given])]


def _by_address(address: str, people: Mapping[str, Person]) -> str | None:
    return next((person.id for person in people.values() if (person.email or "").casefold() == address), None)
