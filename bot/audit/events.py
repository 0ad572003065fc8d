"""The audit rows of decisions and of what became of pages."""

from __future__ import annotations

from datetime import datetime

from bot.agents.evidence import Evidence
from bot.audit.model import Entry
from bot.incidents.decision import Decision
from bot.incidents.drill import Drill
from bot.incidents.model import Event
from bot.paging import measured
from bot.paging.attempt import Verdict
from bot.paging.measured import Measured
from bot.paging.model import Page

_PRIVATE = frozenset(f"incident.{event}" for event in (Event.NOTED, Event.REPORTED, Event.MARKED))


def reason(entry: Entry) -> str:
    """Why, for logs and traces: what people write for each other is not in it, nor are further lines, which they have
    written too."""
    return "" if entry.action in _PRIVATE else entry.why.partition("\n")[0]


def of_decision(decision: Decision, now: datetime, evaluated_at: datetime | None = None) -> Entry:
    """`evaluated_at` is when the rules were evaluated that this is about."""
    incident = decision.incident
    detail = {
        "state": incident.state.value,
        "revision": str(incident.revision),
        "step": str(incident.step),
        "round": str(incident.round),
    }
    if incident.opened_at == now:
        detail |= {"policy": incident.policy_id, "book": incident.book_id}
        if evaluated_at is not None:
            detail["evaluated_at"] = evaluated_at.isoformat()
    if decision.wake:
        detail["woken"] = ",".join(reached.person for reached in decision.wake)
    if decision.channels:
        detail["channels"] = ",".join(decision.channels)
    action = f"incident.{decision.event.value}" if decision.event else "incident.updated"
    return Entry(at=now, actor=decision.actor, action=action, subject=incident.id, why=decision.why, detail=detail)


def of_page(page: Page, verdict: Verdict, now: datetime) -> Entry:
    detail = {"incident": page.incident or "", "channel": page.channel, "attempt": str(page.attempt)}
    if page.person:
        detail["person"] = page.person
    if page.claimed_at is not None and page.attempt:
        detail["claimed_at"] = page.claimed_at.isoformat()
    why = page.error if verdict is not Verdict.SENT else page.reason
    return Entry(at=now, actor="agentpager", action=f"page.{verdict}", subject=page.id, why=why, detail=detail)


def of_test(decision: Decision, found: Measured, asked_by: str, now: datetime) -> Entry:
    """Evidence of a test: who was reached by which ways, how soon, and how soon they answered."""
    incident = decision.incident
    verdict = "passed" if found.passed else "unanswered" if found.answered is None else "void"
    people = [target.removeprefix("person:") for target in incident.policy.steps[0].notify]
    detail = {"people": ",".join(people), "asked_by": asked_by, **measured.detail(found)}
    return Entry(
        at=now, actor=decision.actor, action=f"test.{verdict}", subject=incident.id, why=decision.why, detail=detail
    )


def of_drill(shown: Evidence, actor: str) -> Entry:
    """What a drill has shown: by whom, and after how many seconds each leg was done."""
    verdict, seconds = "passed" if shown.passed else "failed", shown.detail["seconds"]
    detail = {"agent": shown.agent, "drill": str(shown.detail["drill"]), "asked_by": str(shown.detail["asked_by"])}
    detail |= {name.replace(" ", "_"): f"{number:.3f}" for name, number in seconds.items()}
    subject = shown.detail["incident"] or shown.detail["drill"]
    return Entry(at=shown.at, actor=actor, action=f"drill.{verdict}", subject=subject, why=shown.summary, detail=detail)


def of_drill_begun(begun: Drill) -> Entry:
    told = "of the whole ladder" if begun.whole_ladder else "of the first level"
    why = f"a drill of {begun.agent}, {told}, asked for by {begun.asked_by_name}"
    detail = {"agent": begun.agent, "runbook": begun.runbook}
    return Entry(at=begun.at, actor=begun.asked_by, action="drill.begun", subject=begun.id, why=why, detail=detail)


def of_second_channel(page: Page, now: datetime) -> Entry:
    """Somebody is told another way because Slack fails."""
    detail = {"incident": page.incident or "", "channel": page.channel, "person": page.person or ""}
    return Entry(at=now, actor="agentpager", action="page.otherwise", subject=page.id, why=page.reason, detail=detail)
