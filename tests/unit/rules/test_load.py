import pytest

from bot.errors import ConfigError
from bot.rules.load import (
    builtin,
    clashes,
    compile_group,
    parse_groups,
    problems,
    read,
    required_metrics,
    warm_seconds,
    with_builtin,
)
from bot.rules.model import RuleFile


def file_of(*rules, **group):
    return RuleFile.model_validate({"groups": [{"name": "g", "rules": list(rules), **group}]})


def found(*rules, **group):
    return [(".".join(map(str, p.path[2:])), p.code) for p in problems(file_of(*rules, **group))]


def alert(**keys):
    return {"alert": "A", "expr": "up == 0", **keys}


def test_a_rule_file_as_text_becomes_groups_that_know_their_file():
    text = """
groups:
  - name: g
    interval: 30s
    limit: 5
    query_offset: 1m
    labels: {team: a}
    rules:
      - {alert: A, expr: up == 0, for: 1m30s, keep_firing_for: 5m, labels: {severity: info}, annotations: {at: 10:30}}
      - {record: a:b, expr: 5}
"""
    (group,) = read(text, "alerts/x.yaml")
    assert (group.id, group.limit, group.interval.total_seconds(), group.query_offset.total_seconds()) == (
        "alerts/x.yaml;g",
        5,
        30,
        60,
    )
    first, second = group.rules
    assert (first.name, first.is_alert, first.hold.total_seconds(), first.keep_firing_for.total_seconds()) == (
        "A",
        True,
        90,
        300,
    )
    assert first.annotations == {"at": "10:30"}
    assert (second.name, second.is_alert, second.expr) == ("a:b", False, "5")
    assert group.labels_of(first) == {"team": "a", "severity": "info"}


@pytest.mark.parametrize(
    "rule",
    [
        "{alert: A, record: b, expr: up}",
        "{expr: up}",
        "{alert: A}",
        "{alert: A, expr: up, fro: 5m}",
        "{alert: A, expr: up, for: 5x}",
        "{alert: A, expr: ''}",
    ],
)
def test_what_the_shape_forbids(rule):
    with pytest.raises(ConfigError):
        read("groups: [{name: g, rules: [" + rule + "]}]", "x.yaml")


def test_a_sound_file_has_no_problem():
    assert (
        found(alert(**{"for": "1m"}, labels={"severity": "critical"}, annotations={"summary": "{{ $labels.x }}"})) == []
    )


@pytest.mark.parametrize(
    ("rule", "path", "code"),
    [
        (alert(expr="up =="), "expr", "promql"),
        (alert(expr="up[5m]"), "expr", "promql"),
        (alert(expr='"text"'), "expr", "promql"),
        (alert(expr="mad_over_time(up[5m])"), "expr", "promql"),
        (alert(labels={"x-y": "1"}), "labels.x-y", "label-name"),
        (alert(labels={"__name__": "1"}), "labels.__name__", "label-name"),
        (alert(labels={"alertname": "1"}), "labels.alertname", "label-name"),
        (alert(annotations={"x y": "1"}), "annotations.x y", "label-name"),
        (alert(labels={"v": "{{ $value }}"}), "labels.v", "value-in-label"),
        (alert(labels={"v": "{{ .Value | humanize }}"}), "labels.v", "value-in-label"),
        (alert(labels={"severity": "page"}), "labels.severity", "severity"),
        (alert(labels={"s": "{{ $labels.x"}), "labels.s", "template"),
        (alert(annotations={"s": "{{ foo }}"}), "annotations.s", "template"),
        (alert(annotations={"s": "{{ if gt $value 5 }}x{{ end }}"}), "annotations.s", "template"),
        (alert(alert=" "), "alert", "rule-name"),
        ({"record": "a-b", "expr": "up"}, "record", "rule-name"),
        ({"record": "a", "expr": "up", "for": "1m"}, "for", "record-key"),
        ({"record": "a", "expr": "up", "keep_firing_for": "1m"}, "keep_firing_for", "record-key"),
        ({"record": "a", "expr": "up", "annotations": {"b": "c"}}, "annotations", "record-key"),
    ],
)
def test_each_mistake_is_found_where_it_stands(rule, path, code):
    assert found(rule) == [(f"rules.0.{path}", code)]


def test_labels_that_read_as_numbers_only_sometimes_are_no_mistake():
    assert found(alert(annotations={"s": '{{ humanize $labels.limit }}{{ parseDuration "5m" }}'})) == []


def test_a_template_severity_is_left_alone():
    assert found(alert(labels={"severity": "{{ $labels.severity }}"})) == []


def test_unsupported_functions_are_named():
    (problem,) = problems(file_of(alert(expr="mad_over_time(up[5m])")))
    assert "mad_over_time" in problem.message


def test_the_place_inside_a_template_of_several_lines_is_told():
    (problem,) = problems(file_of(alert(annotations={"d": "one\n  two {{ foo }}\n"})))
    assert problem.message.endswith("(in its line 2, character 10)")


def test_the_same_rule_twice():
    assert found(alert(), alert()) == [("rules.1.alert", "duplicate-rule")]
    assert found(alert(), alert(labels={"x": "1"})) == []
    assert found({"record": "a", "expr": "up"}, {"record": "a", "expr": "up"}) == [("rules.1.record", "duplicate-rule")]
    assert found(alert(labels={"x": "1"}), alert(), labels={"x": "1"}) == [("rules.1.alert", "duplicate-rule")]


def test_the_same_group_name_twice_in_one_file():
    file = RuleFile.model_validate({"groups": [{"name": "g"}, {"name": "g"}]})
    assert [(p.path, p.code) for p in problems(file)] == [(("groups", 1, "name"), "duplicate-group")]


def test_a_key_that_only_we_fill_in_is_unknown_in_a_file():
    assert found(alert(), file="x") == [("file", "unknown-key")]


def test_rules_of_two_files_that_would_make_the_same_alert():
    one = parse_groups(file_of(alert()), "a.yaml")
    two = parse_groups(file_of({"alert": "B", "expr": "up"}, alert()), "b.yaml")
    ((file, problem),) = clashes((*one, *two))
    assert (file, problem.path, problem.code) == ("b.yaml", ("groups", 0, "rules", 1, "alert"), "duplicate-rule")


def test_duplicates_in_one_group_keep_apart_what_they_remember():
    (group,) = parse_groups(file_of(alert(), alert()), "a.yaml")
    assert [compiled.key for compiled in compile_group(group)] == ["A{}", "A{}#2"]


def test_built_in_rules_are_sound_and_give_way_to_the_users():
    assert problems(RuleFile(groups=tuple(group.model_copy(update={"file": ""}) for group in builtin()))) == []
    names = [rule.name for group in with_builtin(()) for rule in group.rules]
    assert names == ["AgentDown", "RuleFailing", "RuleNoData", "MetricsEngineDown", "AgentpagerDrill"]
    mine = parse_groups(file_of({"alert": "AgentDown", "expr": "up < 1"}), "a.yaml")
    groups = with_builtin(mine)
    assert [(group.file, rule.name) for group in groups for rule in group.rules] == [
        ("a.yaml", "AgentDown"),
        ("builtin", "RuleFailing"),
        ("builtin", "RuleNoData"),
        ("builtin", "MetricsEngineDown"),
        ("builtin", "AgentpagerDrill"),
    ]


def test_on_an_engine_elsewhere_only_the_targets_of_agents_are_ours():
    exprs = [[rule.expr for rule in with_builtin((), elsewhere=elsewhere)[0].rules] for elsewhere in (False, True)]
    assert exprs[0][0] == "up == 0"
    assert exprs[1] == ['up{agent!=""} == 0', *exprs[0][1:]]


def test_a_rule_named_as_that_of_drills_does_not_take_its_place():
    mine = parse_groups(file_of({"alert": "AgentpagerDrill", "expr": "vector(1)"}), "a.yaml")
    names = [(group.file, rule.name) for group in with_builtin(mine) for rule in group.rules]
    assert names[0] == ("a.yaml", "AgentpagerDrill")
    assert names[-1] == ("builtin", "AgentpagerDrill")


def test_what_the_store_must_keep():
    groups = parse_groups(
        file_of(alert(expr="rate(a[10m]) > 1 and b offset 1h > 2"), alert(alert="B", expr="max_over_time(a[1h:5m])")),
        "x",
    )
    needs = required_metrics(groups, ["increase(c[2m])", "not promql ["])
    assert needs.names == {"a": 3600 + 300 + 300, "b": 3900, "c": 420}
    assert needs.lookback_seconds == 4200


def test_a_selector_without_a_name_needs_everything():
    assert required_metrics(parse_groups(file_of(alert(expr='count({job="x"})')), "x")).names is None


def test_recorded_series_need_what_they_are_made_of():
    groups = parse_groups(
        file_of(
            {"record": "a:rate10m", "expr": "rate(a[10m])"},
            {"record": "a:max1h", "expr": "max_over_time(a:rate10m[1h])"},
            {"record": "a:self", "expr": "a:self + rate(b[5m])"},
        ),
        "x",
    )
    assert warm_seconds(groups) == {"a:rate10m": 600, "a:max1h": 4200, "a:self": 300}


@pytest.mark.parametrize("text", ["keep", "alert", "ok", "keep, alert", "alert keep"])
def test_ways_to_treat_missing_data(text):
    assert problems(file_of(alert(annotations={"no_data": text}))) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hold", '"hold" is no way to treat missing data; write keep, alert, both of them, or ok'),
        ("", '"" is no way to treat missing data'),
        ("ok keep", "ok means that missing data is health"),
    ],
)
def test_other_words_for_missing_data_are_refused(text, message):
    (problem,) = problems(file_of(alert(annotations={"no_data": text})))
    assert problem.code == "no-data"
    assert problem.path == ("groups", 0, "rules", 0, "annotations", "no_data")
    assert message in problem.message
