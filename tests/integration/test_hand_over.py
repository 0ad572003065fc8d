"""Notes for the next shift, from the button of a hand-over to the message with them, against a small Slack."""

from __future__ import annotations

import contextlib
import json

import pytest
from core_world import BOOK, NOW
from fake_slack import FakeSlack
from integration.test_pipeline import Town
from slack_world import desks, settings, until

from bot import pipeline
from bot.bookkeeping import Bookkeeper
from bot.errors import UsageError
from bot.paging.model import Page, PageKind
from bot.ports import Actor
from bot.settings import Digest
from bot.slack.app import SlackApp
from bot.slack.client import SlackMessenger

CHANNEL, ANA, STRANGER = "#payments-agents", "U0ANA", "U0NOBODY"
ANA_ACTS = Actor("person:ana", "Ana", "slack")
HANDOVER = Page(
    id="notice.handover.primary.1793782800",
    incident=None,
    kind=PageKind.HANDOVER,
    channel=CHANNEL,
    due_at=NOW,
    text="Hand-over of primary: Ana to Ben\nOpen now\n• nothing",
    reason="hand-over of a shift",
)


class Workspace:
    def __init__(self, town: Town, slack: FakeSlack, records: Bookkeeper) -> None:
        self.town, self.slack, self.records = town, slack, records

    async def window(self, user: str = ANA) -> str:
        (message,) = self.slack.posted(CHANNEL)
        await self.slack.click(user, "duty.notes", CHANNEL, message["ts"])
        await until(lambda: self.slack.views)
        return list(self.slack.views)[-1]

    async def notes(self) -> list[Page]:
        pages = [page async for page in _pages(self.town)]
        return [page for page in pages if page.id != HANDOVER.id]


async def _pages(town: Town):
    async with town.store.reading() as connection:
        rows = await connection.exec_driver_sql("SELECT doc FROM pages WHERE incident IS NULL ORDER BY id")
        for (doc,) in rows.all():
            yield Page.model_validate_json(doc)


@pytest.fixture
async def world(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack())
        town = Town(tmp_path)
        town.slack = SlackMessenger(settings(slack), lambda: BOOK, town.clock)
        stack.push_async_callback(town.slack.close)
        await town.open()
        stack.push_async_callback(town.crash)
        records = Bookkeeper(
            town.store, town.clock, lambda: town.world, tuple, Digest, town.store.incident, town.outbox.wake
        )
        app = SlackApp(settings(slack), desks(town.desk, records=records), town.clock)
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)
        await pipeline.announce(town.store, HANDOVER, NOW)
        town.outbox.wake()
        await until(lambda: slack.posted(CHANNEL))
        yield Workspace(town, slack, records)


async def test_notes_are_posted_beside_the_hand_over_with_who_wrote_them(world):
    answer = await world.slack.submit(ANA, await world.window(), {"text": "queue is slow\n<!channel> look at INC-7"})
    assert answer["acked"]
    await until(lambda: len(world.slack.posted(CHANNEL)) == 2)
    message = world.slack.posted(CHANNEL)[1]
    assert message["text"] == "🤝 Ana, notes on: Hand-over of primary: Ana to Ben"
    written = json.dumps(message["blocks"], ensure_ascii=False)
    assert "queue is slow\\n&lt;!channel&gt; look at INC-7" in written
    assert "duty.notes" not in written
    (entry,) = [row for _, row, _ in await world.town.store.audit_rows(HANDOVER.id) if row.action == "handover.noted"]
    assert (entry.actor, entry.why) == ("person:ana", "queue is slow\n<!channel> look at INC-7")


async def test_the_same_window_submitted_twice_posts_once(world):
    window = await world.window()
    view = world.slack.views[window]
    for _ in range(2):
        world.slack.views[window] = view  # Slack had no answer the first time
        await world.slack.submit(ANA, window, {"text": "queue is slow"})
    assert len(await world.notes()) == 1


async def test_nothing_written_is_said_in_the_window(world):
    answer = await world.slack.submit(ANA, await world.window(), {"text": "  \n "})
    assert answer["payload"]["errors"] == {"duty.notes": "nothing is written; say what the next one has to know"}
    assert await world.notes() == []


async def test_strangers_write_nothing(world):
    (message,) = world.slack.posted(CHANNEL)
    await world.slack.click(STRANGER, "duty.notes", CHANNEL, message["ts"])
    await until(lambda: world.slack.responses)
    assert world.slack.views == {}


async def test_what_is_no_hand_over_takes_no_notes(world):
    with pytest.raises(UsageError, match="that hand-over is not known any more"):
        await world.records.hand_on(ANA_ACTS, "notice.handover.other.1", "x")
    with pytest.raises(UsageError, match="the notes have 2001 characters, 2000 at most"):
        await world.records.hand_on(ANA_ACTS, HANDOVER.id, "x" * 2001)
