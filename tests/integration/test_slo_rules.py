"""Rules made of objectives: accepted by promtool, and fired when the budget burns, by promtool and by us alike."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli.main import cli

AGENTS = """\
agents:
  refund-agent:
    owner: ana
    slo:
      target: 0.9
      latency: {threshold: 25s600ms, target: 0.95, severity: critical}
      objectives:
        grounded:
          title: grounded answers
          good: 'checks_total{agent="refund-agent", result="ok"}'
          total: 'sum(checks_total{agent="refund-agent"})'
          target: 0.99
  plain-agent: {owner: ana, slo: {target: 0.9}}
"""
ONCALL = "people:\n  ana: {name: Ana, slack: U0ANA}\nfallback: 'person:ana'\n"

# Sixty checks a minute. 30 of them, 1 in 300 (a third of what the target allows), or none are wrong.
SERIES = """\
  - interval: 1m
    input_series:
      - {{series: 'checks_total{{agent="refund-agent", env="prod", result="ok"}}', values: '{ok}'}}
      - {{series: 'checks_total{{agent="refund-agent", env="prod", result="wrong"}}', values: '{wrong}'}}
    alert_rule_test:
"""
CASE = """\
      - eval_time: {at}
        alertname: {name}
        exp_alerts: [{expected}]
"""
FAST = """\
{exp_labels: {agent: refund-agent, env: prod, slo: grounded, severity: warning}, exp_annotations: {
          summary: "refund-agent: 50% miss grounded answers",
          now: "50% miss grounded answers over 1h (limit 14.4%)",
          description: "Over 1h 50% miss grounded answers, and over 5m more than 14.4% do. 99% are to keep it over 4w.",
          impact: "At this pace the error budget of 4w is gone before its time."}}"""
SLOW = """\
{exp_labels: {agent: refund-agent, env: prod, slo: latency, severity: critical}, exp_annotations: {
          summary: "refund-agent: 100% of the runs take longer than 25s600ms",
          now: "100% of the runs take longer than 25s600ms over 1h (limit 72%)",
          description: "Over 1h 100% of the runs take longer than 25s600ms, and over 5m more than 72% do. 95% are to keep it over 4w.",
          impact: "At this pace the error budget of 4w is gone before its time."}}"""  # noqa: E501


def grounded(ok: str, wrong: str, *cases: tuple[str, str, str]) -> str:
    return SERIES.format(ok=ok, wrong=wrong) + "".join(
        CASE.format(at=at, name=name, expected=expected) for at, name, expected in cases
    )


def quiet(*times: str) -> list[tuple[str, str, str]]:
    names = ("AgentObjectiveBurnFast", "AgentObjectiveBurnMedium", "AgentObjectiveBudgetGone")
    return [(at, name, "") for at in times for name in names]


def runs(slow: bool) -> str:
    """One run a minute; a slow one takes longer than any bucket but the last."""
    within = "0+0x120" if slow else "0+1x120"
    buckets = {"12.8": within, "25.6": within, "51.2": within, "+Inf": "0+1x120"}
    name = 'agent_run_duration_seconds_bucket{agent="refund-agent", env="prod"'
    lines = [f"      - {{series: '{name}, le=\"{le}\"}}', values: '{values}'}}\n" for le, values in buckets.items()]
    count = 'agent_run_duration_seconds_count{agent="refund-agent", env="prod"}'
    lines.append(f"      - {{series: '{count}', values: '0+1x120'}}\n")
    case = CASE.format(at="1h", name="AgentObjectiveBurnFast", expected=SLOW if slow else "")
    return "  - interval: 1m\n    input_series:\n" + "".join(lines) + "    alert_rule_test:\n" + case


NAME = "AgentObjectiveBurnFast"
CASES = {
    # Ten events have been counted by the second or third minute; two minutes later it fires.
    "half of it wrong": grounded("0+30x120", "0+30x120", ("1m", NAME, ""), ("1h", NAME, FAST)),
    "a third of the budget": grounded("0+299x800", "0+1x800", *quiet("1h", "12h")),
    "all well": grounded("0+60x800", "0x800", *quiet("1h", "12h")),
    # Six an hour, a dozen in six hours: too few for either.
    "hardly any traffic": grounded("0x800", "0+0x29 1+0x29 2+0x29 3+0x29 4+0x29 5+0x29 6+0x400", *quiet("1h", "3h")),
    "a restart": grounded("0+60x60 0+60x60", "5x60 0x60", *quiet("61m", "62m", "2h")),
    "no data": grounded("_x120", "_x120", *quiet("1h")),
    "gone in between": grounded("0+60x30 _x60 0+60x60", "0x30 _x60 0x60", *quiet("45m", "95m", "2h")),
    "over and well again": grounded("0+30x60 1800+60x400", "0+30x60 1800+0x400", ("1h", NAME, FAST), ("70m", NAME, "")),
    "slow runs": runs(slow=True),
    "quick runs": runs(slow=False),
}  # fmt: skip


def written(folder: Path) -> Path:
    (folder / "agents").mkdir()
    (folder / "oncall").mkdir()
    (folder / "agentpager.yaml").write_text("{}\n")
    (folder / "agents" / "all.yaml").write_text(AGENTS)
    (folder / "oncall" / "all.yaml").write_text(ONCALL)
    result = CliRunner().invoke(cli, ["slo", "rules", "--config", str(folder)])
    assert result.exit_code == 0, result.output
    (folder / "rules.yaml").write_text(result.output)
    return folder / "rules.yaml"


def promtool(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None and "CI" not in os.environ:
        pytest.skip("promtool is not installed")
    return subprocess.run(["promtool", *args], capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.interop
def test_promtool_accepts_what_slo_rules_prints(tmp_path):
    result = promtool("check", "rules", str(written(tmp_path)), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "10 rules found" in result.stdout


@pytest.mark.interop
@pytest.mark.parametrize("case", CASES)
def test_promtool_fires_when_the_budget_burns_and_only_then(tmp_path, case):
    written(tmp_path)
    (tmp_path / "test.yaml").write_text("rule_files: [rules.yaml]\ntests:\n" + CASES[case])
    result = promtool("test", "rules", "test.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("case", CASES)
def test_our_engine_fires_the_same_alerts_with_the_same_texts(tmp_path, case):
    written(tmp_path)
    (tmp_path / "test.yaml").write_text("rule_files: [rules.yaml]\ntests:\n" + CASES[case])
    result = CliRunner().invoke(cli, ["test", str(tmp_path / "test.yaml")])
    assert result.exit_code == 0, result.output


def test_an_agent_with_no_further_objective_has_no_rules_of_its_own(tmp_path):
    written(tmp_path)
    result = CliRunner().invoke(cli, ["slo", "rules", "plain-agent", "--config", str(tmp_path)])
    assert result.output.startswith('# "plain-agent" has no objective beside the success of runs')
    assert result.output.endswith("\ngroups: []\n")


def test_an_agent_that_there_is_not_is_told(tmp_path):
    written(tmp_path)
    result = CliRunner().invoke(cli, ["slo", "rules", "refund-agnt", "--config", str(tmp_path)])
    assert result.exit_code == 2
    assert 'there is no agent "refund-agnt" (did you mean "refund-agent"?)' in result.stderr
