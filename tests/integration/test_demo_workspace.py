"""The workspace against Slack's own SDK, over real HTTP and a real websocket."""

import asyncio
import contextlib
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.cast import PEOPLE, scene
from bot.demo.state import Quiet
from bot.demo.workspace import Workspace

ANA, BEN = PEOPLE[0].id, PEOPLE[1].id
PAGES = "CAGENTPAGES"
BUTTONS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*refund-agent* is failing"}},
    {
        "type": "actions",
        "block_id": "a1",
        "elements": [
            {
                "type": "button",
                "action_id": "inc.ack",
                "value": "INC-1|1",
                "text": {"type": "plain_text", "text": "Acknowledge"},
            }
        ],
    },
]


@pytest_asyncio.fixture
async def workspace():
    workspace = Workspace(scene())
    await workspace.start(0)
    yield workspace
    await workspace.stop()


@pytest_asyncio.fixture
async def client(workspace):
    session = aiohttp.ClientSession()
    yield AsyncWebClient(
        workspace.world.app.bot_token, base_url=f"{workspace.url}/api/", session=session, retry_handlers=[]
    )
    await session.close()


@pytest_asyncio.fixture
async def page(workspace):
    """What the browser sends."""
    async with aiohttp.ClientSession(workspace.url) as session:

        async def send(path, **body):
            async with session.post(f"/ui/{path}", json=body) as response:
                return await response.json()

        yield send


@contextlib.asynccontextmanager
async def app_listening(workspace, client, answer=None):
    """A Socket Mode app that acknowledges everything with `answer`; yields the requests it got."""
    requests: asyncio.Queue = asyncio.Queue()

    async def listen(socket, request):
        payload = answer(request) if answer else None
        if payload != "silence":
            await socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id, payload=payload))
        await requests.put(request)

    socket = SocketModeClient(workspace.world.app.app_token, web_client=client)
    socket.socket_mode_request_listeners.append(listen)
    await socket.connect()
    try:
        yield requests
    finally:
        await socket.close()


async def next_of(queue):
    return await asyncio.wait_for(queue.get(), 10)


async def test_the_sdk_reads_who_the_app_is_and_its_scopes(workspace, client):
    answer = await client.auth_test()

    assert answer["user_id"] == "U0AGENTPAGER"
    assert answer["bot_id"] == "B0AGENTPAGER"
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


async def test_wrong_tokens_and_methods_are_refused_in_slacks_words(workspace, client):
    stranger = AsyncWebClient("xoxb-wrong", base_url=f"{workspace.url}/api/")
    for call, code in [
        (stranger.auth_test(), "invalid_auth"),
        (client.api_call("chat.nothing"), "unknown_method"),
        (client.chat_postMessage(channel="#nowhere", text="x"), "channel_not_found"),
        (client.chat_postMessage(channel="#agent-pages", text="x" * 40_001), "msg_too_long"),
        (client.apps_connections_open(app_token=workspace.world.app.bot_token), "not_allowed_token_type"),
    ]:
        with pytest.raises(SlackApiError) as refused:
            await call
        assert refused.value.response["error"] == code


async def test_a_message_is_posted_edited_and_found_again_by_its_metadata(workspace, client):
    metadata = {"event_type": "page", "event_payload": {"page_id": "p-1"}}

    posted = await client.chat_postMessage(channel="#agent-pages", text="hello", blocks=BUTTONS, metadata=metadata)
    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="changed", blocks=BUTTONS[:1])
    history = await client.conversations_history(channel=posted["channel"], include_all_metadata=True)

    [message] = history["messages"]
    assert message["text"] == "changed"
    assert "edited" in message
    assert message["metadata"] == metadata


async def test_a_page_to_a_person_opens_their_direct_message(workspace, client, page):
    opened = await client.conversations_open(users=ANA)
    posted = await client.chat_postMessage(channel=ANA, text="wake up")

    assert posted["channel"] == opened["channel"]["id"]


async def test_blocks_over_slacks_sizes_are_refused_with_the_place(workspace, client):
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]

    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="#agent-pages", text="x", blocks=blocks)

    assert refused.value.response["error"] == "invalid_blocks"
    assert refused.value.response["response_metadata"]["messages"] == [
        "[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]"
    ]


async def test_a_fifth_message_at_once_gets_429_with_retry_after(workspace, client):
    for _ in range(4):
        await client.chat_postMessage(channel="#agent-pages", text="x")

    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="#agent-pages", text="x")

    assert refused.value.response.status_code == 429
    assert refused.value.response["error"] == "ratelimited"
    assert refused.value.response.headers["Retry-After"] == "1"


async def test_a_click_on_the_page_reaches_the_app_and_its_answer_comes_back(workspace, client, page):
    async with app_listening(workspace, client) as requests:
        posted = await client.chat_postMessage(channel=ANA, text="page", blocks=BUTTONS)
        answer = await page(
            "click", **{"as": ANA}, channel=posted["channel"], ts=posted["ts"],
            action={"block_id": "a1", "action_id": "inc.ack"},
        )  # fmt: skip

        request = await next_of(requests)

    assert answer == {}
    assert request.type == "interactive"
    assert request.payload["user"]["id"] == ANA
    assert request.payload["actions"][0]["value"] == "INC-1|1"
    assert request.payload["container"]["message_ts"] == posted["ts"]


async def test_a_click_that_nobody_acknowledges_is_an_error_to_the_person(workspace, client, page, monkeypatch):
    monkeypatch.setattr("bot.demo.delivery.ACK_SECONDS", 0.2)
    click = {"as": ANA, "action": {"block_id": "a1", "action_id": "inc.ack"}}
    posted = await client.chat_postMessage(channel=ANA, text="page", blocks=BUTTONS)

    without_app = await page("click", **click, channel=posted["channel"], ts=posted["ts"])
    async with app_listening(workspace, client, lambda _: "silence"):
        with_silent_app = await page("click", **click, channel=posted["channel"], ts=posted["ts"])

    assert without_app == {"error": "dispatch_failed"}
    assert with_silent_app == {"error": "operation_timeout"}


async def test_a_slash_command_is_answered_to_one_person_only(workspace, client, page):
    def answer(request):
        return {"text": f"you asked {request.payload['text']}"}

    async with app_listening(workspace, client, answer) as requests:
        await page("say", **{"as": ANA}, channel=PAGES, text="/agent status")
        request = await next_of(requests)

    assert request.payload["command"] == "/agent"
    assert [message.text for message in workspace.world.visible(PAGES, ANA)] == ["you asked status"]
    assert workspace.world.visible(PAGES, BEN) == []


async def test_a_response_url_takes_five_answers(workspace, client, page):
    async with app_listening(workspace, client) as requests, aiohttp.ClientSession() as session:
        await page("say", **{"as": ANA}, channel=PAGES, text="/agent help")
        url = (await next_of(requests)).payload["response_url"]
        statuses = []
        for _ in range(6):
            async with session.post(url, json={"text": "hi"}) as response:
                statuses.append(response.status)

    assert statuses == [200] * 5 + [404]


async def test_a_mention_in_a_thread_reaches_the_app_as_an_event(workspace, client, page):
    async with app_listening(workspace, client) as requests:
        posted = await client.chat_postMessage(channel="#agent-pages", text="card")
        await page("say", **{"as": BEN}, channel=PAGES, text="<@U0AGENTPAGER> ack", thread_ts=posted["ts"])
        request = await next_of(requests)

    event = request.payload["event"]
    assert (event["type"], event["user"], event["text"]) == ("app_mention", BEN, "<@U0AGENTPAGER> ack")
    assert event["thread_ts"] == posted["ts"]


async def test_a_modal_opens_by_trigger_once_and_its_submission_is_checked_by_the_app(workspace, client, page):
    view = {
        "type": "modal",
        "callback_id": "resolve",
        "private_metadata": "INC-1|1",
        "title": {"type": "plain_text", "text": "Resolve"},
        "submit": {"type": "plain_text", "text": "Resolve"},
        "blocks": [
            {
                "type": "input",
                "block_id": "note",
                "label": {"type": "plain_text", "text": "Note"},
                "element": {"type": "plain_text_input", "action_id": "text"},
            }
        ],
    }
    refusals = iter([{"response_action": "errors", "errors": {"note": "too short"}}, None])

    def answer(request):
        return next(refusals) if request.payload["type"] == "view_submission" else None

    async with app_listening(workspace, client, answer) as requests:
        posted = await client.chat_postMessage(channel=ANA, text="page", blocks=BUTTONS)
        action = {"block_id": "a1", "action_id": "inc.ack"}
        await page("click", **{"as": ANA}, channel=posted["channel"], ts=posted["ts"], action=action)
        trigger = (await next_of(requests)).payload["trigger_id"]
        opened = await client.views_open(trigger_id=trigger, view=view)
        with pytest.raises(SlackApiError, match="exchanged_trigger_id"):
            await client.views_open(trigger_id=trigger, view=view)
        values = {"note": {"text": {"type": "plain_text_input", "value": "ok"}}}
        submit = {"as": ANA, "view": opened["view"]["id"], "values": values}
        first, second = await page("submit", **submit), await page("submit", **submit)
        submission = await next_of(requests)

    assert submission.payload["view"]["private_metadata"] == "INC-1|1"
    assert submission.payload["view"]["state"]["values"] == values
    assert first == {"errors": {"note": "too short"}}
    assert second == {"errors": {}}
    assert workspace.world.stacks[ANA] == []


async def test_the_sdk_comes_back_after_a_refresh(workspace, client, page, monkeypatch):
    monkeypatch.setattr("bot.demo.delivery.WARNING_SECONDS", 0.1)
    async with app_listening(workspace, client) as requests:
        await workspace.sockets.refresh()
        while not workspace.sockets.connected:
            await asyncio.sleep(0.05)
        await page("say", **{"as": ANA}, channel=PAGES, text="/agent status")

        assert (await next_of(requests)).payload["text"] == "status"


async def test_another_sites_form_cannot_act_as_a_person(workspace):
    async with aiohttp.ClientSession() as session, session.post(f"{workspace.url}/ui/say", data={"as": ANA}) as answer:
        assert answer.status == 415


def allow(workspace, *scopes, **more):
    """The app may do more than its manifest asks for; without scopes, less."""
    workspace.world.app = replace(workspace.world.app, scopes=scopes, **more)


async def refusal(request):
    with pytest.raises(SlackApiError) as refused:
        await request
    return refused.value.response["error"]


async def test_a_file_is_uploaded_in_three_steps_and_shown_by_a_block(workspace, client):
    allow(workspace, "chat:write", "files:write")
    begun = await client.files_getUploadURLExternal(filename="chart.png", length=3)
    picture = {"type": "image", "alt_text": "chart", "slack_file": {"id": begun["file_id"]}}
    done = [{"id": begun["file_id"], "title": "Tool errors"}]

    before = await refusal(client.chat_postMessage(channel=PAGES, text="x", blocks=[picture]))
    unfinished = await refusal(client.files_completeUploadExternal(files=done))
    async with aiohttp.ClientSession() as session:
        async with session.post(begun["upload_url"], data=b"12") as answer:
            short = answer.status
        async with session.post(begun["upload_url"], data=b"123") as answer:
            whole = answer.status
        async with session.post(begun["upload_url"] + "x", data=b"123") as answer:
            stranger = answer.status
    posted = await client.chat_postMessage(channel=PAGES, text="card")
    shared = await client.files_completeUploadExternal(files=done, channel_id=PAGES, thread_ts=posted["ts"])
    await client.chat_postMessage(channel=PAGES, text="x", blocks=[picture])

    assert (before, unfinished) == ("invalid_blocks", "file_not_found")
    assert (short, whole, stranger) == (400, 200, 404)
    assert shared["files"][0]["title"] == "Tool errors"
    [reply] = workspace.world.replies(PAGES, posted["ts"])
    assert reply.files == (begun["file_id"],)


async def test_without_its_scope_a_method_is_refused_and_the_scope_named(workspace, client):
    allow(workspace, "chat:write")
    for request, scope in [
        (client.files_getUploadURLExternal(filename="a.png", length=1), "files:write"),
        (client.dnd_info(user=ANA), "dnd:read"),
        (client.usergroups_users_update(usergroup="S0PAYMENTS", users=[ANA]), "usergroups:write"),
    ]:
        with pytest.raises(SlackApiError) as refused:
            await request
        assert (refused.value.response["error"], refused.value.response["needed"]) == ("missing_scope", scope)


async def test_a_user_group_takes_new_members_but_is_never_empty(workspace, client):
    allow(workspace, "usergroups:read", "usergroups:write")
    await client.usergroups_users_update(usergroup="S0PAYMENTS", users=[ANA, BEN])
    empty = await refusal(client.usergroups_users_update(usergroup="S0PAYMENTS", users=[]))
    unknown = await refusal(client.usergroups_users_update(usergroup="S0NONE", users=[ANA]))

    assert (empty, unknown) == ("no_users_provided", "no_such_subteam")
    assert (await client.usergroups_users_list(usergroup="S0PAYMENTS"))["users"] == [ANA, BEN]
    assert (await client.usergroups_list())["usergroups"][0]["user_count"] == 2


async def test_when_somebodys_notifications_pause_is_told(workspace, client):
    allow(workspace, "dnd:read")
    workspace.world.quiet = {ANA: Quiet("22:00", "08:00")}

    paused, never = await client.dnd_info(user=ANA), await client.dnd_info(user=BEN)

    assert paused["next_dnd_end_ts"] - paused["next_dnd_start_ts"] == 10 * 3600
    assert (never["dnd_enabled"], never["next_dnd_start_ts"]) == (False, 1)


async def test_a_home_tab_is_published_unless_it_is_turned_off(workspace, client):
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    allow(workspace, has_home=True)
    first = await client.views_publish(user_id=ANA, view=view)
    stale = await refusal(client.views_publish(user_id=ANA, view=view, hash="1.stale"))
    again = await client.views_publish(user_id=ANA, view=view, hash=first["view"]["hash"])
    allow(workspace, has_home=False)
    off = await refusal(client.views_publish(user_id=ANA, view=view))

    assert (stale, off) == ("hash_conflict", "not_enabled")
    assert again["view"]["id"] == first["view"]["id"]


async def test_with_two_sockets_a_click_comes_through_whichever_is_left(workspace, client, page):
    posted = await client.chat_postMessage(channel=ANA, text="page", blocks=BUTTONS)
    click = {"as": ANA, "channel": posted["channel"], "ts": posted["ts"]}
    click["action"] = {"block_id": "a1", "action_id": "inc.ack"}
    async with app_listening(workspace, client) as first:
        async with app_listening(workspace, client) as second:
            answers = [await page("click", **click) for _ in range(4)]
            shares = (first.qsize(), second.qsize())
        after = await page("click", **click)

    assert answers == [{}] * 4
    assert shares == (2, 2)
    assert after == {}
