"""One calendar read from a real server: what is asked, what is kept, what is refused and in which words."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from metrics_world import Server, answer

from bot.checker import calendar_problem
from bot.feeds import Verdict, judged_by_a_child, read
from bot.metrics.fetch import Client
from bot.oncall import feeds
from bot.oncall.feeds import Copy

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)
TYPE = "text/calendar"


def calendar(name: str = "ana", stamp: str = "20261101T000000Z") -> bytes:
    event = f"BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:{stamp}\r\nDTSTART:20261102T090000Z\r\nDTEND:20261109T090000Z\r\n"
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{event}SUMMARY:{name}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".encode()


async def judged(text: str, before: str) -> Verdict:
    """As the child does, without the process."""
    return Verdict(calendar_problem(text), bool(before) and feeds.meaning(text) == feeds.meaning(before))


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
async def client(tmp_path):
    client = Client(tmp_path)
    yield client
    await client.close()


async def test_a_good_answer_is_kept_and_asked_for_again_by_its_tag(server, client):
    server.pages["/a.ics"] = answer(
        calendar(), content_type=TYPE, ETag='"1"', Last_Modified="Sat, 21 Nov 2026 01:00:00 GMT"
    )
    url = f"{server.url}/a.ics"
    first = await read(url, Copy(), {}, client, NOW, judged)
    assert (first.text, first.tag, first.error) == (calendar().decode(), '"1"', "")
    assert "If-None-Match" not in server.requests[0]

    server.pages["/a.ics"] = answer(status="304 Not Modified")
    second = await read(url, first, {}, client, LATER, judged)
    assert server.requests[1]["If-None-Match"] == '"1"'
    assert server.requests[1]["If-Modified-Since"] == "Sat, 21 Nov 2026 01:00:00 GMT"
    assert (second.text, second.confirmed_at, second.changed_at) == (first.text, LATER, NOW)


async def test_another_address_under_the_same_name_is_not_asked_by_the_old_tag(server, client):
    server.pages |= {path: answer(calendar(), ETag='"1"') for path in ("/a.ics", "/b.ics")}
    first = await read("${X}", Copy(), {"X": f"{server.url}/a.ics"}, client, NOW, judged)
    await read("${X}", first, {"X": f"{server.url}/b.ics"}, client, LATER, judged)
    assert "If-None-Match" not in server.requests[1]


async def test_a_304_that_was_not_asked_for_is_a_failure(server, client):
    server.pages["/a.ics"] = answer(status="304 Not Modified")
    assert "HTTP status 304" in (await read(f"{server.url}/a.ics", Copy(), {}, client, NOW, judged)).error


async def test_new_stamps_are_no_news_and_another_name_is(server, client):
    url = f"{server.url}/a.ics"
    server.pages["/a.ics"] = answer(calendar())
    first = await read(url, Copy(), {}, client, NOW, judged)
    server.pages["/a.ics"] = answer(calendar(stamp="20261121T020000Z"))
    second = await read(url, first, {}, client, LATER, judged)
    assert (second.text, second.changed_at) == (first.text, NOW)
    server.pages["/a.ics"] = answer(calendar("ben"))
    third = await read(url, second, {}, client, LATER, judged)
    assert (third.text, third.changed_at) == (calendar("ben").decode(), LATER)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (answer(b"", "503 Service Unavailable"), "HTTP status 503"),
        (answer(b"<html>please log in</html>"), "not a calendar"),
        (answer(b""), "empty"),
        (answer(calendar()[:-10]), "not whole"),
        (answer(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), "no events"),
        (answer(calendar().replace(b"DTSTART:20261102T090000Z", b"DTSTART:yesterday")), "cannot be read"),
        (answer(calendar().replace(b"ana", b"\xff\xfe")), "not UTF-8"),
        (answer(b"x" * (4 << 20) + b"x"), "larger than the limit"),
        (answer(gzip.compress(b"\0" * (5 << 20)), Content_Encoding="gzip"), "larger than the limit"),
        (answer(b"", "302 Found", Location="file:///etc/passwd"), "not http or https"),
        (answer(b"", "302 Found", Location="http://169.254.169.254/latest/"), "metadata address"),
        (answer(calendar())[:-40], "Not enough data"),
    ],
)
async def test_what_fails_leaves_the_last_good_copy(server, client, page, words):
    server.pages["/a.ics"] = answer(calendar())
    url = f"{server.url}/a.ics"
    good = await read(url, Copy(), {}, client, NOW, judged)

    async def half(_headers, writer):
        writer.write(page)
        await writer.drain()

    server.pages["/a.ics"] = half if words.startswith("Not enough") else page
    after = await read(url, good, {}, client, LATER, judged)
    assert words.lower() in after.error.lower()
    assert (after.text, after.confirmed_at, after.failing_since) == (good.text, NOW, LATER)


async def test_user_and_password_of_the_address_are_sent_and_never_told(server, client):
    url = server.url.replace("//", "//ana:s3cret@") + "/secret-of-more-than-24-letters.ics"
    after = await read(url, Copy(), {}, client, NOW, judged)
    assert server.requests[0]["Authorization"] == "Basic YW5hOnMzY3JldA=="
    assert "404" in after.error
    assert "s3cret" not in after.error


async def test_packed_answers_are_asked_for_and_unpacked(server, client):
    server.pages["/a.ics"] = answer(gzip.compress(calendar()), Content_Encoding="gzip")
    assert (await read(f"{server.url}/a.ics", Copy(), {}, client, NOW, judged)).text == calendar().decode()
    assert server.requests[0]["Accept-Encoding"] == "gzip"


async def test_the_metadata_service_is_not_asked(client):
    after = await read("http://169.254.169.254/a.ics", Copy(), {}, client, NOW, judged)
    assert "never asked" in after.error


async def test_the_child_judges_the_same():
    text = calendar().decode()
    assert await judged_by_a_child(text, text) == Verdict("", True)
    assert await judged_by_a_child("<html>", text) == await judged("<html>", text)
