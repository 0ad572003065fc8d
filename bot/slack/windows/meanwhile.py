"""What became of an incident between the drawing of a window and its submit, for whoever acts on it. Pure."""

from __future__ import annotations

from datetime import datetime

from bot.incidents.model import SEVERITY_RANK, Incident, Severity, State
from bot.oncall.model import Book
from bot.slack.facts import actor_name
from bot.slack.text import span
from bot.slack.windows.frame import REMEMBERED, Memory


def meanwhile(memory: Memory, incident: Incident, book: Book, now: datetime) -> list[str]:
    """Safe mrkdwn; empty when nothing has changed that somebody would decide differently for."""
    if memory.revision == incident.revision or not memory.state:
        return []
    lines = [*_state(memory, incident, book, now)]
    if incident.state is not State.RESOLVED:
        lines += _worse(memory, incident)
    return lines


def _state(memory: Memory, incident: Incident, book: Book, now: datetime) -> list[str]:
    if (memory.state, memory.holder) == (incident.state.value, incident.acked_by):
        return []
    match incident.state:
        case State.RESOLVED:
            how = "cleared by itself" if incident.how_resolved != "human" else "was closed by"
            by = f" *{actor_name(incident.resolved_by, book)}*" if incident.how_resolved == "human" else ""
            return [f"{incident.id} {how}{by}{_ago(incident.resolved_at, now)}."]
        case State.ACKED:
            return [f"*{actor_name(incident.acked_by, book)}* has {incident.id}{_since(incident.acked_at, now)}."]
        case State.OPEN:
            had = f", *{actor_name(memory.holder, book)}* has it no more" if memory.holder else ""
            return [f"{incident.id} is open{had}: people are paged for it."]


def _worse(memory: Memory, incident: Incident) -> list[str]:
    lines = []
    if SEVERITY_RANK[incident.severity] > SEVERITY_RANK[Severity(memory.severity)]:
        lines.append(f"It got worse: it is {incident.severity} now.")
    known = set(memory.alerts)
    joined = sum(alert.fingerprint[:8] not in known for alert in incident.going_on)
    if joined and len(known) < REMEMBERED:
        lines.append(f"{joined} alert{'s' if joined > 1 else ''} joined it.")
    return lines


def _ago(at: datetime | None, now: datetime) -> str:
    return f" {span(now - at)} ago" if at else ""


def _since(at: datetime | None, now: datetime) -> str:
    return f" for {span(now - at)}" if at else ""
