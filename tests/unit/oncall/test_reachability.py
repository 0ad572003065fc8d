"""Who would not be reached, who is told of it, and how urgent that is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from core_world import AGENTS, BOOK, NOW, PEOPLE

from bot.agents.model import Agent
from bot.oncall.model import Layer, NotificationRule, Policy, Schedule, Step, Team
from bot.oncall.reachability import (
    Account,
    another_address,
    first_turns,
    is_urgent,
    no_second_way,
    trouble,
    who_mends,
)

ANA = PEOPLE["ana"]
GOOD = Account("U0ANA")
# Ben from Monday the 9th, midnight; before that nobody.
LATER = Schedule(id="later", layers=(Layer(people=("ben",), start=date(2026, 11, 9)),))


@pytest.mark.parametrize(
    ("account", "words", "grave"),
    [
        (Account("U0ANA", found=False), "there is no Slack user U0ANA", True),
        (Account("U0ANA", active=False), "U0ANA is deactivated", True),
        (Account("U0ANA", human=False), "U0ANA is a bot", True),
        (Account("U0ANA", foreign="T0OTHER"), "U0ANA belongs to another workspace (T0OTHER)", True),
        (Account("U0ANA", guest=True), "U0ANA is a guest, whose clicks are refused", True),
        (Account("U0ANA", active=False, guest=True), "U0ANA is deactivated", True),
    ],
)
def test_what_keeps_a_page_from_arriving(account, words, grave):
    found = trouble(account)
    assert found is not None
    assert (found.text, found.grave) == (words, grave)


def test_an_active_member_is_no_trouble():
    assert trouble(GOOD) is None


def test_another_address_is_a_doubt_and_no_hindrance():
    ana = ANA.model_copy(update={"email": "ana@example.com"})
    assert another_address(ana, Account("U0ANA", email="ANA@example.com")) is None
    assert another_address(ana, Account("U0ANA")) is None
    found = another_address(ana, Account("U0ANA", email="zoe@example.com"))
    assert found is not None
    assert not found.grave


def rules(*ways: str):
    return {"notification_rules": {"high": tuple(NotificationRule(by=way) for way in ways)}}


@pytest.mark.parametrize(
    ("update", "second_channels", "lacking"),
    [
        (rules("slack"), True, True),
        (rules("slack"), False, False),
        (rules("slack", "email"), True, True),  # a rule without an address
        (rules("slack", "email") | {"email": "ana@example.com"}, True, False),
        (rules("slack", "webhook:sms"), True, False),
        ({}, True, True),
    ],
)
def test_a_way_besides_slack_is_asked_for_where_there_are_any(update, second_channels, lacking):
    assert (no_second_way(ANA.model_copy(update=update), second_channels) is not None) is lacking


def turns(book, agents=AGENTS, days=28):
    return first_turns(agents, book, NOW, NOW + timedelta(days=days))


def test_everybody_in_a_policy_a_team_and_the_fallback_may_be_paged_now():
    assert turns(BOOK) == dict.fromkeys(("ana", "ben", "cat", "dan"), NOW)


def test_somebody_whom_only_a_schedule_names_may_be_paged_from_their_first_turn():
    book = BOOK.model_copy(update={"teams": {}, "escalation_policies": {}, "schedules": {"later": LATER}})
    assert turns(book, agents={}) == {"dan": NOW, "ben": NOW.replace(day=9, hour=0)}
    assert turns(book, agents={}, days=4) == {"dan": NOW}


def test_the_owner_of_an_agent_may_be_paged_but_not_of_a_retired_one():
    book = BOOK.model_copy(update={"teams": {}, "escalation_policies": {}})
    for stage, expected in (("walk", {"dan", "cat"}), ("retired", {"dan"})):
        assert set(turns(book, {"x": Agent(id="x", owner="person:cat", stage=stage)})) == expected


def test_whoever_a_route_or_a_tool_leads_to_may_be_paged():
    book = BOOK.model_copy(update={"teams": {}, "escalation_policies": {}, "routes": {"platform": "person:ben"}})
    tools = {"search": {"owner": "person:ana"}}
    agents = {"x": Agent.model_validate({"id": "x", "owner": "person:cat", "tools": tools})}
    assert set(turns(book, agents)) == {"dan", "cat", "ana", "ben"}


@pytest.mark.parametrize(("hours", "urgent"), [(0, True), (23, True), (24, False), (200, False)])
def test_a_turn_within_a_day_is_urgent(hours, urgent):
    assert is_urgent("ben", NOW + timedelta(hours=hours), BOOK, NOW) is urgent


def test_the_fallback_is_always_urgent():
    assert is_urgent("dan", NOW + timedelta(days=20), BOOK, NOW)


def test_their_team_mends_it_where_its_ladder_begins_with_somebody_else():
    assert who_mends("ben", AGENTS, BOOK, {"ben"}, NOW) == "team:payments"


@pytest.mark.parametrize("unreachable", [{"ana"}, {"ana", "ben"}])
def test_else_the_fallback(unreachable):
    """The first level of the team's policy is Ana alone."""
    assert who_mends("ana", AGENTS, BOOK, unreachable, NOW) == "person:dan"


def test_somebody_without_a_team_is_mended_by_the_fallback():
    assert who_mends("cat", AGENTS, BOOK, {"cat"}, NOW) == "person:dan"


def test_the_fallback_itself_is_mended_by_anybody_else():
    assert who_mends("dan", AGENTS, BOOK, {"dan", "ana"}, NOW) == "person:ben"


def test_a_team_whose_first_level_is_empty_now_reaches_others_at_its_second():
    steps = (Step(notify=("schedule:later",)), Step(notify=("person:cat",)))
    book = BOOK.model_copy(
        update={
            "schedules": {"later": LATER},
            "teams": {"payments": Team(id="payments", members=("ana", "ben"))},
            "escalation_policies": {"payments": Policy(id="payments", steps=steps)},
        }
    )
    assert who_mends("ana", AGENTS, book, {"ana"}, NOW) == "team:payments"


def test_were_nobody_left_it_is_the_fallbacks():
    assert who_mends("dan", AGENTS, BOOK, set(PEOPLE), NOW) == "person:dan"
