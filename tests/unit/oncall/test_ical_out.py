"""Shifts as a calendar that other programs read."""

from __future__ import annotations

from datetime import UTC, datetime

import icalendar
from hypothesis import given
from hypothesis import strategies as st

from bot.oncall import ical
from bot.oncall.almanac import Almanac
from bot.oncall.duty import shifts
from bot.oncall.ical_out import of_person, of_schedule
from bot.oncall.model import Book, Person, Schedule

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC)
ROTA = {"layers": [{"people": ["ana", "none", "ben"], "every": "1d", "start": "2026-11-02", "handoff": "09:00"}]}
BOOK = Book(
    people={name: Person(id=name, name=name.title(), slack=f"U0{name.upper()}") for name in ("ana", "ben")},
    schedules={name: Schedule.model_validate({"id": name} | ROTA) for name in ("primary", "second")},
    fallback="person:ana",
)


def test_a_shift_as_an_event():
    text = of_schedule("primary", BOOK, START, datetime(2026, 11, 3, 12, tzinfo=UTC), NOW)
    assert text.split("\r\n") == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//agentpager//on-call//EN",
        "X-WR-CALNAME:On call: primary",
        "NAME:On call: primary",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
        "BEGIN:VEVENT",
        "UID:primary.ana.20261102T000000Z@agentpager",
        "DTSTAMP:20261101T120000Z",
        "DTSTART:20261102T000000Z",
        "DTEND:20261103T090000Z",
        "SUMMARY:primary: Ana",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]


def test_a_persons_calendar_has_their_shifts_in_every_schedule_and_nobody_elses():
    calendar = icalendar.Calendar.from_ical(of_person("ben", BOOK, START, END, NOW))
    events = [(event.start, event.end, str(event["SUMMARY"])) for event in calendar.walk("VEVENT")]
    days = [(4, 5), (7, 8), (10, 11), (13, 14)]
    expected = [(datetime(2026, 11, a, 9, tzinfo=UTC), datetime(2026, 11, b, 9, tzinfo=UTC)) for a, b in days]
    assert events == [(*span, f"On call: {name}") for name in ("primary", "second") for span in expected]


def test_what_goes_out_comes_in_again_as_the_same_rota():
    calendar, troubles = ical.parse(of_schedule("primary", BOOK, START, END, NOW))
    assert troubles == []
    assert calendar is not None
    copy = Schedule.model_validate({"id": "copy", "layers": [{"ical": "x.ics"}]})
    almanac = Almanac(rotas={"x.ics": ical.rota(calendar, BOOK.people)})
    assert list(shifts(copy, START, END, almanac)) == list(shifts(BOOK.schedules["primary"], START, END))


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=200))
def test_any_name_survives_and_no_line_is_too_long(name):
    person = BOOK.people["ana"].model_copy(update={"name": name})
    book = BOOK.model_copy(update={"people": {"ana": person}})
    text = of_schedule("primary", book, START, datetime(2026, 11, 2, 12, tzinfo=UTC), NOW)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    (event,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert str(event["SUMMARY"]) == f"primary: {name}"


def test_a_line_break_in_a_name_stays_inside_of_its_property():
    person = BOOK.people["ana"].model_copy(update={"name": "Ana\nATTENDEE:mailto:x@example.com"})
    book = BOOK.model_copy(update={"people": {"ana": person}})
    (event,) = icalendar.Calendar.from_ical(of_schedule("primary", book, START, END, NOW)).walk("VEVENT")[:1]
    assert "ATTENDEE" not in event
