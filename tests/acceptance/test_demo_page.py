"""The demo's page in a real browser: a page arrives, somebody acknowledges it, the app hears of it."""

import asyncio
import json

import aiohttp
import pytest
import pytest_asyncio
from browsing import DESK, PHONE, chromium, opened
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.cast import PEOPLE, scene
from bot.demo.workspace import Workspace

pytestmark = pytest.mark.interop

ANA, BEN = PEOPLE[0].id, PEOPLE[1].id

PAGE = [
    {"type": "header", "text": {"type": "plain_text", "text": "🔴 CRITICAL · refund-agent: tool errors 38%"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": f"<@{ANA}> *Impact:* no `refunds` &lt;b&gt;x&lt;/b&gt;"}},
    {
        "type": "actions",
        "block_id": "a1",
        "elements": [
            {
                "type": "button",
                "action_id": "inc.ack",
                "style": "primary",
                "value": "INC-1|1",
                "text": {"type": "plain_text", "text": "Acknowledge"},
            }
        ],
    },
]


class Recorder:
    """A panel that only notes what was asked of it."""

    def __init__(self):
        self.asked = []

    def state(self):
        agent = {"id": "refund-agent", "title": "Refund agent", "does": "Refunds", "owner": "payments", "alive": True}
        agent |= {"signature": "tool_down", "failures": [], "url": "", "menu": "agents"}
        failures = [{"id": "tool_down", "title": "Tool down"}, {"id": "data_stale", "title": "Data stale"}]
        menus = {"agents": [{"heading": "Tools and data", "failures": failures}]}
        return {"intro": "Break one.", "agents": [agent], "menus": menus, "notes": ["Waits are 15s here."]}

    async def act(self, target, action):
        self.asked.append((target, action))


@pytest_asyncio.fixture
async def recorder():
    return Recorder()


@pytest_asyncio.fixture
async def workspace(recorder):
    workspace = Workspace(scene(), panel=recorder)
    await workspace.start(0)
    yield workspace
    await workspace.stop()


@pytest_asyncio.fixture
async def app(workspace):
    """The app's two ends: its Web API client, and a queue of what the workspace sent it."""
    session = aiohttp.ClientSession()
    client = AsyncWebClient(workspace.world.app.bot_token, base_url=f"{workspace.url}/api/", session=session)
    heard = asyncio.Queue()

    async def listen(socket, request):
        if request.payload.get("actions", [{}])[0].get("value") != "ignore":
            await socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if request.payload.get("event", {}).get("type") != "app_home_opened":
            await heard.put(request)

    socket = SocketModeClient(workspace.world.app.app_token, web_client=client)
    socket.socket_mode_request_listeners.append(listen)
    await socket.connect()
    yield client, heard
    await socket.close()
    await session.close()


@pytest_asyncio.fixture
async def browser():
    async with chromium() as browser:
        yield browser


async def test_a_page_arrives_live_is_drawn_and_its_click_reaches_the_app(browser, workspace, app):
    client, heard = app
    page = await opened(browser, workspace.url, DESK)

    await client.chat_postMessage(channel=ANA, text="CRITICAL refund-agent", blocks=PAGE)
    await page.click(".toast button")
    assert await page.inner_text(".b-header") == "🔴 CRITICAL · refund-agent: tool errors 38%"
    assert await page.inner_text(".b-text") == "@Ana Ruiz Impact: no refunds <b>x</b>"
    assert await page.inner_text(".b-text strong") == "Impact:"
    await page.click("button:text-is('Acknowledge')")
    click = (await asyncio.wait_for(heard.get(), 10)).payload
    await client.chat_update(channel=click["channel"]["id"], ts=click["message"]["ts"], text="ACKED by Ana", blocks=[])
    await page.wait_for_selector("text=ACKED by Ana")

    assert (click["user"]["id"], click["actions"][0]["value"]) == (ANA, "INC-1|1")
    assert await page.is_visible(".edited")
    assert page.problems == []


async def test_somebody_else_is_paged_and_the_visitor_can_become_them(browser, workspace, app):
    client, _ = app
    page = await opened(browser, workspace.url, DESK)

    await client.chat_postMessage(channel=BEN, text="ESCALATED to you")
    await page.click("text=Switch to Ben")
    await page.wait_for_selector("#messages >> text=ESCALATED to you")

    assert "Ben Cole" in await page.inner_text(".you")
    assert page.problems == []


async def test_a_thread_takes_a_mention_and_an_unacknowledged_click_says_so(browser, workspace, app, monkeypatch):
    monkeypatch.setattr("bot.demo.delivery.ACK_SECONDS", 0.3)
    client, heard = app
    page = await opened(browser, workspace.url, DESK)
    ignored = json.loads(json.dumps(PAGE).replace("INC-1|1", "ignore"))
    posted = await client.chat_postMessage(channel="#agent-pages", text="card", blocks=ignored)
    await client.chat_postMessage(channel="#agent-pages", thread_ts=posted["ts"], text="the runbook")

    await page.click(".replies")
    await page.click("#thread .suggestion")
    event = (await asyncio.wait_for(heard.get(), 10)).payload["event"]
    await page.click("#messages button:text-is('Acknowledge')")
    await page.wait_for_selector("#messages .problem:not(:empty)")

    assert (event["type"], event["text"], event["thread_ts"]) == ("app_mention", "<@U0AGENTPAGER> ack", posted["ts"])
    assert "operation_timeout" in await page.inner_text("#messages .problem")


async def test_a_page_is_answered_by_a_word_in_the_direct_message(browser, workspace, app):
    client, heard = app
    posted = await client.chat_postMessage(channel=ANA, text="page", blocks=PAGE)
    page = await opened(browser, workspace.url, DESK)

    await page.click("#side .row:has(.mark:text-is('●'))")
    await page.click("#composer .suggestion:text-is('ack')")
    alone = (await asyncio.wait_for(heard.get(), 10)).payload["event"]
    await page.hover("#messages article")
    await page.click("#messages .start-thread")
    await page.click("#thread .suggestion:text-is('ack')")
    below = (await asyncio.wait_for(heard.get(), 10)).payload["event"]

    assert (alone["type"], alone["channel_type"], alone["user"], alone["text"]) == ("message", "im", ANA, "ack")
    assert ("thread_ts" in alone, below["thread_ts"]) == (False, posted["ts"])
    assert page.problems == []


async def test_a_button_that_asks_first_counts_only_once_it_is_confirmed(browser, workspace, app):
    client, heard = app
    asked = {"title": "Resolve INC-1?", "text": "This closes it.", "confirm": "Resolve", "deny": "Go back"}
    blocks = json.loads(json.dumps(PAGE))
    blocks[-1]["elements"][0]["confirm"] = {key: {"type": "plain_text", "text": text} for key, text in asked.items()}
    await client.chat_postMessage(channel="#agent-pages", text="card", blocks=blocks)
    page = await opened(browser, workspace.url, DESK)

    await page.click("#messages button:text-is('Acknowledge')")
    assert (await page.inner_text("#confirm")).split("\n")[0] == "Resolve INC-1?"
    await page.click("#confirm button:text-is('Go back')")
    assert heard.empty()
    await page.click("#messages button:text-is('Acknowledge')")
    await page.click("#confirm button:text-is('Resolve')")
    click = (await asyncio.wait_for(heard.get(), 10)).payload

    assert click["actions"][0]["action_id"] == "inc.ack"
    assert heard.empty()


async def test_everything_is_reachable_on_a_phone(browser, workspace, app, recorder):
    client, heard = app
    await client.chat_postMessage(channel=ANA, text="page", blocks=PAGE)
    page = await opened(browser, workspace.url, PHONE)

    await page.click("#menu")
    await page.click("#side .row:has(.mark:text-is('●'))")
    await page.click("button:text-is('Acknowledge')")
    await asyncio.wait_for(heard.get(), 10)
    await page.click("#open-panel")
    await page.click("text=Tool down")
    await page.wait_for_function("document.documentElement.scrollWidth <= 390")

    assert recorder.asked == [("refund-agent", "tool_down")]
    assert "15s" in await page.inner_text(".notes")
    assert page.problems == []
