"""Every shipped alert reads metrics that somebody exposes: the contract, the agent's own file, or a gateway."""

import json
from pathlib import Path

from bot.agents.model import Agent
from bot.agents.series import registry_series
from bot.metrics.contract import CONTRACT
from bot.rules.load import read
from bot.rules.sight import sights

ROOT = Path(__file__).parents[2]
FULL = {
    "id": "a",
    "title": "A",
    "owner": "team:t",
    "escalation": "p",
    "stage": "run",
    "model": {"provider": "openai", "name": "gpt-5"},
    "slo": {"target": 0.9},
    "latency_target": "30s",
    "max_gap": "1h",
    "budget_usd_day": 40,
    "cost_per_run_usd": 0.05,
    "runs_per_day": 500,
    "pass8_target": 0.6,
    "review_on": "2027-01-15",
    "limits": {"llm_calls": 40, "tool_calls": 40},
    "datasets": {"orders": {"max_age": "1h"}},
    "evals": {"nightly": {"floor": 0.8, "max_age": "36h"}},
}


def blind(*names):
    groups = [group for path in sorted((ROOT / "alerts").glob("*.yaml")) for group in read(path.read_text(), path.name)]
    seen = {name: {"agent", "env"} for name in names}
    for labels, _ in registry_series({"a": Agent.model_validate(FULL)}):
        seen.setdefault(labels["__name__"], set()).update(labels)
    return {sight.alert: [str(lack) for lack in sight.lacks] for sight in sights(groups, seen) if sight.lacks}


def contract():
    for family in CONTRACT.values():
        if family.type == "histogram":
            yield from (f"{family.name}_{part}" for part in ("bucket", "count", "sum"))
        else:
            yield family.name


def gateway():
    kept = json.loads((ROOT / "examples" / "agents" / "litellm" / "definitions.json").read_text())["metrics"]
    for name, one in kept.items():
        yield f"{name}_total" if one["type"] == "counter" and not name.endswith("_total") else name


def test_an_agent_of_the_whole_contract_is_seen_by_all_alerts_but_those_on_the_gateway():
    assert set(blind(*contract())) <= {"GatewayBudgetRunway", "GatewaySpendBlind", "GuardrailFailing"}


def test_with_a_gateway_before_it_no_alert_is_blind():
    assert blind(*contract(), *gateway()) == {}


def test_behind_a_gateway_alone_an_agents_money_and_calls_are_seen():
    seen = blind(*gateway())
    for alert in (
        "AgentCostBurnFast",
        "AgentModelCallsFailing",
        "AgentRateLimited",
        "AgentAuthFailing",
        "ProviderOutage",
    ):
        assert alert not in seen
    assert seen["AgentRunStuck"] == ["agent_oldest_run_start_timestamp_seconds"]
