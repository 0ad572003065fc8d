"""The windows that write something down about an incident: a note, and that it was no real problem."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.errors import AgentpagerError
from bot.incidents.model import Incident, State
from bot.incidents.notes import MAX_LENGTH, NOISE
from bot.incidents.silences import Draft
from bot.slack import silence_words
from bot.slack.kit import context
from bot.slack.text import mrk
from bot.slack.windows.base import InputError, Visit
from bot.slack.windows.frame import Memory, Values, View, line, paragraph, radio, window

_QUIET = timedelta(hours=4)
_WORDS = 500


@dataclass(frozen=True)
class NoteWindow:
    """Nothing that happens meanwhile makes a note wrong, so nothing is checked."""

    name: str = "note"
    checked: bool = False

    def title(self, subject: str) -> str:
        return f"Note on {subject}"

    def instead(self, subject: str) -> str:
        return f"/agent note {subject} what you saw"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        blocks = [
            paragraph("text", "What you saw or did", values.text("text"), most=MAX_LENGTH, optional=False),
            context(
                f"{_count(len(incident.notes))} on {incident.id}. It is told in its timeline and to whoever reads it."
            ),
        ]
        return window(self.name, self.title(incident.id), "Write down", memory, blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        text = values.text("text")
        if not text:
            raise InputError("text", "Write what you saw or did.")
        return (await visit.desks.commands.note(visit.actor, memory.subject, text, event_key=key)).message


def _count(notes: int) -> str:
    return f"{notes or 'No'} note{'s' if notes != 1 else ''} so far"


@dataclass(frozen=True)
class NoiseWindow:
    """“Not a real problem…”: why, and what is to become of the incident now."""

    name: str = "noise"
    checked: bool = True

    def title(self, subject: str) -> str:
        return f"No problem: {subject}"

    def instead(self, subject: str) -> str:
        return f"/agent mark {subject} noise"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        kinds = [(kind, words[0][0].upper() + words[0][1:]) for kind, words in NOISE.items()]
        blocks = [
            radio("kind", "Why", kinds, values.choice("kind")),
            line("text", "In your words", values.text("text"), most=_WORDS),
            context(f"A task for {mrk(incident.owner, 80)} is filed, so that it wakes nobody like this again."),
        ]
        if choices := _afterwards(incident):
            blocks.insert(2, radio("then", "And now", choices, values.choice("then")))
        return window(self.name, self.title(incident.id), "File it", memory, blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        commands, name = visit.desks.commands, memory.subject
        kind, text = values.choice("kind", next(iter(NOISE))), values.text("text")
        await commands.no_problem(visit.actor, name, kind, text, event_key=f"{key}.marked")
        told = f"{name}: marked as noise, and a task is filed."
        try:
            return f"{told} {await self._then(visit, memory, values, key)}".strip()
        except AgentpagerError as error:
            return f"{told} More was not done: {error}"

    async def _then(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        match values.choice("then", "leave"):
            case "close":
                closed = await visit.desks.commands.resolve(
                    visit.actor, memory.subject, cause="false", event_key=f"{key}.closed"
                )
                return closed.message
            case "silence":
                incident = await visit.incident(memory)
                why = f"no real problem ({incident.id})"
                draft = Draft(
                    silence_words.of_incident(incident), visit.now + _QUIET, why, None, incident.severity, True
                )
                made, _ = await visit.desks.silencing.add(visit.actor, draft, event_key=f"{key}.silenced")
                return f"{made.id} silences it until it resolves, 4 hours at most."
            case _:
                return ""


def _afterwards(incident: Incident) -> list[tuple[str, str]]:
    """What can become of it; first what is meant most often."""
    if incident.state is State.RESOLVED:
        return []
    silence = [("silence", "Silence it until it resolves, 4 h at most")] if incident.going_on else []
    close, leave = ("close", "Close it; it comes back if it goes on"), ("leave", "Leave it as it is")
    return [leave, *silence, close] if incident.state is State.ACKED else [*silence, close, leave]
