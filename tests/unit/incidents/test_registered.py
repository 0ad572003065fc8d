"""Matchers see where an alert's agent stands in the registry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_world import NOW, WORLD, after, alert

from bot.agents.model import Agent
from bot.incidents import silences
from bot.incidents.grouping import incident_key, observe
from bot.incidents.inhibition import Inhibition
from bot.incidents.policy import Grouping, IncidentRules, InhibitRule, MuteWindow
from bot.incidents.registered import NAMES, seen
from bot.incidents.silences import Draft, Silences
from bot.incidents.suppression import suppressions
from bot.oncall.owners import owner_of

GPT = {"provider": "openai", "name": "gpt-5-mini"}
CLAUDE = {"provider": "anthropic", "name": "claude-sonnet-4-5"}
AGENTS = {
    "refund-agent": Agent(id="refund-agent", owner="team:payments", stage="run", tier=1, model=GPT),
    "kyc-agent": Agent(id="kyc-agent", owner="person:ben", stage="walk", model=CLAUDE),
    "plain-agent": Agent(id="plain-agent", owner="team:payments"),
}
OUTAGE = InhibitRule(
    name="provider outage",
    source_matchers=('alertname="ProviderOutage"', 'model=""'),
    target_matchers=('alertname="AgentLatencyHigh"', 'agent_provider!=""'),
    equal=("agent_provider",),
)
MODEL_OUTAGE = InhibitRule(
    name="model outage",
    source_matchers=('alertname="ProviderOutage"', 'model!=""'),
    target_matchers=('alertname="AgentLatencyHigh"',),
    equal=("agent_provider", "agent_model"),
)


def slow(agent="refund-agent", **labels):
    return alert("AgentLatencyHigh", labels={"agent": agent, "severity": "warning"} | labels)


def outage(provider="openai", **labels):
    return alert("ProviderOutage", labels={"agent": "", "provider": provider} | labels)


def hidden(*alerts, rules=(OUTAGE, MODEL_OUTAGE), agents=AGENTS):
    found = Inhibition(rules).inhibited(alerts, agents)
    return [one.labels["agent"] for one in alerts if one.fingerprint in found]


def test_what_the_registry_says_of_its_agent():
    assert seen({"agent": "refund-agent", "tool": "crm"}, AGENTS) == {
        "agent": "refund-agent",
        "tool": "crm",
        "agent_provider": "openai",
        "agent_model": "gpt-5-mini",
        "agent_tier": "1",
        "agent_stage": "run",
        "agent_team": "payments",
    }
    assert set(seen({"agent": "refund-agent"}, AGENTS)) - {"agent"} == NAMES


def test_what_it_does_not_say_is_missing():
    assert seen({"agent": "plain-agent"}, AGENTS) == {
        "agent": "plain-agent",
        "agent_stage": "pilot",
        "agent_team": "payments",
    }
    assert seen({"agent": "kyc-agent"}, AGENTS).get("agent_team") is None  # a person's
    unknown = {"agent": "nobody", "tool": "crm"}
    assert seen(unknown, AGENTS) is unknown


def test_an_alert_that_names_a_provider_or_model_is_about_that_one():
    assert seen({"provider": "mistral"}, AGENTS) == {"provider": "mistral", "agent_provider": "mistral"}
    assert seen({"agent": "refund-agent", "provider": "mistral"}, AGENTS)["agent_provider"] == "mistral"


def test_a_label_of_the_alert_itself_wins():
    assert seen({"agent": "refund-agent", "agent_tier": "4"}, AGENTS)["agent_tier"] == "4"


def test_an_outage_hides_the_agents_on_that_provider():
    assert hidden(outage(), slow(), slow("kyc-agent"), slow("plain-agent"), slow("nobody")) == ["refund-agent"]
    assert hidden(outage("anthropic"), slow(), slow("kyc-agent")) == ["kyc-agent"]
    assert hidden(slow(), slow("kyc-agent")) == []


@pytest.mark.parametrize(("model", "found"), [("gpt-5-mini", ["refund-agent"]), ("gpt-5", [])])
def test_an_outage_of_one_model_hides_the_agents_on_that_model(model, found):
    assert hidden(outage(model=model), slow(), slow("kyc-agent")) == found


def test_a_changed_file_counts_at_once():
    inhibition = Inhibition([OUTAGE])
    both = [outage(), slow()]
    moved = AGENTS | {"refund-agent": AGENTS["refund-agent"].model_copy(update={"model": None})}
    assert list(inhibition.inhibited(both, AGENTS)) == [slow().fingerprint]
    assert inhibition.inhibited(both, moved) == {}
    assert not inhibition.concerns([slow()], moved)
    assert list(inhibition.inhibited(both, AGENTS)) == [slow().fingerprint]


def test_silences_mute_windows_and_grouping_see_it_too():
    made = silences.make(Draft(('agent_tier="1"',), after(hours=1), "tests"), 1, "person:ana", [], NOW, AGENTS)
    assert Silences([made], NOW).hiding(slow(), AGENTS)
    assert Silences([made], NOW).hiding(slow("kyc-agent"), AGENTS) == []

    window = MuteWindow(id="w", matchers=('agent_stage="walk"',), during=({"hours": "00:00-24:00"},), reason="tests")
    rules = IncidentRules(
        mute_windows={"w": window},
        grouping=(Grouping(matchers=('agent_team="payments"',), group_by=("agent_provider",)),),
    )
    world = replace(WORLD, agents=AGENTS, rules=rules)
    alerts = [slow(), slow("kyc-agent")]
    assert list(suppressions(alerts, world, NOW)) == [slow("kyc-agent").fingerprint]

    keys = [incident_key(one, owner_of(one.labels, AGENTS, world.book), world) for one in alerts]
    assert keys == ["agent_provider=openai owner=team:payments", "agent=kyc-agent owner=person:ben"]


def test_a_silence_until_it_resolves_waits_for_what_it_hides_by_the_registry():
    (opened,) = observe("g", [slow()], [], replace(WORLD, agents=AGENTS), NOW, lambda: 1)
    draft = Draft(('agent_provider="openai"',), after(hours=1), "tests", until_resolved=True)
    made = silences.make(draft, 1, "person:ana", [opened.incident], NOW, AGENTS)
    assert [one.name for _, one in silences.hidden(made, [opened.incident], AGENTS)] == ["AgentLatencyHigh"]
    assert silences.done([made], [opened.incident], after(minutes=1), AGENTS) == []
    assert silences.done([made], [], after(minutes=1), AGENTS) != []
