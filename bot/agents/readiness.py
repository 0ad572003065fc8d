"""What has to be shown of an agent before it takes on more: the domains, which stage asks for which, and what a waiver
puts off. The evidence is gathered in bot/readiness/.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum

from bot.agents.model import Stage, Waiver
from bot.labels import Labels

COVERS = "covers"


class Domain(StrEnum):
    PEOPLE = "people"
    ROTA = "rota"
    ESCALATION = "escalation"
    ALERT_ERRORS = "alert_errors"
    ALERT_LATENCY = "alert_latency"
    ALERT_COST = "alert_cost"
    ALERT_QUALITY = "alert_quality"
    RUNBOOKS = "runbooks"
    KILL_SWITCH = "kill_switch"
    BUDGET = "budget"
    INTEGRATIONS = "integrations"
    AUDIT = "audit"
    DATA = "data"
    IDENTITY = "identity"
    ACCEPTANCE = "acceptance"
    TRACK_RECORD = "track_record"
    DRILL = "drill"


class Status(StrEnum):
    """Not started blocks a stage that asks for the domain; in progress does not, and is told."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    WAIVED = "waived"


class Signal(StrEnum):
    """What somebody has to notice of an agent. An alert may say by its annotation `covers` which of them it would."""

    ERRORS = "errors"
    LATENCY = "latency"
    COST = "cost"
    QUALITY = "quality"


# The first stage that asks for it; every later one does too. docs/readiness.md has the same table, with the reasons.
ASKED_FROM: dict[Domain, Stage] = {
    Domain.PEOPLE: Stage.PILOT,
    Domain.ALERT_ERRORS: Stage.CRAWL,
    Domain.ALERT_COST: Stage.CRAWL,
    Domain.KILL_SWITCH: Stage.CRAWL,
    Domain.IDENTITY: Stage.CRAWL,
    Domain.ROTA: Stage.WALK,
    Domain.ESCALATION: Stage.WALK,
    Domain.ALERT_LATENCY: Stage.WALK,
    Domain.RUNBOOKS: Stage.WALK,
    Domain.BUDGET: Stage.WALK,
    Domain.INTEGRATIONS: Stage.WALK,
    Domain.AUDIT: Stage.WALK,
    Domain.DATA: Stage.WALK,
    Domain.DRILL: Stage.WALK,
    Domain.ALERT_QUALITY: Stage.RUN,
    Domain.ACCEPTANCE: Stage.RUN,
    Domain.TRACK_RECORD: Stage.RUN,
}
STAGES = (Stage.PILOT, Stage.CRAWL, Stage.WALK, Stage.RUN)


def required(stage: Stage) -> frozenset[Domain]:
    """Nothing is asked of a retired agent."""
    if stage is Stage.RETIRED:
        return frozenset()
    return frozenset(domain for domain, first in ASKED_FROM.items() if STAGES.index(first) <= STAGES.index(stage))


def counts(waiver: Waiver, today: date) -> bool:
    """The day that it names is its last one."""
    return today <= waiver.until


def readiness_series(agent: str, stage: Stage, statuses: Iterable[tuple[Domain, Status]]) -> list[tuple[Labels, float]]:
    """One-hot by status; beside it what the agent's stage asks for, so that a rule need not know the stages."""
    asked = required(stage)
    found: list[tuple[Labels, float]] = []
    for domain, status in statuses:
        of = {"agent": agent, "domain": domain.value}
        found += [
            ({"__name__": "agent_registry_readiness", **of, "status": one.value}, float(one is status))
            for one in Status
        ]
        if domain in asked:
            found.append(({"__name__": "agent_registry_readiness_required", **of}, 1.0))
    return found
