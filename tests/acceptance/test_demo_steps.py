"""A runbook worked through on a phone: real clicks in Chromium, a real outbox, desk and database behind them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from browsing import PHONE, chromium, fits, opened
from core_world import WORLD, alert
from core_world import opened as incident_of
from slack_world import desks
from steps_world import STEPS, Watcher, rendered

from bot import pipeline
from bot.commands import Desk
from bot.demo.cast import PEOPLE, scene
from bot.demo.workspace import Workspace
from bot.joint import Update
from bot.outbox import Outbox
from bot.renderings import Renderings
from bot.runbooks.rendered import CheckResult, Verdict
from bot.settings import Slack
from bot.slack.app import SlackApp
from bot.slack.client import SlackMessenger
from bot.store.database import Database

pytestmark = pytest.mark.interop

ANA, BEN = PEOPLE[0].id, PEOPLE[1].id
CHANNEL = "#agent-pages"
STEP_SECONDS = 20
MINUTE = timedelta(minutes=1)


class Clock:
    def now(self):
        return datetime.now(UTC)  # noqa: TID251


def world():
    people = {
        **WORLD.book.people,
        "ana": WORLD.book.people["ana"].model_copy(update={"slack": ANA, "name": "Ana Ruiz"}),
        "ben": WORLD.book.people["ben"].model_copy(update={"slack": BEN, "name": "Ben Cole"}),
    }
    teams = {"payments": WORLD.book.teams["payments"].model_copy(update={"channel": CHANNEL})}
    agents = {name: agent.model_copy(update={"channel": CHANNEL}) for name, agent in WORLD.agents.items()}
    book = WORLD.book.model_copy(update={"people": people, "teams": teams})
    return type(WORLD)(agents, book, CHANNEL)


@contextlib.asynccontextmanager
async def serving(tmp_path):
    """A workspace with one incident in it: (its address, store, watcher)."""
    async with contextlib.AsyncExitStack() as stack:
        workspace = Workspace(scene())
        await workspace.start(0)
        stack.push_async_callback(workspace.stop)
        app = workspace.world.app
        settings = Slack(
            mode="socket", bot_token=app.bot_token, app_token=app.app_token, signing_secret=app.signing_secret,
            channel=CHANNEL, api_url=f"{workspace.url}/api/",
        )  # fmt: skip
        store = Database("sqlite:///pager.db", tmp_path)
        await store.open()
        stack.push_async_callback(store.close)
        known, clock, watcher = world(), Clock(), Watcher()
        watcher.answer = rendered(rendered_at=clock.now())
        messenger = SlackMessenger(settings, lambda: known.book, clock)
        stack.push_async_callback(messenger.close)
        renderings = Renderings(store, watcher, clock, lambda _: outbox.wake())
        outbox = Outbox(store, messenger, renderings, clock, lambda: known, lambda _: {})
        desk = Desk(store, renderings, clock, lambda: known, lambda _: {}, lambda _: outbox.wake())
        slack = SlackApp(settings, desks(desk), clock)
        await slack.start()
        stack.push_async_callback(slack.stop)
        running = asyncio.create_task(outbox.run())
        stack.push_async_callback(outbox.stop)
        stack.callback(running.cancel)
        now = clock.now()
        firing = incident_of(alert()).alerts[0].model_copy(update={"starts_at": now})
        await pipeline.observe(store, Update(group=firing.group, evaluated_at=now, alerts=(firing,)), known, now)
        outbox.wake()
        yield workspace.url, store, watcher


async def until(holds):
    async with asyncio.timeout(STEP_SECONDS):
        while not await holds():
            await asyncio.sleep(0.05)


def button(words):
    return f"button:visible:text-is('{words}')"


async def test_a_runbook_is_worked_through_with_one_thumb(tmp_path):
    async with serving(tmp_path) as (url, store, watcher), chromium() as browser:

        async def marks():
            return {mark.step: mark.state for mark in (await store.incident("INC-1")).progress}

        phone = await opened(browser, url, PHONE, person=ANA)
        await phone.click(button("Acknowledge"))
        # The question, its answers right below it.
        await phone.click(button("Credential"))
        await phone.wait_for_selector("text=Runbook 1/5 done.")
        await phone.wait_for_selector("text=2 · What is broken?: done by Ana Ruiz")
        await phone.wait_for_selector("pre:has-text('rotate crm')")
        await fits(phone)
        # The command, and what its check says after it.
        passing = STEPS[0].model_copy(update={"check": CheckResult(verdict=Verdict.PASS, value="2 %", want="< 5 %")})
        watcher.answer = rendered(steps=(passing, *STEPS[1:]), likely_step=None, rendered_at=Clock().now() + MINUTE)
        await phone.click(button("Step 4 done"))
        await phone.wait_for_selector("text=4 · Rotate: done by Ana Ruiz")
        await phone.wait_for_selector("text=Since then: ✅ Tool crm: 2 % (want < 5 %)")
        assert await marks() == {"which": "done", "rotate": "done"}
        # Somebody else sees the same.
        other = await opened(browser, url, PHONE, person=BEN)
        await other.wait_for_selector("text=4 · Rotate: done by Ana Ruiz")
        # The window: a step failed, a fault told, a hand-off written.
        await phone.click(button("Runbook"))
        await phone.wait_for_selector("#modal[open] >> text=3 · Look")
        await fits(phone)
        await phone.click("#modal >> " + button("Failed"))
        await phone.wait_for_selector("#modal >> text=failed by Ana Ruiz")
        await phone.click("#modal >> " + button("Wrong or missing step…"))
        await phone.click("#modal >> text=Something is missing")
        await phone.select_option("#modal select", label="4 · Rotate")
        await phone.fill("#modal textarea", "say where the token lies")
        await phone.click("#modal >> " + button("Send"))
        await phone.wait_for_selector("#modal >> text=filed for the owner of the runbook")
        await phone.click("#modal >> " + button("Write the hand-off…"))
        await phone.fill("#modal textarea >> nth=0", "the token is new <!channel>")
        await phone.click("#modal >> " + button("Write it down"))
        await phone.wait_for_selector("#modal >> text=6 · Hand over: done by Ana Ruiz")
        # Help: asked first, then Ben is paged.
        await phone.click("#modal >> " + button("Escalate to level 2"))
        await phone.wait_for_selector("text=Page level 2?")
        await phone.click("#confirm >> " + button("Page"))
        await phone.wait_for_selector("#modal >> text=5 · Get help: done by Ana Ruiz")
        await until(lambda: _paged(store, "ben"))
        incident = await store.incident("INC-1")
        assert {mark.step: mark.state for mark in incident.progress} == {
            "which": "done",
            "rotate": "done",
            "look": "failed",
            "hand": "done",
            "up": "done",
        }
        assert [note.text for note in incident.notes] == ["What changed?: the token is new <!channel>"]
        assert incident.readers == ("person:ana",)
        (fault,) = incident.faults
        assert (fault.step, fault.kind) == ("rotate", "missing")
        assert phone.problems == []


async def _paged(store, person):
    return any(page.person == person and page.ts for page in await store.pages_of("INC-1"))
