"""The shipped alerts and runbooks: accepted by promtool, the same on our engine, and complete."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli.main import cli
from bot.rules.load import builtin, clashes, compile_group, problems, read, required_metrics
from bot.rules.model import RuleFile
from bot.runbooks.lint import problems as runbook_problems
from bot.runbooks.model import Runbook
from bot.yamldoc import parse

ROOT = Path(__file__).parents[2]
ALERTS = sorted((ROOT / "alerts").glob("*.yaml"))
TESTS = sorted((ROOT / "alerts" / "tests").glob("*.yaml"))
RUNBOOKS = sorted((ROOT / "runbooks").glob("*.yaml"))
GROUPS = [group for path in ALERTS for group in read(path.read_text(), path.name)]
RULES = [rule for group in (*GROUPS, *builtin()) for rule in group.rules if rule.alert]


def names(paths):
    return [path.stem for path in paths]


def promtool(*args: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None and "CI" not in os.environ:
        pytest.skip("promtool is not installed")
    return subprocess.run(["promtool", *args], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.interop
def test_promtool_accepts_every_rule_file():
    result = promtool("check", "rules", *[str(path) for path in ALERTS])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.interop
@pytest.mark.parametrize("path", TESTS, ids=names(TESTS))
def test_promtool_agrees_with_what_fires_and_what_does_not(path):
    result = promtool("test", "rules", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", TESTS, ids=names(TESTS))
def test_our_engine_fires_the_same_alerts_with_the_same_texts(path):
    result = CliRunner().invoke(cli, ["test", str(path)])
    assert result.exit_code == 0, result.output


def test_every_shipped_alert_is_seen_firing_and_not_firing():
    seen = {name: set() for name in {rule.alert for group in GROUPS for rule in group.rules}}
    for path in TESTS:
        for case in [
            case for test in parse(path.read_text(), path.name).data["tests"] for case in test["alert_rule_test"]
        ]:
            seen[case["alertname"]].add(bool(case["exp_alerts"]))
    assert {name: kinds for name, kinds in seen.items() if kinds != {True, False}} == {}


@pytest.mark.parametrize("path", ALERTS, ids=names(ALERTS))
def test_rule_files_have_no_mistake(path):
    assert problems(parse(path.read_text(), path.name).validate(RuleFile)) == []


def test_rules_do_not_clash_and_compile():
    assert clashes(GROUPS) == []
    assert [compile_group(group) for group in GROUPS]


@pytest.mark.parametrize("path", RUNBOOKS, ids=names(RUNBOOKS))
def test_runbooks_have_no_mistake(path):
    assert runbook_problems(parse(path.read_text(), path.name).validate(Runbook), path.stem) == []


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_alert_says_what_a_woken_person_needs(rule):
    assert rule.labels["severity"] in {"critical", "warning"}
    assert {"summary", "now", "description", "impact", "runbook"} <= set(rule.annotations)
    assert (ROOT / "runbooks" / f"{rule.annotations['runbook']}.yaml").exists()


@pytest.mark.parametrize("path", RUNBOOKS, ids=names(RUNBOOKS))
def test_every_runbook_has_a_live_check_with_a_way_on_and_a_way_back(path):
    runbook = parse(path.read_text(), path.name).validate(Runbook)
    assert any(step.kind == "check" and step.on_fail for step in runbook.steps)
    assert any(step.id in {"rollback", "retire"} for step in runbook.steps)
    assert runbook.summary
    assert runbook.impact
    assert {rule.alert for rule in RULES} >= {runbook.id}


def test_the_store_knows_what_to_keep_for_the_catalogue():
    needs = required_metrics(GROUPS)
    assert needs.names is not None
    assert needs.names["agent_cost_usd_total"] == 3600 + 300
    assert needs.names["up"] == 300
