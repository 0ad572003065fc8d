"""Tests of runbooks: what they find, and what they say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.authoring.trials import Result, play, read
from bot.cli.runbook_test import play_file
from bot.errors import ConfigError
from bot.ruletests.rulefiles import read as read_rules
from bot.runbooks.model import Runbook
from bot.yamldoc import scan

ROOT = Path(__file__).parents[3]
RUNBOOK = """schema: runbook/v1
id: slow
title: Answers are slow
applies_to: ['alertname="Slow"']
summary: "{{ agent.id }} is slow at {{ alert.value | round(1) }}."
steps:
  - id: slow
    kind: check
    title: Slow
    query: max(latency{agent="{{ agent.id }}"})
    expect: "< 5"
    unit: s
    on_fail: fix
  - {id: rate, kind: check, title: Rate, query: job:calls:rate, expect: "> 0"}
  - {id: fix, kind: manual, title: Fix, text: Restart it., when: checks.slow.failed}
  - {id: up, kind: escalate, title: Up, to: "level:2", after: 20m}
"""
HEAD = """runbook_files: [slow.yaml]
tests:
  - name: slow
    input_series:
      - {series: 'latency{agent="a"}', values: 1 1 9}
      - {series: 'calls{agent="a"}', values: 0+60x2}
    runbook_test:
"""
RULES = 'groups: [{name: g, rules: [{record: job:calls:rate, expr: "sum(rate(calls[2m]))"}]}]\n'


def runbook(text: str = RUNBOOK) -> Runbook:
    document, _ = scan(text, "slow.yaml")
    assert document is not None
    return document.validate(Runbook)


def played(*lines: str, rules: str = "", goldens: dict[str, str] | None = None) -> Result:
    keys = "\n".join(f"        {line}" for line in ("labels: {alertname: Slow, agent: a}", *lines))
    trials = read(HEAD + "      -\n" + keys + "\n", "t.yaml")
    groups, _ = read_rules(rules, "rules.yaml", experimental=False) if rules else ((), ())
    (result,) = play(trials, [runbook()], tuple(groups), goldens or {})
    return result


def test_a_test_may_say_what_the_registry_knows():
    agents = "    agents: {a: {owner: 'team:x', title: Ada, audit_sink: s3}}\n"
    case = "      - {labels: {alertname: Slow, agent: a}, exp_text: [Ada writes to s3]}\n"
    book = runbook(RUNBOOK.replace("{{ agent.id }} is slow", "{{ agent.title }} writes to {{ agent.audit_sink }}"))
    trials = read(HEAD.replace("    input_series:", agents + "    input_series:") + case, "t.yaml")
    (result,) = play(trials, [book], (), {})
    assert (result.verdict, result.differences) == ("passed", ())


def test_a_runbook_that_says_what_is_expected_passes():
    told = [
        "eval_time: 2m",
        "value: 9.25",
        "exp_runbook: slow",
        "exp_likely_step: fix",
        "exp_steps: [slow, rate, fix, up]",
    ]
    checks = "exp_checks: {slow: fail 9 s, rate: no_data}"
    text = 'exp_text: ["a is slow at 9.2.", "3. Fix  ← likely", "wakes level:2 after 20m"]'
    assert played(*told, checks, text).differences == ()


def test_data_that_comes_later_is_not_seen():
    checks = "exp_checks: {slow: pass 1 s}"
    assert (
        played("eval_time: 1m59s", checks, "exp_steps: [slow, rate, up]", "exp_likely_step: none").verdict == "passed"
    )


def test_checks_may_ask_for_what_recording_rules_make():
    assert played("eval_time: 2m", "exp_checks: {rate: pass}", rules=RULES).verdict == "passed"


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        ("exp_checks: {slow: pass}", "check slow: expected pass, got fail 9 s"),
        ("exp_checks: {slow: fail 8 s}", "check slow: expected fail 8 s, got fail 9 s"),
        ("exp_checks: {slow: not shown}", "check slow: expected not shown, got fail 9 s"),
        ("exp_checks: {slwo: fail}", 'check slwo: there is none; did you mean "slow"?'),
        ("exp_likely_step: none", "likely step: expected none, got fix"),
        ("exp_steps: [slow, fix]", "steps: expected slow, fix; got slow, rate, fix, up"),
        ("exp_text: [Stop it.]", 'text: "Stop it." is not in it'),
        ("exp_runbook: fast", "runbook: expected fast, got slow"),
        ("exp_file: whole.txt", "whole.txt is not there; --update writes it"),
    ],
)
def test_each_difference_is_told(line, difference):
    result = played("eval_time: 2m", line)
    assert (result.verdict, result.differences) == ("failed", (difference,))


def test_the_whole_text_is_compared_with_a_file():
    ((name, text),) = played("eval_time: 2m", "exp_file: whole.txt").goldens
    assert text.startswith("Answers are slow  [slow]\n")
    assert played("eval_time: 2m", "exp_file: whole.txt", goldens={name: text}).verdict == "passed"
    changed = played("eval_time: 2m", "exp_file: whole.txt", goldens={name: text.replace("9 s", "8 s")})
    (difference,) = changed.differences
    assert difference.startswith("whole.txt:7: expected '   ✗ fails: 8 s (want < 5 s)', got '   ✗ fails: 9 s")


def test_the_blocks_of_slack_are_compared_with_a_file():
    ((_, text),) = played("eval_time: 2m", "exp_file: whole.json").goldens
    assert '"type": "header"' in text
    assert "9 s" in text


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("runbook: slwo", 'there is no runbook "slwo" in runbook_files; did you mean "slow"?'),
        (
            "labels: {alertname: Other}",
            "no runbook of runbook_files applies to these labels; name one with runbook: ID",
        ),
    ],
)
def test_what_cannot_be_tried_is_an_error(line, error):
    text = HEAD + "      - labels: {alertname: Slow}\n        " + line + "\n"
    text = text if line.startswith("runbook") else HEAD + "      - " + line + "\n"
    (result,) = play(read(text, "t.yaml"), [runbook()], (), {})
    assert (result.verdict, result.differences) == ("error", (error,))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tests: []\n", "t.yaml:1:1 missing-key"),
        (HEAD + "      - {labels: {}}\n", "t.yaml:8:18 bad-value"),
        (HEAD + "      - {labels: {a: b}, exp_cheks: {}}\n", "t.yaml:8:26 unknown-key"),
        (HEAD + "      - {labels: {a: b}, exp_checks: {slow: fails}}\n", "t.yaml:8:45 bad-value"),
        (HEAD + "      - {labels: {a: b}, exp_file: whole.yaml}\n", "t.yaml:8:36 bad-value"),
        (HEAD + "      - {labels: {a: b}, exp_file: /etc/x.txt}\n", "t.yaml:8:36 bad-value"),
        (HEAD.replace("1 1 9", "1 1 x9x") + "      - {labels: {a: b}}\n", "t.yaml:5:52 notation"),
    ],
)
def test_mistakes_of_the_file_are_told_with_their_place(text, place):
    with pytest.raises(ConfigError) as error:
        read(text, "t.yaml")
    assert str(error.value).startswith(place)


@pytest.mark.parametrize("path", sorted((ROOT / "runbooks" / "tests").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_runbooks_say_what_their_tests_expect(path):
    played = play_file(path)
    assert played.errors == ()
    assert [one.differences for one in played.results if one.verdict != "passed"] == []
    assert played.results
