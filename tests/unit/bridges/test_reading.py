"""Requests as their senders document them, and what becomes of them."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from core_world import NOW
from pydantic import ValidationError

from bot.bridges import langfuse
from bot.bridges.reading import read
from bot.incidents.model import Alert, AlertState
from bot.settings import Bridge

AGENTS = ("refund-agent", "kyc-agent")

# https://docs.litellm.ai/docs/proxy/alerting, with a key of ours
CROSSED = {
    "spend": 102.5, "max_budget": 100.0, "token": "88dc28d0", "user_id": None, "team_id": None, "user_email": None,
    "key_alias": "refund-agent", "projected_exceeded_date": None, "projected_spend": None, "event": "budget_crossed",
    "event_group": "key", "event_message": "Key Budget: Budget Crossed",
}  # fmt: skip
# https://langfuse.com/docs/observability/features/alerts
SLOW = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "timestamp": "2024-07-10T10:30:00Z",
    "type": "monitor-alert",
    "apiVersion": "v1",
    "payload": {
        "monitorId": "monitor_abc123",
        "projectId": "proj_xyz789",
        "permalink": "https://cloud.langfuse.com/project/proj_xyz789/monitors/monitor_abc123",
        "message": {"title": "[ALERT] avg latency crossed", "body": "avg latency is 1234 ms (threshold: 1000 ms)"},
        "severity": "ALERT",
        "window": "1h",
    },
}


def bridge(kind: str, **more) -> Bridge:
    return Bridge.model_validate({"kind": kind, "token": "secret"} | more)


def alerts(body, kind: str = "litellm", *, at: dict[str, str] | None = None, **more) -> list[Alert]:
    found, wrong = read("gateway", bridge(kind, **more), body, at or {}, AGENTS, NOW)
    assert wrong == ""
    return found


def one(body, kind: str = "litellm", **more) -> Alert:
    (alert,) = alerts(body, kind, **more)
    return alert


def slow(severity: str) -> dict:
    body = copy.deepcopy(SLOW)
    body["payload"]["severity"] = severity
    return body


# LiteLLM


def test_a_crossed_budget_is_a_critical_alert_of_the_agent_whose_key_it_is():
    alert = one(CROSSED)
    assert (alert.name, alert.severity, alert.state) == ("LiteLLMBudgetCrossed", "critical", AlertState.FIRING)
    assert alert.labels["agent"] == "refund-agent"
    assert "route" not in alert.labels
    assert alert.annotations["summary"] == "LiteLLM: budget crossed by key refund-agent"
    assert alert.annotations["now"] == "$102.50 spent of $100.00"
    assert alert.group == "bridge:gateway"
    assert (alert.starts_at, alert.expires_at) == (NOW, None)


def test_a_key_of_no_agent_is_for_the_platform_unless_the_bridge_knows_whose_it_is():
    body = CROSSED | {"key_alias": "sk-refunds"}
    assert one(body).labels["route"] == "platform"
    assert "agent" not in one(body).labels
    known = one(body, agents={"sk-refunds": "kyc-agent"})
    assert (known.labels["agent"], known.labels.get("route")) == ("kyc-agent", None)


@pytest.mark.parametrize(
    ("event", "name", "severity"),
    [
        ("threshold_crossed", "LiteLLMBudgetThresholdCrossed", "warning"),
        ("soft_budget_crossed", "LiteLLMSoftBudgetCrossed", "warning"),
        ("projected_limit_exceeded", "LiteLLMBudgetRunway", "warning"),
    ],
)
def test_lesser_events_are_warnings(event, name, severity):
    alert = one(CROSSED | {"event": event})
    assert (alert.name, alert.severity) == (name, severity)


def test_a_projection_says_the_day():
    alert = one(CROSSED | {"event": "projected_limit_exceeded", "projected_exceeded_date": "2026-12-03"})
    assert alert.annotations["description"] == "Key Budget: Budget Crossed Expected to be used up on 2026-12-03."


@pytest.mark.parametrize("event", ["spend_tracked", "key_created", "internal_user_created", "of_next_year"])
def test_news_are_no_alerts(event):
    assert alerts(CROSSED | {"event": event}) == []


def test_what_litellm_posts_to_a_slack_address_is_read_too():
    head = "Alert type: `outage_alerts`\nLevel: `High`\nTimestamp: `2026-11-04 02:00:00`"
    text = f"{head}\n\nMessage: *⚠️ Major Service Outage*\n\ngpt-5"
    alert = one({"text": text})
    assert (alert.name, alert.severity) == ("LiteLLMOutageAlerts", "critical")
    assert alert.annotations["description"] == "*⚠️ Major Service Outage* gpt-5"
    assert alerts({"text": "Alert type: `daily_reports`\n\nTop 5 deployments"}) == []


def test_an_outage_of_another_model_is_another_alert():
    head = "Alert type: `outage_alerts`\nLevel: `High`\n\nMessage: Outage\n\n*Model Name:* "
    small, large = (one({"text": f"{head}`azure/{model}`\n*Provider:* `azure`"}) for model in ("small", "large"))
    assert (small.labels["model"], large.labels["model"]) == ("azure/small", "azure/large")
    assert small.fingerprint != large.fingerprint


def test_the_same_subject_is_the_same_alert_and_another_one_is_not():
    again = one(CROSSED | {"spend": 140.0})
    assert again.fingerprint == one(CROSSED).fingerprint
    assert one(CROSSED | {"key_alias": "kyc-agent"}).fingerprint != again.fingerprint


def test_another_address_speaks_of_another_alert():
    text = {"text": "Alert type: `llm_too_slow`\nLevel: `High`\nMessage: slow"}
    mine, other = (one(text, at={"agent": agent}) for agent in ("refund-agent", "kyc-agent"))
    assert mine.fingerprint != other.fingerprint
    assert one(text, at={"agent": "refund-agent"}).fingerprint == mine.fingerprint


@pytest.mark.parametrize("spend", [10**400, float("inf"), float("nan")])
def test_an_amount_that_is_no_number_is_left_out(spend):
    alert = one(CROSSED | {"spend": spend})
    assert (alert.value, alert.annotations["now"]) == (1.0, "budget of $100.00")


# Langfuse


@pytest.mark.parametrize(
    ("severity", "state", "level"),
    [("ALERT", "firing", "critical"), ("WARNING", "firing", "warning"), ("NO_DATA", "firing", "warning"),
     ("OK", "resolved", "warning"), ("PAUSED", "resolved", "warning")],
)  # fmt: skip
def test_the_severity_of_a_monitor_is_the_state_of_its_alert(severity, state, level):
    alert = one(slow(severity), "langfuse")
    assert (alert.name, alert.state, alert.severity) == ("LangfuseAlert", state, level)
    assert alert.fingerprint == one(SLOW, "langfuse").fingerprint


def test_a_monitor_says_what_it_saw_and_where():
    said = one(SLOW, "langfuse").annotations
    assert said["summary"] == "Langfuse: avg latency crossed"
    assert said["description"] == "avg latency is 1234 ms (threshold: 1000 ms)"
    assert said["runbook_url"].endswith("/monitors/monitor_abc123")


def test_new_prompts_are_no_alerts():
    assert alerts({"type": "prompt-version", "action": "created"}, "langfuse") == []


def header(raw: bytes, at: float, secret: str = "lf-whsec_x") -> str:
    digest = hmac.new(secret.encode(), f"{int(at)}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={int(at)},v1={digest}"


def test_a_signature_counts_for_five_minutes_and_for_these_very_bytes():
    raw, at = json.dumps(SLOW).encode(), NOW.timestamp()
    assert langfuse.signed(header(raw, at), raw, "lf-whsec_x", NOW)
    assert langfuse.signed(header(raw, at), raw, "lf-whsec_x", NOW + timedelta(seconds=299))
    assert langfuse.signed(header(raw, at * 1000), raw, "lf-whsec_x", NOW)
    assert not langfuse.signed(header(raw, at), raw, "lf-whsec_x", NOW + timedelta(seconds=301))
    assert not langfuse.signed(header(raw, at), raw + b" ", "lf-whsec_x", NOW)
    assert not langfuse.signed(header(raw, at), raw, "lf-whsec_y", NOW)
    assert not langfuse.signed(header(raw, at, ""), raw, "", NOW)
    assert not langfuse.signed("", raw, "lf-whsec_x", NOW)


# Alertmanager's webhook, https://prometheus.io/docs/alerting/latest/configuration/#webhook_config

WEBHOOK = {
    "version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "agentpager", "groupLabels": {},
    "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "truncatedAlerts": 0,
    "alerts": [
        {"status": "firing", "labels": {"alertname": "Slow", "agent": "kyc-agent", "severity": "warning", "zone": "eu"},
         "annotations": {"summary": "slow"}, "startsAt": "2026-11-04T01:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
         "generatorURL": "http://p/graph", "fingerprint": "a1"},
        {"status": "resolved", "labels": {"alertname": "Down", "agent": "elsewhere"}, "fingerprint": "b2"},
    ],
}  # fmt: skip


def test_a_notification_of_alertmanager_is_the_alerts_in_it():
    slow, down = alerts(WEBHOOK, "alertmanager")
    assert slow.labels == {
        "alertname": "Slow", "agent": "kyc-agent", "severity": "warning", "zone": "eu", "bridge": "gateway",
    }  # fmt: skip
    assert (slow.state, slow.annotations, slow.generator_url) == ("firing", {"summary": "slow"}, "http://p/graph")
    assert (down.state, "agent" in down.labels) == ("resolved", False)
    again = copy.deepcopy(WEBHOOK)
    again["alerts"][0]["status"] = "resolved"
    assert alerts(again, "alertmanager")[0].fingerprint == slow.fingerprint


# Any JSON

MAP = {
    "each": "result.checks",
    "alertname": "{{ it.check }}",
    "state": "{{ it.status }}",
    "key": "{{ body.project }}/{{ it.id }}",
    "labels": {"agent": "{{ it.service }}", "severity": "{{ it.level }}", "region": "{{ it.region }}"},
    "annotations": {"summary": "{{ it.check }} at {{ it.score }}"},
}
CHECKS = {
    "project": "p",
    "result": {
        "checks": [
            {"id": 1, "check": "Tone", "status": "FAILED", "service": "refund-agent", "level": "warning", "score": 0.4},
            {"id": 2, "check": "Facts", "status": "Ok", "service": "unknown", "score": 0.9},
        ]
    },
}


def test_a_map_makes_an_alert_of_each_entry():
    tone, facts = alerts(CHECKS, "json", map=MAP)
    assert (tone.name, tone.state, tone.severity) == ("Tone", "firing", "warning")
    assert tone.annotations == {"summary": "Tone at 0.4"}
    assert (tone.labels["agent"], "region" in tone.labels) == ("refund-agent", False)
    assert (facts.state, facts.ends_at, "agent" in facts.labels) == ("resolved", NOW, False)
    assert facts.severity == "critical"  # nothing says otherwise


def test_without_a_key_the_labels_but_severity_tell_alerts_apart():
    how = {"alertname": "Tone", "labels": {"agent": "{{ it.a }}", "severity": "{{ it.s }}"}}
    prints = [one({"a": a, "s": s}, "json", map=how).fingerprint for a, s in [("x", "warning"), ("x", "critical")]]
    assert prints[0] == prints[1]
    assert one({"a": "y", "s": "warning"}, "json", map=how).fingerprint != prints[0]


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("litellm", {"hello": 1}, '"event"'),
        ("langfuse", {"type": "monitor-alert", "payload": {}}, "payload.monitorId"),
        ("langfuse", {"type": "monitor-alert", "payload": {"monitorId": "m", "severity": "BAD"}}, '"BAD"'),
        ("alertmanager", {"alerts": {}}, 'a list "alerts"'),
        ("alertmanager", {"alerts": [{"labels": {"a": "b"}}]}, 'no label "alertname"'),
        ("json", {"result": {}}, 'no list at "result.checks"'),
        ("json", {"result": {"checks": [{}] * 201}}, "201 alerts; 200 at most"),
        ("json", {"result": {"checks": [{"id": 1}]}}, "map.alertname: a value is missing: ⟨missing it.check⟩"),
        ("json", {"result": {"checks": [{"check": ""}]}}, "map.alertname: it is empty"),
        ("json", {"result": {"checks": ["text"]}}, "map.alertname"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_reason(kind, body, why):
    found, wrong = read("gateway", bridge(kind, **({"map": MAP} if kind == "json" else {})), body, {}, AGENTS, NOW)
    assert (found, why in wrong) == ([], True)


def test_one_alert_that_cannot_be_read_takes_no_other_with_it():
    body = copy.deepcopy(WEBHOOK)
    body["alerts"].insert(0, {"labels": {"a": "b"}})
    found, wrong = read("gateway", bridge("alertmanager"), body, {}, AGENTS, NOW)
    assert [alert.name for alert in found] == ["Slow", "Down"]
    assert wrong == 'alert 0: an alert has no label "alertname"'


# What all share


def test_the_configuration_counts_more_than_the_address_and_that_more_than_the_request():
    alert = one(
        CROSSED,
        at={"agent": "kyc-agent", "severity": "warning", "env": "prod"},
        labels={"severity": "info"},
        annotations={"runbook": "spend", "summary": "Money"},
    )
    assert alert.labels["agent"] == "kyc-agent"
    assert (alert.severity, alert.labels["env"], alert.labels["bridge"]) == ("info", "prod", "gateway")
    assert (alert.annotations["runbook"], alert.annotations["summary"]) == ("spend", "Money")


def test_nobody_passes_for_another_bridge_and_texts_stay_short():
    alert = one(CROSSED | {"event_message": "x" * 5000, "key_alias": "k" * 500}, at={"bridge": "other"})
    assert alert.labels["bridge"] == "gateway"
    assert len(alert.annotations["description"]) == 2000
    assert max(map(len, alert.labels.values())) == 200


def test_half_a_character_is_no_reason_to_lose_an_alert():
    body = slow("ALERT")
    body["payload"] |= {"monitorId": "m\ud83d", "message": {"title": "t", "body": "cut in the middle of \ud83d"}}
    alert = one(body, "langfuse")
    assert alert.annotations["description"] == "cut in the middle of ?"
    assert alert.model_dump_json()


def test_an_alert_that_nobody_ends_is_over_after_a_while_if_that_is_wanted():
    assert one(CROSSED, resolve_after="6h").expires_at == NOW + timedelta(hours=6)
    assert one(slow("OK"), "langfuse", resolve_after="6h").expires_at is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kind": "litellm"}, "without a token"),
        ({"kind": "litellm", "secret": "x"}, "only langfuse signs"),
        ({"kind": "json", "token": "x"}, "map is for kind: json"),
        ({"kind": "litellm", "token": "x", "map": {"alertname": "X"}}, "map is for kind: json"),
    ],
)
def test_a_bridge_that_makes_no_sense_is_refused(wrong, why):
    with pytest.raises(ValidationError, match=why):
        Bridge.model_validate(wrong)
