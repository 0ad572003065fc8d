"""Rule files under test: what Prometheus loads is loaded, what it refuses is refused."""

from __future__ import annotations

import pytest

from bot.errors import ConfigError
from bot.ruletests.rulefiles import read


def rules(*entries):
    return "groups:\n- name: g\n  rules:\n" + "".join(f"  - {entry}\n" for entry in entries)


@pytest.mark.parametrize(
    "entry",
    [
        "{alert: A, expr: m, labels: {severity: page}}",
        "{alert: A, expr: m, labels: {severity: 5, empty: }}",
        "{alert: A, expr: m, labels: {'a.b': x}, annotations: {'c d': y}}",
        "{alert: A, expr: m, labels: {v: '{{ $value }}'}}",
        "{alert: my alert, expr: m, for: , annotations: }",
        "{record: 'a.b', expr: m}",
        "{record: r, expr: m, labels: {x: '{{ not a template'}}",
    ],
)
def test_what_prometheus_loads_is_loaded(entry):
    groups, warnings = read(rules(entry, "{record: r, expr: n}"), "r.yaml")
    assert [len(group.rules) for group in groups] == [2]
    assert warnings == ()


def test_a_file_without_groups_is_empty():
    assert read("", "r.yaml") == ((), ())
    assert read("groups:", "r.yaml") == ((), ())


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{alert: A, expr: 'sum('}", "r.yaml:4:22 promql"),
        ("{alert: A, record: b, expr: m}", "exactly one of alert and record"),
        ("{record: r, expr: m, for: 5m}", "cannot have for"),
        ("{record: 'r{a=1}', expr: m}", "is not a metric name"),
        ("{alert: A, expr: m, labels: {__name__: x}}", 'cannot set the label "__name__"'),
        ("{alert: A, expr: m, annotations: {x: '{{ end }}'}}", "the template of x does not parse"),
        ("{alert: A, expr: m, owner: me}", 'unknown key "owner"'),
    ],
)
def test_what_prometheus_refuses_is_refused_with_its_place(entry, words):
    with pytest.raises(ConfigError) as error:
        read(rules(entry), "r.yaml")
    assert words in str(error.value)


def test_a_group_twice_in_a_file_is_refused():
    with pytest.raises(ConfigError, match="in this file twice"):
        read("groups: [{name: g, rules: []}, {name: g, rules: []}]", "r.yaml")


def test_a_template_that_needs_more_than_we_know_says_so_in_its_text():
    entry = "{alert: A, expr: m, annotations: {x: '{{ with query \"up\" }}{{ . }}{{ end }}', y: fine}}"
    (group,), (warning,) = read(rules(entry), "r.yaml")
    texts = group.rules[0].annotations
    assert texts["x"].startswith("<error expanding template:")
    assert texts["y"] == "fine"
    assert warning.startswith('r.yaml:4:42 A, annotations x: "with" is not supported')
