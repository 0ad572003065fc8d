"""Windows, menus, the Home tab and files in the demo's workspace, on a phone, as a person uses them."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio
from browsing import DESK, PHONE, chromium, fits, in_direct_message, opened
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.cast import PEOPLE, scene
from bot.demo.state import Shortcut
from bot.demo.workspace import Workspace

pytestmark = pytest.mark.interop

ANA, BEN = PEOPLE[0].id, PEOPLE[1].id
# 1 × 1, grey
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763606060000000040001f61738550000000049454e44ae426082"
)


def text(words):
    return {"type": "plain_text", "text": words}


def option(words, value=""):
    return {"text": text(words), "value": value or words}


OVERFLOW = {
    "type": "actions",
    "block_id": "row",
    "elements": [
        {"type": "button", "action_id": "ack", "text": text("Acknowledge"), "value": "INC-1|1"},
        {
            "type": "overflow",
            "action_id": "more",
            "options": [option("Silence…", "silence"), option("Hand to…", "hand")],
        },
    ],
}


def field(block_id, label, element, **more):
    return {"type": "input", "block_id": block_id, "label": text(label), "element": element, **more}


def window(*blocks, submit="Save", **more):
    shape = {"type": "modal", "callback_id": "w", "title": text("Silence INC-1"), "blocks": list(blocks), **more}
    return shape | ({"submit": text(submit)} if submit else {})


HOURS = [option("30 minutes", "30m"), option("8 hours", "8h")]
WHAT = [option("This alert"), option("All of it")]
TAGS = [option("digest"), option("quiet")]


def entry(kind, **more):
    return {"type": kind, "action_id": "x", **more}


EVERYTHING = window(
    {"type": "section", "block_id": "live", "text": {"type": "mrkdwn", "text": "matches *nothing* yet"}},
    field("long", "How long", entry("static_select", options=HOURS, initial_option=HOURS[0]), dispatch_action=True),
    field("what", "What", entry("radio_buttons", options=WHAT)),
    field("who", "Who", entry("users_select", initial_user=BEN)),
    field("team", "Team", entry("multi_users_select"), optional=True),
    field("agent", "Agent", entry("external_select", min_query_length=1)),
    field("tags", "Tags", entry("checkboxes", options=TAGS), optional=True),
    field("until", "Until", entry("datetimepicker", initial_date_time=1795141080)),
    field("why", "Why", entry("plain_text_input", multiline=True)),
)


class App:
    """Answers what it is sent by `answers[kind]`, a function of the payload, and keeps everything."""

    def __init__(self):
        self.heard = asyncio.Queue()
        self.answers = {}
        self.web = None

    async def listen(self, socket, request):
        kind = request.payload.get("type", request.type)
        answer = self.answers.get(kind)
        payload = answer(request.payload) if answer else None
        await socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id, payload=payload))
        await self.heard.put(request.payload)

    async def next(self, kind):
        while True:
            payload = await asyncio.wait_for(self.heard.get(), 10)
            if payload["type"] == kind or payload.get("event", {}).get("type") == kind:
                return payload


@pytest_asyncio.fixture
async def workspace():
    stage = scene()
    shortcuts = (Shortcut("Add a note", "add_note"),)
    events = ("app_mention", "message.im", "app_home_opened")
    asked = replace(stage.app, has_home=True, shortcuts=shortcuts, events=events)
    asked = replace(asked, scopes=(*asked.scopes, "files:write", "dnd:read", "usergroups:read", "usergroups:write"))
    workspace = Workspace(replace(stage, app=asked))
    await workspace.start(0)
    yield workspace
    await workspace.stop()


@pytest_asyncio.fixture
async def app(workspace):
    app = App()
    async with aiohttp.ClientSession() as session:
        app.web = AsyncWebClient(workspace.world.app.bot_token, base_url=f"{workspace.url}/api/", session=session)
        socket = SocketModeClient(workspace.world.app.app_token, web_client=app.web)
        socket.socket_mode_request_listeners.append(app.listen)
        await socket.connect()
        yield app
        await socket.close()


@pytest_asyncio.fixture
async def phone(workspace, app):
    async with chromium() as browser:
        page = await opened(browser, workspace.url, PHONE, person=ANA)
        yield page
        assert page.problems == []


async def shown_window(app, phone, view):
    """A page's menu opens `view`."""
    await app.web.chat_postMessage(channel=ANA, text="page", blocks=[OVERFLOW])
    await in_direct_message(phone)
    await phone.click("summary[aria-label='More actions']")
    await phone.click("[role=menuitem]:text-is('Silence…')")
    click = await app.next("block_actions")
    opened = await app.web.views_open(trigger_id=click["trigger_id"], view=view)
    await phone.wait_for_selector("#modal[open]")
    return click, opened["view"]


async def test_a_menus_choice_opens_a_window_with_everything_preset_and_it_is_submitted(app, phone):
    app.answers["block_suggestion"] = lambda payload: {"options": [option(f"{payload['value']}-agent")]}
    click, _ = await shown_window(app, phone, EVERYTHING)
    chosen = click["actions"][0]
    assert (chosen["type"], chosen["selected_option"]["value"]) == ("overflow", "silence")

    await phone.click("#modal >> text=All of it")
    await phone.click("#modal summary.choose")
    await phone.click("#modal .multi label:has-text('Chloe')")
    await phone.fill("#modal [role=combobox]", "ref")
    await phone.click("#modal [role=option]")
    await phone.click("#modal >> text=digest")
    await phone.fill("#modal textarea", "the bank migrates")
    await fits(phone)
    await phone.click("#modal button:text-is('Save')")
    values = (await app.next("view_submission"))["view"]["state"]["values"]

    assert {name: value["x"] for name, value in values.items()} == {
        "long": {"type": "static_select", "selected_option": HOURS[0]},
        "what": {"type": "radio_buttons", "selected_option": option("All of it")},
        "who": {"type": "users_select", "selected_user": BEN},
        "team": {"type": "multi_users_select", "selected_users": [PEOPLE[2].id]},
        "agent": {"type": "external_select", "selected_option": option("ref-agent")},
        "tags": {"type": "checkboxes", "selected_options": [option("digest")]},
        "until": {"type": "datetimepicker", "selected_date_time": 1795141080},
        "why": {"type": "plain_text_input", "value": "the bank migrates"},
    }
    await phone.wait_for_selector("#modal", state="hidden")


async def test_what_is_missing_and_what_the_app_refuses_is_said_beside_the_field(app, phone):
    app.answers["view_submission"] = lambda _: {"response_action": "errors", "errors": {"why": "say more"}}
    await shown_window(app, phone, window(EVERYTHING["blocks"][-1]))

    await phone.click("#modal button:text-is('Save')")
    assert await phone.inner_text("[data-block=why] .problem") == "Please complete this required field."
    await phone.fill("#modal textarea", "x")
    await phone.click("#modal button:text-is('Save')")
    await phone.wait_for_selector("[data-block=why] .problem:text-is('say more')")

    assert await phone.is_visible("#modal")
    assert await phone.input_value("#modal textarea") == "x"


async def test_a_choice_updates_the_window_and_keeps_what_was_typed(app, phone):
    _, view = await shown_window(app, phone, window(*EVERYTHING["blocks"][:2], EVERYTHING["blocks"][-1]))

    await phone.fill("#modal textarea", "half a sen")
    await phone.select_option("#modal select", "8h")
    action = (await app.next("block_actions"))["actions"][0]
    live = {"type": "section", "block_id": "live", "text": {"type": "mrkdwn", "text": "matches *1 alert*"}}
    changed = window(live, *EVERYTHING["blocks"][1:2], EVERYTHING["blocks"][-1])
    await app.web.views_update(view_id=view["id"], view=changed)
    await phone.wait_for_selector("#modal >> text=matches 1 alert")

    assert action["selected_option"]["value"] == "8h"
    assert await phone.input_value("#modal textarea") == "half a sen"
    assert await phone.input_value("#modal select") == "8h"


async def test_a_window_above_another_and_back_again(app, phone):
    app.answers["view_submission"] = lambda _: {
        "response_action": "push",
        "view": window({"type": "section", "text": text("sure?")}, submit="", notify_on_close=True),
    }
    await shown_window(app, phone, window(EVERYTHING["blocks"][-1]))

    await phone.fill("#modal textarea", "kept")
    await phone.click("#modal button:text-is('Save')")
    await phone.wait_for_selector("#modal >> text=sure?")
    await phone.click("#modal .buttons button:text-is('Close')")
    closed = await app.next("view_closed")
    await phone.wait_for_selector("#modal textarea")

    assert closed["is_cleared"] is False
    assert await phone.input_value("#modal textarea") == "kept"


async def test_the_home_tab_is_asked_for_published_and_clicked(app, phone):
    await app.web.chat_postMessage(channel=ANA, text="hello")
    await in_direct_message(phone)
    await phone.click("#tabs >> text=Home")
    opened = await app.next("app_home_opened")
    while opened["event"]["tab"] != "home":
        opened = await app.next("app_home_opened")
    home = {"type": "home", "blocks": [{"type": "header", "text": text("You are on call")}, OVERFLOW]}
    published = await app.web.views_publish(user_id=opened["event"]["user"], view=home)
    await phone.wait_for_selector("#home >> text=You are on call")
    await phone.click("#home >> text=Acknowledge")
    click = await app.next("block_actions")

    assert opened["event"]["user"] == ANA
    assert click["container"] == {"type": "view", "view_id": published["view"]["id"]}
    assert click["view"]["type"] == "home"
    await fits(phone)


async def test_a_messages_own_menu_reaches_the_app_with_the_message(app, phone):
    posted = await app.web.chat_postMessage(channel="#agent-pages", text="card")
    await phone.click("summary[aria-label='More message actions']")
    await phone.click("[role=menuitem]:has-text('Add a note')")
    asked = await app.next("message_action")
    opened = await app.web.views_open(trigger_id=asked["trigger_id"], view=window(EVERYTHING["blocks"][-1]))

    assert (asked["callback_id"], asked["message"]["ts"]) == ("add_note", posted["ts"])
    assert opened["ok"]
    await phone.wait_for_selector("#modal[open] textarea")


async def test_an_uploaded_picture_is_seen_in_its_thread(app, phone, workspace):
    posted = await app.web.chat_postMessage(channel="#agent-pages", text="card")
    channel = workspace.world.find_channel("#agent-pages").id
    await app.web.files_upload_v2(
        channel=channel, thread_ts=posted["ts"], content=PICTURE, filename="chart.png", title="Tool errors"
    )
    await phone.click(".replies")
    picture = await phone.wait_for_selector("#thread figure img")

    assert await picture.evaluate("img => img.decode().then(() => img.naturalWidth)") == 1
    assert await phone.inner_text("#thread figcaption") == "Tool errors"


async def test_a_menu_works_at_a_desk_too_and_asks_first_where_it_should(workspace, app):
    sure = {"title": text("Silence?"), "text": text("Nobody is woken."), "confirm": text("Yes"), "deny": text("No")}
    row = {**OVERFLOW, "elements": [{**OVERFLOW["elements"][1], "confirm": sure}]}
    await app.web.chat_postMessage(channel="#agent-pages", text="card", blocks=[row])
    async with chromium() as browser:
        desk = await opened(browser, workspace.url, DESK, person=ANA)
        for answer in ("No", "Yes"):
            await desk.click("summary[aria-label='More actions']")
            await desk.click("[role=menuitem]:text-is('Hand to…')")
            await desk.click(f"#confirm button:text-is('{answer}')")
        click = await app.next("block_actions")

        assert click["actions"][0]["selected_option"]["value"] == "hand"
        assert app.heard.empty()
        assert desk.problems == []
