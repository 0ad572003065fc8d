"""Which alerts see anything, from names of metrics and expressions alone."""

import pytest

from bot.rules.load import read
from bot.rules.sight import Lack, Sight, sights


def rules(*alerts, recorded=()):
    lines = ["groups:", "- name: g", "  rules:"]
    for name, expr in recorded:
        lines += [f"  - record: {name}", f"    expr: '{expr}'"]
    for number, expr in enumerate(alerts):
        lines += [f"  - alert: A{number}", f"    expr: '{expr}'", "    labels: {severity: critical}"]
    return read("\n".join(lines), "a.yaml")


def lacks(expr, *there, recorded=(), labels=("agent",)):
    (found,) = sights(rules(expr, recorded=recorded), {name: set(labels) for name in there})
    return [str(lack) for lack in found.lacks]


@pytest.mark.parametrize(
    ("expr", "missing"),
    [
        ("a > 1", []),
        ("sum by (agent) (rate(a[5m])) > 1", []),
        ("x > 1", ["x"]),
        ("a / x > 1", ["x"]),
        ("a and x", ["x"]),
        ("x and y", ["x", "y"]),
        ("a or x", []),
        ("x or a", []),
        ("x or y", ["x"]),  # the way that was written first
        ("a unless x", []),
        ("x unless a", ["x"]),
        ("a or x or y", []),
        ("x or y or a", []),
        ("(x or y) and a", ["x"]),
        ("absent(x)", []),
        ("absent_over_time(x[5m])", []),
        ("x or vector(0)", ["x"]),
        ("vector(1)", []),
        ("time() - x > 5", ["x"]),
        ("max_over_time((a - x)[1h:1m]) > 1", ["x"]),
        ("topk(5, x)", ["x"]),
        ("-x", ["x"]),
        ("up == 0", []),
        ("scrape_duration_seconds > 1", []),
        ('{a="b"}', []),  # any metric
        ("agent_registry_readiness == 1", []),
        ("agent_registry_slo_target < 1", ["agent_registry_slo_target"]),
    ],
)
def test_what_an_expression_lacks(expr, missing):
    assert lacks(expr, "a") == missing


def test_recorded_series_are_looked_through():
    recorded = [("r:one", "rate(a[5m]) or rate(x[5m])"), ("r:two", "r:one / y")]
    assert lacks("r:one > 1", "x", recorded=recorded) == []
    assert lacks("r:one > 1", recorded=recorded) == ["a"]
    assert lacks("r:two > 1", "x", recorded=recorded) == ["y"]
    assert lacks("r:two > 1", "x", "y", recorded=recorded) == []


def test_a_series_recorded_twice_needs_one_of_its_rules():
    recorded = [("r", "x"), ("r", "a")]
    assert lacks("r > 1", "a", recorded=recorded) == []


def test_what_is_recorded_elsewhere_counts_as_well():
    assert lacks("r > 1", "r", recorded=[("r", "x")]) == []


def test_rules_that_read_themselves_or_each_other_end():
    assert lacks("r > 1", recorded=[("r", "r + 1")]) == ["r"]
    assert lacks("r > 1", recorded=[("r", "s"), ("s", "r or a")]) == ["r"]


def test_a_label_that_says_whose_it_is_must_be_there():
    expr = 'litellm_spend_metric_total{agent!=""} > 1'
    assert lacks(expr, "litellm_spend_metric_total", labels=("model",)) == [
        "litellm_spend_metric_total with a label agent"
    ]
    assert lacks(expr, "litellm_spend_metric_total") == []


def test_other_labels_may_yet_come():
    assert lacks('a{error_type!=""} > 1', "a") == []
    assert lacks('a{agent!="x"} > 1', "a", labels=()) == []  # matches a series without the label


def test_the_way_where_only_a_label_lacks_is_the_nearer_one():
    assert lacks('x{agent!=""} or a{agent!=""}', "a", labels=()) == ["a with a label agent"]


def test_an_alert_of_two_rules_sees_when_one_does():
    text = "groups: [{name: g, rules: [{alert: A, expr: x}, {alert: A, expr: a, labels: {severity: warning}}]}]"
    assert sights(read(text, "a.yaml"), {"a": {"agent"}}) == [Sight("A", "warning")]


def test_the_severity_may_be_the_groups():
    text = "groups: [{name: g, labels: {severity: info}, rules: [{alert: A, expr: x}]}]"
    assert sights(read(text, "a.yaml"), {}) == [Sight("A", "info", (Lack("x"),))]


def test_what_does_not_parse_is_left_to_the_checks():
    assert sights(rules("sum(", "a > 1"), {"a": set()}) == [Sight("A1", "critical")]


def test_long_chains_do_not_run_out_of_stack():
    chain = " or ".join(f"m{number}" for number in range(200))
    assert lacks(chain, "m199") == []
