"""Calendars as a calendar program meets them, over real sockets and a real store."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import icalendar
import pytest
import uvicorn
from core_world import BOOK
from hand_clock import HandClock
from http_world import app_of

from bot.errors import UsageError
from bot.oncall.model import Layer, Override, Schedule
from bot.ports import Actor
from bot.store.database import Database
from bot.subscriptions import CalendarDesk
from bot.web.calendars import links, operations

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
BY_WEEK = Schedule(id="by/week", layers=(Layer(people=("ana", "ben"), start=date(2026, 1, 5)),))
ACTOR = Actor("cli:root", "root", "api")


class Backend:
    def __init__(self, store: Database) -> None:
        self.book = BOOK.model_copy(update={"schedules": {"by/week": BY_WEEK}})
        self.since = NOW
        self.address = "https://pager.example.com/"
        self.clock = HandClock(NOW)
        self.calendars = CalendarDesk(store, self.clock, lambda: self.book, lambda: self.since, lambda: self.address)


@pytest.fixture
async def backend(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    backend = Backend(store)
    backend.store = store
    yield backend
    await store.close()


@pytest.fixture
async def site(backend):
    listener = socket.create_server(("127.0.0.1", 0))
    app = app_of([*operations(backend), *links(backend)])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as session:
        yield session
    server.should_exit = True
    await task


async def get(site, url: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """As from elsewhere: another name, through a proxy."""
    headers = {"Host": "pager.example.com", "X-Forwarded-For": "203.0.113.7"} | headers
    path = aiohttp.client.URL(urlsplit(url).path, encoded=True)
    async with site.get(path, headers=headers) as answer:
        return answer.status, {key.lower(): value for key, value in answer.headers.items()}, await answer.text()


async def test_whoever_has_the_address_reads_the_shifts(backend, site):
    url = await backend.calendars.url("person:ana")
    assert url.startswith("https://pager.example.com/calendar/")
    status, headers, text = await get(site, url)
    assert (status, headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    calendar = icalendar.Calendar.from_ical(text)
    assert str(calendar["X-WR-CALNAME"]) == "Ana: on call"
    events = [(event.start, event.end) for event in calendar.walk("VEVENT")]
    assert (datetime(2026, 11, 9, 9, tzinfo=UTC), datetime(2026, 11, 16, 9, tzinfo=UTC)) in events
    assert (datetime(2026, 11, 16, 9, tzinfo=UTC), datetime(2026, 11, 23, 9, tzinfo=UTC)) not in events
    assert events[0][0] <= NOW - timedelta(days=30)
    assert events[-1][1] >= NOW + timedelta(days=90)
    assert all(str(event["TRANSP"]) == "TRANSPARENT" for event in calendar.walk("VEVENT"))


async def test_an_odd_id_of_a_schedule(backend, site):
    status, _, text = await get(site, await backend.calendars.url("schedule:by/week"))
    assert status == 200
    assert "SUMMARY:by/week: Ben" in text


async def test_the_same_is_not_sent_twice_until_the_rota_changes(backend, site):
    url = await backend.calendars.url("person:ana")
    _, headers, before = await get(site, url)
    backend.clock.time += timedelta(days=2)
    status, _, text = await get(site, url, **{"If-None-Match": f"W/{headers['etag']}"})
    assert (status, text) == (304, "")

    override = Override.model_validate({"person": "cat", "from": "2026-11-24T00:00", "until": "2026-11-25T00:00"})
    schedule = BY_WEEK.model_copy(update={"overrides": (override,)})
    backend.book = backend.book.model_copy(update={"schedules": {"by/week": schedule}})
    backend.since = backend.clock.time
    status, _, text = await get(site, url, **{"If-None-Match": headers["etag"]})
    assert status == 200
    assert uids(text) > uids(before), "her week is cut in two; all others are the events they were"
    assert len(uids(text)) == len(uids(before)) + 1


def uids(text: str) -> set[str]:
    return {str(event["UID"]) for event in icalendar.Calendar.from_ical(text).walk("VEVENT")}


async def test_a_revoked_address_is_nobodys_and_others_stay(backend, site):
    old, other = await backend.calendars.url("person:ana"), await backend.calendars.url("person:ben")
    new = await backend.calendars.revoke("person:ana", ACTOR)
    assert [(await get(site, url))[0] for url in (old, new, other)] == [404, 200, 200]
    (row,) = await backend.store.audit_rows()
    assert (row[1].actor, row[1].action, row[1].subject) == ("cli:root", "calendar.revoked", "person:ana")


async def test_addresses_survive_a_restart(backend):
    before = await backend.calendars.url("person:ana")
    assert await Backend(backend.store).calendars.url("person:ana") == before


async def test_every_refusal_is_the_same(backend, site):
    url = await backend.calendars.url("person:ana")
    token = url.split("/")[-3]
    answers = [
        await get(site, path)
        for path in (
            f"/calendar/{token}/person/ben.ics",
            f"/calendar/{token}/schedule/ana.ics",
            f"/calendar/{token}/team/payments.ics",
            f"/calendar/{token}/person/eve.ics",
            f"/calendar/{token}/person/ana",
            f"/calendar/{token[:-1]}/person/ana.ics",
            "/calendar/x/person/ana.ics",
        )
    ]
    assert {(status, text) for status, _, text in answers} == {
        (404, "there is no such calendar; ask for its address anew\n")
    }


async def test_somebody_who_has_left_the_book_has_no_calendar(backend, site):
    url = await backend.calendars.url("person:ana")
    people = {name: person for name, person in backend.book.people.items() if name != "ana"}
    backend.book = backend.book.model_copy(update={"people": people})
    assert (await get(site, url))[0] == 404


async def test_the_address_itself_is_asked_for_on_this_machine_only(backend, site):
    assert (await get(site, "/api/pager/calendars/person:ana"))[0] == 403
    async with site.get("/api/pager/calendars/person:ana") as answer:
        assert (await answer.json())["url"] == await backend.calendars.url("person:ana")
    async with site.delete("/api/pager/calendars/person:ana", json={"by": "root"}) as answer:
        assert (await answer.json())["url"] == await backend.calendars.url("person:ana")
    async with site.get("/api/pager/calendars/person:eve") as answer:
        assert (answer.status, (await answer.json())["error"]) == (404, 'there is no person "eve" in oncall/')


async def test_without_an_address_of_our_own_there_is_none_of_a_calendar(backend):
    backend.address = ""
    with pytest.raises(UsageError, match=r"set http\.external_url"):
        await backend.calendars.url("person:ana")
