"""Test files: promtool's keys, its defaults, and every mistake with its place."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from bot.errors import ConfigError
from bot.ruletests.model import read


def group(text):
    return read(text, "t.yaml").groups[0]


def mistakes(text):
    with pytest.raises(ConfigError) as error:
        read(text, "t.yaml")
    return [str(finding) for finding in error.value.findings]


def test_a_file_without_anything_has_promtools_defaults():
    suite = read("", "t.yaml")
    assert suite.interval == timedelta(minutes=1)
    assert (suite.groups, suite.rule_files, suite.order, suite.fuzzy) == ((), (), (), False)


def test_every_key_is_read():
    suite = read(
        """
rule_files: [a.yaml, "b/*.yaml"]
evaluation_interval: 30s
group_eval_order: [two, one]
fuzzy_compare: true
tests:
- name: first
  interval: 10s
  input_series: [{series: 'm{a="b"}', values: 1x2}]
  external_labels: {dc: eu}
  external_url: http://here
  start_timestamp: 2021-01-01T00:00:00Z
  alert_rule_test:
  - {eval_time: 5m, alertname: A, exp_alerts: [{exp_labels: {x: y}, exp_annotations: {s: t}}]}
  promql_expr_test:
  - {expr: m, eval_time: 1m, exp_samples: [{labels: 'm{a="b"}', value: 1e-3}]}
""",
        "t.yaml",
    )
    assert (suite.interval, suite.order, suite.fuzzy) == (timedelta(seconds=30), ("two", "one"), True)
    assert suite.rule_files == ("a.yaml", "b/*.yaml")
    (one,) = suite.groups
    assert (one.name, one.line, one.interval, one.start) == ("first", 7, timedelta(seconds=10), 1609459200)
    assert (one.external_labels, one.external_url) == ({"dc": "eu"}, "http://here")
    assert [(s.labels, list(s.values)) for s in one.series] == [({"__name__": "m", "a": "b"}, [1, 1, 1])]
    (alert,) = one.alerts
    assert (alert.line, alert.at, alert.alert) == (14, timedelta(minutes=5), "A")
    assert alert.expected == (({"x": "y", "alertname": "A"}, {"s": "t"}),)
    (expr,) = one.exprs
    assert (expr.line, expr.expr, expr.expected[0].value) == (16, "m", 0.001)
    assert one.until == timedelta(minutes=5)


def test_the_interval_of_a_test_is_the_evaluation_interval_if_none_is_given():
    assert group("{evaluation_interval: 7s, tests: [{}]}").interval == timedelta(seconds=7)
    assert group("{tests: [{}]}").interval == timedelta(minutes=1)


def test_keys_without_a_value_are_no_keys():
    case = "promql_expr_test: [{expr: x, exp_samples: }]"
    text = f"{{rule_files: , tests: [{{interval: , input_series: , alert_rule_test: , {case}}}]}}"
    assert group(text).exprs[0].expected == ()
    alert = "{alertname: A, exp_alerts: [{exp_labels: {x: }}]}"
    assert group(f"tests: [{{alert_rule_test: [{alert}]}}]").alerts[0].expected == (({"x": "", "alertname": "A"}, {}),)


def expected(value):
    samples = f"[{{value: {value}}}]"
    return group(f"tests: [{{promql_expr_test: [{{expr: x, exp_samples: {samples}}}]}}]").exprs[0].expected[0].value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-2.5", -2.5),
        ("1e3", 1000),
        ("0x10", 16),
        ("010", 8),
        ("1_000", 1000),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("+Inf", math.inf),
    ],
)
def test_values_are_yamls_and_gos_numbers(text, value):
    assert expected(text) == value


@pytest.mark.parametrize("text", [".nan", "NaN", ".NaN"])
def test_nan_can_be_expected(text):
    assert math.isnan(expected(text))


@pytest.mark.parametrize("text", ["1609459200", '"2021-01-01T02:00:00+02:00"', "2021-01-01T00:00:00Z"])
def test_a_start_is_seconds_or_an_instant(text):
    assert group(f"tests: [{{start_timestamp: {text}}}]").start == 1609459200


def test_the_longest_duration_is_gos():
    assert group("tests: [{promql_expr_test: [{expr: x, eval_time: 106700d}]}]").until == timedelta(days=106700)
    assert "too long" in mistakes("tests: [{promql_expr_test: [{expr: x, eval_time: 106800d}]}]")[0]


def test_of_two_series_with_the_same_labels_the_later_one_counts():
    one = group("tests: [{input_series: [{series: m, values: 1}, {series: n, values: 2}, {series: m, values: 3}]}]")
    assert [list(series.values) for series in one.series] == [[3], [2]]


def test_merge_keys_and_many_aliases_are_taken():
    text = "tests:\n- &one {name: one, interval: 5s}\n- {<<: *one, name: two}\n" + "- *one\n" * 100
    groups = read(text, "t.yaml").groups
    assert [(g.name, g.interval) for g in groups[:3]] == [(n, timedelta(seconds=5)) for n in ("one", "two", "one")]


def test_every_mistake_is_told_at_once_with_its_place():
    assert mistakes(
        """
rule_file: [a.yaml]
evaluation_interval: 1 minute
tests:
- input_serie: []
  promql_expr_test: [{expr: x, exp_samples: [{value: many}]}]
  alert_rule_test: [{eval_time: 1m}]
"""
    ) == [
        't.yaml:2:1 unknown-key unknown key "rule_file" in the file (did you mean "rule_files"?)',
        't.yaml:3:22 bad-value evaluation_interval is wrong: "1 minute" is not a duration;'
        " write for example 30s, 5m, 1h30m or 1w",
        't.yaml:5:3 unknown-key unknown key "input_serie" in tests[0] (did you mean "input_series"?)',
        't.yaml:6:54 bad-value tests[0].promql_expr_test[0].exp_samples[0].value cannot be "many":'
        " this is not a number; write for example 5, 0.25, 1e-3, .inf or .nan",
        't.yaml:7:21 missing-key missing key "alertname" in tests[0].alert_rule_test[0]',
    ]


def test_wrong_notation_is_pointed_at_inside_its_text():
    assert mistakes(
        """
tests:
- input_series:
  - {series: 'm{a="b"', values: 1x3}
  - {series: m, values: 1 2 x}
  promql_expr_test:
  - expr: m
    exp_samples: [{labels: 'm{a}', value: 1}]
"""
    ) == [
        't.yaml:4:33 notation values: expected , or } in the labels, not "1x3" (character 1)',
        't.yaml:5:29 notation values: expected a number, _ or "stale", not "x" (character 5)',
        't.yaml:8:32 notation labels: expected = after a, not "}" (character 4)',
    ]


def test_a_group_named_twice_in_the_order_is_a_mistake():
    assert mistakes("group_eval_order: [a, b, a]") == [
        't.yaml:1:26 duplicate-group group "a" is in group_eval_order twice (keep one of them)'
    ]


def test_native_histograms_are_no_mistake_of_the_file():
    one = group(
        "tests: [{input_series: [{series: h, values: '{{sum:1}}'}, {series: m, values: 1}],"
        " promql_expr_test: [{expr: h, exp_samples: [{histogram: '{{sum:1}}'}]}]}]"
    )
    assert one.histograms == (({"__name__": "h"}, 1),)
    assert [series.labels["__name__"] for series in one.series] == ["m"]
    assert "native histograms" in one.exprs[0].unsupported
