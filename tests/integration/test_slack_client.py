"""Posting, editing and finding over real HTTP, and what each way of failing means."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from fake_slack import FakeSlack
from slack_world import ANA, CHANNEL, FakeCommands, WallClock, incident, messenger, page, rendered, settings

from bot.errors import RemoteError
from bot.paging.model import PageKind
from bot.slack import web
from bot.slack.client import SlackMessenger


@pytest.fixture
async def slack():
    async with FakeSlack() as running:
        yield running


@pytest.fixture
async def client(slack):
    client = messenger(slack)
    yield client
    await client.close()


def now_page(kind=PageKind.PAGE, **changes):
    now = WallClock().now()
    return page(kind, due_at=now, claimed_at=now, **changes)


async def test_a_page_goes_into_the_persons_direct_message(slack, client):
    posted = await client.post(now_page(), incident(), rendered(), None)
    assert posted.channel == "D02ABCDEF"
    assert slack.posted(ANA.slack)[0]["ts"] == posted.ts
    sent = slack.calls("chat.postMessage")[0]["args"]
    assert (sent["unfurl_links"], sent["unfurl_media"], sent["link_names"], sent["parse"]) == (
        False,
        False,
        False,
        "none",
    )


async def test_a_page_is_posted_to_the_person_and_needs_no_second_call(slack, client):
    """Slack allows fifty conversations.open a minute: a storm over a hundred people would wait for them."""
    for _ in range(3):
        posted = await client.post(now_page(), incident(), None, None)
    assert posted.channel == "D02ABCDEF"
    assert [call["args"]["channel"] for call in slack.calls("chat.postMessage")] == [
        ANA.slack,
        "D02ABCDEF",
        "D02ABCDEF",
    ]
    assert slack.calls("conversations.open") == []


async def test_a_person_slack_does_not_know_is_a_permanent_refusal(slack, client):
    slack.users[ANA.slack] = {"missing": True}
    with pytest.raises(RemoteError) as caught:
        await client.post(now_page(), incident(), None, None)
    assert (caught.value.permanent, caught.value.code) == (True, "channel_not_found")


async def test_thread_replies_stand_under_the_card(slack, client):
    card = await client.post(now_page(PageKind.CARD), incident(), None, None)
    for kind in (PageKind.RUNBOOK, PageKind.ESCALATED, PageKind.RESOLVED):
        await client.post(now_page(kind), incident(), rendered(), card)
    assert [each.get("thread_ts") for each in slack.posted(CHANNEL)] == [None, card.ts, card.ts, card.ts]


async def test_a_page_is_never_put_into_a_thread(slack, client):
    card = await client.post(now_page(PageKind.CARD), incident(), None, None)
    posted = await client.post(now_page(), incident(), None, card)
    assert posted.channel == "D02ABCDEF"
    assert "thread_ts" not in slack.posted(ANA.slack)[0]


async def test_an_edit_replaces_text_and_blocks(slack, client):
    card = now_page(PageKind.CARD)
    posted = await client.post(card, incident(), None, None)
    sent = card.model_copy(update={"slack_channel": posted.channel, "ts": posted.ts})
    await client.update(sent, incident(state="acked", acked_by="person:ana"), rendered())
    assert slack.posted(CHANNEL)[0]["text"].startswith("🟨 Acknowledged by Ana Ruiz")
    assert slack.posted(CHANNEL)[0]["metadata"]["event_payload"]["page_id"] == card.id


# mode, options → permanent, unknown, retry_after_seconds, code, did it land?
FAILURES = [
    ("rate_limited", {"retry_after": 7}, (False, False, 7.0, "ratelimited"), 0),
    ("error_500", {}, (False, True, None, ""), 0),
    ("error_500", {"landed": True, "status": 503}, (False, True, None, ""), 1),
    ("refused", {"error": "channel_not_found"}, (True, False, None, "channel_not_found"), 0),
    ("refused", {"error": "invalid_auth"}, (True, False, None, "invalid_auth"), 0),
    ("refused", {"error": "internal_error"}, (False, True, None, "internal_error"), 0),
    ("close", {}, (False, True, None, ""), 1),
    ("close", {"landed": False}, (False, True, None, ""), 0),
    ("garbage", {"landed": True}, (False, True, None, ""), 1),
]


@pytest.mark.parametrize(("mode", "options", "meaning", "landed"), FAILURES)
async def test_each_way_of_failing_says_what_is_known_and_is_tried_once(slack, client, mode, options, meaning, landed):
    slack.mode(mode, method="chat.postMessage", **options)
    with pytest.raises(RemoteError) as caught:
        await client.post(now_page(), incident(), None, None)
    error = caught.value
    assert (error.permanent, error.unknown, error.retry_after_seconds, error.code) == meaning
    assert len(slack.calls("chat.postMessage")) == 1
    assert len(slack.posted(ANA.slack)) == landed


async def test_silence_is_unknown_after_the_time_limit(slack, client, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT_SECONDS", 0.3)
    slack.mode("silent", method="chat.postMessage", landed=True)
    with pytest.raises(RemoteError) as caught:
        await client.post(now_page(), incident(), None, None)
    assert caught.value.unknown
    assert len(slack.posted(ANA.slack)) == 1


async def test_nobody_listening_means_nothing_was_sent():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    address = f"http://127.0.0.1:{port}/api/"
    nowhere = settings(type("Nowhere", (), {"api_url": address}))
    client = SlackMessenger(nowhere, lambda: FakeCommands().book, WallClock())
    with pytest.raises(RemoteError) as caught:
        await client.post(now_page(), incident(), None, None)
    await client.close()
    assert (caught.value.unknown, caught.value.permanent) == (False, False)


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long", "metadata_too_large"])
async def test_a_refused_layout_goes_out_as_plain_text_at_once(slack, client, code):
    slack.mode("refused", method="chat.postMessage", error=code, count=1)
    await client.post(now_page(PageKind.CARD), incident(), rendered(), None)
    landed = slack.posted(CHANNEL)[0]
    assert "blocks" not in landed
    assert landed["text"].startswith("🔴 CRITICAL refund-agent")
    assert "/agent ack INC-7" in landed["text"]
    assert landed["metadata"]["event_payload"]["page_id"] == "INC-7.1.card"


async def test_an_edit_whose_layout_is_refused_becomes_plain_text_too(slack, client):
    card = now_page(PageKind.CARD)
    posted = await client.post(card, incident(), None, None)
    slack.mode("refused", method="chat.update", error="invalid_blocks", count=1)
    sent = card.model_copy(update={"slack_channel": posted.channel, "ts": posted.ts})
    await client.update(sent, incident(state="acked", acked_by="person:ana"), None)
    assert slack.posted(CHANNEL)[0]["blocks"] == []
    assert slack.posted(CHANNEL)[0]["text"].startswith("🟨")


@pytest.mark.parametrize("kind", [PageKind.PAGE, PageKind.CARD])
async def test_a_page_whose_answer_was_lost_is_found_by_its_id(slack, client, kind):
    slack.mode("close", method="chat.postMessage", count=1)
    wanted = now_page(kind)
    with pytest.raises(RemoteError):
        await client.post(wanted, incident(), None, None)
    await client.post(now_page(kind, id="INC-8.1.other"), incident(), None, None)
    slack.mode("ok")
    found = await client.find(wanted)
    assert found is not None
    assert found.ts == slack.posted(wanted.channel)[0]["ts"]


async def test_another_process_finds_it_by_the_channels_name_alone(slack):
    slack.mode("close", method="chat.postMessage", count=1)
    wanted = now_page(PageKind.CARD)
    with pytest.raises(RemoteError):
        await messenger(slack).post(wanted, incident(), None, None)
    fresh = messenger(slack)
    found = await fresh.find(wanted)
    await fresh.close()
    assert found is not None
    assert found.channel == slack.channel_id(CHANNEL)
    assert slack.planned == {}


async def test_a_page_that_did_not_land_is_not_found(slack, client):
    slack.mode("close", method="chat.postMessage", landed=False, count=1)
    wanted = now_page()
    with pytest.raises(RemoteError):
        await client.post(wanted, incident(), None, None)
    assert await client.find(wanted) is None


@pytest.mark.parametrize("told", [True, False])
async def test_a_thread_reply_is_found_under_its_card(slack, client, told):
    card = await client.post(now_page(PageKind.CARD), incident(), None, None)
    reply = now_page(PageKind.RUNBOOK)
    landed = await client.post(reply, incident(), rendered(), card)
    found = await client.find(reply, card) if told else await client.find(reply)
    assert found == landed


@pytest.mark.parametrize(
    ("mode", "options"),
    [("refused", {"error": "missing_scope"}), ("error_500", {}), ("rate_limited", {"retry_after": 2})],
)
async def test_history_that_cannot_be_read_is_an_error_not_an_absence(slack, client, mode, options):
    slack.mode(mode, method="conversations.history", **options)
    with pytest.raises(RemoteError):
        await client.find(now_page())


async def test_a_thousand_messages_of_others_do_not_hide_the_page(slack, client):
    posted = await client.post(now_page(), incident(), None, None)
    channel = slack.messages[posted.channel]
    for number in range(900):
        channel.append({"ts": f"{time.time() + number:.6f}", "text": "chatter", "channel": posted.channel})
    assert await client.find(now_page()) == posted


async def test_tokens_never_reach_the_log(slack, caplog):
    caplog.set_level("DEBUG")
    client = messenger(slack)
    for mode in ("error_500", "close", "garbage", "rate_limited"):
        slack.mode(mode, count=1, method="chat.postMessage")
        with contextlib.suppress(RemoteError):
            await client.post(now_page(), incident(), None, None)
    await client.close()
    assert "xoxb-" not in caplog.text


async def test_every_call_is_a_post_that_says_nothing_in_its_address(slack, client):
    """Addresses are what proxies write down. SDK methods of which some are GET, some carry their words in the query."""
    told = now_page(slack_channel="C1", ts="1.1")
    await client.find(told, None)
    slack.channels["x"] = "CX"
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(web.new_session())
        sdk = web.web_client("xoxb-fake-bot-token", slack.api_url, session)
        await sdk.users_info(user=ANA.slack)
        await sdk.dnd_info(user=ANA.slack)
        await sdk.views_open(trigger_id="t", view={"type": "modal"})
        await sdk.apps_connections_open(app_token="xapp-fake-app-token")
    assert {entry["way"] for entry in slack.journal} == {"POST"}
    assert [entry["args"].get("user") for entry in slack.journal if entry["method"] == "users.info"] == [ANA.slack]


async def test_a_channel_whose_sign_is_not_understood_is_tried_by_its_bare_name(slack, client):
    slack.mode("refused", method="chat.postMessage", error="channel_not_found", count=1)
    posted = await client.post(now_page(PageKind.CARD), incident(), None, None)
    assert posted.channel == slack.channel_id(CHANNEL)
    slack.missing.add("#gone")
    with pytest.raises(RemoteError, match="channel_not_found"):
        await client.post(now_page(PageKind.CARD, channel="#gone"), incident(), None, None)
