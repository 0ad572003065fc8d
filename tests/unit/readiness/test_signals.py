"""Which alerts would notice what: told from the series that they read."""

from __future__ import annotations

import pytest

from bot.readiness.signals import noticing, watches
from bot.rules.load import read

AGENTS = ("a", "b")


def found(*rules: str) -> dict[str, dict[str, tuple[str, ...]]]:
    text = "groups:\n  - name: g\n    rules:\n" + "".join(f"      - {rule}\n" for rule in rules)
    return {
        one.rule.name: {signal.value: metrics for signal, metrics in one.signals.items()}
        for one in noticing(read(text, "x.yaml"), AGENTS)
    }


@pytest.mark.parametrize(
    ("expr", "signals"),
    [
        ("agent:runs_bad:rate5m > 1", {"errors"}),
        ('rate(agent_runs_total{outcome=~"failure|timeout"}[5m]) > 1', {"errors"}),
        ("time() - agent_last_success_timestamp_seconds > 60", {"errors"}),
        ('rate(gen_ai_invoke_agent_duration_seconds_count{error_type!=""}[5m]) > 1', {"errors"}),
        ("agent:run_duration_seconds:p95_10m > 5", {"latency"}),
        ("histogram_quantile(0.9, rate(gen_ai_client_operation_duration_seconds_bucket[5m])) > 5", {"latency"}),
        ("rate(gen_ai_invoke_agent_duration_seconds_count[5m]) > 1", set()),  # how many, not how long
        ("rate(agent_cost_usd_total[5m]) > 1", {"cost"}),
        ("rate(litellm_spend_metric_total[5m]) > 1", {"cost"}),
        ("agent_eval_score < 0.8", {"quality"}),
        ('rate(agent_feedback_total{rating="down"}[5m]) > 1', {"quality"}),
        ("agent:runs:rate5m == 0", set()),  # counts failed runs too
        ("agent:tool_errors:rate5m > 1", set()),  # a tool that fails says nothing of the runs
        ("up == 0", set()),
        ("agent_registry_budget_usd_day > 1", set()),  # what the files say is no observation
    ],
)
def test_a_series_says_by_its_name_and_labels_what_it_is_of(expr, signals):
    (told,) = [*found(f"{{alert: A, expr: '{expr}'}}").values()] or [{}]
    assert set(told) == signals


def test_a_recorded_series_is_looked_through_unless_its_name_says_it():
    rules = (
        '{record: "job:pain:rate5m", expr: \'rate(agent_runs_total{outcome="failure"}[5m])\'}',
        '{record: "job:pain:twice", expr: "job:pain:rate5m * 2"}',
        '{alert: A, expr: "job:pain:twice > 1"}',
    )
    assert found(*rules) == {"A": {"errors": ("job:pain:twice",)}}


def test_what_is_recorded_from_the_registry_alone_is_no_observation():
    rules = (
        '{record: "agent:budget_usd_day", expr: "max by (agent) (agent_registry_budget_usd_day)"}',
        '{alert: A, expr: "agent:budget_usd_day > 1"}',
        '{alert: B, expr: "agent:cost_usd:rate5m > agent:budget_usd_day"}',
    )
    assert found(*rules) == {"B": {"cost": ("agent:cost_usd:rate5m",)}}


def test_rules_that_read_each_other_come_to_an_end():
    rules = ('{record: "x:one", expr: "x:two"}', '{record: "x:two", expr: "x:one"}', '{alert: A, expr: "x:one > 1"}')
    assert found(*rules) == {}


def test_an_alert_may_say_itself_what_it_covers():
    rule = "{alert: A, expr: 'queue_depth > 1', annotations: {covers: 'latency, quality'}}"
    assert found(rule) == {"A": {"latency": ("queue_depth",), "quality": ("queue_depth",)}}


def test_an_alert_that_nobody_is_shown_covers_nothing():
    assert found("{alert: A, expr: 'agent:runs_bad:rate5m > 1', labels: {severity: none}}") == {}


@pytest.mark.parametrize(
    ("rule", "of_a", "of_b"),
    [
        ("{alert: A, expr: 'agent:runs_bad:rate5m > 1'}", True, True),
        ("{alert: A, expr: 'agent:runs_bad:rate5m > 1', labels: {agent: a}}", True, False),
        ("{alert: A, expr: 'agent:runs_bad:rate5m{agent=\"b\"} > 1'}", False, True),
        ("{alert: A, expr: 'agent:runs_bad:rate5m{agent=~\"a|b\"} > 1'}", True, True),
        ("{alert: A, expr: 'agent:runs_bad:rate5m{agent!=\"\"} > 1'}", True, True),
        ("{alert: A, expr: 'agent:runs_bad:rate5m{agent!=\"a\"} > 1'}", False, True),
    ],
)
def test_a_rule_for_one_agent_says_nothing_of_another(rule, of_a, of_b):
    rules = noticing(read(f"groups:\n  - name: g\n    rules:\n      - {rule}\n", "x.yaml"), AGENTS)
    seen = [any(watches(rules, agent).values()) for agent in AGENTS]
    assert seen == [of_a, of_b]
