"""Calendar files as layers and as holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.oncall import ical
from bot.oncall.almanac import Almanac, Holidays
from bot.oncall.duty import on_duty, shifts
from bot.oncall.model import Calendar, Person, Schedule
from bot.oncall.public_holidays import problem, public_holidays

MADRID = ZoneInfo("Europe/Madrid")
PEOPLE = {
    "ana": Person(id="ana", name="Ana Ruiz", slack="U0ANA", email="ana@example.com"),
    "ben": Person(id="ben", name="Ben Cole", slack="U0BEN", email="Ben.Cole@example.com"),
    "cat": Person(id="cat", name="Cat", slack="U0CAT"),
}


def event(summary: str, start: str, end: str, *more: str) -> str:
    lines = ["BEGIN:VEVENT", f"UID:{summary}{start}", f"DTSTART{start}", f"DTEND{end}", f"SUMMARY:{summary}", *more]
    return "\n".join([*lines, "END:VEVENT", ""])


def read(*events: str) -> ical.Calendar:
    calendar, troubles = ical.parse(file(*events))
    assert troubles == []
    assert calendar is not None
    return calendar


def file(*events: str) -> str:
    return "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\n" + "".join(events) + "END:VCALENDAR\n"


def line(calendar: ical.Calendar, start: str, end: str, *, zone: str = "Europe/Madrid", below: str = "") -> list[str]:
    layers: list[dict[str, object]] = [{"people": [below], "start": "2026-01-01"}] if below else []
    schedule = Schedule.model_validate({"id": "x", "timezone": zone, "layers": [*layers, {"ical": "rota.ics"}]})
    almanac = Almanac(rotas={"rota.ics": ical.rota(calendar, PEOPLE)})
    first, last = (datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for text in (start, end))
    found = shifts(schedule, first, last, almanac)
    return [
        f"{shift.start.astimezone(ZoneInfo(zone)):%m-%d %H:%M} {'+'.join(shift.people) or 'nobody'}" for shift in found
    ]


def test_repeating_events_and_the_layer_below_between_them():
    weekly = event(
        "Ana Ruiz",
        ";TZID=Europe/Madrid:20261102T090000",
        ";TZID=Europe/Madrid:20261109T090000",
        "RRULE:FREQ=WEEKLY;INTERVAL=2",
    )
    assert line(read(weekly), "2026-11-02T12:00", "2026-12-01", below="cat") == [
        "11-02 12:00 ana",
        "11-09 09:00 cat",
        "11-16 09:00 ana",
        "11-23 09:00 cat",
        "11-30 09:00 ana",
    ]


def test_a_repetition_keeps_its_wall_clock_when_clocks_change():
    # 09:00 in Madrid is 08:00 UTC until 2027-03-28 and 07:00 UTC after.
    daily = event(
        "ana", ";TZID=Europe/Madrid:20270325T090000", ";TZID=Europe/Madrid:20270325T170000", "RRULE:FREQ=DAILY;COUNT=6"
    )
    found = ical.rota(read(daily), PEOPLE)(MADRID, 2027, 3)
    assert [shift.start.hour for shift in found] == [8, 8, 8, 7, 7, 7]


def test_an_exception_of_a_repetition_is_left_out_and_a_changed_one_is_taken():
    text = (
        "BEGIN:VEVENT\nUID:w\nDTSTART:20261102T090000Z\nDTEND:20261103T090000Z\nRRULE:FREQ=WEEKLY;COUNT=3\n"
        "EXDATE:20261109T090000Z\nSUMMARY:ana\nEND:VEVENT\n"
        "BEGIN:VEVENT\nUID:w\nRECURRENCE-ID:20261116T090000Z\nDTSTART:20261117T090000Z\nDTEND:20261118T090000Z\n"
        "SUMMARY:ben\nEND:VEVENT\n"
    )
    assert line(read(text), "2026-11-02T00:00", "2026-11-20", zone="UTC") == [
        "11-02 00:00 nobody",
        "11-02 09:00 ana",
        "11-03 09:00 nobody",
        "11-17 09:00 ben",
        "11-18 09:00 nobody",
    ]


def test_whole_days_and_times_without_a_zone_are_in_the_schedules_zone():
    calendar = read(
        event("ana", ";VALUE=DATE:20261103", ";VALUE=DATE:20261105"),
        event("ben", ":20261105T000000", ":20261105T120000"),
    )
    for zone in ("Europe/Madrid", "Asia/Tokyo", "America/Los_Angeles"):
        assert line(calendar, "2026-11-02T00:00", "2026-11-06", zone=zone) == [
            "11-02 00:00 nobody",
            "11-03 00:00 ana",
            "11-05 00:00 ben",
            "11-05 12:00 nobody",
        ]


def test_events_at_the_same_time_are_both_on_duty():
    calendar = read(
        event("ana", ":20261103T000000Z", ":20261104T000000Z"), event("ben", ":20261103T120000Z", ":20261104T120000Z")
    )
    assert line(calendar, "2026-11-03T00:00", "2026-11-05", zone="UTC") == [
        "11-03 00:00 ana",
        "11-03 12:00 ana+ben",
        "11-04 00:00 ben",
        "11-04 12:00 nobody",
    ]


def test_a_shift_over_the_end_of_a_month_is_one():
    calendar = read(event("ana", ":20261125T090000Z", ":20270105T090000Z"))
    assert line(calendar, "2026-11-26T00:00", "2027-01-06", zone="UTC") == ["11-26 00:00 ana", "01-05 09:00 nobody"]


def test_the_next_shift_is_found_months_ahead():
    schedule = Schedule.model_validate({"id": "x", "layers": [{"ical": "rota.ics"}]})
    almanac = Almanac(
        rotas={"rota.ics": ical.rota(read(event("ana", ":20270701T090000Z", ":20270702T090000Z")), PEOPLE)}
    )
    duty = on_duty(schedule, datetime(2026, 11, 3, tzinfo=UTC), almanac)
    assert (duty.people, duty.until) == ((), datetime(2027, 7, 1, 9, tzinfo=UTC))


@pytest.mark.parametrize(
    ("summary", "more", "people"),
    [
        ("ana", (), ["ana"]),
        ("ANA", (), ["ana"]),
        ("ana ruiz", (), ["ana"]),
        ("ben.cole@example.com", (), ["ben"]),
        ("On call: Ben Cole", (), ["ben"]),
        ("[L1] ana", (), ["ana"]),
        ("ana, ben", (), ["ana", "ben"]),
        ("ana + Cat", (), ["ana", "cat"]),
        ("Ben Cole is on call", (), ["ben"]),
        ("On call", ("ATTENDEE;CN=Ana:mailto:ANA@example.com",), ["ana"]),
        ("On call", ("ATTENDEE:mailto:boss@example.com", "ATTENDEE:mailto:ben.cole@example.com"), ["ben"]),
        ("ana", ("ATTENDEE:mailto:ben.cole@example.com",), ["ana"]),
    ],
)
def test_whom_an_event_names(summary, more, people):
    ((_, found),) = read(event(summary, ":20261103T000000Z", ":20261104T000000Z", *more)).events
    assert ical.people_in(found, PEOPLE) == (people, [])


@pytest.mark.parametrize("summary", ["banana split", "Catherine", "Ana Ruizmann", "Cat food", "ana smith"])
def test_a_part_of_a_word_is_no_name(summary):
    ((_, found),) = read(event(summary, ":20261103T000000Z", ":20261104T000000Z")).events
    assert ical.people_in(found, PEOPLE) == ([], [summary])


def test_strangers_are_told_once_with_their_line_and_the_nearest_name():
    calendar = read(
        event("ana", ":20261103T000000Z", ":20261104T000000Z"),
        event("Anna Ruiz", ":20261104T000000Z", ":20261105T000000Z"),
        event("Anna Ruiz", ":20261105T000000Z", ":20261106T000000Z"),
        event("ben, zoe", ":20261106T000000Z", ":20261107T000000Z"),
    )
    told = [(trouble.line, trouble.message) for trouble in ical.strangers(calendar, PEOPLE)]
    assert told == [
        (14, '"Anna Ruiz" is nobody of the on-call files'),
        (26, '"zoe" is nobody of the on-call files'),
    ]
    assert next(ical.strangers(calendar, PEOPLE)).hint == 'did you mean "Ana Ruiz"?'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("hello", 1, "not an iCalendar file"),
        ("", 1, "not an iCalendar file"),
        ("BEGIN:VEVENT\nEND:VEVENT\n", 1, "does not begin with BEGIN:VCALENDAR"),
        ("x" * (4 << 20) + "y", 0, "larger than 4 MiB"),
    ],
)
def test_a_file_that_is_no_calendar_is_refused(text, line, words):
    calendar, (trouble,) = ical.parse(text)
    assert calendar is None
    assert trouble.line == line
    assert words in trouble.message


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("BEGIN:VEVENT\nDTSTART:banana\nSUMMARY:ana\nEND:VEVENT\n", "DTSTART"),
        ("BEGIN:VEVENT\nUID:1\nSUMMARY:ana\nEND:VEVENT\n", "has no DTSTART"),
        (
            "BEGIN:VEVENT\nDTSTART:20261102T090000Z\nSUMMARY:ana\nRRULE:FREQ=SECONDLY\nEND:VEVENT\n",
            "more often than hourly",
        ),
        ("BEGIN:VEVENT\nDTSTART:20261102T090000Z\nSUMMARY:ana\nRRULE:FREQ=NEVER\nEND:VEVENT\n", "RRULE"),
    ],
)
def test_a_broken_event_is_told_and_left_out(broken, words):
    good = event("ben", ":20261103T000000Z", ":20261104T000000Z")
    calendar, (trouble,) = ical.parse(file(good, broken))
    assert words in trouble.message
    assert calendar is not None
    assert [shift.people for shift in ical.rota(calendar, PEOPLE)(MADRID, 2026, 11)] == [("ben",)]


WEEKLY = "RRULE:FREQ=WEEKLY;COUNT=9"
WHOLE = file(
    event("ana", ";TZID=Europe/Madrid:20261102T090000", ";TZID=Europe/Madrid:20261103T090000", WEEKLY),
    event("ben", ";VALUE=DATE:20261103", ";VALUE=DATE:20261105", "EXDATE;VALUE=DATE:20261103", "ATTENDEE:mailto:x@y"),
    event("cat", ":20261105T000000", ":20261105T120000", "RDATE:20261107T000000", "STATUS:CONFIRMED"),
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_happens_to_a_file_it_is_told_and_nothing_breaks(data):
    """Lines lost, doubled or swapped, and signs changed: what is left still answers."""
    lines = WHOLE.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "cut", "sign", "digit"])):
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, 20))]
            case "sign":
                lines[at] += data.draw(st.text(max_size=3))
            case _:
                lines[at] = lines[at].replace("0", data.draw(st.sampled_from("0123456789")))
    calendar, troubles = ical.parse("\n".join(lines))
    assert calendar is not None or troubles
    if calendar is not None:
        list(ical.strangers(calendar, PEOPLE))
        for month in (10, 11, 12):
            ical.rota(calendar, PEOPLE)(MADRID, 2026, month)
        ical.holidays(calendar)(2026)


@given(st.text(max_size=300))
def test_any_text_is_a_calendar_or_is_told(text):
    calendar, troubles = ical.parse(text)
    assert calendar is not None or troubles


def test_a_cancelled_event_is_nobodys_shift():
    cancelled = event("ana", ":20261103T000000Z", ":20261104T000000Z", "STATUS:CANCELLED")
    assert line(read(cancelled), "2026-11-03T00:00", "2026-11-05") == ["11-03 00:00 nobody"]


def test_holidays_of_a_file_each_year_and_over_several_days():
    days = ical.holidays(
        read(
            event("Christmas", ";VALUE=DATE:20201225", ";VALUE=DATE:20201227", "RRULE:FREQ=YEARLY"),
            event("Strike", ":20261103T080000Z", ":20261103T180000Z"),
        )
    )
    calendar = Holidays(years=(days,))
    assert calendar.name_of(date(2026, 12, 25)) == "Christmas"
    assert calendar.name_of(date(2031, 12, 26)) == "Christmas"
    assert calendar.name_of(date(2026, 12, 27)) is None
    assert calendar.name_of(date(2026, 11, 3)) == "Strike"
    assert calendar.name_of(date(2026, 11, 4)) is None


def test_a_holiday_over_new_year_counts_on_both_sides():
    calendar = Holidays(years=(ical.holidays(read(event("Break", ";VALUE=DATE:20261230", ";VALUE=DATE:20270103"))),))
    assert [calendar.name_of(date(2026, 12, day)) for day in (29, 30, 31)] == [None, "Break", "Break"]
    assert [calendar.name_of(date(2027, 1, day)) for day in (1, 2, 3)] == ["Break", "Break", None]


def test_public_holidays_of_a_part_of_a_country():
    # 2 May is the day of the Community of Madrid, 23 April that of Aragon.
    madrid = Holidays(years=(public_holidays("ES", "MD"),))
    assert madrid.name_of(date(2025, 5, 2))
    assert madrid.name_of(date(2026, 12, 25))
    assert madrid.name_of(date(2026, 4, 23)) is None
    assert madrid.name_of(date(2026, 11, 4)) is None


def test_a_country_that_is_none_is_told_with_the_way_out():
    assert problem("ES", None) is None
    assert problem("ES", "MD") is None
    assert problem("XX", None) == ("Country XX not available", "write two letters, for example ES")
    message, hint = problem("ES", "ZZ") or ("", "")
    assert "ZZ" in message
    assert "MD" in hint


@pytest.mark.parametrize("day", ["12-25", "02-29", "2028-02-29"])
def test_a_day_of_a_calendar(day):
    assert Calendar(dates={day: "x"}).dates == {day: "x"}


@pytest.mark.parametrize("day", ["12-32", "2026-02-29", "20261225", "25.12.", "1"])
def test_a_day_that_is_none_is_refused(day):
    with pytest.raises(ValueError, match="or 12-25 for every year"):
        Calendar(dates={day: "x"})


@pytest.mark.parametrize(
    ("calendar", "words"),
    [({}, "has dates, ical or country"), ({"dates": {"12-25": "x"}, "subdivision": "MD"}, "country")],
)
def test_a_calendar_without_days_is_refused(calendar, words):
    with pytest.raises(ValueError, match=words):
        Calendar(**calendar)


def test_an_event_that_is_not_closed_is_told_and_the_others_count():
    broken = event("ana", ":20261103T000000Z", ":20261104T000000Z").replace("END:VEVENT\n", "")
    good = event("ben", ":20261105T000000Z", ":20261106T000000Z")
    calendar, troubles = ical.parse(
        file(broken, event("cat", ":20261104T000000Z", ":20261105T000000Z"), "END:VEVENT\n", good)
    )
    assert ["is not closed" in trouble.message for trouble in troubles] == [True]
    assert calendar is not None
    assert [shift.people for shift in ical.rota(calendar, PEOPLE)(MADRID, 2026, 11)] == [("ben",)]
