"""Whose word counts."""

from __future__ import annotations

import pytest
from core_world import BOOK, NOW, opened

from bot.actions.approvers import approvers
from bot.oncall.model import Person, Team
from bot.runbooks.model import Approve

PAYMENTS = Team(id="payments", members=("ana", "ben"), lead="ben")
TOOLS = Team(id="tools", members=("cat",), lead="dan")
CAT = BOOK.people["cat"].model_copy(update={"roles": ("sre",)})
WORLD_BOOK = BOOK.model_copy(
    update={"teams": {"payments": PAYMENTS, "tools": TOOLS}, "people": {**BOOK.people, "cat": CAT}}
)


def who(*by, incident=None, paged=(), book=WORLD_BOOK):
    return approvers(Approve(by=by), incident or opened(), paged, book, NOW)


def test_on_call_is_who_has_it_who_was_paged_and_whose_turn_it_is():
    incident = opened()
    assert list(who("oncall", incident=incident)) == ["ana"], "the first level"
    second = incident.model_copy(update={"step": 1})
    assert set(who("oncall", incident=second)) == {"ana", "ben", "cat"}
    handed = incident.model_copy(update={"acked_by": "person:dan"})
    assert list(who("oncall", incident=handed)) == ["dan", "ana"]
    assert list(who("oncall", incident=incident, paged=["cat"])) == ["cat", "ana"]


@pytest.mark.parametrize(
    ("by", "people"),
    [("owner", ["ana", "ben"]), ("person:dan", ["dan"]), ("team:tools", ["cat"]), ("role:sre", ["cat"]),
     ("role:lead", ["ben"]), ("role:nobody", []), ("person:gone", []), ("nonsense", [])],
)  # fmt: skip
def test_every_way_to_name_people(by, people):
    assert list(who(by)) == people


def test_the_lead_is_that_of_the_owners_team():
    of_person = opened().model_copy(update={"owner": "person:cat"})
    assert list(who("role:lead", incident=of_person)) == ["dan"], "the team that Cat is in"
    nobody = WORLD_BOOK.model_copy(update={"teams": {"payments": Team(id="payments", members=("ana",))}})
    assert who("role:lead", book=nobody) == {}


def test_a_role_called_lead_gives_nobody_power_over_another_team():
    people = {**WORLD_BOOK.people, "cat": CAT.model_copy(update={"roles": ("lead",)})}
    assert list(who("role:lead", book=WORLD_BOOK.model_copy(update={"people": people}))) == ["ben"]


def test_each_person_once_with_the_first_reason_and_nobody_who_has_left():
    assert who("oncall", "team:payments") == {"ana": "on call", "ben": "team payments"}
    left = {name: Person(id=name, name=name, slack="U01") for name in ("ben",)}
    assert who("team:payments", book=WORLD_BOOK.model_copy(update={"people": left})) == {"ben": "team payments"}
