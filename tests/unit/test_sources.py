"""Calendars at an address among the files: what stands for them, and what is told while nothing does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot import config
from bot.oncall.duty import at_duty
from bot.oncall.feeds import Copy
from bot.sources import Sources, read_sources

URL = "https://user:s3cret@example.com/rota.ics"
ROTA = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20261101T000000Z\r\nDTEND:20271101T000000Z\r\n"
    "SUMMARY:Ana\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def folder(tmp_path, ical: str = URL):
    (tmp_path / "oncall").mkdir()
    (tmp_path / "agentpager.yaml").write_text("slack: {bot_token: xoxb-1, app_token: xapp-1}\n")
    (tmp_path / "oncall" / "a.yaml").write_text(
        "people:\n  ana: {name: Ana, slack: U0ANA}\nfallback: 'person:ana'\n"
        f'schedules:\n  primary:\n    layers: [{{ical: "{ical}"}}]\n'
    )
    return tmp_path


def told(sources: Sources) -> list[str]:
    return [str(finding) for finding in config.check(sources)]


def on_duty(sources: Sources) -> tuple[str, ...]:
    book = config.load(sources).book
    return at_duty(book.schedules["primary"], AT, book.almanac)[0]


def test_a_calendar_that_was_never_read_is_a_warning_and_nobody_is_on_duty_by_it(tmp_path):
    sources = read_sources(folder(tmp_path), {})
    assert told(sources) == [
        "oncall/a.yaml:6:21 feed-not-read the calendar at https://example.com/rota.ics has not been read yet"
        " (until it is, nobody is on duty by it; try check --fetch)"
    ]
    assert on_duty(sources) == ()
    assert sources.feeds == (URL,)


def test_the_copy_that_is_kept_stands_for_it(tmp_path):
    sources = read_sources(folder(tmp_path), {}, {URL: Copy(text=ROTA)})
    assert told(sources) == []
    assert on_duty(sources) == ("ana",)


def test_a_failing_one_without_a_copy_says_why(tmp_path):
    sources = read_sources(folder(tmp_path), {}, {URL: Copy(error="server returned HTTP status 500")})
    assert "has not been read: server returned HTTP status 500" in told(sources)[0]


def test_another_copy_is_another_book(tmp_path):
    base = folder(tmp_path)
    one, two = (read_sources(base, {}, {URL: Copy(text=text)}) for text in (ROTA, ROTA.replace("Ana", "Ben")))
    assert one.digest != two.digest
    assert one.book_digest != two.book_digest


def test_what_is_watched_does_not_depend_on_it(tmp_path):
    base = folder(tmp_path)
    with_copy = read_sources(base, {}, {URL: Copy(text=ROTA)}).for_watcher()
    without = read_sources(base, {}).for_watcher()
    assert with_copy.model_copy(update={"digest": ""}) == without.model_copy(update={"digest": ""})


def test_events_of_the_copy_that_cannot_be_read_are_told_under_a_name_that_gives_nothing_away(tmp_path):
    strange = ROTA.replace("Ana", "Zoe")
    (finding,) = told(read_sources(folder(tmp_path), {}, {URL: Copy(text=strange)}))
    assert finding.startswith("https://example.com/rota.ics:7:1 ical-person")


def test_a_copy_that_is_no_calendar_stops_nothing(tmp_path):
    sources = read_sources(folder(tmp_path), {}, {URL: Copy(text="<html>")})
    assert [finding.severity for finding in config.check(sources)] == ["warning"]
    assert on_duty(sources) == ()


def test_a_secret_address_comes_from_the_environment_and_goes_nowhere(tmp_path):
    base = folder(tmp_path, "${ROTA}")
    sources = read_sources(base, {"ROTA": URL}, {"${ROTA}": Copy(text=ROTA)})
    assert on_duty(sources) == ("ana",)
    assert "s3cret" not in str(sources.to_json())
    (missing,) = told(read_sources(base, {}))
    assert "${ROTA} has not been read: the variable ROTA is not set" in missing
    assert told(read_sources(base, {}, {"${ROTA}": Copy(text=ROTA)})) == [], "what needs no network needs no secret"


@pytest.mark.parametrize("ical", ["ftp://example.com/rota.ics", "https://", "file:///etc/passwd"])
def test_what_can_be_no_address_is_an_error(tmp_path, ical):
    (finding,) = config.check(read_sources(folder(tmp_path, ical), {}))
    assert (finding.code, finding.severity, finding.line) == ("bad-value", "error", 6)
