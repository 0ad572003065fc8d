"""What a person may do to an incident: take it, hand it on, close it. Each returns a decision, or raises
ConflictError."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.errors import ConflictError
from bot.incidents.decision import Decision, Say, World, ack_timeout
from bot.incidents.escalation import climb, restart
from bot.incidents.model import Event, Incident, State, next_state


def ack(incident: Incident, actor: str, now: datetime) -> Decision:
    """Takes the incident, or holds on to it for another ack timeout. Somebody else's ack is never taken away.

    Of an incident that wakes nobody the ack does not run out: there is nobody to wake then.
    """
    if incident.state is State.ACKED and incident.acked_by != actor:
        raise ConflictError(f"{incident.id} is taken already: {short(incident.acked_by)} has it", incident.acked_by)
    state = next_state(incident.state, Event.ACKED)
    expires = now + ack_timeout(incident) if incident.severity.wakes else None
    again = incident.state is State.ACKED
    changed = incident.model_copy(
        update={
            "state": state,
            "revision": incident.revision + 1,
            "acked_by": actor,
            "acked_at": incident.acked_at if again else now,
            "ack_expires_at": expires,
            "ack_asked": False,
            "next_at": expires,
        }
    )
    return Decision(changed, Event.ACKED, "still on it" if again else "acknowledged", actor, cancel=True)


def decline(incident: Incident, actor: str, world: World, now: datetime) -> Decision:
    """Wakes the next level now. The one who acked may decline too; that releases the ack."""
    if incident.state is State.ACKED and incident.acked_by != actor:
        raise ConflictError(
            f"{incident.id} is not yours to pass on: {short(incident.acked_by)} has it", incident.acked_by
        )
    passed = incident.model_copy(update={"declined": (*incident.declined, short(actor))})
    return climb(passed, Event.DECLINED, f"{short(actor)} can't take it", world, now, actor)


def release(incident: Incident, actor: str, world: World, now: datetime) -> Decision:
    """Gives an ack back: the ladder starts again from its first level."""
    decision = restart(incident, Event.RELEASED, f"released by {short(actor)}", world, now)
    return replace(decision, actor=actor)


def resolve(incident: Incident, actor: str, now: datetime) -> Decision:
    """Closes it by hand. While alerts go on it is watched, and opens again should they still be there an ack
    timeout later."""
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, Event.RESOLVED),
            "revision": incident.revision + 1,
            "resolved_by": actor,
            "resolved_at": now,
            "how_resolved": "human",
            "ack_asked": False,
            "next_at": now + ack_timeout(incident) if incident.going_on else None,
        }
    )
    return Decision(changed, Event.RESOLVED, "resolved by hand", actor, say=(Say.RESOLVED,), cancel=True)


def short(actor: str | None) -> str:
    return (actor or "nobody").removeprefix("person:")
