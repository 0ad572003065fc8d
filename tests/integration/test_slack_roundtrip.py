"""A page posted, clicked and edited over real sockets, in Socket Mode and over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import uvicorn
from fake_slack import FakeSlack
from slack_world import ANA, CHANNEL, FakeCommands, WallClock, incident, messenger, page, settings, until

from bot.paging.model import PageKind
from bot.slack.app import SlackApp


@contextlib.asynccontextmanager
async def serving(slack, commands, mode, **options):
    app = SlackApp(settings(slack, mode), commands, WallClock(), **options)
    async with contextlib.AsyncExitStack() as stack:
        if mode == "http":
            port = await stack.enter_async_context(_served(app.asgi))
            slack.events_url = f"http://127.0.0.1:{port}/slack/events"
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)
        yield app


@contextlib.asynccontextmanager
async def _served(asgi):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(asgi, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve([listening]))
        await until(lambda: server.started)
        yield listening.getsockname()[1]
        server.should_exit = True
        await task


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_posted_card_can_be_acknowledged_by_its_button(mode):
    async with FakeSlack() as slack:
        commands = FakeCommands()
        client = messenger(slack, commands)
        posted = await client.post(page(PageKind.CARD, channel=CHANNEL), incident(), None, None)
        async with serving(slack, commands, mode):
            answer = await slack.click(ANA.slack, "inc.ack", CHANNEL, posted.ts)
        assert answer["acked"]
        assert commands.calls[0][:3] == ("ack", "person:ana", "INC-7")
        await client.close()
