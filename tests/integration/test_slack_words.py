"""What people write and what they find in the home tab, over a real connection to a made-up Slack."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta

import pytest
from fake_slack import FakeSlack
from slack_world import (
    ANA,
    BEN,
    CHANNEL,
    NOW,
    FakeCommands,
    FakePaging,
    FakeRotas,
    FakeSettling,
    FakeSilencing,
    FixedClock,
    desks,
    incident,
    settings,
    until,
)

from bot.agents.cost import Spending
from bot.errors import SeveralError, UsageError
from bot.oncall.changes import RotaChange
from bot.ports import AgentStatus
from bot.slack.app import SlackApp


class FakeAccounts:
    async def spending(self, agent=None):
        if agent not in {None, "refund-agent"}:
            raise UsageError(f'there is no agent "{agent}"')
        return [Spending("refund-agent", NOW, today=3.0, budget=10.0)]


class World:
    def __init__(self, slack, app, **parts):
        self.slack, self.app = slack, app
        self.__dict__.update(parts)

    async def ask(self, text: str, user: str = ANA.slack) -> str:
        answer = (await self.slack.command(user, text))["payload"]
        return json.dumps(answer, ensure_ascii=False)

    async def home(self, user: str = ANA.slack) -> str:
        self.slack.homes.pop(user, None)
        await self.slack.open_home(user)
        await until(lambda: user in self.slack.homes)
        return json.dumps(self.slack.homes[user], ensure_ascii=False)


@pytest.fixture
async def world():
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack())
        parts = {
            "commands": FakeCommands(),
            "silencing": FakeSilencing(),
            "paging": FakePaging(),
            "rotas": FakeRotas(),
            "acting": FakeSettling(),
            "accounts": FakeAccounts(),
        }
        app = SlackApp(settings(slack), desks(**parts), FixedClock())
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)
        yield World(slack, app, **parts)


async def test_a_page_by_hand_names_whom_and_why(world):
    told = await world.ask('page refund-agent "refunds are doubled"')
    assert "INC-7 pages refund-agent now." in told
    await world.ask("call <@U03BACKUP> are you there")
    await world.ask("escalate to team:payments")
    asked = [call[1:4] for call in world.paging.calls]
    assert asked == [
        ("person:ana", "refund-agent", "refunds are doubled"),
        ("person:ana", "<@U03BACKUP>", "are you there"),
        ("person:ana", "team:payments", ""),
    ]
    assert all(call[4].startswith("command|") for call in world.paging.calls)
    assert "say whom to page" in await world.ask("page")


async def test_test_me_is_a_test_of_whoever_asks(world):
    assert "a test page is on its way" in await world.ask("test me")
    await world.ask("test", user=BEN.slack)
    await world.ask("test team:payments")
    assert [call[:3] for call in world.paging.calls] == [
        ("test", "person:ana", "me"),
        ("test", "person:ben", "me"),
        ("test", "person:ana", "team:payments"),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "people", "start", "hours", "why"),
    [
        ("override payments @ben 4h dentist", "override", ("ben",), 0, 4, "dentist"),
        ("override payments me until 05:18", "override", ("ana",), 0, 2, ""),  # in Madrid
        ('override payments "Ben Cole" 04:18..06:18', "override", ("ben",), 1, 2, ""),
        ("override payments <@U03BACKUP> from 04:18 to 05:18 away", "override", ("ben",), 1, 1, "away"),
        ("swap payments @ben 4h", "swap", ("ana", "ben"), 0, 4, ""),
        ("swap payments @ben @chris 4h move", "swap", ("ben", "chris"), 0, 4, "move"),
    ],
)
async def test_an_override_or_a_swap_says_who_when_and_why(world, text, kind, people, start, hours, why):
    told = await world.ask(text)
    ((by, plan),) = world.rotas.plans
    begins = NOW + timedelta(hours=start)
    assert (by, plan.kind, plan.schedule, plan.people) == ("person:ana", kind, "payments", people)
    assert (plan.start, plan.until, plan.why) == (begins, begins + timedelta(hours=hours), why)
    assert "unoverride ROTA-3" in told
    assert "Europe/Madrid" in told


async def test_overrides_are_listed_and_taken_back(world):
    assert "No override" in await world.ask("overrides")
    await world.ask("override payments @ben 4h <!channel>")
    listed = await world.ask("overrides")
    assert "ROTA-3" in listed
    assert "Ben Cole" in listed
    assert "<!channel>" not in listed
    assert "ROTA-3 is taken back" in await world.ask("unoverride ROTA-3")
    assert world.rotas.ended == [("person:ana", "ROTA-3")]


async def test_explain_shows_who_when_and_why(world):
    told = await world.ask("explain refund-agent")
    assert "If refund-agent began now" in told
    assert "Ana Ruiz" in told
    assert "on call in payments-primary" in told


async def test_what_may_have_been_meant_is_a_button_that_does_it(world):
    answer = (await world.slack.command(ANA.slack, "akc INC-7"))["payload"]
    shown = answer["blocks"][-1]["elements"]
    assert "ack INC-7" in [button["value"] for button in shown]
    place = next(index for index, button in enumerate(shown) if button["value"] == "ack INC-7")
    await world.slack.press(ANA.slack, shown[place]["action_id"], "ack INC-7")
    await until(lambda: world.slack.responses)
    assert world.commands.calls[0][:3] == ("ack", "person:ana", "INC-7")
    assert world.slack.responses[-1]["text"] == "INC-7 is yours."


async def test_where_several_are_open_each_is_a_button(world):
    world.commands.error = SeveralError("several are open, name one: INC-7, INC-8", ["INC-7", "INC-8"])
    answer = (await world.slack.command(ANA.slack, "snooze 2h"))["payload"]
    assert [one["value"] for one in answer["blocks"][-1]["elements"]] == ["snooze INC-7 2h", "snooze INC-8 2h"]


async def test_runbook_opens_the_window_where_there_is_a_trigger_and_shows_a_button_elsewhere(world):
    answer = await world.slack.command(ANA.slack, "runbook tool errors")
    assert answer["acked"]
    await until(lambda: world.slack.views)
    await world.slack.mention(ANA.slack, "runbook INC-7", channel=CHANNEL, thread_ts="1.0")
    await until(lambda: world.slack.ephemeral)
    assert "inc.runbook" in json.dumps(world.slack.ephemeral[-1])
    assert "no incident is open that" in await world.ask("runbook nothing like it")


async def test_mine_is_what_i_have_or_was_paged_for(world):
    async def paged(one):
        return {"ben"} if one.id == "INC-7" else {"ana"}

    world.commands.paged = paged
    world.commands.open = [incident(), incident(id="INC-8"), incident(id="INC-9", acked_by="person:ben")]
    listed = await world.ask("incidents mine", user=BEN.slack)
    assert "INC-7" in listed
    assert "INC-9" in listed
    assert "INC-8" not in listed


async def test_requests_of_runbooks_are_agreed_to_refused_and_listed(world):
    assert "RUN-3 is on its way." in await world.ask("approve INC-7")
    assert "RUN-3 is refused." in await world.ask("refuse RUN-3", user=BEN.slack)
    assert [call[:3] for call in world.acting.calls] == [
        ("agree", "person:ana", "INC-7"),
        ("refuse", "person:ben", "RUN-3"),
    ]
    assert "No request of the runbook of INC-7" in await world.ask("actions INC-7")
    assert "name the incident" in await world.ask("approve")


async def test_what_an_agent_costs_is_told_and_an_unknown_one_is_named(world):
    assert "What refund-agent costs" in await world.ask("cost refund-agent")
    assert "refund-agent: $3.00 of $10.00 today" in await world.ask("costs")
    assert "there is no agent" in await world.ask("cost refund-agnt")


# The home tab


async def test_the_home_tab_shows_what_concerns_me_and_never_stands_empty(world):
    world.commands.open = [incident()]

    async def paged(_one):
        return {"ana"}

    world.commands.paged = paged
    world.commands.agents = [
        AgentStatus("refund-agent", "", "firing", "team:payments", ("ana",), ("INC-7",)),
        AgentStatus("other", "", "ok", "team:payments", (), ()),
    ]
    change = RotaChange(
        id="ROTA-3", kind="override", schedule="payments", people=("ana",), start=NOW, until=NOW + timedelta(hours=4),
        by="person:ben", at=NOW,
    )  # fmt: skip
    world.rotas.known.append(change)
    home = await world.home()
    for said in ("Ana Ruiz", "Test my page", "INC-7", "Acknowledge", "1 of 2 agents are not well", "ROTA-3"):
        assert said in home
    world.commands.open, world.commands.agents, world.rotas.known = [], [], []
    home = await world.home(BEN.slack)
    assert "None is yours, and none waits for you." in home
    assert "No agents are known yet" in home


async def test_a_newcomer_is_told_what_to_do_and_gets_nothing_else(world):
    home = await world.home("U09STRANGER")
    assert "U09STRANGER" in home
    assert "Ask whoever keeps" in home
    assert "INC-7" not in home


async def test_only_the_home_tab_is_drawn_when_it_is_opened(world):
    await world.slack.open_home(ANA.slack, tab="messages")
    await world.home(BEN.slack)
    assert ANA.slack not in world.slack.homes


@pytest.mark.parametrize(
    ("action", "value", "did"),
    [
        ("home.ack", "INC-7|1", lambda w: [call[:3] for call in w.commands.calls] == [("ack", "person:ana", "INC-7")]),
        ("home.unsilence", "SIL-3", lambda w: w.silencing.ended == [("person:ana", "SIL-3")]),
        ("home.unoverride", "ROTA-3", lambda w: w.rotas.ended == [("person:ana", "ROTA-3")]),
    ],
)
async def test_a_click_in_the_home_tab_is_done_and_shown_there(world, action, value, did):
    change = RotaChange(
        id="ROTA-3", kind="override", schedule="p", people=("ana",), start=NOW, until=NOW, by="person:ana", at=NOW
    )
    world.rotas.known.append(change)
    await world.home()
    before = world.slack.homes[ANA.slack]
    assert (await world.slack.click_home(ANA.slack, action, value))["acked"]
    await until(lambda: world.slack.homes[ANA.slack] is not before)
    assert did(world)
    assert "👉" in json.dumps(world.slack.homes[ANA.slack], ensure_ascii=False)


async def test_what_somebody_changes_elsewhere_shows_in_the_tab_they_have_open(world):
    await world.home()
    before = world.slack.homes[ANA.slack]
    await world.ask("ack INC-7", user=BEN.slack)  # he has no tab open
    await world.ask("ack INC-7")
    await until(lambda: world.slack.homes[ANA.slack] is not before)
    assert BEN.slack not in world.slack.homes


async def test_a_stranger_can_change_nothing_in_the_home_tab(world):
    await world.home("U09STRANGER")
    await world.slack.click_home("U09STRANGER", "home.ack", "INC-7|1")
    await world.home("U09STRANGER")
    assert world.commands.calls == []


async def test_test_my_page_in_the_home_tab_is_answered_directly(world):
    await world.home()
    await world.slack.click_home(ANA.slack, "duty.test", "ben")
    await until(lambda: world.slack.posted(ANA.slack))
    assert world.paging.calls[0][:3] == ("test", "person:ana", "me")
    assert "a test page is on its way" in world.slack.posted(ANA.slack)[-1]["text"]


async def test_a_slack_that_does_not_know_the_method_loses_nothing_else(world):
    world.slack.mode("refused", method="views.publish", error="unknown_method")
    await world.slack.open_home(ANA.slack)
    await until(lambda: world.slack.calls("views.publish"))
    assert "INC-7 is yours." in await world.ask("ack INC-7")


async def test_a_tab_that_cannot_be_drawn_says_so_and_what_the_click_has_done(world, monkeypatch):
    await world.home()

    async def broken():
        raise RuntimeError("no such table")

    monkeypatch.setattr(world.commands, "status", broken)
    before = world.slack.homes[ANA.slack]
    await world.slack.click_home(ANA.slack, "home.ack", "INC-7|1")
    await until(lambda: world.slack.homes[ANA.slack] is not before)
    shown = json.dumps(world.slack.homes[ANA.slack])
    assert "could not be drawn" in shown
    assert "INC-7 is yours." in shown
    assert "no such table" not in shown
