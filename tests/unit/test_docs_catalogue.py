"""docs/catalogue.md lists every shipped alert as its rule has it, and names as needed what the rule reads."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bot.promql.parse import parse
from bot.rules.load import read
from bot.rules.model import Rule
from bot.schema import format_duration, parse_duration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "catalogue.md").read_text()
FILES = {path.name: read(path.read_text(), path.name) for path in sorted((ROOT / "alerts").glob("*.yaml"))}
ALERTS = {
    rule.alert: (name, rule) for name, groups in FILES.items() for group in groups for rule in group.rules if rule.alert
}
RECORDED: dict[str, list[Rule]] = {}
for groups in FILES.values():
    for group in groups:
        for recording in group.rules:
            if recording.record:
                RECORDED.setdefault(recording.record, []).append(recording)

# Keys of an agent as the page writes them → the series that the registry makes of them.
KEYS = {
    "slo.target": "agent_registry_slo_target",
    "latency_target": "agent_registry_latency_target_seconds",
    "max_gap": "agent_registry_max_gap_seconds",
    "limits.llm_calls": "agent_registry_max_llm_calls",
    "limits.tool_calls": "agent_registry_max_tool_calls",
    "budget_usd_day": "agent_registry_budget_usd_day",
    "cost_per_run_usd": "agent_registry_cost_per_run_usd",
    "runs_per_day": "agent_registry_runs_per_day",
    "pass8_target": "agent_registry_pass8_target",
    "review_on": "agent_registry_next_review_timestamp_seconds",
    "datasets.max_age": "agent_registry_data_max_age_seconds",
    "evals.floor": "agent_registry_eval_floor",
    "evals.max_age": "agent_registry_eval_max_age_seconds",
}
# What is in every entry, and what was computed and is no key.
OTHERS = {"agent_registry_info", "agent_registry_readiness", "agent_registry_readiness_required"}


@dataclass(frozen=True)
class Row:
    file: str
    severity: str
    route: str
    hold: str
    within: str
    needs: str
    runbook: str


def rows() -> dict[str, Row]:
    found: dict[str, Row] = {}
    file = ""
    for line in PAGE.splitlines():
        named = re.match(r"`alerts/(\w+\.yaml)`", line)
        file = named[1] if named else file
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 7 and re.fullmatch(r"[A-Z]\w+", cells[0]):
            assert cells[0] not in found, f"{cells[0]} stands there twice"
            found[cells[0]] = Row(file, *cells[1:])
    return found


ROWS = rows()


def reads(expr: str) -> set[str]:
    """Every metric that an expression reads, itself or through what is recorded for it."""
    found: set[str] = set()
    waiting = [expr]
    while waiting:
        for selector in parse(waiting.pop()).selectors:
            if selector.name and selector.name not in found:
                found.add(selector.name)
                waiting += [rule.expr for rule in RECORDED.get(selector.name, [])]
    return found


def test_every_alert_stands_there_once_and_no_other():
    assert set(ROWS) == set(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_the_row_is_as_the_rule(name):
    file, rule = ALERTS[name]
    row = ROWS[name]
    assert row.file == file
    assert row.severity == rule.labels["severity"]
    assert row.route == rule.labels.get("route", "owner")
    assert parse_duration(row.hold) == rule.hold
    runbook = rule.annotations["runbook"]
    assert row.runbook == f"[{runbook}](../runbooks/{runbook}.yaml)"


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_the_time_is_one_duration_and_no_shorter_than_the_wait(name):
    _, rule = ALERTS[name]
    promised = re.fullmatch(r"`([0-9a-z]+)`", ROWS[name].within)
    assert promised, f"{name}: {ROWS[name].within}"
    within = parse_duration(promised[1])
    assert within == parse_duration(format_duration(within))
    assert within > rule.hold + timedelta(seconds=30)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_what_it_needs_is_what_its_rule_reads(name):
    _, rule = ALERTS[name]
    known = reads(rule.expr)
    words = set(re.findall(r"`([A-Za-z_:][\w:]*)`", ROWS[name].needs))
    assert {word for word in words if re.search(r"[_:]", word) or word == "up"} - known == set()


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_the_keys_it_names_are_those_its_rule_holds_it_against(name):
    _, rule = ALERTS[name]
    used = {metric for metric in reads(rule.expr) if metric.startswith("agent_registry_")} - OTHERS
    named = {key for key in re.findall(r"\*([\w.]+)\*", ROWS[name].needs) if key != "model.provider"}
    assert {KEYS[key] for key in named} == used
