"""What is kept of a calendar at an address, and what others get to read of that address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.oncall import feeds
from bot.oncall.feeds import Copy
from bot.oncall.model import Book, Calendar, Layer, Person, Schedule

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEXT = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:ana\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
GOOD = Copy(text=TEXT, confirmed_at=NOW, changed_at=NOW, tried_at=NOW, tag='"1"', modified="Sat", seal="s")


@pytest.mark.parametrize("written", ["https://x/a.ics", "webcal://x/a.ics", "${CALENDAR}", "ftp://x/a.ics"])
def test_an_address_is_no_file(written):
    assert feeds.is_feed(written)


@pytest.mark.parametrize("written", ["oncall/rota.ics", "/etc/rota.ics", "c:/rota.ics", "rota${X}.ics"])
def test_a_file_is_no_address(written):
    assert not feeds.is_feed(written)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("https://example.com/a.ics?x=1", "https://example.com/a.ics?x=1"),
        ("HTTP://example.com/a.ics", "http://example.com/a.ics"),
        ("webcal://example.com/a.ics", "https://example.com/a.ics"),
        ("https://example.com/${TOKEN}/a.ics", "https://example.com/s3cret/a.ics"),
        ("${WHOLE}", "https://u:p@example.com:8443/a.ics"),
    ],
)
def test_what_is_asked_for(written, asked):
    env = {"TOKEN": "s3cret", "WHOLE": " https://u:p@example.com:8443/a.ics\n"}
    assert feeds.address(written, env) == asked


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("${GONE}", "the variable GONE is not set"),
        ("ftp://example.com/a.ics", "begins with https://"),
        ("file:///etc/passwd", "begins with https://"),
        ("https://", "begins with https://"),
        ("https://exa mple.com/", "begins with https://"),
        ("https:///a.ics", "names no host"),
        ("https://[::1/a.ics", "names no host"),
        ("https://example.com:99999/", "names no host"),
        ("${PATH_OF_A_FILE}", "begins with https://"),
    ],
)
def test_what_is_not_asked_for(written, words):
    with pytest.raises(ValueError, match=words):
        feeds.address(written, {"PATH_OF_A_FILE": "s3cret"})


def test_a_variable_is_not_told():
    with pytest.raises(ValueError) as caught:
        feeds.address("${X}", {"X": "s3cret"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (
            "https://u:p@calendar.google.com/calendar/ical/x/private-0123/basic.ics",
            "https://calendar.google.com/…/basic.ics",
        ),
        ("https://example.com/0123456789abcdef0123456789abcdef.ics", "https://example.com/…"),
        ("https://example.com:8443/rota.ics?token=s3cret", "https://example.com:8443/rota.ics"),
        ("https://example.com", "https://example.com"),
        ("https://[::1/x", "…"),
        ("${PAYMENTS_CALENDAR}", "${PAYMENTS_CALENDAR}"),
    ],
)
def test_how_an_address_is_called_where_others_read_it(written, name):
    assert feeds.shown(written) == name


def test_every_calendar_at_an_address_and_what_needs_it():
    schedule = Schedule(id="a", layers=(Layer(ical="https://x/1"), Layer(ical="file.ics"), Layer(ical="https://x/1")))
    book = Book(
        people={"ana": Person(id="ana", name="Ana", slack="U0ANA")},
        schedules={"a": schedule},
        holidays={"es": Calendar(id="es", ical="https://x/1"), "de": Calendar(id="de", ical="https://x/2")},
        fallback="person:ana",
    )
    assert feeds.named_in(book) == {"https://x/1": ("schedule a", "holidays es"), "https://x/2": ("holidays de",)}


def test_a_failure_leaves_the_good_copy_and_is_dated_from_its_beginning():
    first = feeds.failed(GOOD, "status 500", NOW + HOUR)
    second = feeds.failed(first, "status 502", NOW + 2 * HOUR)
    assert (second.text, second.confirmed_at) == (TEXT, NOW)
    assert (second.failing_since, second.error) == (NOW + HOUR, "status 502")
    assert second.tag == ""


def test_the_next_good_answer_ends_it():
    after = feeds.confirmed(feeds.failed(GOOD, "status 500", NOW), NOW + HOUR)
    assert (after.failing_since, after.error, after.changed_at, after.text) == (None, "", NOW, TEXT)


def test_a_new_text_is_a_change():
    after = feeds.received(GOOD, "other", NOW + HOUR)
    assert (after.text, after.changed_at, after.confirmed_at) == ("other", NOW + HOUR, NOW + HOUR)


@pytest.mark.parametrize(("minutes", "needed"), [(59, False), (60, True)])
def test_somebody_is_told_after_the_grace_and_not_before(minutes, needed):
    failing = feeds.failed(GOOD, "gone", NOW)
    assert feeds.needs_somebody(failing, HOUR, NOW + timedelta(minutes=minutes)) is needed


def test_without_any_copy_somebody_is_told_at_once():
    assert feeds.needs_somebody(feeds.failed(Copy(), "gone", NOW), HOUR, NOW)


def test_a_good_copy_needs_nobody():
    assert not feeds.needs_somebody(GOOD, timedelta(), NOW)


@pytest.mark.parametrize(("minutes", "due"), [(-1, True), (0, False), (14, False), (15, True)])
def test_it_is_read_at_its_interval_and_when_the_clock_was_set_back(minutes, due):
    assert feeds.is_due(GOOD, timedelta(minutes=15), NOW + timedelta(minutes=minutes)) is due


def test_what_has_no_copy_yet_is_tried_every_minute():
    failing = feeds.failed(Copy(), "gone", NOW)
    assert feeds.is_due(Copy(), HOUR, NOW)
    assert not feeds.is_due(failing, HOUR, NOW + timedelta(seconds=59))
    assert feeds.is_due(failing, HOUR, NOW + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \r\n", "empty"),
        ("<html>log in</html>", "not a calendar"),
        (TEXT[:-20], "not whole"),
        ("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "no events"),
        (TEXT, ""),
        ("\ufeff" + TEXT, ""),
    ],
)
def test_what_is_no_calendar_to_rely_on(text, words):
    assert words in feeds.problem(text)
    assert bool(feeds.problem(text)) is bool(words)


def event(summary: str, stamp: str = "20261101T000000Z") -> str:
    return f"BEGIN:VEVENT\r\nUID:{summary}\r\nDTSTAMP:{stamp}\r\nSUMMARY:{summary}\r\nEND:VEVENT\r\n"


def calendar(*events: str) -> str:
    return f"BEGIN:VCALENDAR\r\nX-WR-CALNAME:Rota\r\n{''.join(events)}END:VCALENDAR\r\n"


@pytest.mark.parametrize(
    "other",
    [
        calendar(event("ana", "20261121T020000Z"), event("ben", "20261121T020000Z")),
        calendar(event("ben"), event("ana")),
        calendar(event("ana"), event("ben")).replace("\r\n", "\n"),
        calendar(event("ana"), event("ben").replace("SUMMARY:ben", "SUMM\r\n ARY:ben")),
        calendar(event("ana"), event("ben").replace("SUMMARY", "LAST-MODIFIED:20261121T020000Z\r\nSUMMARY")),
    ],
)
def test_stamps_order_and_line_ends_are_no_news(other):
    assert feeds.meaning(other) == feeds.meaning(calendar(event("ana"), event("ben")))


@pytest.mark.parametrize("other", [calendar(event("ana")), calendar(event("ana"), event("cat"))])
def test_another_event_is_news(other):
    assert feeds.meaning(other) != feeds.meaning(calendar(event("ana"), event("ben")))


def test_a_document_that_cannot_be_read_is_as_none():
    assert feeds.kept({"https://x/1": GOOD.model_dump_json(), "https://x/2": "{"}) == {"https://x/1": GOOD}
