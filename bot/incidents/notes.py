"""What people write down about an incident: notes, and whether it was right to wake them. Wakes nobody. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import datetime
from typing import Literal

from bot.errors import ConflictError, UsageError
from bot.incidents.decision import Decision, Task, World
from bot.incidents.model import Event, Incident, Note, next_state, title_of

MAX_NOTES = 100
MAX_LENGTH = 1000
_RULES = 5  # named in a task
Mark = Literal["right", "noise"]
MARKS: tuple[Mark, ...] = ("right", "noise")
# What an incident turned out to be caused by, as whoever closes it says.
CAUSES: dict[str, str] = {
    "change": "a deploy or a change",
    "provider": "a provider or dependency",
    "behaviour": "the agent's own behaviour",
    "data": "bad input or data",
    "access": "credentials or access",
    "limits": "load, limits or budget",
    "infrastructure": "the machine or network",
    "false": "false alarm",
}
# Why an alert is no real problem, and what its owner can do about it.
NOISE: dict[str, tuple[str, str]] = {
    "sensitive": ("too sensitive", "Raise its limit, lengthen its `for`, or lower its severity."),
    "known": ("known work", "Announce such work as a maintenance window or a silence before it begins."),
    "duplicate": ("a duplicate", "Let another alert inhibit it, or group the two into one incident."),
    "owner": ("the wrong owner", "Correct the label `owner` of the rule, or the owner of the agent."),
}
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}


def note(incident: Incident, actor: str, text: str, now: datetime) -> Decision:
    """Adds a note. Raises UsageError when it is empty or too long, ConflictError when there are too many."""
    written = plain(text)
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
    update = {
        "state": next_state(incident.state, Event.MARKED),
        "revision": incident.revision + 1,  # its messages show the mark
        "mark": verdict,
        "marked_by": actor,
    }
    why = "it was right to wake somebody" if verdict == "right" else "it was noise"
    return Decision(incident.model_copy(update=update), Event.MARKED, why, actor)


def no_problem(incident: Incident, actor: str, kind: str, text: str, world: World, now: datetime) -> Decision:
    """Marks it as noise, and files a task to whoever owns it. `kind` is one of NOISE; `text` may be empty."""
    if kind not in NOISE:
        raise UsageError(f'"{kind}" is no kind of noise; write one of {", ".join(NOISE)}')
    words = plain(text)
    told = f"{NOISE[kind][0]}: {words}" if words else NOISE[kind][0]
    marked = mark(incident, actor, "noise")
    noted = note(marked.incident, actor, f"No real problem, {told}", now)
    channel = _channel_of(incident, world)
    task = Task(channel, _to_mend(incident, actor, kind, words, world))
    return replace(marked, incident=noted.incident, why=f"it was noise: {told}", tasks=(task,))


def _channel_of(incident: Incident, world: World) -> str:
    team = world.book.teams.get(incident.owner.removeprefix("team:"))
    return (team.channel if team else None) or incident.channel


def _to_mend(incident: Incident, actor: str, kind: str, words: str, world: World) -> str:
    person = world.book.people.get(actor.removeprefix("person:"))
    alerts = incident.going_on or incident.alerts
    what = title_of(alerts[0]) if alerts else incident.title
    rules = dict.fromkeys(f"{alert.name} ({alert.group.replace(';', ', group ')})" for alert in alerts[:_RULES])
    lines = [
        f"{alerts[0].name if alerts else incident.title}: no real problem, {NOISE[kind][0]}",
        f"{person.name if person else actor} says so of {incident.id}, {what}.",
        *([f"In their words: {' '.join(words.split())}"] if words else []),
        "What it is about",
        *(f"• Rule {rule}" for rule in rules),
        f"• Owner {incident.owner}, {incident.owner_why}",
        NOISE[kind][1],
    ]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Lines without control, bidirectional and other invisible characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").split("\n")
    kept = ("".join(one for one in line if unicodedata.category(one) not in _INVISIBLE).rstrip() for line in lines)
    return "\n".join(kept).strip()
