"""Stored deadlines after somebody has set the clock: each step goes on waiting as long as it was meant to. Pure.

What a person was promised for a time of day stays at that time of day: the end of a snooze, of a silence, of a window.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.incidents.decision import ACK_GRACE, ack_timeout
from bot.incidents.escalation import OVERDUE
from bot.incidents.model import Incident, State

# Instants from which or until which something is counted. What has happened stays when it happened.
_COUNTED = ("next_at", "paged_at", "observed_at", "ack_expires_at", "quiet_at", "told_at")
_PROMISED = ("next_at", "ack_expires_at")


def moved(incident: Incident, jump: timedelta) -> Incident:
    """The clock went on by `jump` while no time passed."""
    fixed = _PROMISED if _promised(incident) else ()
    update = {name: at + jump for name in _COUNTED if name not in fixed and (at := getattr(incident, name)) is not None}
    return incident.model_copy(update=update | {"revision": incident.revision + 1})


def _promised(incident: Incident) -> bool:
    """Whether its next deadline is a time of day: the end of a snooze, or of what hides it. The ack of somebody who
    took it while it was hidden is counted like any other."""
    counted = incident.state is State.ACKED and incident.next_at == incident.ack_expires_at
    return incident.snoozed_until is not None or (bool(incident.suppressed) and not counted)


def bounded(incident: Incident, now: datetime, quiet: timedelta) -> Incident:
    """The same with no deadline further away than its whole wait, as far as that is known. It is the same object when
    nothing had to be changed."""
    update: dict[str, object] = {}
    if incident.next_at is not None and not _promised(incident) and incident.next_at > now + _wait(incident):
        update["next_at"] = now + _wait(incident)
        if incident.ack_expires_at == incident.next_at:
            update["ack_expires_at"] = update["next_at"]
    if incident.quiet_at is not None and incident.quiet_at > now + quiet:
        update["quiet_at"] = now + quiet
    return incident.model_copy(update=update | {"revision": incident.revision + 1}) if update else incident


def _wait(incident: Incident) -> timedelta:
    """How long it waits at the most where it stands."""
    policy = incident.policy
    if incident.state is State.ACKED and incident.ack_asked:
        return ACK_GRACE
    if incident.state is not State.OPEN:
        return ack_timeout(incident)
    if incident.assigned is not None:
        return policy.steps[0].wait
    if incident.exhausted:
        return max(policy.fallback_wait, OVERDUE)
    if 0 <= incident.step < len(policy.steps):
        return max(policy.steps[incident.step].wait, OVERDUE)
    return max([OVERDUE, *(step.wait for step in policy.steps)])
