"""From the decision to the picture in the thread, over a real store. The clock is set by hand."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from core_world import GROUP, NOW, WORLD, alert, ended
from hand_clock import HandClock

from bot import delivery, pipeline
from bot.errors import RemoteError
from bot.illustrator import Illustrator
from bot.incidents.model import Incident
from bot.joint import Update
from bot.paging.model import Page, PageState
from bot.ports import Posted
from bot.renderings import Renderings
from bot.store.database import Database

CHART = "INC-1.1.chart"
CARD_AT = Posted("C0PAYMENTS", "1.0")


class Painter:
    """The watcher, as far as charts go."""

    def __init__(self) -> None:
        self.picture = b"PNG"
        self.asked = 0

    async def ask(self, method: str, params: dict, seconds: float) -> dict[str, str]:
        if method != "chart":
            raise RemoteError("the watcher is not running", code="watcher_down")
        self.asked += 1
        return {"svg": "<svg/>" if self.picture else "", "png": b64encode(self.picture).decode()}


class Town:
    """`errors` are raised by the next uploads. Implements ports.Pictures."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock(NOW)
        self.world = replace(WORLD, charts=True)
        self.store = Database("sqlite:///pager.db", folder)
        self.painter = Painter()
        self.errors: list[RemoteError] = []
        self.uploads: list[tuple[str, bytes, Posted]] = []

    async def __aenter__(self) -> Town:
        await self.store.open()
        self.start()
        return self

    def start(self) -> None:
        renderings = Renderings(self.store, self.painter, self.clock, on_late=lambda _: None)
        self.illustrator = Illustrator(self.store, self, renderings, self.clock, lambda: self.world)
        self.task = asyncio.create_task(self.illustrator.run())

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await self.illustrator.stop()
        await asyncio.wait({self.task})
        await self.store.close()

    async def upload(self, incident: Incident, picture: bytes, thread: Posted) -> Posted:
        self.uploads.append((incident.id, picture, thread))
        if self.errors:
            raise self.errors.pop(0)
        return thread

    async def fire(self, *alerts) -> None:
        update = Update(group=GROUP, evaluated_at=self.clock.now(), alerts=alerts or (alert(),))
        await pipeline.observe(self.store, update, self.world, self.clock.now())

    async def slack_took(self, *page_ids: str) -> None:
        for page_id in page_ids:
            claimed = await delivery.claim(self.store, page_id, self.clock.now())
            assert claimed is not None
            await delivery.sent(self.store, claimed[0], CARD_AT, 1, self.clock.now())

    async def later(self, **span: float) -> None:
        self.clock.time += timedelta(**span)
        self.illustrator.wake()

    async def page(self, page_id: str = CHART) -> Page:
        found = await self.store.page(page_id)
        assert found is not None
        return found

    async def until(self, done: Callable[[Page], bool], page_id: str = CHART) -> Page:
        async with asyncio.timeout(10):
            while not done(page := await self.page(page_id)):
                self.illustrator.wake()
                await asyncio.sleep(0.02)
        return page

    async def until_state(self, state: PageState) -> Page:
        return await self.until(lambda page: page.state is state)


@pytest.fixture
async def town(tmp_path):
    async with Town(tmp_path) as made:
        yield made


async def test_the_picture_follows_the_card_and_the_runbook_into_the_thread(town):
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    await town.later(seconds=3)
    page = await town.until_state(PageState.SENT)
    assert town.uploads == [("INC-1", b"PNG", CARD_AT)]
    assert (page.slack_channel, page.ts) == (CARD_AT.channel, CARD_AT.ts)


async def test_it_waits_for_the_card_and_then_for_the_runbook(town):
    await town.fire()
    await town.later(seconds=3)
    await town.until(lambda page: page.due_at > town.clock.now())
    await town.slack_took("INC-1.1.card")
    await town.later(seconds=3)
    await town.until(lambda page: page.due_at > town.clock.now())
    assert town.uploads == []
    await town.slack_took("INC-1.1.runbook")
    await town.later(seconds=3)
    await town.until_state(PageState.SENT)


async def test_without_charts_there_is_no_row_for_one(town):
    town.world = replace(town.world, charts=False)
    await town.fire()
    assert await town.store.page(CHART) is None


@pytest.mark.parametrize(
    "error",
    [
        RemoteError(
            "files.getUploadURLExternal: missing_scope, needs files:write", code="missing_scope", permanent=True
        ),
        RemoteError("files.getUploadURLExternal: unknown_method", code="unknown_method", permanent=True),
    ],
)
async def test_slack_that_takes_no_pictures_is_asked_once_and_pages_go_on(town, error):
    town.errors = [error]
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    await town.later(seconds=3)
    failed = await town.until_state(PageState.FAILED)
    assert error.code in failed.error
    await town.fire(alert(), alert("Other", labels={"cause": "other"}))
    await town.slack_took("INC-2.1.card", "INC-2.1.runbook")
    await town.later(seconds=3)
    second = await town.until(lambda page: page.state is PageState.CANCELLED, "INC-2.1.chart")
    assert error.code in second.error
    assert len(town.uploads) == 1
    assert [page.kind for page in await town.store.on_their_way()] == ["page", "page"]  # no other way is looked for


async def test_what_may_have_landed_is_not_sent_again(town):
    town.errors = [RemoteError("no answer in time", unknown=True)]
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    await town.later(seconds=3)
    await town.until_state(PageState.FAILED)
    await town.later(minutes=5)
    assert len(town.uploads) == 1


async def test_told_to_wait_it_waits(town):
    town.errors = [RemoteError("told to wait", code="ratelimited", retry_after_seconds=30)]
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    await town.later(seconds=3)
    page = await town.until(lambda page: page.due_at > town.clock.now())
    assert (page.state, page.due_at - town.clock.now()) == (PageState.DUE, timedelta(seconds=30))
    await town.later(seconds=30)
    await town.until_state(PageState.SENT)


async def test_what_cannot_be_reached_is_tried_three_times(town):
    town.errors = [RemoteError("cannot be reached", code="unreachable")] * 9
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    await town.later(seconds=3)
    for tries in (1, 2):
        await town.until(lambda page, tries=tries: page.attempt == tries and page.due_at > town.clock.now())
        await town.later(seconds=60)
    await town.until_state(PageState.FAILED)
    assert len(town.uploads) == 3


async def test_a_crash_while_it_is_sent_leaves_it_at_that(town):
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    town.task.cancel()
    await asyncio.wait({town.task})
    assert await delivery.claim(town.store, CHART, town.clock.now()) is not None
    town.start()
    await town.until_state(PageState.FAILED)
    assert town.uploads == []


async def test_nothing_to_draw_is_no_failure(town):
    town.painter.picture = b""
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    await town.later(seconds=3)
    page = await town.until_state(PageState.CANCELLED)
    assert page.error == "there is nothing to draw"


async def test_what_is_over_gets_no_picture(town):
    await town.fire()
    await town.slack_took("INC-1.1.card", "INC-1.1.runbook")
    await town.fire(ended(alert(), town.clock.now()))
    await town.later(seconds=3)
    await town.until_state(PageState.CANCELLED)
    assert town.painter.asked == 0
