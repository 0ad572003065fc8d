"""What people write down about an incident: notes, and whether it was right to wake them. Wakes nobody. Pure."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Literal

from bot.errors import ConflictError, UsageError
from bot.incidents.decision import Decision
from bot.incidents.model import Event, Incident, Note, next_state

MAX_NOTES = 100
MAX_LENGTH = 1000
Mark = Literal["right", "noise"]
MARKS: tuple[Mark, ...] = ("right", "noise")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}


def note(incident: Incident, actor: str, text: str, now: datetime) -> Decision:
    """Adds a note. Raises UsageError when it is empty or too long, ConflictError when there are too many."""
    written = _plain(text)
    if not written:
        raise UsageError("the note is empty; write what you saw or did")
    if len(written) > MAX_LENGTH:
        raise UsageError(f"the note has {len(written)} characters, {MAX_LENGTH} at most; write it in several")
    if len(incident.notes) >= MAX_NOTES:
        raise ConflictError(f"{incident.id} has {MAX_NOTES} notes, which is the most; write on in its thread")
    notes = (*incident.notes, Note(at=now, by=actor, text=written))
    changed = incident.model_copy(update={"state": next_state(incident.state, Event.NOTED), "notes": notes})
    return Decision(changed, Event.NOTED, written, actor)


def mark(incident: Incident, actor: str, verdict: str) -> Decision:
    """Says whether it was right to wake somebody for it. The last word counts."""
    if verdict not in MARKS:
        raise UsageError(f'"{verdict}" is no mark; write right or noise')
    update = {"state": next_state(incident.state, Event.MARKED), "mark": verdict, "marked_by": actor}
    why = "it was right to wake somebody" if verdict == "right" else "it was noise"
    return Decision(incident.model_copy(update=update), Event.MARKED, why, actor)


def _plain(text: str) -> str:
    """Lines without control, bidirectional and other invisible characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").split("\n")
    kept = ("".join(one for one in line if unicodedata.category(one) not in _INVISIBLE).rstrip() for line in lines)
    return "\n".join(kept).strip()
