"""All that an operator needs of an agent which somebody else has built: who answers for it, what it does and may do,
what wakes somebody and what is done then, how it has gone. Pure; `bundle_words.py` puts it into Markdown.

What the files say is always there. What only a running server knows comes as `Live`; without one it is None in the
result, and `not_asked` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.agents.evidence import Evidence
from bot.agents.model import Agent
from bot.complaints import did_you_mean
from bot.errors import QueryError, UsageError
from bot.forecast.ladder import ladder
from bot.incidents.decision import World
from bot.incidents.model import Incident, State
from bot.labels import Labels
from bot.oncall.model import Book
from bot.oncall.owners import OF_AGENT, owner_of, people_of, reach
from bot.promql.parse import parse
from bot.rules.load import DRILL
from bot.rules.model import Group, Rule
from bot.runbooks.model import Runbook
from bot.runbooks.render import choose

DAYS = 30
_FIRST_STEPS = 3
_LEVELS = 6
_SILENT = "none"  # severity of what nobody is shown


@dataclass(frozen=True)
class Live:
    """What a running server knows. `readiness` is as `agentpager readiness -o json` tells it; None where that could not
    be said."""

    incidents: Sequence[Incident]
    evidence: Sequence[Evidence]
    readiness: Mapping[str, Any] | None = None


def agent_named(name: str, agents: Mapping[str, Agent]) -> Agent:
    """Raises UsageError with the nearest."""
    wanted = name.strip().removeprefix("agent:")
    if wanted not in agents:
        raise UsageError(f'there is no agent "{wanted}"; {did_you_mean(wanted, agents) or "none is in agents/"}')
    return agents[wanted]


def listed(world: World, now: datetime) -> list[dict[str, Any]]:
    """One row for each agent, as the files and the rota tell it."""
    return [
        {
            "agent": agent.id,
            "title": agent.name,
            "stage": agent.stage.value,
            "tier": agent.tier,
            "owner": agent.owner,
            "deputy": agent.deputy,
            "oncall": [one["id"] for one in _on_call(agent, world, now)],
            "review_on": agent.review_on.isoformat() if agent.review_on else None,
        }
        for agent in world.agents.values()
    ]


def bundle(
    agent: Agent,
    world: World,
    groups: Sequence[Group],
    runbooks: Sequence[Runbook],
    now: datetime,
    live: Live | None,
    not_asked: str = "",
) -> dict[str, Any]:
    said = agent.model_dump(mode="json")
    alerts = list(_alerts(agent, groups, runbooks, world))
    return {
        "agent": agent.id,
        "title": agent.name,
        "at": now.isoformat(),
        "not_asked": not_asked or None,
        "description": agent.description,
        "stage": agent.stage.value,
        "tier": agent.tier,
        "model": said["model"],
        "people": _people(agent, world, now),
        "targets": {
            "slo": said["slo"],
            "latency_target": said["latency_target"],
            "max_gap": said["max_gap"],
            "pass8_target": agent.pass8_target,
        },
        "cost": {
            "budget_usd_day": agent.budget_usd_day,
            "cost_per_run_usd": agent.cost_per_run_usd,
            "runs_per_day": agent.runs_per_day,
        },
        "limits": {name: value for name, value in said["limits"].items() if value is not None},
        "kill_switch": said["kill_switch"],
        "tools": [{"tool": name, **tool} for name, tool in said["tools"].items()],
        "datasets": [{"dataset": name, **dataset} for name, dataset in said["datasets"].items()],
        "evals": [{"suite": name, **suite} for name, suite in said["evals"].items()],
        "identity": said["identity"],
        "audit_sink": agent.audit_sink or None,
        "acceptance": dict(agent.acceptance),
        "links": dict(agent.links),
        "alerts": alerts,
        "runbooks": _runbooks([alert["runbook"] for alert in alerts], runbooks),
        "incidents": _incidents(agent, live, now),
        "readiness": dict(live.readiness) if live is not None and live.readiness is not None else None,
        "evidence": [_shown(one) for one in live.evidence] if live is not None else None,
        "waivers": [
            {"domain": name, **waiver, "expired": agent.waivers[name].until < now.date()}
            for name, waiver in said["waivers"].items()
        ],
        "review_on": said["review_on"],
        "review_overdue": agent.review_on is not None and agent.review_on < now.date(),
    }


# Who answers


def _people(agent: Agent, world: World, now: datetime) -> dict[str, Any]:
    owner = owner_of({"agent": agent.id}, world.agents, world.book)
    found = ladder(
        {"alertname": "any alert", "agent": agent.id, "severity": "critical"}, {"summary": agent.id}, world, now
    )
    book = world.book
    return {
        "owner": owner.id,
        "owner_why": owner.why,
        "owner_people": [_person(one.person, book) for one in people_of([owner.id], book, now)[0]],
        "deputy": agent.deputy,
        "deputy_people": [_person(one.person, book) for one in people_of([agent.deputy or ""], book, now)[0]],
        "channel": found.incident.channel,
        "on_call_now": _on_call(agent, world, now),
        "policy": found.incident.policy_id,
        "fallback": found.incident.fallback,
        "ladder": [
            {
                "after_seconds": round(level.after.total_seconds()),
                "people": [_person(one.person, book) for one in level.people],
                "channels": list(level.paged),
                "why": "; ".join(dict.fromkeys(one.why for one in level.people)) or level.why,
            }
            for level in found.levels
            if (level.people or level.paged) and (level.round == 0 or level.exhausted)
        ][:_LEVELS],
    }


def _on_call(agent: Agent, world: World, now: datetime) -> list[dict[str, Any]]:
    """Whom the first level that reaches anybody would wake now."""
    found = ladder({"agent": agent.id, "severity": "critical", "alertname": "any alert"}, {}, world, now)
    for step in found.incident.policy.steps:
        if people := reach(step, world.book, now, found.incident.severity).people:
            return [_person(one.person, world.book) for one in people]
    return []


def _person(person: str, book: Book) -> dict[str, Any]:
    known = book.people.get(person)
    if known is None:
        return {"id": person, "name": person, "slack": None, "email": None, "timezone": None}
    return {
        "id": person,
        "name": known.name,
        "slack": known.slack,
        "email": known.email,
        "timezone": known.timezone,
    }


# What wakes somebody, and what is done then


def _alerts(
    agent: Agent, groups: Sequence[Group], runbooks: Sequence[Runbook], world: World
) -> Iterator[dict[str, Any]]:
    for group in groups:
        for rule in group.rules:
            labels = {name: value for name, value in group.labels_of(rule).items() if "{{" not in value}
            severity = labels.get("severity", "critical")
            if not rule.is_alert or rule.alert == DRILL or severity == _SILENT or not _concerns(agent.id, labels, rule):
                continue
            mine = {**labels, "alertname": rule.name, "agent": agent.id}
            runbook = choose(runbooks, mine, rule.annotations)
            yield {
                "alert": rule.name,
                "severity": severity,
                "route": labels.get("route", OF_AGENT),
                "owner": owner_of(mine, world.agents, world.book).id,
                "for": rule.model_dump(mode="json", by_alias=True)["for"],
                "impact": rule.annotations.get("impact", ""),
                "runbook": runbook.id if runbook is not None else None,
            }


def _concerns(agent: str, labels: Labels, rule: Rule) -> bool:
    """Whether it can be of this agent: neither its labels nor all its selectors name another one."""
    if labels.get("agent", agent) != agent:
        return False
    try:
        selectors = parse(rule.expr, experimental=True).selectors
    except QueryError:
        return True
    named = [[one for one in selector.matchers if one.name == "agent"] for selector in selectors]
    return not named or any(all(one.matches({"agent": agent}) for one in matchers) for matchers in named)


def _runbooks(names: Sequence[str | None], runbooks: Sequence[Runbook]) -> list[dict[str, Any]]:
    wanted = set(names)
    return [
        {
            "runbook": one.id,
            "title": one.title,
            "owner": one.owner,
            "reviewed_on": one.reviewed_on.isoformat() if one.reviewed_on else None,
            "first_steps": [{"kind": step.kind, "title": step.title} for step in one.steps[:_FIRST_STEPS]],
            "steps": len(one.steps),
        }
        for one in runbooks
        if one.id in wanted
    ]


# How it has gone


def _incidents(agent: Agent, live: Live | None, now: datetime) -> dict[str, Any] | None:
    if live is None:
        return None
    mine = [one for one in live.incidents if one.agent == agent.id and not one.exercise]
    open_ = [one for one in mine if one.state is not State.RESOLVED]
    lately = [one for one in mine if now - one.opened_at <= timedelta(days=DAYS)]
    return {"open": [_incident(one) for one in open_], "days": DAYS, "lately": [_incident(one) for one in lately]}


def _incident(incident: Incident) -> dict[str, Any]:
    lasted = (incident.resolved_at - incident.opened_at).total_seconds() if incident.resolved_at else None
    return {
        "id": incident.id,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "title": incident.title,
        "opened_at": incident.opened_at.isoformat(),
        "lasted_seconds": round(lasted) if lasted is not None else None,
        "acked_by": (incident.acked_by or "").removeprefix("person:") or None,
        "mark": incident.mark or None,
    }


def _shown(evidence: Evidence) -> dict[str, Any]:
    return {
        "kind": evidence.kind,
        "at": evidence.at.isoformat(),
        "passed": evidence.passed,
        "person": evidence.person,
        "summary": evidence.summary,
    }
