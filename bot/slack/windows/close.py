"""The window behind “Resolve…”: what it closes, what the cause was, and what else is worth knowing."""

from __future__ import annotations

from dataclasses import dataclass

from bot.incidents.decision import ack_timeout
from bot.incidents.model import Incident, State
from bot.incidents.notes import CAUSES
from bot.slack.facts import subject_of
from bot.slack.kit import section
from bot.slack.text import mrk, span
from bot.slack.windows.base import NothingToDoError, Visit
from bot.slack.windows.frame import Memory, Values, View, paragraph, select, window

_UNKNOWN = "unknown"
_NOTE = 900


@dataclass(frozen=True)
class ResolveWindow:
    name: str = "resolve"
    checked: bool = True

    def title(self, subject: str) -> str:
        return f"Resolve {subject}?"

    def instead(self, subject: str) -> str:
        return f"/agent resolve {subject}"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        if incident.state is State.RESOLVED:
            raise NothingToDoError(f"{incident.id} is resolved already.")
        causes = [(_UNKNOWN, "Not known yet"), *((key, text[0].upper() + text[1:]) for key, text in CAUSES.items())]
        blocks = [
            section(*_consequences(incident)),
            select("cause", "Cause", causes, values.choice("cause")),
            paragraph("note", "Note", values.text("note"), most=_NOTE),
        ]
        return window(self.name, self.title(incident.id), "Resolve", memory, blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        cause = values.choice("cause", _UNKNOWN)
        outcome = await visit.desks.commands.resolve(
            visit.actor,
            memory.subject,
            cause="" if cause == _UNKNOWN else cause,
            note=values.text("note"),
            event_key=key,
        )
        return outcome.message


def _consequences(incident: Incident) -> list[str]:
    lines = [f"*{mrk(subject_of(incident), 200)}*", "This closes it for everybody."]
    if incident.state is State.OPEN and incident.severity.wakes:
        # Half asleep, somebody may take it for "I am on it"; it would end the escalation.
        lines.append("⚠️ Nobody has it yet, and nobody else is paged then. If you are on it, acknowledge it instead.")
    if count := len(incident.going_on):
        goes = "1 alert goes on" if count == 1 else f"{count} alerts go on"
        lines.append(f"⚠️ {goes}: it opens again in {span(ack_timeout(incident))} if that stays.")
    return lines
