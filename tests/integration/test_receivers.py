"""Receivers over a real store, the real courier and a real connection: what is told, refused, lost and told again. The
clock is set by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from core_world import BOOK, GROUP, NOW, WORLD, alert, ended
from hand_clock import HandClock
from webhook_receiver import Receiver, receiver

from bot import delivery, pipeline
from bot.channels.switch import SecondChannels
from bot.commands import Desk
from bot.courier import Courier
from bot.errors import RemoteError
from bot.incidents.decision import World
from bot.joint import Update
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Actor
from bot.renderings import Renderings
from bot.settings import Settings
from bot.store.database import Database

ANA = Actor("person:ana", "Ana", "slack", BOOK.people["ana"])


class NoWatcher:
    async def ask(self, method: str, params: dict, seconds: float) -> None:
        raise RemoteError("the watcher is not running", code="watcher_down")


class Town:
    """One receiver, `there`; `world` and the courier's settings come from the same configuration."""

    def __init__(self, folder: Any, there: Receiver, **changes: object) -> None:
        self.clock, self.there, self.folder = HandClock(NOW), there, folder
        self.configure(url=f"http://127.0.0.1:{there.port}/", **changes)
        self.store = Database("sqlite:///pager.db", folder)
        self.channels = SecondChannels(lambda: self.settings, lambda: self.world.book, folder, self.clock)

    def configure(self, **changes: object) -> None:
        receivers = {"tickets": {"allow_private": True, **changes}} if changes else {}
        self.settings = Settings.model_validate({"notify": {"receivers": receivers}})
        self.world: World = replace(WORLD, receivers=self.settings.notify.receivers)

    async def __aenter__(self) -> Town:
        await self.store.open()
        renderings = Renderings(self.store, NoWatcher(), self.clock, on_late=lambda: None)
        self.courier = Courier(
            self.store, self.channels, renderings, self.clock, lambda: self.world, lambda _: {"oncall": []}
        )
        self.desk = Desk(self.store, renderings, self.clock, lambda: self.world, lambda _: {}, lambda _: None)
        self.task = asyncio.create_task(self.courier.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await self.courier.stop()
        await asyncio.wait({self.task}, timeout=5)
        self.channels.close()
        await self.store.close()

    async def see(self, *alerts: Any) -> None:
        update = Update(group=GROUP, evaluated_at=self.clock.now(), alerts=tuple(alerts))
        await pipeline.observe(self.store, update, self.world, self.clock.now())
        self.courier.wake()

    async def rows(self) -> list[Page]:
        async with self.store.transaction() as tx:
            pages = await tx.pages_of("INC-1")
        return [page for page in pages if page.kind is PageKind.STATUS]

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.there.requests]

    async def until(self, holds: Callable[[list[Page]], bool]) -> list[Page]:
        for _ in range(600):
            self.courier.wake()
            rows = await self.rows()
            if holds(rows):
                return rows
            await asyncio.sleep(0.01)
        raise AssertionError(f"{[(row.id, row.state, row.error) for row in rows]}")

    async def settled(self) -> list[Page]:
        over = {PageState.SENT, PageState.CANCELLED, PageState.FAILED}
        return await self.until(lambda rows: bool(rows) and all(row.state in over for row in rows))


@pytest.fixture
async def town(tmp_path):
    async with receiver() as there, Town(tmp_path, there) as town:
        yield town


FIRING = alert()


async def test_it_is_told_of_the_beginning_and_the_end_whoever_has_the_incident(town):
    await town.see(FIRING)
    await town.settled()
    await town.desk.ack(ANA, "INC-1")
    town.clock.advance(minutes=9)
    await town.see(ended(FIRING, town.clock.now()))
    rows = await town.settled()
    assert [(body["status"], len(body["alerts"])) for body in town.told()] == [("firing", 1), ("resolved", 1)]
    assert town.told()[1]["alerts"][0]["endsAt"] == "2026-11-04T02:09:00Z"
    assert {row.channel for row in rows} == {"receiver:tickets"}
    assert await town.store.outdated() == [], "what was told is not edited"
    actions = [entry.action for row in rows for _, entry, _ in await town.store.audit_rows(row.id)]
    assert actions == ["page.sent", "page.sent"]


async def test_the_end_does_not_wait_for_a_rest_as_messages_to_people_do(town):
    await town.see(FIRING)
    await town.settled()
    await town.see(ended(FIRING, town.clock.now()))
    await town.settled()
    assert [body["status"] for body in town.told()] == ["firing", "resolved"]


async def test_one_that_is_down_is_told_the_latest_once_when_it_is_up(town):
    answers = iter([503, 502])
    town.there.answer = lambda: web.Response(status=next(answers, 200))
    await town.see(FIRING)
    await town.until(lambda rows: rows[0].attempt == 1 and rows[0].state is PageState.DUE)
    joined = alert("Slow", labels={"severity": "warning"})
    await town.see(FIRING, joined)
    for _ in range(4):
        town.clock.advance(minutes=5)
        await asyncio.sleep(0.05)
        town.courier.wake()
    rows = await town.settled()
    assert [row.state for row in rows if row.state is PageState.SENT] == [PageState.SENT]
    assert [one["labels"]["alertname"] for one in town.told()[-1]["alerts"]] == ["ErrorsHigh", "Slow"]


async def test_a_refusal_for_good_wakes_nobody_and_goes_nowhere_else(town):
    town.there.answer = lambda: web.Response(status=410, text="gone")
    await town.see(FIRING)
    (row,) = await town.settled()
    assert (row.state, "410" in row.error) == (PageState.FAILED, True)
    async with town.store.transaction() as tx:
        pages = await tx.pages_of("INC-1")
    assert [page.channel for page in pages if page.id.endswith(".again")] == []
    incident = await town.store.incident("INC-1")
    assert incident is not None
    assert incident.step == 0, "nobody else is paged for it"
    # Nothing was told, so the end is no news either.
    await town.see(ended(FIRING, town.clock.now()))
    assert [one.state for one in await town.rows()] == [PageState.FAILED]


async def test_receivers_that_hang_leave_room_for_people(town):
    async def hang() -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    town.there.answer = hang
    entry = {"url": f"http://127.0.0.1:{town.there.port}/", "allow_private": True, "timeout": "20s"}
    async with receiver() as phone:
        person = {**entry, "url": f"http://127.0.0.1:{phone.port}/"}
        notified = {"receivers": {f"r{number}": entry for number in range(20)}, "webhooks": {"phone": person}}
        town.settings = Settings.model_validate({"notify": notified})
        town.world = replace(WORLD, receivers=town.settings.notify.receivers)
        await town.see(FIRING)
        async with asyncio.timeout(10):
            while len(town.there.requests) < 4:
                await asyncio.sleep(0.01)
        page = Page(
            id="INC-1.1.page.ana.phone", incident="INC-1", kind=PageKind.PAGE, step=0, round=0, channel="webhook:phone",
            person="ana", due_at=town.clock.now(), reason="on call",
        )  # fmt: skip
        async with town.store.transaction() as tx:
            await tx.add_pages([page])
        town.courier.wake()
        async with asyncio.timeout(5):
            while not phone.requests:
                await asyncio.sleep(0.01)
        assert len(town.there.requests) == 4
        await town.courier.abandon()


async def test_an_unknown_outcome_is_told_again_with_the_same_id(town):
    ids = []

    async def lose() -> web.Response:
        ids.append(town.there.requests[-1][0].headers["webhook-id"])
        if len(ids) == 1:
            town.there.requests[-1][0].transport.abort()
        return web.Response()

    town.there.answer = lose
    await town.see(FIRING)
    await town.until(lambda rows: rows[0].state is PageState.UNKNOWN)
    town.clock.advance(seconds=21)
    await town.settled()
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_what_was_on_its_way_at_a_crash_is_told_after_it(town):
    town.task.cancel()
    await town.see(FIRING)
    (row,) = await town.rows()
    await delivery.claim(town.store, row.id, town.clock.now())
    town.task = asyncio.create_task(town.courier.run())
    await town.until(lambda rows: rows[0].state is PageState.UNKNOWN)
    town.clock.advance(seconds=21)
    await town.settled()
    assert [body["status"] for body in town.told()] == ["firing"]


async def test_after_a_day_it_is_given_up(town):
    town.there.answer = lambda: web.Response(status=503)
    await town.see(FIRING)
    await town.until(lambda rows: rows[0].attempt == 1 and rows[0].state is PageState.DUE)
    town.clock.advance(days=1, minutes=1)
    (row,) = await town.settled()
    assert (row.state, "given up after a day" in row.error) == (PageState.FAILED, True)


async def test_a_receiver_that_is_taken_out_is_told_nothing_more(town):
    town.task.cancel()
    await town.see(FIRING)
    town.configure()
    town.task = asyncio.create_task(town.courier.run())
    (row,) = await town.settled()
    assert (row.state, town.there.requests) == (PageState.FAILED, [])


async def test_nothing_waits_behind_a_receiver_that_hangs(tmp_path):
    async with receiver() as there, Town(tmp_path, there, timeout="2s") as town:
        town.there.answer = lambda: asyncio.sleep(30, web.Response())
        await town.see(*[alert(f"E{number}", labels={"cause": str(number)}) for number in range(20)])
        page = Page(
            id="X.page.ana",
            incident=None,
            kind=PageKind.PAGE,
            person="ana",
            channel="webhook:none",
            due_at=NOW,
            reason="r",
        )
        async with town.store.transaction() as tx:
            await tx.add_pages([page])
        for _ in range(300):
            town.courier.wake()
            found = await town.store.page(page.id)
            if found is not None and found.state is PageState.FAILED:  # there is no such webhook: it was tried
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError("the page was not tried")
        assert len(town.there.requests) == 1, "one request at a time"


async def test_a_storm_is_told_one_message_an_incident(town):
    alerts = [alert(f"E{number}", labels={"cause": str(number)}) for number in range(60)]
    await town.see(*alerts)
    for _ in range(600):
        town.courier.wake()
        if len(town.there.requests) == 60:
            break
        await asyncio.sleep(0.02)
    assert len({body["groupKey"] for body in town.told()}) == 60


async def test_a_body_of_ones_own_and_a_secret(tmp_path):
    body = (
        '{"key": "{{ secrets.key }}", "what": "{{ status }} {{ incident.id }}", '
        '"names": "{% for one in alerts %}{{ one.labels.alertname }};{% endfor %}"}'
    )
    async with receiver() as there, Town(tmp_path, there, body=body, secrets={"key": 'a "key"'}) as town:
        await town.see(FIRING)
        await town.settled()
        assert town.told() == [{"key": 'a "key"', "what": "firing INC-1", "names": "ErrorsHigh;"}]
        (row,) = await town.rows()
        assert 'a "key"' not in row.text, "no secret is kept with the row"


async def test_an_address_of_the_own_network_is_refused_unless_it_is_allowed(tmp_path):
    async with receiver() as there, Town(tmp_path, there, allow_private=False) as town:
        await town.see(FIRING)
        (row,) = await town.settled()
        assert row.error.startswith("address_denied")
        assert there.requests == []
