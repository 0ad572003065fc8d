"""Why somebody would be paged, or is not: over a real store, with a watcher that answers as told."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from core_world import AGENTS, BOOK, CHANNEL, GROUP, NOW, WORLD, alert

from bot import pipeline
from bot.errors import RemoteError, UsageError
from bot.explaining import Explainer
from bot.incidents.decision import World
from bot.incidents.model import Severity
from bot.incidents.silences import Draft
from bot.joint import Update
from bot.rules.model import Group, Rule
from bot.store.database import Database

GROUPS = (
    Group(
        name="g",
        file="alerts/a.yaml",
        rules=(
            Rule(alert="ErrorsHigh", expr="errors > 0.05", labels={"severity": "critical"}),
            Rule(alert="Quiet", expr="up == 1", labels={"severity": "none"}),
        ),
    ),
)


class Clock:
    def now(self):
        return NOW


class Watcher:
    """Answers `rules` and `alerts`; raises while it has no answer."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {"alerts": {"alerts": []}, "rules": {"groups": []}}
        self.asked: list[list] = []

    async def ask(self, method, params, seconds):
        self.asked.append([params["path"], params["fields"]])
        if params["path"] not in self.answers:
            raise RemoteError("the watcher is not running", code="watcher_down")
        return {"status": 200, "packed": False}, json.dumps({"data": self.answers[params["path"]]}).encode()

    def rule(self, **changes) -> None:
        fields = {"query": "errors > 0.05", "labels": {"severity": "critical"}, "health": "ok", "alerts": []}
        self.answers["rules"] = {"groups": [{"rules": [fields | changes]}]}


class Town:
    def __init__(self, store) -> None:
        self.store, self.watcher = store, Watcher()
        world = World(AGENTS | {"other": AGENTS["refund-agent"].model_copy(update={"id": "other"})}, BOOK, CHANNEL)
        self.explainer = Explainer(store, Clock(), lambda: world, lambda: GROUPS, self.watcher, lambda: "")

    async def explain(self, *words: str):
        return await self.explainer.explain(words)


@pytest.fixture
async def town(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    yield Town(store)
    await store.close()


async def test_an_agent_is_its_ladder_with_reasons(town):
    told = await town.explain("refund-agent")
    assert told.title == "If a critical alert of refund-agent began now"
    assert [(rung.at - NOW, rung.people) for rung in told.levels[:3]] == [
        (timedelta(), ("Ana",)),
        (timedelta(minutes=5), ("Ben", "Cat")),
        (timedelta(minutes=15), ("Ana",)),
    ]
    assert told.levels[0].why == "named in the policy"
    assert "Owner team:payments: owner of agent refund-agent. Policy payments." in told.facts
    assert "No alert of it fires or is pending now." in told.facts


async def test_a_silence_of_now_is_said_and_pages_nobody(town):
    draft = Draft(('agent="refund-agent"',), NOW + timedelta(hours=2), "migration", None, Severity.CRITICAL)
    await pipeline.silence(town.store, draft, "person:ana", WORLD, NOW)
    told = await town.explain("refund-agent")
    assert any(fact.startswith("Hidden now: silenced by ana") for fact in told.facts)
    assert all(rung.at >= NOW + timedelta(hours=2) for rung in told.levels)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({}, "The critical rule does not fire: nothing meets errors > 0.05 now."),
        (
            {"health": "err", "lastError": "no such function"},
            "The critical rule cannot be evaluated: no such function. It cannot fire until it can.",
        ),
        (
            {
                "duration": 300,
                "alerts": [
                    {
                        "labels": {"agent": "refund-agent"},
                        "state": "pending",
                        "activeAt": "2026-11-04T01:58:00Z",
                        "value": "0.4",
                    }
                ],
            },
            "refund-agent: pending: it has to hold for 300 s before it fires, since 2026-11-04 01:58:00 UTC, "
            "value 0.4.",
        ),
    ],
)
async def test_why_an_alert_does_not_fire_is_what_its_rule_says(town, rule, says):
    town.watcher.rule(**rule)
    told = await town.explain("ErrorsHigh", "refund-agent")
    assert says in told.facts
    assert town.watcher.asked == [["rules", [["rule_name[]", "ErrorsHigh"]]]]
    assert told.levels[0].people == ("Ana",)


async def test_without_the_watcher_who_is_paged_is_said_all_the_same(town):
    town.watcher.answers.clear()
    told = await town.explain("ErrorsHigh", "refund-agent")
    assert "How its rule stands cannot be said: the watcher does not answer." in told.facts
    assert told.levels


async def test_an_alert_of_several_agents_asks_which_and_says_how_its_rule_stands(town):
    town.watcher.rule()
    told = await town.explain("ErrorsHigh")
    assert told.levels == ()
    assert told.facts[0].startswith("The critical rule does not fire")
    assert "explain ErrorsHigh …: other, refund-agent" in told.facts[-1]


async def test_an_alert_of_severity_none_wakes_nobody(town):
    told = await town.explain("Quiet", "refund-agent")
    assert told.title == "Quiet wakes nobody"


async def test_an_incident_says_whom_it_has_paged(town):
    update = Update(group=GROUP, evaluated_at=NOW, alerts=(alert(),))
    await pipeline.observe(town.store, update, WORLD, NOW)
    told = await town.explain("inc-1")
    assert told.title == "Why INC-1 pages whom it pages"
    assert "It opened for ErrorsHigh. Owner team:payments: owner of agent refund-agent." in told.facts
    assert [(rung.people, rung.why) for rung in told.levels] == [(("Ana, due",), "named in the policy")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "say what to explain"),
        (("INC-99",), 'there is no incident "INC-99"'),
        (("refund-agnet",), 'there is no agent and no alert "refund-agnet"; did you mean "refund-agent"'),
        (("ErrorsHigh", "nobody"), 'there is no agent "nobody"'),
    ],
)
async def test_what_there_is_not_is_said(town, words, says):
    with pytest.raises(UsageError) as refused:
        await town.explain(*words)
    assert says in str(refused.value)
