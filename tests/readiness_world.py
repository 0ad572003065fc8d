"""A configuration whose one agent lacks nothing, as text, so that a test takes one thing away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from config_files import sources_of

from bot.agents.readiness import Domain
from bot.checker import files_of
from bot.config import Config, load
from bot.readiness.live import ANSWERING, SCRAPED, who_has
from bot.readiness.model import Dossier, Drill, Facts, Live, TrackRecord
from bot.readiness.paper import dossiers
from bot.readiness.verdict import verdict

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday

AGENT = """\
agents:
  refund-agent:
    title: Refund agent
    owner: team:payments
    deputy: person:cat
    escalation: payments
    stage: run
    slo: {target: 0.95}
    pass8_target: 0.6
    budget_usd_day: 100
    cost_per_run_usd: 0.25
    runs_per_day: 400
    tools:
      crm: {owner: team:payments}
      refund: {owner: team:payments, access: write, credential: refund-writer}
    datasets:
      orders: {owner: person:cat, max_age: 1h, missing: hand over}
    identity: {principal: refund-agent@prod, scopes: [refunds.write, orders.read]}
    kill_switch: {how: scale deploy/refund-agent to 0, tested_on: 2026-11-01}
    audit_sink: s3://audit/refund-agent
    acceptance:
      success: agent:runs_bad:rate5m / agent:runs:rate5m < 0.1
      speed: agent:run_duration_seconds:p95_10m < 60
"""
ALERTS = """\
groups:
  - name: agents
    rules:
      - alert: Failing
        expr: agent:runs_bad:rate5m > 1
        labels: {severity: critical}
        annotations: {runbook: Failing}
      - alert: Slow
        expr: agent:run_duration_seconds:p95_10m > 9
        labels: {severity: warning}
        annotations: {runbook: Failing}
      - alert: Dear
        expr: agent:cost_usd:rate5m > 1
        labels: {severity: warning}
        annotations: {runbook: Failing}
      - alert: Worse
        expr: agent_eval_score < 0.8
        labels: {severity: warning}
        annotations: {runbook: Failing}
"""
RUNBOOK = """\
schema: runbook/v1
id: Failing
title: It fails
summary: "{{ agent.title }} fails"
owner: team:payments
steps:
  - {id: look, kind: manual, title: Look, text: "Read the trace of {{ alert.labels.agent }}."}
"""
ONCALL = """\
people:
  ana: {name: Ana Ruiz, slack: U0ANA, email: ana@example.com}
  ben: {name: Ben Cole, slack: U0BEN, email: ben@example.com}
  cat: {name: Cat Doe, slack: U0CAT, email: cat@example.com}
teams:
  payments: {members: [ana, ben]}
schedules:
  primary:
    layers:
      - {people: [ana, ben], start: 2026-11-02}
escalation_policies:
  payments:
    steps:
      - {notify: ["schedule:primary"], wait: 5m}
      - {notify: ["person:cat"], wait: 5m}
fallback: "person:cat"
"""
MAIN = """\
notify: {email: {host: mail.example.com, from: pager@example.com}}
http: {external_url: "https://pager.example.com"}
"""
FILES = {
    "agentpager.yaml": MAIN,
    "agents/refund.yaml": AGENT,
    "alerts/agents.yaml": ALERTS,
    "runbooks/Failing.yaml": RUNBOOK,
    "oncall/all.yaml": ONCALL,
}
SERIES = ("agent:runs_bad:rate5m", "agent:run_duration_seconds:p95_10m", "agent:cost_usd:rate5m", "agent_eval_score")
CRITERIA = ("agent:runs_bad:rate5m / agent:runs:rate5m < 0.1", "agent:run_duration_seconds:p95_10m < 60")
MINE = ({"agent": "refund-agent"}, 1.0)
ANSWERS = {
    SCRAPED: [MINE],
    ANSWERING: [MINE],
    who_has("agent_audit_records_total"): [MINE],
    **{who_has(name): [MINE, ({"agent": "other"}, 1.0)] for name in SERIES},
    **{criterion: [MINE] for criterion in CRITERIA},
}
RECORD = TrackRecord(
    days=28,
    since=NOW - timedelta(days=20),
    runs=8000,
    success=0.981,
    cost_usd=1600,
    cost_per_run_usd=0.2,
    pass8={"golden": 0.7},
    incidents=3,
    woke=2,
    pages=4,
    night_pages=1,
    ack_seconds=200,
    resolve_seconds=1800,
)
DRILL = Drill(at=NOW - timedelta(days=10), passed=True, summary="Ana Ruiz in 1m20s", passed_at=NOW - timedelta(days=10))
FACTS = Facts(watched_since=NOW - timedelta(days=2), record=RECORD, drill=DRILL)


def config(changes: Mapping[str, str] | None = None) -> Config:
    return load(sources_of({**FILES, **(changes or {})}))


def agent_file(old: str = "", new: str = "") -> dict[str, str]:
    assert old in AGENT
    return {"agents/refund.yaml": AGENT.replace(old, new)}


def dossier(changes: Mapping[str, str] | None = None, now: datetime = NOW) -> tuple[Dossier, Config]:
    read = config(changes)
    (found,) = dossiers(files_of(read), now)
    return found, read


def live(answers=None, facts: Facts | None = FACTS) -> Live:
    return Live(NOW, {**ANSWERS, **(answers or {})}, {"refund-agent": facts} if facts else {})


def judged(changes=None, *, asked: Live | None = None, offline: bool = False, **options):
    found, read = dossier(changes)
    agent = read.agents["refund-agent"]
    return verdict(found, agent, None if offline else asked or live(), NOW, **options)


def status(domain: Domain, *arguments, **options) -> tuple[str, str]:
    one = next(row for row in judged(*arguments, **options).domains if row.domain is domain)
    return one.status.value, one.evidence
