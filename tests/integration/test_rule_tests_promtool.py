"""Debian's promtool and ours on the same failing files: the same verdicts, and the same words line by line."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from bot.cli.main import cli

pytestmark = pytest.mark.interop

RULES = r"""
groups:
- name: a
  rules:
  - {record: 'job:rate', expr: 'sum by (job) (rate(c[5m]))'}
  - alert: High
    expr: job:rate > 0.5
    for: 2m
    labels: {sev: 'x{{ $value | humanize }}', n: '{{ $labels.job }}'}
    annotations: {s: 'v={{ $value }} {{ $externalLabels.dc }}', t: "a\tb\n\"c\" é"}
  - {alert: Gone, expr: 'absent(nothing)'}
- name: b
  rules:
  - {alert: FromAlerts, expr: 'count(ALERTS{alertstate="firing"}) > 1'}
  - {record: broken, expr: late, labels: {i: same}}
"""
# What differs between 2.42 and 3.x by design is left out: samples on the left edge of windows, quoted names, a test
# without an interval.
TEST = r"""
rule_files: [rules.yaml]
evaluation_interval: 1m
group_eval_order: [b, a]
tests:
- name: alerts
  interval: 30s
  external_labels: {dc: eu}
  input_series:
  - {series: 'c{job="j1",i="0"}', values: '7+61.3x20 stale'}
  - {series: 'c{job="j1",i="1"}', values: '3+30.7x10 _x5 5+1.1x20'}
  - {series: 'c{job="j2",i="1"}', values: '1.5x40 Inf -Inf'}
  alert_rule_test:
  - {eval_time: 1m, alertname: High, exp_alerts: []}
  - {eval_time: 4m30s, alertname: High, exp_alerts: [{exp_labels: {job: j1}}, {exp_labels: {job: j0}}]}
  - {eval_time: 1h, alertname: High, exp_alerts: [{exp_annotations: {s: none}}]}
  - {eval_time: 3m, alertname: FromAlerts}
  - {eval_time: 3m, alertname: Gone}
  - {eval_time: 3m, alertname: NotThere, exp_alerts: [{exp_labels: {a: "q\"uo\nte\\"}, exp_annotations: {x: ünï}}]}
  promql_expr_test:
  - {expr: 'job:rate', eval_time: 5m}
  - {expr: 'job:rate', eval_time: 5m30s, exp_samples: [{labels: 'job:rate{job="j1"}', value: 1.5}]}
  - {expr: 'ALERTS_FOR_STATE', eval_time: 5m}
  - {expr: 'ALERTS{alertname!="Gone"}', eval_time: 6m}
  - {expr: 'c * 1e300', eval_time: 90s, exp_samples: [{labels: '{a="z"}', value: -1e30}, {labels: 'b', value: .inf}]}
  - {expr: 'timestamp(c)', eval_time: 19m45s}
  - {expr: 'c{job="j2"}', eval_time: 20m30s}
  - {expr: "c{i=~\"0|\\\\d\"} % 0.7", eval_time: 1m}
  - {expr: '"string"', eval_time: 1m}
  - {expr: 'c[5m]', eval_time: 1m}
  - {expr: 'time()', eval_time: 1h3m4s5ms}
  - {expr: 'vector(7)', eval_time: 2h, exp_samples: [{labels: '{}', value: 7}]}
- name: a rule fails in the middle
  interval: 1m
  input_series:
  - {series: 'up', values: '1x9'}
  - {series: 'late{i="1"}', values: '_ _ 1x9'}
  - {series: 'late{i="2"}', values: '_ _ 1x9'}
  alert_rule_test:
  - {eval_time: 1m, alertname: Gone}
  - {eval_time: 5m, alertname: Gone}
  promql_expr_test:
  - {expr: up, eval_time: 1m}
- interval: 1m
  promql_expr_test:
  - {expr: 'count({__name__=~".+"})', eval_time: 3m}
"""
PASSING = r"""
rule_files: [rules.yaml]
tests:
- interval: 1m
  input_series: [{series: 'c{job="a"}', values: '0+60x20'}]
  alert_rule_test:
  - {eval_time: 2m, alertname: High}
  promql_expr_test:
  - {expr: 'job:rate', eval_time: 10m30s, exp_samples: [{labels: 'job:rate{job="a"}', value: 1}]}
"""


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Runs both tools on a test file; gives their results."""
    if shutil.which("promtool") is None and "CI" not in os.environ:
        pytest.skip("promtool is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)

    def run(text, *args):
        (tmp_path / "t.yaml").write_text(text)
        theirs = subprocess.run(
            ["promtool", "test", "rules", "t.yaml"], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        return theirs, CliRunner().invoke(cli, ["test", "t.yaml", *args])

    return run


def without_ours(text):
    """What promtool prints too: our own lines begin with a place and are indented deeper below it."""
    kept, inside = [], False
    for line in text.splitlines():
        inside = line.startswith("        at t.yaml:") or (inside and line[10:11] in {"~", "-", "+", "…"})
        if not inside:
            kept.append(line)
    return kept


def test_failures_are_told_in_the_same_words(both):
    theirs, ours = both(TEST)
    assert (theirs.returncode, ours.exit_code) == (1, 1)
    assert without_ours(ours.stderr) == theirs.stderr.splitlines()
    assert ours.stdout == theirs.stdout


def test_success_is_told_in_the_same_words(both):
    theirs, ours = both(PASSING)
    assert (theirs.returncode, ours.exit_code) == (0, 0)
    assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)


def test_every_failure_has_a_line_of_the_file(both):
    theirs, ours = both(TEST)
    failures = theirs.stderr.count(", time: ")
    assert failures > 15
    assert ours.stderr.count("        at t.yaml:") == failures


@pytest.mark.parametrize(
    "text",
    [
        "test: []",
        "tests: [{unknown: 1}]",
        "tests: {}\ntests: []",
        "tests: [{input_series: [{series: 'm{', values: 1}]}]",
        "tests: [{input_series: [{series: m, values: 1x}]}]",
        "tests: [{alert_rule_test: [{eval_time: 1m}]}]",
        "evaluation_interval: soon",
        "group_eval_order: [a, a]",
    ],
)
def test_what_is_no_test_file_to_promtool_is_none_to_us(both, text):
    theirs, ours = both(text)
    assert (theirs.returncode, ours.exit_code) == (1, 2)
