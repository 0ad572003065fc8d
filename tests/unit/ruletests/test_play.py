"""When rules are evaluated, what they see, and which alerts and samples are compared."""

from __future__ import annotations

import math

import pytest

from tests.unit.ruletests.playing import got, played, verdicts


def expr(*cases):
    """`promql_expr_test` with (expression, time) and no expectation."""
    return "[" + ", ".join(f"{{expr: '{text}', eval_time: {at}}}" for text, at in cases) + "]"


def alert_times(test, rules, name="A"):
    """eval_time → label sets of the alerts firing, for the times in `test`."""
    (result,) = played(test, rules)
    assert not result.failures, result.failures
    return {case.case.at.total_seconds() / 60: [alert[0] for alert in case.got] for case in result.cases}


def ask(*minutes, name="A"):
    return "[" + ", ".join(f"{{eval_time: {m}m, alertname: {name}}}" for m in minutes) + "]"


def test_a_right_expectation_passes_and_a_wrong_one_fails():
    test = """
tests:
- input_series: [{series: 'm{a="b"}', values: 1+1x5}]
  promql_expr_test:
  - {expr: m * 2, eval_time: 3m, exp_samples: [{labels: '{a="b"}', value: 8}]}
  - {expr: m * 2, eval_time: 3m, exp_samples: [{labels: '{a="b"}', value: 7}]}
  - {expr: m * 2, eval_time: 3m, exp_samples: [{labels: 'm{a="b"}', value: 8}]}
  - {expr: m * 2, eval_time: 3m}
  - {expr: nothing, eval_time: 3m}
"""
    assert verdicts(test) == ["passed", "failed", "failed", "failed", "passed"]


def test_a_number_is_one_sample_without_labels():
    assert got(f"tests: [{{promql_expr_test: {expr(('time()', '5m'))}}}]") == [[({}, 300)]]


@pytest.mark.parametrize("text", ['"text"', "m[5m]"])
def test_other_kinds_of_results_cannot_be_compared(text):
    (result,) = played(f"tests: [{{promql_expr_test: {expr((text, '1m'))}}}]")
    assert result.cases[0].error == "rule result is not a vector or scalar"


def test_an_expression_that_does_not_parse_is_an_error_of_its_case_alone():
    assert verdicts(f"tests: [{{promql_expr_test: {expr(('sum(', '1m'), ('x', '1m'))}}}]") == ["error", "passed"]


def test_windows_are_open_on_the_left_and_samples_live_for_five_minutes():
    test = f"""
tests:
- input_series: [{{series: m, values: 1 2 3 4}}]
  promql_expr_test: {expr(("count_over_time(m[2m])", "3m"), ("m", "7m59s"), ("m", "8m"))}
"""
    assert [[value for _, value in samples] for samples in got(test)] == [[2], [4], []]


def test_gaps_and_ends():
    test = f"""
tests:
- input_series: [{{series: m, values: 1 _ _ stale _}}]
  promql_expr_test: {expr(("m", "2m"), ("m", "3m"), ("m", "4m"), ("timestamp(m)", "2m"))}
"""
    assert [[value for _, value in samples] for samples in got(test)] == [[1], [], [], [0]]


def test_nothing_after_the_last_evaluation_is_there():
    """The last evaluation is at 2m, so the sample of 2m30s has not come in."""
    test = f"""
tests:
- interval: 30s
  input_series: [{{series: m, values: 0+1x100}}]
  promql_expr_test: {expr(("m", "2m45s"), ("m offset -30s", "1m"))}
"""
    assert [[value for _, value in samples] for samples in got(test)] == [[4], [3]]


def test_the_step_of_subqueries_is_the_evaluation_interval():
    test = f"""
evaluation_interval: 10s
tests:
- promql_expr_test: {expr(("count_over_time(vector(1)[1m:])", "2m"), ("count_over_time(vector(1)[1m:30s])", "2m"))}
"""
    assert [[value for _, value in samples] for samples in got(test)] == [[6], [2]]


def test_a_start_moves_the_clock_and_times_stay_relative():
    test = f"""
tests:
- start_timestamp: 2021-01-01T00:00:00Z
  input_series: [{{series: m, values: 0+1x10}}]
  promql_expr_test: {expr(("time()", "1m"), ("m", "3m"), ("year()", "0m"), ("r", "5m"))}
"""
    rules = "groups: [{name: g, rules: [{record: r, expr: timestamp(m)}]}]"
    assert [[value for _, value in samples] for samples in got(test, rules)] == [
        [1609459260],
        [3],
        [2021],
        [1609459500],
    ]


def test_recorded_series_are_written_at_every_evaluation():
    rules = 'groups: [{name: g, rules: [{record: "a:b", expr: "m > 1", labels: {x: y}}]}]'
    test = f"""
tests:
- input_series: [{{series: 'm{{j="k"}}', values: 1 2 3 0 5}}]
  promql_expr_test: {expr(("a:b", "0m"), ("a:b", "2m30s"), ("a:b", "3m"), ("sum_over_time(a:b[10m])", "4m"))}
"""
    labels = {"__name__": "a:b", "j": "k", "x": "y"}
    assert got(test, rules) == [[], [(labels, 3)], [], [({"j": "k", "x": "y"}, 10)]]


def test_rules_see_no_sample_of_the_future():
    rules = "groups: [{name: g, rules: [{record: r, expr: 'max_over_time(m[5m] offset -5m)'}]}]"
    test = f"""
tests:
- input_series: [{{series: m, values: 0+1x10}}]
  promql_expr_test: {expr(("r", "2m"), ("max_over_time(m[5m] offset -5m)", "2m"), ("r", "10m"))}
"""
    assert [[value for _, value in samples] for samples in got(test, rules)] == [[], [7], []]


GROUPS = """
groups:
- {name: first, rules: [{record: one, expr: two + 1}]}
- {name: second, rules: [{record: two, expr: vector(1)}]}
"""


@pytest.mark.parametrize(("order", "values"), [("[first, second]", []), ("[second, first]", [2])])
def test_groups_are_evaluated_in_the_order_asked_for(order, values):
    test = f"{{group_eval_order: {order}, tests: [{{promql_expr_test: {expr(('one', '0m'))}}}]}}"
    assert [value for _, value in got(test, GROUPS)[0]] == values


ALERT = "groups: [{name: g, rules: [{alert: A, expr: m > 0, for: 2m, keep_firing_for: 3m, labels: {s: x}}]}]"


def test_alerts_are_those_of_the_evaluation_at_or_before_the_time():
    test = f"""
tests:
- input_series: [{{series: 'm{{a="b"}}', values: '0 1x4 0x20'}}]
  alert_rule_test: {ask(1, 2, 3, 6, 8, 9)}
"""
    firing = [{"alertname": "A", "a": "b", "s": "x"}]
    assert alert_times(test, ALERT) == {1: [], 2: [], 3: firing, 6: firing, 8: firing, 9: []}


def test_an_alert_between_two_evaluations_is_that_of_the_earlier_one():
    test = """
tests:
- input_series: [{series: m, values: 0 1x9}]
  alert_rule_test: [{eval_time: 2m59s, alertname: A}, {eval_time: 3m1s, alertname: A}]
"""
    (result,) = played(test, ALERT)
    assert [len(case.got) for case in result.cases] == [0, 1]


def test_an_alert_whose_data_vanish_ends_as_in_prometheus():
    rules = "groups: [{name: g, rules: [{alert: A, expr: m > 0}]}]"
    test = f"tests: [{{input_series: [{{series: m, values: 1 1 stale}}], alert_rule_test: {ask(1, 2)}}}]"
    assert alert_times(test, rules) == {1: [{"alertname": "A"}], 2: []}


def test_the_same_name_in_several_groups_counts_together():
    rules = """
groups:
- {name: g, rules: [{alert: A, expr: vector(1), labels: {from: g}}]}
- {name: h, rules: [{alert: A, expr: vector(1), labels: {from: h}}, {alert: B, expr: vector(1)}]}
"""
    assert alert_times(f"tests: [{{alert_rule_test: {ask(0)}}}]", rules) == {
        0: [{"alertname": "A", "from": "g"}, {"alertname": "A", "from": "h"}]
    }


def test_templates_know_the_outside_labels_and_address():
    rules = """
groups:
- name: g
  rules:
  - alert: A
    expr: m > 1
    annotations: {s: '{{ $labels.j }} {{ $value }} {{ $externalLabels.dc }} {{ $externalURL }}'}
"""
    test = """
tests:
- input_series: [{series: 'm{j="k"}', values: 5}]
  external_labels: {dc: eu}
  external_url: http://here
  alert_rule_test:
  - {eval_time: 0m, alertname: A, exp_alerts: [{exp_labels: {j: k}, exp_annotations: {s: k 5 eu http://here}}]}
  - {eval_time: 0m, alertname: A, exp_alerts: [{exp_labels: {j: k}, exp_annotations: {s: k 6 eu http://here}}]}
  - {eval_time: 0m, alertname: A, exp_alerts: [{exp_labels: {j: k, dc: eu}}]}
"""
    assert verdicts(test, rules) == ["passed", "failed", "failed"]


def test_alerts_are_series_too():
    test = f"""
tests:
- input_series: [{{series: m, values: 0 1x9}}]
  promql_expr_test: {expr(("ALERTS", "2m"), ("ALERTS", "3m"), ("ALERTS_FOR_STATE", "3m"))}
"""
    alert = {"alertname": "A", "s": "x"}
    assert got(test, ALERT) == [
        [({**alert, "__name__": "ALERTS", "alertstate": "pending"}, 1)],
        [({**alert, "__name__": "ALERTS", "alertstate": "firing"}, 1)],
        [({**alert, "__name__": "ALERTS_FOR_STATE"}, 60)],
    ]


def test_nothing_of_our_own_is_among_the_series():
    everything = expr(('count({__name__=~".+"})', "5m"))
    test = f"tests: [{{promql_expr_test: {everything}}}]"
    assert got(test, "groups: [{name: g, rules: [{record: r, expr: vector(1)}]}]") == [[({}, 1)]]


def test_a_rule_that_cannot_be_evaluated_ends_its_test_and_no_other():
    rules = "groups: [{name: g, rules: [{record: r, expr: a / on () b}, {record: s, expr: c}]}]"
    pair = ", ".join(f"{{series: 'b{{x=\"{x}\"}}', values: _ _ 1x9}}" for x in (1, 2)) + ", {series: a, values: 1x9}"
    test = f"""
tests:
- input_series: [{pair}]
  alert_rule_test: {ask(1, 5)}
  promql_expr_test: {expr(("s", "5m"))}
- promql_expr_test: {expr(("s", "5m"))}
"""
    first, second = played(test, rules)
    assert [(failure.rule, failure.at.total_seconds()) for failure in first.failures] == [("r", 120)]
    assert "many-to-many matching not allowed" in first.failures[0].message
    assert [case.verdict for case in first.cases] == ["passed", "skipped", "skipped"]
    assert (first.verdict, second.verdict) == ("error", "passed")


def test_nan_is_nan():
    test = """
tests:
- input_series: [{series: m, values: NaN}]
  promql_expr_test:
  - {expr: m, eval_time: 0m, exp_samples: [{labels: m, value: NaN}]}
  - {expr: m, eval_time: 0m, exp_samples: [{labels: m, value: 0}]}
"""
    assert verdicts(test) == ["passed", "failed"]


@pytest.mark.parametrize(
    ("fuzzy", "value", "verdict"),
    [
        ("false", 1 + 1e-7, "failed"),
        ("true", 1 + 1e-7, "passed"),
        ("true", 1 - 1e-7, "passed"),
        ("true", 1 + 1e-5, "failed"),
        ("true", -1, "failed"),
        ("true", math.inf, "failed"),
    ],
)
def test_values_are_compared_exactly_or_to_a_millionth(fuzzy, value, verdict):
    number = ".inf" if math.isinf(value) else repr(value)
    test = f"""
fuzzy_compare: {fuzzy}
tests:
- promql_expr_test: [{{expr: vector(1), eval_time: 0m, exp_samples: [{{labels: '{{}}', value: {number}}}]}}]
"""
    assert verdicts(test) == [verdict]


def test_a_native_histogram_fails_only_what_reads_it():
    rules = """
groups:
- name: g
  rules:
  - {record: of_histogram, expr: h * 2}
  - {record: of_number, expr: m * 2}
  - {alert: A, expr: of_histogram > 0}
  - {alert: B, expr: m > 0}
"""
    cases = [("h", "0m"), ("of_histogram", "0m"), ("m", "9m"), ("of_number", "9m"), ('ALERTS{alertname="A"}', "0m")]
    test = f"""
tests:
- input_series: [{{series: h, values: '{{{{sum:1}}}}x5'}}, {{series: m, values: 1}}]
  alert_rule_test: [{{eval_time: 0m, alertname: A}}, {{eval_time: 9m, alertname: B}}]
  promql_expr_test: {expr(*cases)}
"""
    (result,) = played(test, rules)
    found = [case.verdict for case in result.cases]
    assert found == ["error", "passed", "error", "error", "passed", "passed", "error"]
    assert "native histogram of line 3" in result.cases[0].error


def test_experimental_functions_need_to_be_asked_for():
    test = f"""
tests:
- input_series: [{{series: m, values: 1 3 8}}]
  promql_expr_test: {expr(("mad_over_time(m[5m])", "2m"))}
"""
    assert verdicts(test) == ["error"]
    (result,) = played(test, experimental=True)
    assert [sample.value for sample in result.cases[0].got] == [2]


def test_a_series_that_begins_hours_into_the_test_is_there():
    test = f"""
tests:
- input_series: [{{series: early, values: 1x2000}}, {{series: late, values: _x1900 5x60}}]
  promql_expr_test: {expr(("late", "1899m"), ("late", "1900m"), ("late", "1930m"))}
"""
    assert got(test) == [[], [({"__name__": "late"}, 5)], [({"__name__": "late"}, 5)]]
