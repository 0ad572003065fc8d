"""What is remembered of accounts, and how long a click waits to know more."""

from __future__ import annotations

import asyncio

import pytest
from slack_world import until

from bot.oncall.reachability import Account
from bot.slack import members as module
from bot.slack.authorize import Home
from bot.slack.members import Members

HOME = Home(team="T0HOME", team_name="Home", bot_user="U0BOT", bot="B0BOT")


class Slack:
    """Takes the place of users.info; `gate` holds its answers back."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.account = Account("U1", guest=True)
        self.gate = asyncio.Event()
        self.gate.set()
        monkeypatch.setattr(module, "account_of", self.account_of)

    async def account_of(self, _web, user, _home):
        self.asked.append(user)
        await self.gate.wait()
        return self.account


@pytest.fixture
async def slack(monkeypatch):
    return Slack(monkeypatch)


async def test_several_clicks_at_once_are_one_question_and_its_answer_is_kept(slack):
    members = Members(None)
    await asyncio.gather(*(members.meet("U1", HOME) for _ in range(5)))
    await members.meet("U1", HOME)
    assert slack.asked == ["U1"]
    assert members.known("U1") == Account("U1", guest=True)


async def test_who_was_known_an_hour_ago_is_asked_about_again_and_not_waited_for(slack, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 3600.0)
    members = Members(None)
    await members.meet("U1", HOME)
    slack.gate.clear()
    slack.account = Account("U1")
    monkeypatch.setitem(members._until, "U1", 0.0)
    await members.meet("U1", HOME)
    assert members.known("U1") == Account("U1", guest=True)
    slack.gate.set()
    await until(lambda: members.known("U1") == Account("U1"))


async def test_a_guest_who_was_made_a_member_is_let_in_soon_and_a_member_is_not_asked_about_for_an_hour(slack):
    members = Members(None)
    now = asyncio.get_running_loop().time()
    await members.meet("U1", HOME)
    assert 50 < members._until["U1"] - now < 70
    members.learn([Account("U1")])
    assert 3500 < members._until["U1"] - now < 3700


async def test_an_answer_that_comes_too_late_for_one_click_counts_for_the_next(slack, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.0)
    slack.gate.clear()
    members = Members(None)
    await members.meet("U1", HOME)
    assert members.known("U1") is None
    slack.gate.set()
    await until(lambda: members.known("U1") is not None)
    await members.close()
