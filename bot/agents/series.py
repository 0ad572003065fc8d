"""The registry as series: rules join on them, so that one file of rules serves all agents with their own limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from bot.agents.model import Agent
from bot.labels import Labels


def registry_series(agents: Mapping[str, Agent]) -> list[tuple[Labels, float]]:
    """`agent_registry_info{agent,owner,team,tier,stage,escalation,provider,model}` is 1 for each agent; the others hold
    what its file says, in the unit of their name. What a file does not say has no series, or no label."""
    return [
        ({"__name__": f"agent_registry_{name}", "agent": agent.id} | {k: v for k, v in labels.items() if v}, value)
        for agent in agents.values()
        for name, labels, value in _series(agent)
    ]


def _series(agent: Agent) -> Iterator[tuple[str, Labels, float]]:
    yield "info", info(agent), 1.0
    numbers: dict[str, float | None] = {
        "slo_target": agent.slo.target if agent.slo else None,
        "latency_target_seconds": _seconds(agent.latency_target),
        "max_gap_seconds": _seconds(agent.max_gap),
        "max_llm_calls": agent.limits.llm_calls,
        "max_tool_calls": agent.limits.tool_calls,
        "budget_usd_day": agent.budget_usd_day,
        "cost_per_run_usd": agent.cost_per_run_usd,
        "runs_per_day": agent.runs_per_day,
        "pass8_target": agent.pass8_target,
        "next_review_timestamp_seconds": _midnight(agent.review_on),
    }
    for name, value in numbers.items():
        if value is not None:
            yield name, {}, float(value)
    for name, dataset in agent.datasets.items():
        if dataset.max_age is not None:
            yield "data_max_age_seconds", {"dataset": name}, dataset.max_age.total_seconds()
    for name, suite in agent.evals.items():
        if suite.floor is not None:
            yield "eval_floor", {"suite": name}, suite.floor
        if suite.max_age is not None:
            yield "eval_max_age_seconds", {"suite": name}, suite.max_age.total_seconds()


def info(agent: Agent) -> Labels:
    """Where it stands; empty is what its file does not say."""
    return {
        "owner": agent.owner,
        "team": agent.owner.removeprefix("team:") if agent.owner.startswith("team:") else "",
        "tier": str(agent.tier or ""),
        "stage": agent.stage.value,
        "escalation": agent.escalation or "",
        "provider": agent.model.provider if agent.model else "",
        "model": agent.model.name if agent.model else "",
    }


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None


def _midnight(day: date | None) -> float | None:
    return datetime.combine(day, time(), UTC).timestamp() if day is not None else None
