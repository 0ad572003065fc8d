from __future__ import annotations

import full_agent
import pytest
from pydantic import ValidationError

from bot.agents.model import Agent
from bot.agents.series import registry_series

FULL = Agent.model_validate({"id": "refund-agent", "stage": "walk", **full_agent.FULL})


def by_name(agent: Agent) -> dict[str, tuple[dict[str, str], float]]:
    found = {}
    for labels, value in registry_series({agent.id: agent}):
        name = labels["__name__"].removeprefix("agent_registry_")
        found[name] = ({k: v for k, v in labels.items() if k not in {"__name__", "agent"}}, value)
    return found


def test_what_the_file_says_is_a_series_in_its_unit():
    series = by_name(FULL)
    info = {"owner": "team:payments", "team": "payments", "tier": "1", "stage": "walk", "escalation": "payments"}
    assert series.pop("info") == (info | {"provider": "openai", "model": "gpt-5-mini"}, 1.0)
    assert series.pop("data_max_age_seconds") == ({"dataset": "crm"}, 86_400)
    assert series.pop("eval_floor") == ({"suite": "golden"}, 0.85)
    assert series.pop("eval_max_age_seconds") == ({"suite": "golden"}, 691_200.0)
    assert {name: value for name, (labels, value) in series.items() if not labels} == {
        "slo_target": 0.95,
        "latency_target_seconds": 90,
        "max_gap_seconds": 3600,
        "budget_usd_day": 120,
        "cost_per_run_usd": 0.4,
        "runs_per_day": 2000,
        "max_llm_calls": 30,
        "max_tool_calls": 20,
        "pass8_target": 0.5,
        "next_review_timestamp_seconds": 1_798_761_600,  # date -u -d 2027-01-01 +%s
    }


def test_what_the_file_does_not_say_has_no_series_and_no_label():
    assert by_name(Agent(id="x", owner="person:ana")) == {"info": ({"owner": "person:ana", "stage": "pilot"}, 1.0)}


@pytest.mark.parametrize(
    "wrong",
    [{"slo": {"target": 95}}, {"tier": 0}, {"budget_usd_day": 0}, {"identity": {"principal": "x", "scopes": []}}],
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Agent.model_validate({"owner": "person:ana"} | wrong)
