"""The shipped alerts and runbooks: accepted by promtool, the same on our engine, and complete."""

from __future__ import annotations

import os
import re  # noqa: TID251 - fixed pattern, never a user's
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli.main import cli
from bot.incidents.policy import IncidentRules
from bot.labels import parse_matchers
from bot.rules.load import builtin, clashes, compile_group, problems, read, required_metrics
from bot.rules.model import RuleFile
from bot.runbooks.lint import problems as runbook_problems
from bot.runbooks.model import Runbook
from bot.yamldoc import parse

ROOT = Path(__file__).parents[2]
ALERTS = sorted((ROOT / "alerts").glob("*.yaml"))
TESTS = sorted((ROOT / "alerts" / "tests").glob("*.yaml"))
RUNBOOKS = sorted((ROOT / "runbooks").glob("*.yaml"))
BOOK_TESTS = sorted((ROOT / "runbooks" / "tests").glob("*.yaml"))
GROUPS = [group for path in ALERTS for group in read(path.read_text(), path.name)]
SHIPPED = sorted({rule.alert for group in GROUPS for rule in group.rules if rule.alert})
DRILL = "AgentpagerDrill"  # built in with its runbook: a drill begins at once and is over by itself
RULES = [rule for group in (*GROUPS, *builtin()) for rule in group.rules if rule.alert and rule.alert != DRILL]


KIND = re.compile(r"\[([a-z ]+)\]")
SILENT = {"healthy", "restart", "low traffic", "missing data"}


def names(paths):
    return [path.stem for path in paths]


def cases():
    """Each test of alerts/tests/*.yaml with each of its questions."""
    for path in TESTS:
        for test in parse(path.read_text(), path.name).data["tests"]:
            for case in test.get("alert_rule_test") or ():
                yield test, case


def promtool(*args: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None and "CI" not in os.environ:
        pytest.skip("promtool is not installed")
    env = os.environ | {"GOGC": "400"}  # an eighth of its time is collecting garbage, of which there is no lack of room
    return subprocess.run(["promtool", *args], capture_output=True, text=True, cwd=ROOT, check=False, env=env)


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
    seen = {name: set() for name in SHIPPED}
    for _, case in cases():
        seen[case["alertname"]].add(bool(case["exp_alerts"]))
    always = {"Watchdog": {True}}
    assert {name: kinds for name, kinds in seen.items() if kinds != always.get(name, {True, False})} == {}


def test_every_shipped_alert_is_silent_when_all_is_well_after_a_restart_with_little_traffic_and_without_data():
    """The kinds stand in the names of the tests, in brackets. A kind counts where the alert is asked for and does not
    fire; that the series are what the kind says is for the author and the reader of the test."""
    seen = {name: set() for name in SHIPPED}
    for test, case in cases():
        kinds = set(KIND.findall(test["name"]))
        assert kinds <= {"fires", *SILENT}, f"{test['name']}: {sorted(kinds)}"
        if case["exp_alerts"]:
            assert "fires" in kinds, test["name"]
            seen[case["alertname"]].add("fires")
        else:
            seen[case["alertname"]] |= kinds & SILENT
    wanted = {name: {"fires"} if name == "Watchdog" else {"fires", *SILENT} for name in SHIPPED}
    assert {name: sorted(wanted[name] - kinds) for name, kinds in seen.items() if wanted[name] - kinds} == {}


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
    assert rule.labels["severity"] in {"critical", "warning", "none"}
    assert {"summary", "now", "description", "impact", "runbook"} <= set(rule.annotations)
    assert (ROOT / "runbooks" / f"{rule.annotations['runbook']}.yaml").exists()


def books():
    return {path.stem: parse(path.read_text(), path.name).validate(Runbook) for path in RUNBOOKS}


@pytest.mark.parametrize("path", RUNBOOKS, ids=names(RUNBOOKS))
def test_every_runbook_has_a_live_check_with_a_way_on_and_a_way_up(path):
    runbook = parse(path.read_text(), path.name).validate(Runbook)
    assert any(step.kind == "check" and step.on_fail for step in runbook.steps)
    assert any(step.kind == "escalate" for step in runbook.steps)
    assert runbook.summary
    assert runbook.impact
    assert {rule.alert for rule in RULES} >= {runbook.id}


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_the_runbook_of_an_alert_applies_to_it(rule):
    runbook = books()[rule.annotations["runbook"]]
    labels = {"alertname": rule.alert, **{k: v for k, v in rule.labels.items() if "{{" not in v}}
    assert any(
        all(matcher.matches(labels) for matcher in parse_matchers(line) if matcher.name in labels)
        for line in runbook.applies_to
    )
    assert f'alertname="{rule.alert}"' in ",".join(runbook.applies_to)


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_whoever_is_woken_at_night_is_told_how_to_stop_it_and_how_to_go_back(rule):
    if rule.labels["severity"] != "critical":
        return
    steps = [step.id for step in books()[rule.annotations["runbook"]].steps]
    assert any(step == "stop" or step.startswith("stop-") for step in steps)
    assert any(step.startswith("rollback") for step in steps)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_runbook_is_tested_with_the_step_that_it_names(name):
    path = ROOT / "runbooks" / "tests" / f"{name}.yaml"
    tested = [case for test in parse(path.read_text(), path.name).data["tests"] for case in test["runbook_test"]]
    assert any(case.get("exp_runbook") == name for case in tested)
    steps = {step.id for step in books()[name].steps}
    assert any(case.get("exp_likely_step") in steps for case in tested)


@pytest.mark.parametrize("path", BOOK_TESTS, ids=names(BOOK_TESTS))
def test_runbooks_say_what_their_tests_expect(path):
    result = CliRunner().invoke(cli, ["runbook", "test", str(path)])
    assert result.exit_code == 0, result.output


def test_shipped_inhibitions_name_alerts_that_there_are():
    text = (ROOT / "bot/shipped/starter/incidents/agents.yaml").read_text()
    rules = parse(text, "agents.yaml").validate(IncidentRules).inhibit_rules
    assert len(rules) > 10
    known = {*SHIPPED, *(f"AgentObjective{name}" for name in ("BurnFast", "BurnMedium", "BudgetGone"))}  # docs/slo.md
    for rule in rules:
        for side in (rule.source_matchers, rule.target_matchers):
            named = [matcher for line in side for matcher in parse_matchers(line) if matcher.name == "alertname"]
            for matcher in named:
                assert any(matcher.matches_value(name) for name in known), str(matcher)
                for part in matcher.value.removesuffix(".*").split("|"):
                    assert any(name.startswith(part.removesuffix(".*")) for name in known), part


def test_the_store_knows_what_to_keep_for_the_catalogue():
    needs = required_metrics(GROUPS)
    assert needs.names is not None
    assert needs.names["agent_cost_usd_total"] == 3600 + 300
    assert needs.names["up"] == 900 + 300  # a gateway that was watched a quarter of an hour ago
    assert needs.names["agent:runs:rate5m"] == 3 * 86_400 + 300
    raw = {name: seconds for name, seconds in needs.names.items() if ":" not in name}
    assert [name for name, seconds in raw.items() if seconds > 3600 + 300] == ["agent_eval_score"]
