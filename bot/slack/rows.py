"""The row of buttons under a message about one incident, and the menu behind ⋯. Pure.

Every value is `INC-7|3`, an option of a menu `silence|INC-7|3`: with the revision that the message shows, so that a
window knows what whoever opened it had seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.incidents.model import Incident, State
from bot.paging.model import PageKind
from bot.slack.facts import Scene
from bot.slack.kit import Block, actions, button, overflow

ACK, DECLINE, RUNBOOK, RESOLVE, RELEASE, KEEP = (
    "inc.ack",
    "inc.decline",
    "inc.runbook",
    "inc.resolve",
    "inc.release",
    "inc.keep",
)
MORE = "inc.more"
RIGHT, NOISE = "inc.right", "inc.noise"

_SILENCE = ("Silence…", "silence")
_HAND = ("Hand to…", "hand")
_NOTE = ("Add note…", "note")
_NO_PROBLEM = ("Not a real problem…", "noise")
_SNOOZE = ("Snooze…", "snooze")
_REST = ("More…", "more")
# Slack's menus hold five.
_OPEN = (_SILENCE, _HAND, _NOTE, _NO_PROBLEM, _SNOOZE)
_ACKED = (_SILENCE, _HAND, _NOTE, _NO_PROBLEM, _REST)
_QUIET = (_SILENCE, _NOTE, _NO_PROBLEM)


def value_of(incident: Incident) -> str:
    return f"{incident.id}|{incident.revision}"


def menu(incident: Incident, entries: Sequence[tuple[str, str]], action_id: str = MORE) -> Block:
    return overflow(action_id, [(text, f"{name}|{value_of(incident)}") for text, name in entries])


def buttons(scene: Scene) -> Block:
    incident = scene.incident
    value = value_of(incident)
    resolve = button("Resolve…", RESOLVE, value)
    release = button("Release", RELEASE, value)
    book = [button("Runbook", RUNBOOK, value)] if scene.rendered is not None and scene.rendered.runbook else []
    if scene.page.kind is PageKind.REMINDER and incident.state is State.ACKED and incident.ack_asked:
        shown = [button("Still on it", KEEP, value, "primary"), release, resolve]
    elif incident.state is State.ACKED:
        shown = [*book, resolve, release, menu(incident, _ACKED)]
    elif incident.severity.wakes:
        take = [button("Acknowledge", ACK, value, "primary"), button("Can't take it", DECLINE, value)]
        shown = [*take, *book, resolve, menu(incident, _OPEN)]
    else:
        shown = [*book, resolve, menu(incident, _QUIET)]
    return actions(f"{incident.id}.{incident.revision}", shown)


def verdict(incident: Incident) -> Block | None:
    """Was it right to wake somebody? Asked once it is over, until somebody has said it."""
    if incident.paged_at is None or incident.mark or incident.exercise or not incident.severity.wakes:
        return None
    value = value_of(incident)
    asked = [button("Yes, it was right", RIGHT, value), button("No, noise", NOISE, value)]
    return actions(f"{incident.id}.{incident.revision}.verdict", asked)
