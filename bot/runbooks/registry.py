"""What templates of runbooks see of an agent: its entry in `agents/*.yaml`, every key always there.

What the file does not say is empty, or not a key of its mapping, so that `default("…", true)` and `if` can tell.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from bot.agents.model import Agent, Dataset, Tool
from bot.templating import AnyKey


def seen_agent(agent: Agent) -> dict[str, Any]:
    """Plain values only. Durations are seconds, days texts such as 2026-12-24."""
    return {
        "id": agent.id,
        "title": agent.name,
        "description": agent.description,
        "owner": agent.owner,
        "deputy": agent.deputy or "",
        "stage": agent.stage.value,
        "tier": agent.tier or "",
        "channel": agent.channel or "",
        "model": {
            "provider": agent.model.provider if agent.model else "",
            "name": agent.model.name if agent.model else "",
        },
        "slo_target": (agent.slo.target if agent.slo else None) or "",
        "latency_target": _seconds(agent.latency_target),
        "max_gap": _seconds(agent.max_gap),
        "budget_usd_day": agent.budget_usd_day or "",
        "cost_per_run_usd": agent.cost_per_run_usd or "",
        "runs_per_day": agent.runs_per_day or "",
        "pass8_target": agent.pass8_target or "",
        "limits": {
            "llm_calls": agent.limits.llm_calls or "",
            "tool_calls": agent.limits.tool_calls or "",
            "tokens": agent.limits.tokens or "",
            "cost_usd": agent.limits.cost_usd or "",
            "wall_clock": _seconds(agent.limits.wall_clock),
        },
        "tools": {name: _tool(tool) for name, tool in agent.tools.items()},
        "datasets": {name: _dataset(dataset) for name, dataset in agent.datasets.items()},
        "evals": {
            name: {"floor": suite.floor or "", "max_age": _seconds(suite.max_age)}
            for name, suite in agent.evals.items()
        },
        "identity": {
            "principal": agent.identity.principal if agent.identity else "",
            "scopes": list(agent.identity.scopes) if agent.identity else [],
        },
        "kill_switch": {
            "how": agent.kill_switch.how if agent.kill_switch else "",
            "tested_on": _day(agent.kill_switch.tested_on if agent.kill_switch else None),
        },
        "audit_sink": agent.audit_sink,
        "links": dict(agent.links),
        "review_on": _day(agent.review_on),
        "waivers": {
            name: {"reason": waiver.reason, "by": waiver.by, "until": _day(waiver.until)}
            for name, waiver in agent.waivers.items()
        },
    }


def sample_agent(agent: Agent) -> dict[str, Any]:
    """As `seen_agent`, with any tool, dataset, suite, link and waiver: for checking templates before the night."""
    return seen_agent(agent) | {
        "tools": AnyKey(value=_tool(Tool())),
        "datasets": AnyKey(value=_dataset(Dataset())),
        "evals": AnyKey(value={"floor": "", "max_age": ""}),
        "links": AnyKey(value="https://example.com"),
        "waivers": AnyKey(value={"reason": "", "by": "", "until": ""}),
    }


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "owner": tool.owner or "",
        "layer": tool.layer.value,
        "access": tool.access,
        "credential": tool.credential or "",
        "mocked": tool.mocked,
        "notes": tool.notes,
    }


def _dataset(dataset: Dataset) -> dict[str, Any]:
    return {
        "owner": dataset.owner or "",
        "max_age": _seconds(dataset.max_age),
        "missing": dataset.missing,
        "upstream": dataset.upstream or "",
        "notes": dataset.notes,
    }


def _seconds(span: timedelta | None) -> float | str:
    return span.total_seconds() if span is not None else ""


def _day(day: date | None) -> str:
    return day.isoformat() if day is not None else ""
