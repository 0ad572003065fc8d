"""Clicks, commands and mentions over real sockets: in Socket Mode, and over HTTP with signed requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import aiohttp
import pytest
import uvicorn
from fake_slack import BOT_ID, BOT_TOKEN, BOT_USER, SIGNING_SECRET, FakeSlack, signed
from slack_bolt.response import BoltResponse
from slack_world import (
    ANA,
    BEN,
    CHANNEL,
    CONFLICT,
    FakeCommands,
    FakeSilencing,
    WallClock,
    desks,
    incident,
    messenger,
    page,
    rendered,
    settings,
    until,
)

from bot.errors import ConfigError, UsageError
from bot.oncall.reachability import Account
from bot.paging.model import PageKind
from bot.ports import AgentStatus
from bot.slack.app import SlackApp
from bot.slack.deliveries import Deliveries
from bot.slack.storm import ACK_ALL


class World:
    """A workspace with one card in it, and the app serving it."""

    def __init__(self, slack, commands, silencing, app, card):
        self.slack, self.commands, self.silencing, self.app, self.card = slack, commands, silencing, app, card

    async def click(self, action="inc.ack", user=ANA.slack, **more):
        return await self.slack.click(user, action, CHANNEL, self.card.ts, **more)

    async def told(self):
        """The ephemeral answer that follows."""
        await until(lambda: self.slack.responses)
        return self.slack.responses[-1]


@contextlib.asynccontextmanager
async def serving(mode, *, sockets=2, lives_for=None, only_one=False, **options):
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack())
        slack.lives_for, slack.only_one = lives_for, only_one
        commands, silencing = FakeCommands(), FakeSilencing()
        client = messenger(slack, commands)
        card = await client.post(page(PageKind.CARD), incident(), rendered(), None)
        await client.close()
        app = SlackApp(settings(slack, mode, sockets=sockets), desks(commands, silencing), WallClock(), **options)
        if mode == "http":
            port = await stack.enter_async_context(_listening(app.asgi))
            slack.events_url = f"http://127.0.0.1:{port}/slack/events"
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)
        yield World(slack, commands, silencing, app, card)


@contextlib.asynccontextmanager
async def _listening(asgi):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(asgi, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve([listening]))
        await until(lambda: server.started)
        yield listening.getsockname()[1]
        server.should_exit = True
        await task


@pytest.fixture(params=["socket", "http"])
async def world(request):
    async with serving(request.param) as running:
        yield running


@pytest.mark.parametrize(
    ("action", "verb"),
    [("inc.ack", "ack"), ("inc.decline", "decline")],
)
async def test_a_button_does_what_it_says_and_the_card_is_answer_enough(world, action, verb):
    answer = await world.click(action, action_ts="1700000000.000100")
    assert answer["acked"]
    key = f"INC-7|{action}|{ANA.slack}|1700000000.000100"
    assert world.commands.calls == [(verb, "person:ana", "INC-7", key, True)]
    await asyncio.sleep(0.05)
    assert world.slack.responses == []


async def test_one_button_takes_all_that_a_message_shows_and_those_beside_the_lines_take_one(world):
    client = messenger(world.slack, world.commands)
    lead = page(PageKind.CARD)
    posted = await client.post_storm(lead, [incident(id=f"INC-{number}") for number in (7, 8, 9)])
    await client.close()
    await world.slack.click(ANA.slack, ACK_ALL, CHANNEL, posted.ts, action_ts="1.1")
    await world.slack.click(ANA.slack, "inc.ack", CHANNEL, posted.ts, action_ts="1.2")
    assert world.commands.calls == [
        ("ack_all", "person:ana", lead.id, f"{lead.id}|{ACK_ALL}|{ANA.slack}|1.1", True),
        ("ack", "person:ana", "INC-7", f"INC-7|inc.ack|{ANA.slack}|1.2", True),
    ]


async def test_a_fault_of_ours_names_no_command_for_what_there_is_none(world):
    client = messenger(world.slack, world.commands)
    posted = await client.post_storm(page(PageKind.CARD), [incident(id=f"INC-{number}") for number in (7, 8, 9)])
    await client.close()
    world.commands.error = RuntimeError("database is locked")
    await world.slack.click(ANA.slack, ACK_ALL, CHANNEL, posted.ts, action_ts="1.1")
    assert (await world.told())["text"] == "Not recorded: something failed inside agentpager. Try again."


async def test_a_reply_to_a_message_about_several_is_asked_which_one(world, monkeypatch):
    async def several(channel, ts):
        raise UsageError("that message is about 3 incidents; name one, for example INC-7")

    monkeypatch.setattr(world.commands, "incident_of_message", several)
    await world.slack.write(ANA.slack, "ack", thread_ts="1.0")
    await until(lambda: world.slack.posted(ANA.slack))
    assert "name one, for example INC-7" in world.slack.posted(ANA.slack)[-1]["text"]


async def test_a_window_is_opened_filled_in_and_submitted(world):
    await world.slack.choose(ANA.slack, "inc.more", "Add note", CHANNEL, world.card.ts)
    await until(lambda: world.slack.calls("views.update"))
    (view,) = world.slack.views
    assert world.slack.views[view]["private_metadata"].startswith("INC-7|1|")
    refused = await world.slack.submit(ANA.slack, view, {"text": ""})
    assert refused["payload"]["response_action"] == "errors"
    hash_ = world.slack.hashes[view]
    assert (await world.slack.submit(ANA.slack, view, {"text": "seen"}))["payload"] == {}
    assert world.commands.calls == [("note seen", "person:ana", "INC-7", f"view|{view}|{hash_}", True)]
    assert (await world.told())["text"] == "INC-7 is yours."


async def test_the_click_is_committed_before_slack_is_answered(world):
    world.commands.gate = asyncio.Event()
    click = asyncio.create_task(world.click())
    await asyncio.sleep(0.2)
    assert not click.done()
    world.commands.gate.set()
    assert (await click)["acked"]
    assert len(world.commands.calls) == 1


async def test_a_click_too_late_is_explained_to_the_one_who_clicked(world):
    world.commands.error = CONFLICT
    assert (await world.click())["acked"]
    told = await world.told()
    assert told["text"] == "INC-7 is taken already: ben has it"
    assert (told["response_type"], told["replace_original"]) == ("ephemeral", False)


async def test_a_click_that_changes_nothing_is_explained(world):
    world.commands.changed, world.commands.message = False, "that click has been recorded already"
    await world.click()
    assert (await world.told())["text"] == "that click has been recorded already"


async def test_a_click_delivered_four_times_carries_the_same_key(world):
    for _ in range(4):
        await world.click(action_ts="1700000000.000200")
    keys = {call[3] for call in world.commands.calls}
    assert len(keys) == 1
    assert [call[4] for call in world.commands.calls] == [True, False, False, False]


async def test_a_fault_of_ours_is_admitted(world):
    world.commands.error = RuntimeError("database is locked")
    assert (await world.click())["acked"]
    told = await world.told()
    assert told["text"].startswith("Not recorded: something failed inside agentpager.")
    assert "locked" not in told["text"]
    assert "agentpager ack INC-7" in told["text"]


@pytest.mark.parametrize(
    ("caller", "says"),
    [
        ({"user": "U09STRANGER"}, "does not know you yet"),
        ({"user": ANA.slack, "team": "T0OTHER"}, "the workspace Home only"),
    ],
)
async def test_a_stranger_is_told_and_nothing_happens(world, caller, says):
    for action in ("inc.ack", "inc.runbook"):
        assert (await world.click(action, **caller))["acked"]
        assert says in (await world.told())["text"]
    caller = dict(caller)
    user = caller.pop("user")
    for words in ("ack INC-7", "take INC-7", "snooze INC-7 2h", "hand INC-7 to ben", "escalate INC-7"):
        answer = await world.slack.command(user, words, **caller)
        assert says in answer["payload"]["text"]
    assert world.commands.calls == []
    assert world.slack.views == {}


@pytest.mark.parametrize("kind", ["is_restricted", "is_ultra_restricted"])
async def test_a_guest_is_refused_politely_whatever_the_files_say(world, kind):
    world.slack.users[ANA.slack] = {kind: True}
    assert (await world.click())["acked"]
    told = await world.told()
    assert told["response_type"] == "ephemeral"
    assert "takes nothing from guests, so nothing was done" in told["text"]
    answer = await world.slack.command(ANA.slack, "ack INC-7")
    assert "guests" in answer["payload"]["text"]
    await world.slack.mention(ANA.slack, "ack", channel=CHANNEL, thread_ts=world.card.ts)
    await until(lambda: world.slack.ephemeral)
    assert "guests" in world.slack.ephemeral[0]["text"]
    assert world.commands.calls == []
    assert len(world.slack.calls("users.info")) == 1


@pytest.mark.parametrize(
    "mode", [{"name": "refused", "error": "unknown_method"}, {"name": "error_500"}, {"name": "silent", "seconds": 30}]
)
async def test_slack_not_saying_who_somebody_is_keeps_nobody_from_acting(world, mode):
    world.slack.mode(**mode, method="users.info")
    assert (await world.click())["acked"]
    assert len(world.commands.calls) == 1


async def test_what_is_known_of_an_account_is_not_asked_again(world):
    world.app.learn([Account(ANA.slack), Account(BEN.slack, guest=True)])
    await world.click()
    await world.click(user=BEN.slack)
    assert [call[1] for call in world.commands.calls] == ["person:ana"]
    assert world.slack.calls("users.info") == []


async def test_a_slow_commit_is_admitted_at_once_and_reported_when_it_is_done():
    async with serving("socket", commit_seconds=0.1) as world:
        world.commands.gate = asyncio.Event()
        assert (await world.click())["acked"]
        assert (await world.told())["text"].startswith("Not recorded yet")
        world.commands.gate.set()
        await until(lambda: len(world.slack.responses) == 2)
        assert world.slack.responses[1]["text"] == "INC-7: recorded."
        assert len(world.commands.calls) == 1


async def test_the_runbook_button_opens_a_skeleton_then_the_runbook_with_fresh_checks(world):
    assert (await world.click("inc.runbook"))["acked"]
    await until(lambda: world.slack.calls("views.update"))
    opened = json.loads(_text(world.slack.calls("views.open")[0]["args"]["view"]))
    assert opened["blocks"][0]["text"]["text"] == "Running the checks…"
    (view,) = world.slack.views.values()
    assert view["title"]["text"] == "Runbook INC-7"
    assert len(view["title"]["text"]) <= 24
    assert "agentctl secret rotate crm" in json.dumps(view["blocks"])


async def test_where_no_view_can_be_opened_the_runbook_comes_as_a_message(world):
    world.slack.mode("refused", method="views.open", error="expired_trigger_id")
    await world.click("inc.runbook")
    assert "agentctl secret rotate crm" in json.dumps((await world.told())["blocks"])


@pytest.mark.parametrize("error", [UsageError("there is no incident INC-7"), RuntimeError("broken")])
async def test_a_runbook_that_cannot_be_shown_says_so_in_the_open_window(world, error):
    async def fails(*_, **__):
        raise error

    world.commands.rendered = fails
    await world.click("inc.runbook")
    await until(lambda: world.slack.calls("views.update"))
    (view,) = world.slack.views.values()
    assert "could not be shown" in json.dumps(view["blocks"])


async def test_what_bolt_finds_in_the_environment_changes_nothing(monkeypatch):
    for name in ("BOT_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "SIGNING_SECRET", "VERIFICATION_TOKEN"):
        monkeypatch.setenv(f"SLACK_{name}", "somebody-elses")
    async with serving("http") as world:
        assert (await world.click())["acked"]
        assert len(world.commands.calls) == 1


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("help", "understands"),
        ("", "understands"),
        ("help ack", "/agent ack INC-7"),
        ("oncall", "*payments-primary* Ana Ruiz until"),
        ("oncall payments", "No team or schedule"),
        ("incidents", "*INC-7* critical · refund-agent: tool errors 38%"),
        ("incidents 24h", "INC-7"),
        ("status", "*Refund agent* firing · team:payments · on call Ana Ruiz · INC-7"),
        ("status team:payments", "Refund agent"),
        ("status refund-agnt", "Did you mean refund-agent?"),
        ("akc", "Did you mean ack"),
    ],
)
async def test_slash_commands_answer_their_writer_alone(world, text, says):
    world.commands.agents = [
        AgentStatus("refund-agent", "Refund agent", "firing", "team:payments", ("ana",), ("INC-7",))
    ]
    if text == "oncall payments":
        world.commands.book = world.commands.book.model_copy(update={"teams": {}, "escalation_policies": {}})
    answer = (await world.slack.command(ANA.slack, text))["payload"]
    assert answer["response_type"] == "ephemeral"
    assert says in json.dumps(answer, ensure_ascii=False)


async def test_here_shows_the_answer_to_the_channel(world):
    answer = await world.slack.command(ANA.slack, "incidents --here")
    assert answer["payload"]["response_type"] == "in_channel"


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("ack", ("ack", None)),
        ("ack INC-7", ("ack", "INC-7")),
        ("pass last", ("decline", "last")),
        ("release INC-7", ("release", "INC-7")),
        ("resolve refund-agent", ("resolve", "refund-agent")),
        ("take INC-7", ("take", "INC-7")),
        ("snooze INC-7 until 09:00", ("snooze 09:00", "INC-7")),
        ("hand INC-7 to <@U03BACKUP>", ("hand <@U03BACKUP>", "INC-7")),
        ("escalate", ("escalate", None)),
        ("note INC-7 it's the vendor", ("note it's the vendor", "INC-7")),
        ("mark INC-7 noise", ("mark noise", "INC-7")),
    ],
)
async def test_slash_commands_change_incidents_and_say_so(world, text, call):
    answer = await world.slack.command(ANA.slack, text, trigger="t1")
    assert answer["payload"]["text"] == "INC-7 is yours."
    assert world.commands.calls == [(call[0], "person:ana", call[1], "command|t1", True)]


async def test_a_mention_in_a_cards_thread_means_its_incident(world):
    world.commands.threads[world.card.channel, world.card.ts] = "INC-7"
    answer = await world.slack.mention(BEN.slack, "ack", channel=CHANNEL, thread_ts=world.card.ts, event_id="Ev1")
    assert answer["acked"]
    assert world.commands.calls == [("ack", "person:ben", "INC-7", "event|Ev1", True)]
    await until(lambda: world.slack.ephemeral)
    said = world.slack.ephemeral[0]
    assert (said["user"], said["text"], said["thread_ts"]) == (BEN.slack, "INC-7 is yours.", world.card.ts)


async def test_a_mention_may_name_the_bot_and_a_person(world):
    world.commands.threads[world.card.channel, world.card.ts] = "INC-7"
    text = f"hand to <@{BEN.slack}>"
    await world.slack.mention(ANA.slack, text, channel=CHANNEL, thread_ts=world.card.ts, event_id="Ev1")
    assert world.commands.calls == [(f"hand <@{BEN.slack}>", "person:ana", "INC-7", "event|Ev1", True)]


async def test_a_mention_is_committed_before_slack_is_answered(world):
    world.commands.gate = asyncio.Event()
    mention = asyncio.create_task(world.slack.mention(BEN.slack, "ack INC-7", channel=CHANNEL))
    await asyncio.sleep(0.2)
    assert not mention.done()
    world.commands.gate.set()
    assert (await mention)["acked"]


async def test_a_mention_delivered_again_is_not_carried_out_again(world):
    for _ in range(3):
        await world.slack.mention(BEN.slack, "ack INC-7", channel=CHANNEL, event_id="Ev2")
    assert len(world.commands.calls) == 1


async def test_words_that_come_without_an_id_are_each_carried_out(world):
    for verb in ("ack", "release", "ack"):
        await world.slack.mention(BEN.slack, f"{verb} INC-7", channel=CHANNEL, event_id="")
        await world.slack.command(BEN.slack, f"{verb} INC-7", trigger="")
    assert len(world.commands.calls) == 6
    assert all(key is None or fresh for *_, key, fresh in world.commands.calls)


@pytest.mark.parametrize("thread", ["", "1795.000001"])
async def test_a_direct_message_is_carried_out_and_answered_where_it_was_written(world, thread):
    place = world.slack.channel_id(BEN.slack)
    world.commands.threads[place, "1795.000001"] = "INC-7"
    answer = await world.slack.write(BEN.slack, "Ack.", thread_ts=thread, event_id="Ev1")
    assert answer["acked"]
    assert world.commands.calls == [("ack", "person:ben", "INC-7" if thread else None, "event|Ev1", True)]
    await until(lambda: world.slack.posted(BEN.slack))
    said = world.slack.posted(BEN.slack)[0]
    assert (said["text"], said.get("thread_ts", "")) == ("INC-7 is yours.", thread)


async def test_an_unknown_word_in_a_direct_message_is_answered_with_the_help(world):
    await world.slack.write(BEN.slack, "resolvd INC-7")
    await until(lambda: world.slack.posted(BEN.slack))
    said = world.slack.posted(BEN.slack)[0]
    assert said["text"] == "“resolvd” is no word of mine. Did you mean resolve?"
    assert "You were woken" in json.dumps(said["blocks"])
    assert world.commands.calls == []


@pytest.mark.parametrize(
    "more",
    [
        {"bot_id": "B9"},
        {"subtype": "message_changed"},
        {"subtype": "bot_message"},
        {"subtype": "message_deleted", "hidden": True},
        {"channel_type": "channel"},
        {"text": " "},
        {"user": BOT_USER},
    ],
)
async def test_what_nobody_wrote_to_the_app_is_taken_from_slack_and_ignored(world, more):
    assert (await world.slack.write(**{"user": BEN.slack, "text": "ack INC-7"} | more))["acked"]
    await asyncio.sleep(0.05)
    assert world.commands.calls == []
    assert world.slack.posted(BEN.slack) == []


async def test_a_stranger_who_writes_is_told_and_nothing_happens(world):
    await world.slack.write("U0STRANGER", "ack INC-7")
    await until(lambda: world.slack.posted("U0STRANGER"))
    assert "does not know you yet" in world.slack.posted("U0STRANGER")[0]["text"]
    assert world.commands.calls == []


async def test_a_mention_by_a_bot_is_ignored_in_silence(world):
    await world.slack.mention(BEN.slack, "ack INC-7", channel=CHANNEL, bot_id="B9")
    await asyncio.sleep(0.05)
    assert world.commands.calls == []
    assert world.slack.ephemeral == []


async def test_where_nobody_can_be_answered_alone_the_thread_is_answered(world):
    world.slack.mode("refused", method="chat.postEphemeral", error="user_not_in_channel")
    await world.slack.mention(BEN.slack, "help", channel=CHANNEL, thread_ts=world.card.ts)
    await until(lambda: len(world.slack.posted(CHANNEL)) == 2)
    assert world.slack.posted(CHANNEL)[1]["thread_ts"] == world.card.ts


# --- Socket Mode ------------------------------------------------------------------------------------------------------


def quick(monkeypatch, seconds=0.3):
    """No waiting for the last answers of a real Slack."""
    monkeypatch.setattr("bot.slack.socket._LAST_ANSWERS_SECONDS", seconds)


def lines(world):
    return [seat.line for seat in world.app._socket._seats]


async def test_as_many_connections_are_held_as_configured():
    async with serving("socket", sockets=3) as world:
        await until(lambda: len(world.slack.sockets) == 3)
        for number in range(5):
            assert (await world.click(action_ts=f"1.{number}"))["acked"]
        assert len(world.commands.calls) == 5


async def test_at_a_planned_refresh_the_new_connection_stands_before_the_old_one_goes(monkeypatch):
    quick(monkeypatch)
    async with serving("socket", sockets=1) as world:
        world.commands.gate = asyncio.Event()
        click = asyncio.create_task(world.click())
        await asyncio.sleep(0.05)
        await world.slack.disconnect()
        await until(lambda: world.slack.connections == 2 and world.app.healthy())
        assert len(world.slack.sockets) == 2
        world.commands.gate.set()
        assert (await click)["acked"]
        world.commands.gate = None
        assert (await world.click())["acked"]
        await until(lambda: len(world.slack.sockets) == 1)
        assert world.slack.connections == 2
        assert world.app._socket.renewed == {"refresh_requested": 1}


async def test_no_click_is_lost_while_every_connection_is_renewed(monkeypatch):
    """Slack sends each click to any connection that it holds to be open."""
    quick(monkeypatch)
    async with serving("socket") as world:
        await until(lambda: len(world.slack.sockets) == 2)
        answers = []
        for number in range(60):
            if number == 10:
                await world.slack.disconnect()
            world.slack.sockets.append(world.slack.sockets.pop(0))  # the next one takes it
            answers.append(await world.click(action_ts=f"1.{number}"))
        assert all(answer["acked"] for answer in answers)
        assert len(world.commands.calls) == 60
        await until(lambda: world.app._socket.renewed.get("refresh_requested") == 2)


async def test_what_came_by_the_old_connection_at_the_last_moment_is_answered_before_it_goes(monkeypatch):
    quick(monkeypatch, 0.3)
    async with serving("socket", sockets=1) as world:
        await world.slack.disconnect()
        await until(lambda: len(world.slack.sockets) == 2)
        world.slack.sockets.reverse()  # the old one is the one that takes the click
        world.commands.gate = asyncio.Event()
        click = asyncio.create_task(world.click())
        await asyncio.sleep(1.0)
        assert len(world.slack.sockets) == 2
        world.commands.gate.set()
        assert (await click)["acked"]
        await until(lambda: len(world.slack.sockets) == 1)


async def test_an_answer_whose_connection_is_cut_goes_by_the_other_one():
    async with serving("socket") as world:
        await until(lambda: len(world.slack.sockets) == 2)
        world.commands.gate = asyncio.Event()
        click = asyncio.create_task(world.click())
        await asyncio.sleep(0.1)
        await world.slack.drop(world.slack.sockets[-1])
        await until(lambda: world.app._socket.renewed)
        world.commands.gate.set()
        assert (await click)["acked"]


async def test_a_click_gets_through_while_one_connection_is_dead():
    async with serving("socket", deaf_seconds=1.0) as world:
        await until(lambda: len(world.slack.sockets) == 2)
        world.slack.go_deaf(world.slack.sockets[0])
        await world.slack.drop(world.slack.sockets[0])
        assert world.app.healthy()
        assert (await world.click())["acked"]
        await until(lambda: len(world.slack.sockets) == 2)


async def test_the_same_envelope_by_two_connections_is_one_change_and_answered_on_both():
    async with serving("socket") as world:
        await until(lambda: len(world.slack.sockets) == 2)
        payload = {"type": "slash_commands", "envelope_id": "twice", "accepts_response_payload": True}
        payload["payload"] = {"command": "/agent", "text": 'silence agent="refund-agent" 2h why', "team_id": "T0HOME"}
        payload["payload"] |= {"user_id": ANA.slack, "trigger_id": "t1"}
        first = asyncio.get_running_loop().create_future()
        world.slack._acks["twice"] = first
        for each in world.slack.sockets:
            await each.send_json(payload)
        answer = await asyncio.wait_for(first, 5)
        assert answer["payload"]["text"].startswith("SIL-3 silences")
        await asyncio.sleep(0.1)
        assert len(world.silencing.drafts) == 1


async def test_an_event_that_slack_delivers_again_is_carried_out_once():
    async with serving("socket") as world:
        for _ in range(3):
            text = 'silence agent="refund-agent" 2h why'
            assert (await world.slack.write(ANA.slack, text, event_id="Ev5"))["acked"]
        assert len(world.silencing.drafts) == 1


@pytest.mark.parametrize("sockets", [1, 2])
async def test_a_cut_connection_is_made_anew(sockets):
    async with serving("socket", deaf_seconds=1.0, sockets=sockets) as world:
        await until(lambda: len(world.slack.sockets) == sockets)
        await world.slack.drop()
        await until(lambda: world.slack.connections > sockets and world.slack.sockets and world.app.healthy())
        assert (await world.click())["acked"]


@pytest.mark.parametrize("sockets", [1, 2])
async def test_a_connection_that_is_open_but_deaf_is_found_and_replaced(sockets):
    async with serving("socket", deaf_seconds=1.0, sockets=sockets) as world:
        await until(lambda: len(world.slack.sockets) == sockets)
        world.slack.go_deaf()
        await until(lambda: world.slack.connections == 2 * sockets and world.app.healthy(), 10.0)
        await until(lambda: len(world.slack.sockets) >= 1)
        assert (await world.click())["acked"]


async def test_a_client_of_the_sdk_that_has_stopped_listening_is_thrown_away(monkeypatch):
    quick(monkeypatch, 0.1)
    async with serving("socket", deaf_seconds=1.0, sockets=1) as world:
        stuck = lines(world)[0].client
        stuck.current_session_monitor.cancel()
        stuck.message_receiver.cancel()
        await until(lambda: world.app._socket.renewed == {"deaf": 1}, 10.0)
        await until(world.app.healthy)
        assert (await world.click())["acked"]
        await until(lambda: stuck.closed)


async def test_before_slack_ends_a_connection_it_is_renewed_one_at_a_time(monkeypatch):
    quick(monkeypatch)
    monkeypatch.setattr("bot.slack.socket._SHORTEST_LIFE", 0.0)
    async with serving("socket", lives_for=2.0) as world:
        await until(lambda: world.app._socket.renewed.get("planned", 0) >= 2, 10.0)
        assert world.app._socket.renewed.keys() == {"planned"}
        assert (await world.click())["acked"]


async def test_where_only_one_connection_may_be_the_others_give_way():
    """Each new connection ends the ones before it. The second must not go on ending the first."""
    async with serving("socket", only_one=True) as world:
        seat = world.app._socket._seats[1]
        await until(lambda: seat.unwelcome >= 2 and seat.line is None, 20.0)
        await until(world.app.healthy)
        assert (await world.click())["acked"]
        assert seat.try_at - asyncio.get_running_loop().time() > 4.0


async def test_messages_of_our_own_that_stop_coming_back_renew_the_connections(monkeypatch):
    monkeypatch.setattr("bot.slack.canary.OVERDUE_SECONDS", 0.2)
    async with serving("socket") as world:
        await until(lambda: len(world.slack.sockets) == 2)
        world.app.posted("D02ABCDEF", "1.1")
        await asyncio.sleep(0.6)
        assert world.app._socket.renewed == {}  # never heard one: this workspace may not echo
        world.app.posted("D02ABCDEF", "1.2")
        await world.slack.write(BOT_USER, "a page", bot_id=BOT_ID, ts="1.2", channel="D02ABCDEF")
        await asyncio.sleep(0.6)
        assert world.app._socket.renewed == {}
        world.app.posted("D02ABCDEF", "1.3")
        await until(lambda: world.app._socket.renewed == {"unheard": 2})
        await until(world.app.healthy)
        assert (await world.click())["acked"]


async def test_the_app_starts_before_slack_does_and_serves_when_it_comes():
    async with FakeSlack() as slack:
        slack.mode("error_500", method="auth.test", count=1)
        app = SlackApp(settings(slack), desks(), WallClock())
        started = time.monotonic()
        await app.start()
        assert time.monotonic() - started < 1.0
        assert not app.healthy()
        await app.stop()


async def test_stopping_leaves_nothing_open():
    before = {task.get_name() for task in asyncio.all_tasks()}
    async with serving("socket"):
        pass
    await asyncio.sleep(0.1)
    assert {task.get_name() for task in asyncio.all_tasks()} == before


# --- the door of HTTP mode --------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def door(**options):
    async with serving("http", **options) as world, aiohttp.ClientSession() as session:

        async def post(body, headers):
            async with session.post(world.slack.events_url, data=body, headers=headers) as answer:
                return answer.status

        yield world, post


BODY = "command=%2Fagent&text=ack+INC-7&user_id=U02ABCDEF&team_id=T0HOME&trigger_id=t9"
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_signed_request_passes_once_and_its_replay_does_not():
    async with door() as (world, post):
        headers = FORM | signed(BODY, int(time.time()))
        assert [await post(BODY, headers) for _ in range(3)] == [200, 401, 401]
        assert len(world.commands.calls) == 1
        assert world.app.asgi.counts == {"ok": 1, "replay": 2}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda headers: headers | signed(BODY, int(time.time()), "another secret"), 401),
        (lambda headers: headers | signed(BODY, int(time.time()) - 301), 401),
        (lambda headers: headers | signed(BODY, int(time.time()) + 301), 401),
        (lambda headers: headers | {"x-slack-signature": "v0="}, 401),
        (lambda headers: headers | {"x-slack-signature": "v0=é"}, 401),
        (lambda headers: headers | {"x-slack-request-timestamp": "now"}, 401),
        (lambda headers: headers | {"x-slack-request-timestamp": "9" * 400}, 401),
        (lambda headers: FORM, 401),
    ],
)
async def test_anything_not_signed_now_by_slack_is_refused(change, status):
    async with door() as (world, post):
        assert await post(BODY, change(FORM | signed(BODY, int(time.time())))) == status
        assert world.commands.calls == []


async def test_a_changed_body_is_refused():
    async with door() as (world, post):
        headers = FORM | signed(BODY, int(time.time()))
        assert await post(BODY.replace("INC-7", "INC-8"), headers) == 401
        assert world.commands.calls == []


async def test_a_body_over_one_mebibyte_is_refused_before_it_is_looked_at():
    async with door() as (world, post):
        body = "x" * (1024 * 1024 + 1)
        assert await post(body, FORM | signed(body, int(time.time()))) == 413
        assert world.app.asgi.counts == {"too_big": 1}


async def test_signed_nonsense_is_refused_without_a_fault():
    async with door() as (_, post):
        for body in ("payload=%7Bnot+json", "{", "payload=", ""):
            assert await post(body, FORM | signed(body, int(time.time()))) < 500


async def test_slacks_own_check_of_the_address_is_answered():
    async with door() as (world, _):
        body = json.dumps({"type": "url_verification", "challenge": "c1", "token": "x"})
        headers = signed(body, int(time.time())) | {"content-type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(world.slack.events_url, data=body, headers=headers) as answer,
        ):
            assert (answer.status, await answer.json()) == (200, {"challenge": "c1"})


async def test_a_request_that_could_not_be_carried_out_may_be_sent_again():
    async with door() as (world, post):
        broken, world.app._bolt.async_dispatch = world.app._bolt.async_dispatch, _fails
        headers = FORM | signed(BODY, int(time.time()))
        assert await post(BODY, headers) == 500
        world.app._bolt.async_dispatch = broken
        assert await post(BODY, headers) == 200


async def _fails(_request):
    raise RuntimeError("broken")


async def test_the_memory_of_deliveries_is_bounded():
    deliveries = Deliveries(WallClock())

    async def done():
        return BoltResponse(status=200)

    for number in range(10_100):
        await deliveries.once([f"s{number}"], done)
    assert len(deliveries._at) == 10_000
    assert deliveries.knows("s10099")
    assert not deliveries.knows("s99")


class Memory:
    """What a database keeps while servers come and go."""

    def __init__(self):
        self.keys = {}
        self.broken = False

    async def deliveries(self, since):
        return [key for key, at in self.keys.items() if at >= since]

    async def remember_deliveries(self, keys, now):
        if self.broken:
            raise OSError("disk full")
        self.keys |= dict.fromkeys(keys, now)


async def test_a_replay_is_refused_by_the_next_server_too():
    memory, headers = Memory(), FORM | signed(BODY, int(time.time()))
    async with door(memory=memory) as (_, post):
        assert await post(BODY, headers) == 200
    async with door(memory=memory) as (world, post):
        assert await post(BODY, headers) == 401
        assert world.commands.calls == []


async def test_a_database_that_fails_keeps_no_click_from_being_answered():
    memory = Memory()
    memory.broken = True
    async with door(memory=memory) as (world, post):
        assert await post(BODY, FORM | signed(BODY, int(time.time()))) == 200
        assert len(world.commands.calls) == 1


EVENT = json.dumps(
    {
        "type": "event_callback",
        "team_id": "T0HOME",
        "event_id": "Ev77",
        "event": {
            "type": "message",
            "channel_type": "im",
            "channel": "D02ABCDEF",
            "user": ANA.slack,
            "text": 'silence agent="refund-agent" 2h bank migration',
            "ts": "1.1",
            "team": "T0HOME",
        },
    }
)


async def test_slacks_retry_of_an_event_is_one_change_and_is_answered_well_also_after_a_restart():
    """A retry is signed anew; one that is not is still Slack's, and must not be told that it failed."""
    memory, now, json_type = Memory(), int(time.time()), {"content-type": "application/json"}
    retry = {"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"}
    first = json_type | signed(EVENT, now)
    async with door(memory=memory) as (world, post):
        assert await post(EVENT, first) == 200
        assert await post(EVENT, first | retry) == 200
        assert await post(EVENT, json_type | signed(EVENT, now - 1) | retry) == 200
        assert len(world.silencing.drafts) == 1
        assert world.app.asgi.counts == {"ok": 1, "repeated": 2}
    async with door(memory=memory) as (world, post):
        assert await post(EVENT, json_type | signed(EVENT, now - 2) | retry) == 200
        assert world.silencing.drafts == []


async def test_a_retry_while_the_first_is_being_worked_on_gets_its_answer():
    async with door() as (world, post):
        world.commands.gate = asyncio.Event()
        headers, retry = FORM | signed(BODY, int(time.time())), {"x-slack-retry-num": "1"}
        both = [asyncio.create_task(post(BODY, headers)), asyncio.create_task(post(BODY, headers | retry))]
        await asyncio.sleep(0.2)
        assert not any(one.done() for one in both)
        world.commands.gate.set()
        assert await asyncio.gather(*both) == [200, 200]
        assert len(world.commands.calls) == 1


@pytest.mark.parametrize(
    ("mode", "empty"),
    [("http", "signing_secret"), ("socket", "app_token"), ("socket", "bot_token"), ("http", "bot_token")],
)
def test_without_its_secrets_the_app_refuses_to_be_made(mode, empty):
    nowhere = type("Nowhere", (), {"api_url": "http://127.0.0.1:1/api/"})
    with pytest.raises(ConfigError, match=f"slack.{empty} is needed"):
        SlackApp(settings(nowhere, mode, **{empty: ""}), desks(), WallClock())


async def test_no_secret_and_no_body_reaches_the_log(caplog):
    caplog.set_level("DEBUG")
    async with door() as (world, post):
        await post(BODY, FORM | signed(BODY, int(time.time()), "another secret"))
        world.commands.error = RuntimeError("broken")
        await world.click()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("bot", "slack")))
    assert BOT_TOKEN not in ours
    assert SIGNING_SECRET not in ours
    assert "trigger_id" not in ours


async def test_a_silence_can_be_made_and_ended_by_command(world):
    answer = (await world.slack.command(ANA.slack, 'silence agent="refund-agent" 2h bank migration'))["payload"]
    assert answer["text"].startswith('SIL-3 silences agent="refund-agent" until')
    ((who, draft),) = world.silencing.drafts
    assert (who, draft.matchers, draft.reason) == ("person:ana", ('agent="refund-agent"',), "bank migration")
    await world.slack.command(ANA.slack, "unsilence SIL-3")
    assert world.silencing.ended == [("person:ana", "SIL-3")]


async def test_silences_lists_them_and_a_mistake_shows_how_it_is_written(world):
    listed = (await world.slack.command(ANA.slack, "silences"))["payload"]
    assert "*SIL-3*" in str(listed["blocks"])
    assert "bank migration" in str(listed["blocks"])
    wrong = (await world.slack.command(ANA.slack, "silence refund-agent 2h"))["payload"]
    assert "say what to silence" in wrong["text"]
