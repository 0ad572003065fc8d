"""The hand-over bundle: what it says of an agent, what it says of gaps, and that nothing in it formats or links."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from core_world import AGENTS, NOW, WORLD, after, alert, opened

from bot.agents.evidence import Evidence
from bot.agents.model import Agent, Dataset, KillSwitch, Slo, Tool, Waiver
from bot.errors import UsageError
from bot.incidents.model import State
from bot.records.bundle import Live, agent_named, bundle, listed
from bot.records.bundle_words import markdown, short
from bot.rules.load import read
from bot.runbooks.model import Runbook, Step

FULL = AGENTS["refund-agent"].model_copy(
    update={
        "title": "Refunds <script>",
        "description": "Refunds an order.",
        "deputy": "person:cat",
        "slo": Slo(target=0.9995),
        "tools": {
            "crm": Tool(owner="team:payments", access="write", credential="crm-key", mocked=True, notes="slow|ish")
        },
        "datasets": {"policy": Dataset(max_age=timedelta(days=1), missing="hand it over")},
        "kill_switch": KillSwitch(how="kubectl scale --replicas=0"),
        "links": {"traces": "https://traces.example.com/r"},
        "review_on": date(2026, 10, 1),
        "waivers": {"audit": Waiver(reason="no sink yet", by="person:dan", until=date(2026, 11, 1))},
    }
)
BARE = Agent(id="bare-agent", owner="team:payments")
HERE = replace(WORLD, agents={"refund-agent": FULL, "bare-agent": BARE})
GROUPS = read(
    """
groups:
  - name: g
    rules:
      - alert: Down
        expr: up{agent=~".+"} == 0
        for: 2m
        labels: {severity: critical}
        annotations: {runbook: Down, impact: nobody is refunded}
      - alert: ToolBroken
        expr: tool_errors > 1
        labels: {severity: warning, route: platform}
      - alert: OfAnother
        expr: x{agent="bare-agent"} > 1
      - alert: LabelledAnother
        expr: x > 1
        labels: {agent: bare-agent}
      - alert: Heartbeat
        expr: vector(1)
        labels: {severity: none}
      - record: x:y
        expr: x
""",
    "alerts/a.yaml",
)
RUNBOOKS = (
    Runbook.model_validate(
        {
            "schema": "runbook/v1",
            "id": "Down",
            "title": "It is down",
            "reviewed_on": "2026-11-01",
            "steps": [
                Step(id=f"s{n}", kind="manual", title=f"Step {n}").model_dump(by_alias=True) for n in range(1, 6)
            ],
        }
    ),
)


def told(agent=FULL, live: Live | None = None, missing: str = ""):
    return bundle(agent, HERE, GROUPS, RUNBOOKS, NOW, live, missing)


def lived(*incidents, evidence=(), readiness=None) -> Live:
    return Live(incidents, evidence, readiness)


def test_names_are_matched_and_the_nearest_is_offered():
    assert agent_named("agent:refund-agent", HERE.agents) is FULL
    with pytest.raises(UsageError, match='there is no agent "refund-agnt"; did you mean "refund-agent"'):
        agent_named("refund-agnt", HERE.agents)


def test_the_list_says_who_is_on_call_for_each():
    assert [(one["agent"], one["owner"], one["oncall"]) for one in listed(HERE, NOW)] == [
        ("refund-agent", "team:payments", ["ana"]),
        ("bare-agent", "team:payments", ["ana"]),
    ]


def test_the_ladder_is_told_once_and_to_its_end():
    people = told()["people"]
    assert [(one["after_seconds"], [who["id"] for who in one["people"]]) for one in people["ladder"]][:2] == [
        (0, ["ana"]),
        (300, ["ben", "cat"]),
    ]
    assert people["ladder"][2]["people"][0]["id"] == "dan"
    assert (people["owner"], people["channel"], people["policy"], people["fallback"]) == (
        "team:payments",
        "#refunds",
        "payments",
        "person:dan",
    )


def test_only_alerts_that_can_be_of_the_agent_are_listed():
    assert [(one["alert"], one["severity"], one["for"], one["runbook"]) for one in told()["alerts"]] == [
        ("Down", "critical", "2m", "Down"),
        ("ToolBroken", "warning", "0s", None),
    ]
    assert [one["alert"] for one in told(BARE)["alerts"]] == ["Down", "ToolBroken", "OfAnother", "LabelledAnother"]


def test_runbooks_come_with_their_first_steps():
    (runbook,) = told()["runbooks"]
    assert [step["title"] for step in runbook["first_steps"]] == ["Step 1", "Step 2", "Step 3"]
    assert (runbook["steps"], runbook["reviewed_on"]) == (5, "2026-11-01")


def test_incidents_of_others_drills_and_what_is_long_past_are_left_out():
    mine = opened(alert("Mine"))
    closed = mine.model_copy(
        update={"id": "INC-2", "state": State.RESOLVED, "resolved_at": after(minutes=9), "acked_by": "person:ana"}
    )
    long_past = closed.model_copy(update={"id": "INC-3", "opened_at": after(days=-31)})
    exercised = mine.model_copy(update={"id": "INC-4", "exercise": "drill"})
    other = mine.model_copy(update={"id": "INC-5", "agent": "bare-agent"})
    found = told(live=lived(mine, closed, long_past, exercised, other))["incidents"]
    assert [one["id"] for one in found["open"]] == ["INC-1"]
    assert [(one["id"], one["lasted_seconds"], one["acked_by"]) for one in found["lately"]] == [
        ("INC-1", None, None),
        ("INC-2", 540, "ana"),
    ]


def test_without_a_server_it_says_what_is_not_known():
    found = told(missing="no running server answers at http://127.0.0.1:9095 (Connection refused)")
    assert (found["incidents"], found["readiness"], found["evidence"]) == (None, None, None)
    text = markdown(found)
    assert "**From the files alone:** no running server answers" in text
    assert text.count("Not known: no running server was asked.") == 3


def test_markdown_shows_what_came_from_files_as_it_was_written():
    text = markdown(told())
    assert "# Refunds &lt;script&gt; (refund-agent)" in text
    assert "crm \\(MOCKED\\)" in text
    assert "slow&#124;ish" in text
    assert "`kubectl scale --replicas=0`" in text
    assert "**It has never been tried.**" in text
    assert "2026-10-01 \\(OVERDUE\\)" in text
    assert "2026-11-01 \\(EXPIRED\\)" in text
    assert "Step 1 → Step 2 → Step 3" in text
    assert "| success | 99.95% over 4w |" in text


def test_an_agent_of_which_nothing_is_written_says_so():
    text = markdown(told(BARE, lived()))
    for gap in (
        "Nobody has described what it does",
        "**Nobody has written down how to stop it.**",
        "Nobody has written down as whom it acts.",
        "No tools.",
        "No datasets.",
        "No incident in the last 30 days.",
        "None. `agentpager drill bare-agent` tries the whole way of a page.",
    ):
        assert gap in text


def test_the_short_form_is_what_matters_at_night():
    drill = Evidence(kind="drill", agent="refund-agent", at=NOW, passed=True, summary="passed in 9.0 s", person="ana")
    verdict = {"stage": "walk", "ready": False, "blocking": ["kill_switch", "audit"], "domains": []}
    lines = short(told(live=lived(opened(alert("Mine")), evidence=[drill], readiness=verdict)))
    assert lines == [
        "Refunds <script> (refund-agent), stage pilot",
        "Refunds an order.",
        "On call now: Ana (UTC)",
        "Owner: team:payments, deputy person:cat; channel #refunds; policy payments",
        "To stop it: kubectl scale --replicas=0",
        "Open now: INC-1 Mine of refund-agent; 1 incidents in 30 days",
        "Alerts that wake somebody: 2, without a runbook: ToolBroken",
        "Ready for walk: no, kill switch, audit",
        "Last drill: 2026-11-04 passed in 9.0 s",
        "traces: https://traces.example.com/r",
    ]


def test_it_is_json():
    drill = Evidence(kind="drill", agent="refund-agent", at=NOW, passed=False, summary="not passed: x")
    found = told(live=lived(opened(), evidence=[drill]))
    assert json.loads(json.dumps(found)) == found
