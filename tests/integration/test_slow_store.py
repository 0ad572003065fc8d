"""Slack waits three seconds for an answer to a click: with a database that needs one for each commit as well."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiosqlite
import pytest
import uvicorn
from core_world import NOW, WORLD, alert, opened
from fake_slack import FakeSlack
from slack_world import WallClock, desks, settings, until
from steps_world import Clock, Watcher, rendered

from bot import pipeline
from bot.commands import Desk
from bot.incidents.model import State
from bot.joint import Update
from bot.renderings import Renderings
from bot.slack.app import SlackApp
from bot.store.database import Database

ANA = "U0ANA"
SLACK_WAITS = 3.0


class Slow:
    """Each commit takes a second, one after the other, once it is `on`."""

    def __init__(self, monkeypatch) -> None:
        self.on = False
        self.commits = 0
        at_once = aiosqlite.Connection.commit

        async def commit(connection):
            if self.on:
                self.commits += 1
                await asyncio.sleep(1.0)
            await at_once(connection)

        monkeypatch.setattr(aiosqlite.Connection, "commit", commit)


@contextlib.asynccontextmanager
async def listening(asgi):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(asgi, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/slack/events"
        server.should_exit = True
        await task


@pytest.fixture(params=["socket", "http"])
async def world(request, tmp_path, monkeypatch):
    """The workspace, which gives up after three seconds as Slack does, the store, and what makes it slow."""
    slow = Slow(monkeypatch)
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack())
        store = Database("sqlite:///pager.db", tmp_path)
        await store.open()
        stack.push_async_callback(store.close)
        watcher = Watcher()
        watcher.answer = rendered()
        renderings = Renderings(store, watcher, Clock(), lambda _: None)
        desk = Desk(store, renderings, Clock(), lambda: WORLD, lambda _: {}, lambda _: None)
        firing = opened(alert()).alerts[0]
        await pipeline.observe(store, Update(group=firing.group, evaluated_at=NOW, alerts=(firing,)), WORLD, NOW)
        app = SlackApp(settings(slack, request.param), desks(desk), WallClock(), memory=store)
        if request.param == "http":
            slack.events_url = await stack.enter_async_context(listening(app.asgi))
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)
        deliver = slack.deliver
        monkeypatch.setattr(slack, "deliver", lambda kind, payload: deliver(kind, payload, SLACK_WAITS))
        slow.on = True
        yield slack, store, slow
        slow.on = False


async def test_an_acknowledgement_is_on_disk_when_slack_is_answered(world):
    slack, store, slow = world
    answer = await slack.command(ANA, "ack INC-1")
    assert answer["acked"]
    assert answer["payload"]["text"].startswith("INC-1 is yours")
    assert (await store.incident("INC-1")).state is State.ACKED
    assert slow.commits >= 1


async def test_of_several_at_once_each_is_answered_in_time_and_told_what_became_of_it(world):
    """The last of them waits for the commits of the others: it is told that it is not recorded yet, and later that it
    is. Nothing is carried out twice."""
    slack, store, _ = world
    answers = await asyncio.gather(*(slack.command(ANA, f"note INC-1 word {number}") for number in range(5)))
    assert all(answer["acked"] for answer in answers)
    at_once = [answer["payload"]["text"] for answer in answers]
    late = [text for text in at_once if text.startswith("Not recorded yet")]
    done = [text for text in at_once if "written down" in text]
    assert late
    assert done
    assert len(late) + len(done) == 5
    await until(lambda: len(slack.responses) == len(late), 20.0)
    assert all("written down" in response["text"] for response in slack.responses)
    notes = (await store.incident("INC-1")).notes
    assert sorted(note.text for note in notes) == [f"word {number}" for number in range(5)]
