from __future__ import annotations

from datetime import date, timedelta

import pytest
from core_world import AGENTS, BOOK, NOW, PEOPLE, POLICY

from bot.agents.model import Agent, Dataset, Tool
from bot.oncall.model import Book, Layer, Policy, Routing, Schedule, Step, Team
from bot.oncall.owners import Owner, Reached, every_way, last_resort, owner_of, people_of, policy_of


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        ({"owner": "team:payments"}, Owner("team:payments", "label owner=team:payments")),
        ({"owner": "person:ana"}, Owner("person:ana", "label owner=person:ana")),
        ({"owner": "payments"}, Owner("team:payments", "label owner=payments")),
        ({"owner": "ana"}, Owner("person:ana", "label owner=ana")),
        ({"owner": "person:cat", "agent": "refund-agent"}, Owner("person:cat", "label owner=person:cat")),
        ({"agent": "refund-agent"}, Owner("team:payments", "owner of agent refund-agent")),
        ({"owner": "", "agent": "refund-agent"}, Owner("team:payments", "owner of agent refund-agent")),
        (
            {"owner": "team:gone", "agent": "refund-agent"},
            Owner("team:payments", 'owner "team:gone" is unknown; owner of agent refund-agent'),
        ),
        (
            {"owner": "team:gone"},
            Owner("person:dan", 'owner "team:gone" is unknown, so the fallback has it', known=False),
        ),
        (
            {"owner": "person:payments"},  # a team's name with the wrong kind
            Owner("person:dan", 'owner "person:payments" is unknown, so the fallback has it', known=False),
        ),
        (
            {"agent": "new-agent"},
            Owner("person:dan", "agent new-agent is not registered, so the fallback has it", known=False),
        ),
        ({}, Owner("person:dan", "the alert names neither owner nor agent, so the fallback has it", known=False)),
    ],
)
def test_the_owner_of_an_alert(labels, owner):
    assert owner_of(labels, AGENTS, BOOK) == owner


ROUTING = BOOK.model_copy(
    update={
        "routing": (
            Routing(matchers=('team="gone"',), owner="team:gone"),
            Routing(matchers=('team=~"pay.*"', 'severity!="info"'), owner="payments"),
            Routing(matchers=('team=~"pay.*"',), owner="person:cat"),
            Routing(owner="person:ben"),
        )
    }
)


@pytest.mark.parametrize(
    ("labels", "owner", "why"),
    [
        ({"team": "payroll"}, "team:payments", 'routing team=~"pay.*" severity!="info"'),
        ({"team": "payroll", "severity": "info"}, "person:cat", 'routing team=~"pay.*"'),
        ({"team": "gone"}, "person:ben", "routing of everything else"),
        ({}, "person:ben", "routing of everything else"),
        # Whoever is named by the alert itself, or answers for its agent, counts more.
        ({"team": "payroll", "owner": "person:ana"}, "person:ana", "label owner=person:ana"),
        ({"team": "other", "agent": "refund-agent"}, "team:payments", "owner of agent refund-agent"),
        ({"owner": "nobody"}, "person:ben", 'owner "nobody" is unknown; routing of everything else'),
    ],
)
def test_an_alert_that_names_nobody_is_routed_by_its_labels(labels, owner, why):
    assert owner_of(labels, AGENTS, ROUTING) == Owner(owner, why)


TOOLS = {"search": Tool(owner="person:ben", credential="search-key"), "orders": Tool()}
ROUTED = {
    "refund-agent": Agent(
        id="refund-agent", owner="team:payments", tools=TOOLS, datasets={"crm": Dataset(owner="person:cat")}
    )
}
ROUTES = BOOK.model_copy(update={"routes": {"platform": "person:cat", "gone": "team:gone"}})


@pytest.mark.parametrize(
    ("labels", "owner", "why"),
    [
        ({"route": "owner"}, "team:payments", "owner of agent refund-agent"),
        ({"route": "tool-owner", "tool": "search"}, "person:ben", "owner of tool search of refund-agent"),
        ({"route": "tool-owner", "credential": "search-key"}, "person:ben", "owner of tool search of refund-agent"),
        (
            {"route": "tool-owner", "tool": "orders"},
            "team:payments",
            "tool orders has no owner in agents/; owner of agent refund-agent",
        ),
        ({"route": "data-owner", "dataset": "crm"}, "person:cat", "owner of dataset crm of refund-agent"),
        ({"route": "platform"}, "person:cat", "route platform"),
        ({"route": "gone"}, "team:payments", 'route "gone" leads to nobody known; owner of agent refund-agent'),
        ({"route": "nowhere"}, "team:payments", 'route "nowhere" is not in oncall/; owner of agent refund-agent'),
        ({"route": "platform", "owner": "person:ana"}, "person:ana", "label owner=person:ana"),
    ],
)
def test_a_route_leads_to_its_owner_and_else_to_the_agents(labels, owner, why):
    found = owner_of({"agent": "refund-agent"} | labels, ROUTED, ROUTES)
    assert (found.id, found.why, found.known) == (owner, why, True)


@pytest.mark.parametrize("tool", [{}, {"tool": ""}])
def test_of_several_tools_with_one_credential_one_that_has_an_owner_counts(tool):
    tools = {"read": Tool(credential="key"), "write": Tool(credential="key", owner="person:cat")}
    agents = {"refund-agent": AGENTS["refund-agent"].model_copy(update={"tools": tools})}
    labels = {"agent": "refund-agent", "route": "tool-owner", "credential": "key", **tool}
    assert owner_of(labels, agents, BOOK).id == "person:cat"


def test_a_route_of_an_alert_without_an_agent_falls_back_with_the_reason():
    assert owner_of({"route": "platform"}, {}, ROUTES).id == "person:cat"
    found = owner_of({"route": "nowhere"}, {}, ROUTES)
    assert (found.id, found.known) == ("person:dan", False)
    assert found.why == 'route "nowhere" is not in oncall/, so the fallback has it'


def test_whoever_an_alert_is_routed_to_comes_before_the_agents_owner_and_not_instead():
    labels = {"agent": "refund-agent", "route": "tool-owner", "tool": "search"}
    name, policy = policy_of(owner_of(labels, ROUTED, ROUTES), labels, ROUTED, ROUTES)
    assert [step.notify for step in policy.steps] == [("person:ben",), ("team:payments",)]
    assert name == "owner"
    own = {"agent": "refund-agent"}
    assert policy_of(owner_of(own, ROUTED, ROUTES), own, ROUTED, ROUTES)[1] == BOOK.escalation_policies["payments"]


def test_a_bare_name_of_both_a_team_and_a_person_means_the_team():
    book = BOOK.model_copy(update={"teams": {**BOOK.teams, "ana": Team(id="ana", members=("ben",))}})
    assert owner_of({"owner": "ana"}, {}, book).id == "team:ana"
    assert owner_of({"owner": "person:ana"}, {}, book).id == "person:ana"


def test_an_agent_whose_owner_is_unknown_goes_to_the_fallback_with_the_reason():
    agents = {"x": Agent(id="x", owner="team:gone")}
    assert owner_of({"agent": "x"}, agents, BOOK) == Owner(
        "person:dan", 'owner "team:gone" of agent x is unknown, so the fallback has it', known=False
    )


def policies(*names: str) -> dict[str, Policy]:
    return {name: POLICY.model_copy(update={"id": name}) for name in names}


def book_with(*names: str, escalation: str | None = None) -> Book:
    team = Team(id="payments", members=("ana",), escalation=escalation)
    return BOOK.model_copy(update={"escalation_policies": policies(*names), "teams": {"payments": team}})


@pytest.mark.parametrize(
    ("book", "agent_policy", "chosen"),
    [
        (book_with("agent-first", "of-team", "payments", escalation="of-team"), "agent-first", "agent-first"),
        (book_with("of-team", "payments", escalation="of-team"), None, "of-team"),
        (book_with("of-team", "payments", escalation="of-team"), "gone", "of-team"),
        (book_with("payments", escalation="gone"), None, "payments"),
        (book_with("payments"), None, "payments"),
        (book_with("other"), None, "owner"),
    ],
)
def test_the_policy_is_the_agents_then_the_teams_then_the_teams_name_then_the_owner_alone(book, agent_policy, chosen):
    agents = {"refund-agent": Agent(id="refund-agent", owner="team:payments", escalation=agent_policy)}
    labels = {"agent": "refund-agent"}
    policy_id, policy = policy_of(owner_of(labels, agents, book), labels, agents, book)
    assert policy_id == chosen
    assert policy.id == chosen


def test_without_any_policy_one_step_goes_to_the_owner():
    _, policy = policy_of(Owner("person:cat", ""), {}, {}, BOOK)
    assert policy.steps == (Step(notify=("person:cat",), wait=timedelta(minutes=5)),)


def test_the_policy_named_like_a_person_is_not_that_persons():
    book = BOOK.model_copy(update={"escalation_policies": policies("cat")})
    assert policy_of(Owner("person:cat", ""), {}, {}, book)[0] == "owner"


ROTA = Schedule(id="primary", layers=(Layer(people=("cat",), start=date(2026, 11, 1)),))
GONE = Schedule(id="gone", layers=(Layer(people=("somebody-who-left",), start=date(2026, 11, 1)),))
FUTURE = Schedule(id="future", layers=(Layer(people=("cat",), start=date(2030, 1, 1)),))
FULL = BOOK.model_copy(update={"schedules": {"primary": ROTA, "gone": GONE, "future": FUTURE}})


def test_people_behind_targets_each_once_with_the_first_reason():
    reached, empty = people_of(["schedule:primary", "team:payments", "person:ana", "person:cat"], FULL, NOW)
    assert reached == [
        Reached("cat", "on call in primary"),
        Reached("ana", "member of payments"),
        Reached("ben", "member of payments"),
    ]
    assert empty == []


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("person:nobody", "person:nobody: no such person"),
        ("team:nobody", "team:nobody: no such team"),
        ("schedule:nobody", "schedule:nobody: no such schedule"),
        ("schedule:future", "schedule:future: future has not started"),
        ("schedule:gone", "schedule:gone: on call in gone"),
    ],
)
def test_a_target_without_anybody_says_why(target, line):
    assert people_of([target], FULL, NOW) == ([], [line])


def test_a_member_who_left_is_passed_over_and_the_others_are_woken():
    book = BOOK.model_copy(update={"people": {"ben": PEOPLE["ben"], "dan": PEOPLE["dan"]}})
    assert people_of(["team:payments"], book, NOW) == ([Reached("ben", "member of payments")], [])


def test_the_last_resort_is_the_fallback():
    assert [reached.person for reached in last_resort("person:dan", BOOK, NOW)] == ["dan"]
    assert [reached.person for reached in last_resort("team:payments", BOOK, NOW)] == ["ana", "ben"]


def test_a_fallback_that_is_gone_gives_way_to_the_books_own():
    assert [reached.person for reached in last_resort("person:who-left", BOOK, NOW)] == ["dan"]


def test_when_no_fallback_is_left_everybody_is_woken():
    book = BOOK.model_copy(update={"fallback": "schedule:gone"})
    assert [reached.person for reached in last_resort("person:who-left", book, NOW)] == ["ana", "ben", "cat", "dan"]


def test_every_way_that_an_alert_may_take_is_named_once():
    agents = ROUTED | {"old": Agent(id="old", owner="team:payments", stage="retired")}
    assert list(every_way(agents, ROUTES)) == [
        {"agent": "refund-agent"},
        {"agent": "refund-agent", "route": "tool-owner", "tool": "search"},
        {"agent": "refund-agent", "route": "data-owner", "dataset": "crm"},
        {"route": "platform"},
        {"route": "gone"},
    ]


def test_ways_by_labels_are_those_that_can_be_written_out():
    routing = (Routing(matchers=('team="pay"',), owner="payments"), Routing(matchers=('a=~"b"',), owner="payments"))
    assert list(every_way({}, BOOK.model_copy(update={"routing": routing}))) == [{"team": "pay"}]
