"""What a drill has shown: when each leg of the way was done, from the rule to the first step of the runbook. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.agents.evidence import Evidence
from bot.incidents import drill
from bot.incidents.drill import Drill
from bot.incidents.exercise import asked_by
from bot.incidents.model import Incident, State
from bot.paging.measured import by_of, seconds
from bot.paging.model import Page, PageKind, PageState

KIND = "drill"  # of evidence
FIRED, ROUTED, SENT, DELIVERED, ACKED, STEPPED = "fired", "routed", "sent", "delivered", "acked", "first step"
NOT_FIRED = f"its alert has not arrived within {seconds(drill.FIRES_WITHIN)}; see whether the watcher runs (/-/ready)"
_SAID = {SENT: "sent", DELIVERED: "delivered", ACKED: "acknowledged", STEPPED: "first step"}


@dataclass(frozen=True)
class Leg:
    """`at` is None for one that was never done."""

    name: str
    at: datetime | None


@dataclass(frozen=True)
class Way:
    """All legs in their order. `by` are the ways by which people were told; `refused` is why Slack did not take it."""

    asked_at: datetime
    legs: tuple[Leg, ...]
    closed_by: str = ""
    refused: str = ""
    by: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.closed_by and all(leg.at is not None for leg in self.legs)

    @property
    def missing(self) -> str:
        return next((leg.name for leg in self.legs if leg.at is None), "")

    def after(self, name: str) -> timedelta | None:
        """From the beginning until that leg was done."""
        return next((leg.at - self.asked_at for leg in self.legs if leg.name == name and leg.at is not None), None)


def way_of(incident: Incident, pages: Sequence[Page]) -> Way:
    """`pages` are all rows of the drill's incident."""
    told = [page for page in pages if page.kind is PageKind.PAGE and page.person is not None]
    sent = [page for page in told if page.sent_at is not None]
    step = drill.first_step(incident)
    found = {
        FIRED: min((alert.starts_at for alert in incident.alerts), default=None),
        ROUTED: incident.opened_at,
        SENT: min((page.claimed_at for page in told if page.claimed_at is not None), default=None),
        DELIVERED: min((page.sent_at for page in sent if page.sent_at is not None), default=None),
        ACKED: incident.acked_at,
        STEPPED: step.at if step is not None else None,
    }
    asked_at = drill.asked_at(incident)
    refused = next((page.error.partition(":")[0] for page in told if page.state is PageState.FAILED), "")
    closed = incident.resolved_by or "" if incident.state is State.RESOLVED else ""
    # Two processes read the clock: nothing of it begins before it was asked for.
    legs = tuple(Leg(name, max(at, asked_at) if at is not None else None) for name, at in found.items())
    return Way(asked_at, legs, closed, refused, tuple(dict.fromkeys(by_of(page) for page in sent)))


def told(way: Way) -> str:
    """The result in one line, for people and for the audit log."""
    times = _times(way)
    if way.closed_by:
        return f"not passed: closed by hand, so it shows nothing; {times}"
    if not way.passed:
        return f"not passed: {_why(way)}; {times}"
    end = way.after(STEPPED) or timedelta()
    return f"passed in {seconds(end)}: {times}"


def _why(way: Way) -> str:
    match way.missing:
        case "sent":
            return "nothing was sent"
        case "delivered":
            return f"it was refused ({way.refused})" if way.refused else "its delivery was not confirmed"
        case "acked":
            return "nobody acknowledged it in time"
        case _:
            return f"no step of the runbook was marked within {seconds(drill.STEP_WITHIN)} of the ack"


def _times(way: Way) -> str:
    """`fired after 0.4 s, routed after 0.5 s, …`, each from the beginning."""
    done = [(leg.name, leg.at - way.asked_at) for leg in way.legs if leg.at is not None]
    return ", ".join(f"{_SAID.get(name, name)} after {seconds(took)}" for name, took in done)


def evidence_of(incident: Incident, way: Way, now: datetime) -> Evidence:
    step = drill.first_step(incident)
    person = (incident.acked_by or "").removeprefix("person:") or None
    detail = {
        "drill": drill.drill_id(incident),
        "incident": incident.id,
        "asked_by": asked_by(incident),
        "asked_at": way.asked_at.isoformat(),
        "severity": incident.severity.value,
        "owner": incident.owner,
        "policy": incident.policy_id,
        "level": incident.step + 1,
        "by": list(way.by),
        "runbook": next((alert.annotations.get("runbook", "") for alert in incident.alerts), ""),
        "step": step.step if step is not None else None,
        "legs": {leg.name: leg.at.isoformat() if leg.at is not None else None for leg in way.legs},
        "seconds": {
            leg.name: round((leg.at - way.asked_at).total_seconds(), 3) for leg in way.legs if leg.at is not None
        },
    }
    return Evidence(
        kind=KIND,
        agent=incident.agent or "",
        at=now,
        passed=way.passed,
        summary=told(way),
        person=person,
        detail=detail,
    )


def evidence_of_none(begun: Drill, why: str, now: datetime) -> Evidence:
    """Of a drill that has paged nobody."""
    legs = dict.fromkeys((FIRED, ROUTED, SENT, DELIVERED, ACKED, STEPPED))
    detail = {
        "drill": begun.id,
        "incident": None,
        "asked_by": begun.asked_by,
        "asked_at": begun.at.isoformat(),
        "legs": legs,
        "seconds": {},
    }
    summary = f"not passed: {why}"
    return Evidence(kind=KIND, agent=begun.agent, at=now, passed=False, summary=summary, detail=detail)
