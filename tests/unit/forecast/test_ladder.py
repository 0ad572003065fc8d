"""What `explain` says is what happens to an incident that nobody answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from core_world import AGENTS, BOOK, NOW, WORLD, alert, observe, woken
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.agents.model import Agent
from bot.errors import UsageError
from bot.forecast.ladder import ladder
from bot.forecast.question import ask
from bot.incidents.decision import World
from bot.incidents.escalation import due
from bot.incidents.model import Severity
from bot.incidents.policy import IncidentRules
from bot.oncall.model import Policy, Schedule, Step
from bot.rules.model import Group, Rule


def levels(labels: dict[str, str], world: World = WORLD, at: datetime = NOW) -> list[tuple[int, list[str]]]:
    found = ladder(labels, {}, world, at).levels
    return [(int(level.after.total_seconds()) // 60, [one.person for one in level.people]) for level in found]


def test_each_level_of_each_round_and_the_first_page_to_the_fallback():
    assert levels({"alertname": "X", "agent": "refund-agent", "severity": "critical"}) == [
        (0, ["ana"]),
        (5, ["ben", "cat"]),
        (15, ["ana"]),
        (20, ["ben", "cat"]),
        (30, ["dan"]),
        (45, ["dan", "ana", "ben"]),
        (60, ["dan", "ana", "ben", "cat"]),
    ]


def test_an_info_alert_is_shown_and_wakes_nobody():
    found = ladder({"alertname": "X", "agent": "refund-agent", "severity": "info"}, {}, WORLD, NOW)
    (level,) = found.levels
    assert (level.people, level.channels, found.again) == ((), ("#refunds",), None)
    assert level.why == "X is info: shown, wakes nobody"


def test_what_is_muted_says_so_and_pages_when_the_window_closes():
    hours = [{"hours": "01:00-03:00"}]
    window = {"id": "night", "matchers": 'agent="refund-agent"', "during": hours, "reason": "asleep"}
    rules = IncidentRules.model_validate({"mute_windows": {"night": window}})
    labels = {"alertname": "X", "agent": "refund-agent", "severity": "warning"}
    around = replace(WORLD, rules=rules)
    assert levels(labels, around)[:3] == [(0, []), (60, ["ana"]), (65, ["ben", "cat"])]
    first = ladder(labels, {}, around, NOW).levels[0]
    assert first.channels == ()
    assert 'hidden: muted until 2026-11-04 03:00 UTC: asleep (mute window "night")' in first.why


def test_what_is_muted_all_day_long_ends_the_ladder_without_a_page():
    window = {"id": "ever", "matchers": 'agent="refund-agent"', "during": [{}], "reason": "never"}
    around = replace(WORLD, rules=IncidentRules.model_validate({"mute_windows": {"ever": window}}))
    found = levels({"alertname": "X", "agent": "refund-agent", "severity": "warning"}, around)
    assert {tuple(people) for _, people in found} == {()}


def test_the_wait_for_others_is_shown():
    around = replace(WORLD, rules=IncidentRules.model_validate({"grouping": [{"group_wait": "2m"}]}))
    labels = {"alertname": "X", "agent": "refund-agent", "severity": "warning"}
    assert levels(labels, around)[:3] == [(0, []), (2, ["ana"]), (7, ["ben", "cat"])]


def test_channels_are_those_that_get_a_message():
    policy = Policy(id="payments", steps=(Step(notify=("person:ana", "channel:#night")), Step(notify=("person:ben",))))
    around = World(AGENTS, BOOK.model_copy(update={"escalation_policies": {"payments": policy}}), "#pages")
    found = ladder({"alertname": "X", "agent": "refund-agent", "severity": "critical"}, {}, around, NOW)
    assert [level.channels for level in found.levels[:2]] == [("#night", "#refunds"), ("#refunds",)]


WINDOW = {"days": ["Mon-Fri"], "hours": "09:00-17:00"}
TARGETS = ["person:ana", "team:payments", "schedule:s", "channel:#c", "person:gone"]
STEPS = st.builds(
    lambda notify, wait, when: Step.model_validate({"notify": notify, "wait": wait, "when": when}),
    st.lists(st.sampled_from(TARGETS), min_size=1, max_size=2),
    st.sampled_from(["1m", "5m", "3h"]),
    st.sampled_from([None, {"severity": "critical"}, {"during": [WINDOW]}, {"outside": [WINDOW]}]),
)
ROTA = Schedule.model_validate(
    {
        "id": "s",
        "timezone": "Europe/Madrid",
        "layers": [{"people": ["ben", "cat", "none"], "every": "8h", "start": "2026-11-01", "handoff": "00:00"}],
    }
)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=4),
    repeat=st.integers(0, 3),
    severity=st.sampled_from(["critical", "warning"]),
    hours=st.integers(0, 24 * 8),
)
def test_the_ladder_is_that_of_a_simulated_incident(steps, repeat, severity, hours):
    at = datetime(2026, 11, 4, tzinfo=UTC) + timedelta(hours=hours)
    policy = Policy(id="payments", steps=tuple(steps), repeat=repeat)
    book = BOOK.model_copy(update={"escalation_policies": {"payments": policy}, "schedules": {"s": ROTA}})
    around = World(AGENTS, book, "#pages")
    found = ladder({"alertname": "X", "agent": "refund-agent", "severity": severity}, {}, around, at)

    (decision,) = observe([alert(labels={"severity": severity}, starts_at=at)], now=at, world=around)
    now = at
    for level in found.levels:
        assert (level.at, level.after) == (now, now - at)
        assert [one.person for one in level.people] == woken(decision)
        assert level.paged == decision.channels
        assert set(level.paged) <= set(level.channels)
        assert (level.step, level.round) == (decision.incident.step, decision.incident.round)
        assert level.exhausted is decision.incident.exhausted
        assert decision.incident.next_at is not None
        now = decision.incident.next_at
        following = due(decision.incident, around, now)
        assert following is not None
        decision = following
    assert [(level.exhausted, level.widened) for level in found.levels[-3:]] == [(True, 0), (True, 1), (True, 2)]
    assert not any(level.exhausted for level in found.levels[:-3])
    assert now - found.levels[-1].at == found.again


# What the name means

AGENT_RULE = Rule(alert="Slow", expr="up", labels={"severity": "warning", "agent": "refund-agent"})
GROUPS = (
    Group(
        name="g",
        labels={"env": "prod"},
        rules=(
            AGENT_RULE,
            Rule(alert="Errors", expr="up", labels={"severity": "warning"}),
            Rule(alert="Errors", expr="up", labels={"severity": "critical"}),
            Rule(alert="Own", expr="up", labels={"owner": "person:ben"}),
            Rule(alert="Watchdog", expr="up", labels={"severity": "none", "agent": "{{ $labels.agent }}"}),
            Rule(record="a:b", expr="up"),
        ),
    ),
)
TWO = {**AGENTS, "search": Agent(id="search", owner="person:cat")}


def test_the_labels_of_a_rule_that_names_its_agent():
    question = ask("Slow", None, None, TWO, GROUPS)
    assert question.labels == {"alertname": "Slow", "agent": "refund-agent", "severity": "warning", "env": "prod"}


def test_the_worst_rule_of_a_name_is_meant_unless_a_severity_is_asked_for():
    worst = ask("Errors", "search", None, TWO, GROUPS)
    assert (worst.severity, worst.also) == (Severity.CRITICAL, ("warning",))
    assert ask("Errors", "search", Severity.WARNING, TWO, GROUPS).labels["severity"] == "warning"


def test_an_agent_that_comes_from_the_series_has_to_be_named_when_there_are_several():
    assert ask("Errors", None, None, AGENTS, GROUPS).labels["agent"] == "refund-agent"
    with pytest.raises(UsageError, match="name one with --agent: refund-agent, search"):
        ask("Errors", None, None, TWO, GROUPS)


def test_a_rule_with_an_owner_needs_no_agent():
    assert ask("Own", None, None, TWO, GROUPS).labels == {
        "alertname": "Own",
        "owner": "person:ben",
        "severity": "critical",
        "env": "prod",
    }


def test_any_alert_of_an_agent_is_critical_unless_said_otherwise():
    assert ask("search", None, None, TWO, GROUPS).labels["severity"] == "critical"
    assert ask("search", None, Severity.WARNING, TWO, GROUPS).severity is Severity.WARNING


@pytest.mark.parametrize(
    ("name", "agent", "words"),
    [
        ("Slw", None, 'no agent and no alert "Slw"; did you mean "Slow"?'),
        ("a:b", None, 'no agent and no alert "a:b"'),
        ("Errors", "serch", 'no agent "serch"; did you mean "search"?'),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_nearest(name, agent, words):
    with pytest.raises(UsageError) as refused:
        ask(name, agent, None, TWO, GROUPS)
    assert words in str(refused.value)
