"""What an objective becomes: the expressions of its events, and limits that can be reached."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.agents.model import Agent, Slo
from bot.errors import QueryError
from bot.rules.load import problems as rule_problems
from bot.rules.model import RuleFile
from bot.slos.objectives import Objective, group, objectives, per_second, problems

LATENCY = {"target": "0.9", "latency": {"threshold": "12s800ms", "target": "0.95"}}


def agent(slo: dict[str, object] | None) -> Agent:
    return Agent.model_validate({"id": "refund-agent", "owner": "ana", "slo": slo})


def own(target: float = 0.99, **changes: str) -> Objective:
    one = {"good": 'ok_total{agent="a"}', "total": 'all_total{agent="a"}', "target": str(target)} | changes
    (found,) = objectives(agent({"target": "0.9", "objectives": {"grounded": one}}))
    return found


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('ok_total{agent="a"}', 'sum by (env) (rate(ok_total{agent="a"}[5m]))'),
        (" sum(ok_total) ", "sum by (env) (rate(ok_total[5m]))"),
        ("sum by (agent) (ok_total)", "sum by (env) (rate(ok_total[5m]))"),
        ("rate(ok_total[5m])", "sum by (env) (rate(ok_total[5m]))"),
        ("sum(rate(a[5m])) - sum(rate(b[5m]))", "sum by (env) (sum(rate(a[5m])) - sum(rate(b[5m])))"),
    ],
)
def test_a_counter_becomes_a_rate_and_a_rate_stays_one(written, meant):
    assert per_second(written) == meant


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("ok_total offset 5m", "looks at now"),
        ("ok_total @ 0", "looks at now"),
        ("ok_total[5m]", "gives a matrix"),
        ("1", "gives a scalar"),
        ("sum(", "parse"),
    ],
)
def test_what_counts_no_events_of_now_is_refused(written, why):
    with pytest.raises(QueryError, match=why):
        per_second(written)


def test_a_gauge_that_is_said_to_be_no_counter_is_taken_as_it_is():
    assert per_second("ok_per_second", counter=False) == "sum by (env) (ok_per_second)"


def test_a_rate_that_is_said_to_be_a_counter_is_refused():
    with pytest.raises(QueryError, match="a counter is one selector"):
        per_second("rate(ok_total[5m])", counter=True)


def test_what_is_wrong_is_told_by_its_key():
    one = Slo.model_validate(
        {"target": "0.9", "objectives": {"x": {"good": "sum(", "total": "1", "target": "0.9"}}}
    ).objectives["x"]
    assert [key for key, _ in problems(one)] == ["good", "total"]


def test_an_agent_without_more_than_a_target_has_no_further_objective():
    assert objectives(agent(None)) == []
    assert objectives(agent({"target": "0.9"})) == []


def test_a_threshold_on_a_boundary_asks_for_that_bucket_alone():
    (found,) = objectives(agent(LATENCY))
    first, *_ = found.bad.split("\nor ")
    assert first == (
        'clamp_min(sum by (env) (rate(agent_run_duration_seconds_count{agent="refund-agent"}[5m])) - '
        '(sum by (env) (rate(agent_run_duration_seconds_bucket{agent="refund-agent", le="12.8"}[5m]))), 0)'
    )


def test_a_threshold_between_two_boundaries_lies_between_their_buckets():
    """20 s are nine sixteenths of the way from 12.8 s to 25.6 s."""
    (found,) = objectives(agent({"target": "0.9", "latency": {"threshold": "20s", "target": "0.95"}}))
    first, *_ = found.bad.split("\nor ")
    assert '(0.4375 * sum by (env) (rate(agent_run_duration_seconds_bucket{agent="refund-agent", le="12.8"}' in first
    assert '+ 0.5625 * sum by (env) (rate(agent_run_duration_seconds_bucket{agent="refund-agent", le="25.6"}' in first


@pytest.mark.parametrize("threshold", ["50ms", "7m"])
def test_a_threshold_that_no_histogram_reaches_is_refused(threshold):
    with pytest.raises(ValidationError):
        agent({"target": "0.9", "latency": {"threshold": threshold, "target": "0.95"}})


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"bad": "x_total"}, "exactly one"), ({"good": None}, "exactly one"), ({"target": "1"}, "less than 1")],
)
def test_an_objective_that_cannot_be_meant_is_refused(changes, why):
    one = {"good": "ok_total", "total": "all_total", "target": "0.9"} | changes
    with pytest.raises(ValidationError, match=why):
        agent({"target": "0.9", "objectives": {"x": {key: value for key, value in one.items() if value}}})


@pytest.mark.parametrize("name", ["success", "latency", "Grounded", "a b"])
def test_a_name_that_is_taken_or_no_name_is_refused(name):
    one = {"good": "ok_total", "total": "all_total", "target": "0.9"}
    with pytest.raises(ValidationError):
        agent({"target": "0.9", "objectives": {name: one}})


@pytest.mark.parametrize(
    ("target", "limits"),
    [
        (0.99, ["> 0.144", "> 0.06", "> 0.01"]),
        (0.9, ["> 0.9", "> 0.6", "> 0.1"]),  # 14.4 times a tenth is more than all
        (0.25, ["> 0.9", "> 0.8", "> 0.7"]),
    ],
)
def test_limits_follow_the_target_and_can_always_be_reached(target, limits):
    alerts = [rule for rule in group(own(target)).rules if rule.is_alert]
    assert [rule.expr.count(f"{limit})") for rule, limit in zip(alerts, limits, strict=True)] == [2, 2, 2]


def test_no_alert_is_worse_than_its_objective_and_a_spent_budget_never_critical():
    def worst(severity: str) -> list[str]:
        return [rule.labels["severity"] for rule in group(own(severity=severity)).rules if rule.is_alert]

    assert worst("warning") == ["warning", "warning", "warning"]
    assert worst("critical") == ["critical", "critical", "warning"]
    assert worst("info") == ["info", "info", "info"]


@pytest.mark.parametrize("name", ["😀", 'a"}', "a\\b"])
def test_rules_of_an_agent_of_any_name_are_sound(name):
    odd = agent({"target": 0.9, "latency": {"threshold": "20s", "target": 0.9}}).model_copy(update={"id": name})
    for one in objectives(odd):
        assert list(rule_problems(RuleFile(groups=(group(one),)))) == []


def test_the_same_objective_gives_the_same_rules_without_a_mistake():
    one = group(own(title="{{ grounded }} answers"), "agents/a.yaml")
    assert one == group(own(title="{{ grounded }} answers"), "agents/a.yaml")
    assert (one.name, one.interval) == ("slo refund-agent grounded", timedelta(minutes=1))
    assert rule_problems(RuleFile(groups=(one.model_copy(update={"file": ""}),))) == []
