"""The report: promtool's text to the letter, our differences after it, JSON and JUnit of the same."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from bot.errors import Finding
from bot.ruletests.report import FileResult, as_json, as_junit, blocks
from tests.unit.ruletests.playing import played

RULES = """
groups:
- name: g
  rules:
  - {alert: Down, expr: up == 0, labels: {severity: page}, annotations: {s: 'it "is" down'}}
  - {alert: Never, expr: absent(up)}
"""
TEST = r"""
tests:
- name: some name
  input_series: [{series: 'up{job="a"}', values: 0x9}, {series: 'up{job="b"}', values: 0x9}]
  alert_rule_test:
  - {eval_time: 90s, alertname: Down}
  - {eval_time: 1h, alertname: Never, exp_alerts: [{exp_annotations: {x: "1"}}]}
  promql_expr_test:
  - {expr: 'up{job=~"a|\\d"} * 0.1', eval_time: 0s, exp_samples: [{labels: '{job="a"}', value: 0.3}]}
  - {expr: nothing, eval_time: 5m, exp_samples: [{labels: 'm', value: .inf}, {labels: '{a="b"}', value: 1e-7}]}
  - {expr: up + on () up, eval_time: 1m}
  - {expr: up, eval_time: 1m, exp_samples: [{labels: 'up{job="a"}'}, {labels: 'up{job="b"}'}]}
"""


@pytest.fixture
def result():
    return FileResult("t.yaml", tuple(played(TEST, RULES)), seconds=1.5)


def test_failures_read_as_promtools(result):
    texts = [block.text for block in blocks(result)]
    assert texts[:4] == [
        "    name: some name,\n"
        "    alertname: Down, time: 1m30s, \n"
        "        exp:[], \n"
        "        got:[\n"
        "            0:\n"
        '              Labels:{alertname="Down", job="a", severity="page"}\n'
        '              Annotations:{s="it \\"is\\" down"},\n'
        "            1:\n"
        '              Labels:{alertname="Down", job="b", severity="page"}\n'
        '              Annotations:{s="it \\"is\\" down"}\n'
        "            ]",
        "    name: some name,\n"
        "    alertname: Never, time: 1h, \n"
        "        exp:[\n"
        "            0:\n"
        '              Labels:{alertname="Never"}\n'
        '              Annotations:{x="1"}\n'
        "            ], \n"
        "        got:[\n"
        "            0:\n"
        '              Labels:{alertname="Never"}\n'
        "              Annotations:{}\n"
        "            ]",
        '    expr: "up{job=~\\"a|\\\\\\\\d\\"} * 0.1", time: 0s,\n'
        '        exp: {job="a"} 3E-01\n'
        '        got: {job="a"} 0E+00',
        '    expr: "nothing", time: 5m,\n        exp: {__name__="m"} +Inf, {a="b"} 1E-07\n        got: nil',
    ]
    assert texts[4].startswith('    expr: "up + on () up", time: 1m, err: found duplicate series for the match group')
    assert len(texts) == 5


def test_our_own_words_name_the_line_and_what_differs(result):
    found = blocks(result)
    assert found[0].more == (
        "at t.yaml:6: 0 alerts expected, 2 got, 2 differences",
        '  + unexpected: {alertname="Down", job="a", severity="page"}',
        '  + unexpected: {alertname="Down", job="b", severity="page"}',
    )
    assert found[1].more[1:] == ('  ~ annotation: {alertname="Never"} x: expected "1", got none',)
    assert found[2].more == (
        "at t.yaml:9: 1 sample expected, 1 got, 1 difference",
        '  ~ value: {job="a"}: expected 0.3, got 0 (relative difference 1)',
    )
    assert found[3].more[1:] == ('  - missing: {__name__="m"} +Inf', '  - missing: {a="b"} 1e-07')
    assert found[4].more == ("at t.yaml:11: there is no answer to compare",)


def test_a_rule_that_failed_reads_as_promtools():
    rules = "groups: [{name: g, rules: [{record: r, expr: a * on () b}]}]"
    pair = ", ".join(f"{{series: 'b{{x=\"{x}\"}}', values: _ 1x9}}" for x in (1, 2))
    inputs = f"[{pair}, {{series: a, values: _ 1x9}}]"
    test = f"tests: [{{input_series: {inputs}, promql_expr_test: [{{expr: r, eval_time: 5m}}]}}]"
    (block,) = blocks(FileResult("t.yaml", tuple(played(test, rules))))
    assert block.text.startswith("    rule: r, time: 1m0s, err: found duplicate series")
    assert block.more == ("at t.yaml:1: 1 case not looked at",)


def test_many_differences_are_cut():
    series = ", ".join(f"{{series: 'm{{n=\"{n}\"}}', values: 1}}" for n in range(30))
    test = f"tests: [{{input_series: [{series}], promql_expr_test: [{{expr: m, eval_time: 0s}}]}}]"
    (block,) = blocks(FileResult("t.yaml", tuple(played(test))))
    assert len(block.more) == 22
    assert block.more[-1] == "  … and 10 more"


def test_json(result):
    found = as_json([result])
    assert (found["verdict"], found["cases"]) == ("error", {"passed": 1, "failed": 4, "error": 1, "skipped": 0})
    (file,) = found["files"]
    assert (file["file"], file["verdict"], file["seconds"], file["errors"]) == ("t.yaml", "error", 1.5, [])
    (test,) = file["tests"]
    assert (test["name"], test["line"]) == ("some name", 3)
    assert test["cases"][1] == {
        "kind": "alert",
        "alert": "Never",
        "time": "1h",
        "file": "t.yaml",
        "line": 7,
        "verdict": "failed",
        "seconds": 0.0,
        "expected": [{"labels": {"alertname": "Never"}, "annotations": {"x": "1"}}],
        "got": [{"labels": {"alertname": "Never"}, "annotations": {}}],
        "differences": [{"kind": "annotation", "text": '{alertname="Never"} x: expected "1", got none'}],
        "error": "",
    }
    assert test["cases"][3]["expected"] == [
        {"labels": {"__name__": "m"}, "value": "+Inf"},
        {"labels": {"a": "b"}, "value": "1e-07"},
    ]


def test_junit(result):
    broken = FileResult("u.yaml", findings=(Finding("u.yaml", 2, 3, "bad-value", 'not "this"\x07'),))
    root = ET.fromstring(as_junit([result, broken]))
    first, second = root
    assert first.attrib == {
        "name": "t.yaml",
        "tests": "6",
        "failures": "4",
        "errors": "1",
        "skipped": "0",
        "time": "1.500",
    }
    down = first[0]
    assert (down.get("classname"), down.get("name"), down.get("line")) == ("some name", "Down at 1m30s", "6")
    assert down[0].tag == "failure"
    assert "alertname: Down, time: 1m30s" in down[0].text
    assert first[4][0].tag == "error"
    assert len(first[5]) == 0
    assert second[0][0].get("message") == 'u.yaml:2:3 bad-value not "this"\ufffd'
