"""Each domain in each of its statuses, on one agent that lacks nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from readiness_world import (
    ALERTS,
    ANSWERS,
    CRITERIA,
    DRILL,
    FACTS,
    NOW,
    ONCALL,
    RECORD,
    agent_file,
    judged,
    live,
    status,
)

from bot.agents.readiness import Domain, Status
from bot.readiness.live import ANSWERING, who_has

DONE, BEGUN, NONE = "done", "in_progress", "not_started"
RUNS_BAD = who_has("agent:runs_bad:rate5m")
AUDIT = who_has("agent_audit_records_total")


def oncall(old: str, new: str) -> dict[str, str]:
    assert old in ONCALL
    return {"oncall/all.yaml": ONCALL.replace(old, new)}


def alerts(old: str, new: str) -> dict[str, str]:
    assert old in ALERTS
    return {"alerts/agents.yaml": ALERTS.replace(old, new)}


def facts(**changes):
    return live(facts=FACTS.model_copy(update=changes))


def record(**changes):
    return facts(record=RECORD.model_copy(update=changes))


def drill(**changes):
    return facts(drill=DRILL.model_copy(update=changes))


def test_an_agent_that_lacks_nothing_is_done_in_every_domain():
    found = judged()
    assert {row.status for row in found.domains} == {Status.DONE}
    assert (found.ready, found.blocking) == (True, ())


SECOND = '      - {notify: ["person:cat"], wait: 5m}\n'
ALONE = ONCALL.replace(SECOND, "")
KILL_SWITCH = "    kill_switch: {how: scale deploy/refund-agent to 0, tested_on: 2026-11-01}\n"
IDENTITY = "    identity: {principal: refund-agent@prod, scopes: [refunds.write, orders.read]}\n"
DATASETS = "    datasets:\n      orders: {owner: person:cat, max_age: 1h, missing: hand over}\n"
TOOLS = (
    "    tools:\n      crm: {owner: team:payments}\n"
    "      refund: {owner: team:payments, access: write, credential: refund-writer}\n"
)
ACCEPTANCE = f"    acceptance:\n      success: {CRITERIA[0]}\n      speed: {CRITERIA[1]}\n"
PAPER = [
    # domain, what is changed, status, words of the evidence
    ("people", agent_file("    deputy: person:cat\n"), DONE, "Ana Ruiz, Ben Cole"),  # two in the team
    (
        "people",
        agent_file("team:payments\n    deputy: person:cat", "person:ana\n    deputy: person:ana"),
        BEGUN,
        "the deputy is the same",
    ),
    ("people", agent_file("team:payments\n    deputy: person:cat", "person:ana"), BEGUN, "Ana Ruiz alone, no deputy"),
    ("people", oncall(", email: cat@example.com", ""), BEGUN, "no way besides Slack to Cat Doe"),
    ("people", {"agentpager.yaml": "{}\n"}, BEGUN, "nobody has a way besides Slack"),
    (
        "rota",
        oncall('"schedule:primary"', '"team:payments"'),
        NONE,
        "no schedule: the same are woken at every hour (team:payments, person:cat)",
    ),
    ("rota", oncall(SECOND, ""), DONE, "until 2026-12-09"),
    (
        "rota",
        {"oncall/all.yaml": ALONE.replace("11-02}", "11-02, until: 2026-12-01}")},
        BEGUN,
        "nobody but the fallback from Tue 2026-12-01",
    ),
    ("rota", {"oncall/all.yaml": ALONE.replace("2026-11-02", "2027-11-01")}, NONE, "nobody but the fallback"),
    ("escalation", oncall(SECOND, ""), NONE, "policy payments has one level (schedule:primary)"),
    ("escalation", oncall('["person:cat"], wait', '["channel:#ops"], wait'), NONE, "one level"),
    (
        "escalation",
        oncall('["person:cat"], wait', '["schedule:primary"], wait'),
        BEGUN,
        "wake nobody whom the first has not woken",
    ),
    (
        "runbooks",
        alerts("labels: {severity: critical}\n        annotations: {runbook: Failing}", "labels: {severity: warning}"),
        BEGUN,
        "1 of 4 alerts: Failing has no runbook",
    ),
    (
        "runbooks",
        {
            "alerts/agents.yaml": ALERTS.replace("critical", "warning").replace(
                "        annotations: {runbook: Failing}\n", ""
            )
        },
        NONE,
        "4 of 4 alerts: Failing has no runbook",
    ),
    ("runbooks", {"alerts/agents.yaml": "groups: []\n"}, NONE, "no alert would notice anything"),
    ("kill_switch", agent_file(", tested_on: 2026-11-01"), NONE, "nobody has tried it"),
    ("kill_switch", agent_file(KILL_SWITCH), NONE, "nobody has written how it is stopped"),
    ("kill_switch", agent_file("2026-11-01", "2026-11-26"), NONE, "which is yet to come"),
    ("kill_switch", agent_file("2026-11-01", "2026-08-27"), DONE, "90 days ago"),
    ("kill_switch", agent_file("2026-11-01", "2026-08-26"), BEGUN, "91 days ago, over 90"),
    ("budget", agent_file("    budget_usd_day: 100\n"), NONE, "nobody has said what it may cost a day"),
    (
        "budget",
        agent_file("budget_usd_day: 100", "budget_usd_day: 99.99"),
        NONE,
        "over the budget: $0.25 × 400 runs = $100.00 a day",
    ),
    (
        "budget",
        agent_file("    runs_per_day: 400\n"),
        BEGUN,
        "$100.00 a day, and nobody has said what full volume costs",
    ),
    (
        "integrations",
        agent_file("crm: {owner: team:payments}", "crm: {owner: team:payments, mocked: true}"),
        NONE,
        "1 of 2 tools mocked: crm",
    ),
    ("integrations", agent_file("crm: {owner: team:payments}", "crm: {}"), BEGUN, "nobody answers for crm"),
    (
        "identity",
        agent_file("scopes: [refunds.write, orders.read]", 'scopes: [orders.read, "*"]'),
        BEGUN,
        "may do everything: *",
    ),
    ("identity", agent_file(", credential: refund-writer"), BEGUN, "no credential is named for refund"),
    ("identity", agent_file(IDENTITY), NONE, "nobody has written as whom it acts"),
    ("audit", agent_file("    audit_sink: s3://audit/refund-agent\n"), NONE, "nobody has written where"),
    ("data", agent_file(", missing: hand over"), NONE, "orders lacks missing"),
    (
        "data",
        agent_file("      orders:", "      prices: {max_age: 1h}\n      orders:"),
        BEGUN,
        "prices lacks owner and missing",
    ),
    ("data", agent_file(DATASETS), NONE, "nobody has written what it knows from"),
    ("data", agent_file(DATASETS, "    datasets: {}\n"), DONE, "it reads no dataset"),
    ("acceptance", agent_file(ACCEPTANCE), NONE, "nobody has written what was agreed"),
    (
        "alert_errors",
        alerts("agent:runs_bad:rate5m > 1", "agent_queue > 1"),
        NONE,
        "no alert would notice that it fails",
    ),
]


@pytest.mark.parametrize(("domain", "changes", "expected", "words"), PAPER)
def test_what_the_files_show(domain, changes, expected, words):
    found, evidence = status(Domain(domain), changes)
    assert found == expected, evidence
    assert words in evidence


def test_tools_that_are_not_written_and_tools_that_are_none_differ():
    assert status(Domain.INTEGRATIONS, agent_file(TOOLS)) == (NONE, "nobody has written what it calls")
    assert status(Domain.INTEGRATIONS, agent_file(TOOLS, "    tools: {}\n")) == (
        DONE,
        "its file says that it has no tools",
    )


STARTED = facts(watched_since=NOW - timedelta(minutes=9))
LIVE = [
    ("alert_errors", live({RUNS_BAD: [({"agent": "other"}, 1.0)]}), NONE, "this agent has no agent:runs_bad:rate5m"),
    ("alert_errors", replace(STARTED, answers={**ANSWERS, RUNS_BAD: []}), BEGUN, "watched since 11:51 UTC"),
    (
        "acceptance",
        replace(STARTED, answers={**ANSWERS, CRITERIA[0]: []}),
        BEGUN,
        "1 of 2 criteria hold; not success; it has been watched since 11:51 UTC",
    ),
    ("alert_errors", live({RUNS_BAD: [], ANSWERING: []}), BEGUN, "does not answer just now"),
    ("alert_errors", live({RUNS_BAD: "timed out"}), BEGUN, "could not say whether there is data"),
    ("alert_cost", live({RUNS_BAD: []}), DONE, "Dear, on agent:cost_usd:rate5m"),
    ("audit", live({AUDIT: []}), BEGUN, "no agent_audit_records_total from it, and refund writes"),
    ("audit", live({AUDIT: "timed out"}), BEGUN, "could not say"),
    ("acceptance", live({CRITERIA[1]: []}), BEGUN, "1 of 2 criteria hold; not speed"),
    ("acceptance", live({key: [] for key in CRITERIA}), NONE, "0 of 2 criteria hold; not success, speed"),
    ("acceptance", live({CRITERIA[1]: "timed out"}), BEGUN, "could not be asked: speed (timed out)"),
    ("track_record", record(runs=0), NONE, "no run of it has been counted"),
    ("track_record", record(runs=None), NONE, "no run of it has been counted"),
    ("track_record", record(runs=49), BEGUN, "fewer than 50 runs"),
    ("track_record", record(runs=50), DONE, "50 runs since 2026-11-05"),
    ("track_record", record(since=NOW - timedelta(days=6, hours=23)), BEGUN, "fewer than 7 days"),
    ("track_record", record(since=NOW - timedelta(days=7)), DONE, "since 2026-11-18"),
    ("track_record", record(success=0.94), BEGUN, "the target is 0.95"),
    ("track_record", record(pass8={"golden": 0.7, "hard": 0.59}), BEGUN, "pass^8 of hard is under 0.6"),
    ("track_record", record(pass8={}), BEGUN, "no pass^8 is known"),
    ("track_record", facts(record=None), BEGUN, "does not know its track record just now"),
    ("drill", facts(drill=None), NONE, "nobody has drilled it"),
    ("drill", drill(passed=False, passed_at=None, summary="nobody answered"), NONE, "was not passed: nobody answered"),
    ("drill", drill(passed=False, summary="nobody answered"), BEGUN, "but not on 2026-11-15: nobody answered"),
    ("drill", drill(passed_at=NOW - timedelta(days=90)), DONE, "passed on 2026-08-27"),
    ("drill", drill(passed_at=NOW - timedelta(days=91)), BEGUN, "over 90 days ago"),
    ("people", facts(unreachable={"ana": "U0ANA is deactivated"}), BEGUN, "no page reaches ana (U0ANA is deactivated)"),
    ("people", facts(unreachable=dict.fromkeys(("ana", "ben", "cat"), "gone")), NONE, "no page reaches"),
    ("budget", record(cost_per_run_usd=0.26), BEGUN, "measured: $0.26 a run, $104.00 a day: over the budget"),
]  # fmt: skip


@pytest.mark.parametrize(("domain", "asked", "expected", "words"), LIVE)
def test_what_a_running_server_adds(domain, asked, expected, words):
    found, evidence = status(Domain(domain), asked=asked)
    assert found == expected, evidence
    assert words in evidence


def test_an_agent_that_the_server_does_not_know_yet_has_neither_drill_nor_record():
    asked = live(facts=None)
    assert status(Domain.DRILL, asked=asked)[0] == NONE
    assert status(Domain.TRACK_RECORD, asked=asked)[0] == NONE
    assert status(Domain.ALERT_ERRORS, asked=asked)[0] == DONE


def test_records_need_not_arrive_where_no_tool_writes():
    changes = agent_file(", access: write, credential: refund-writer", "")
    assert status(Domain.AUDIT, changes, asked=live({AUDIT: []})) == (
        DONE,
        "declared (s3://audit/refund-agent); none of its tools writes",
    )


def test_without_a_server_what_only_it_knows_is_in_progress_and_says_so():
    found = judged(offline=True)
    unasked = {row.domain.value for row in found.domains if "nobody was asked" in row.evidence}
    assert unasked == {
        "alert_errors", "alert_latency", "alert_cost", "alert_quality", "acceptance", "audit", "track_record", "drill",
    }  # fmt: skip
    assert {row.status for row in found.domains if row.domain.value in unasked} == {Status.IN_PROGRESS}
    assert found.ready
    assert found.facts is None


def test_a_retired_agent_is_asked_for_nothing():
    found = judged(agent_file("stage: run", "stage: retired"))
    assert found.ready
    assert not any(row.required for row in found.domains)
