"""Promised times (`sla:`): how long an incident has waited for an answer and for its end, and what was not kept. Pure.

Time in which everything in the incident was suppressed does not count. A running incident keeps what was promised when
it opened, or when its severity changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bot.incidents.model import Incident, Promise, State

What = Literal["ack", "resolve"]
Sla = Mapping[Literal["critical", "warning", "info"], Promise]


@dataclass(frozen=True)
class Standing:
    """One promise of one incident. `due_at` is when it breaks: unknown while the incident is suppressed.

    `took` is None as long as nobody has answered, or the incident goes on; an end without an ack is an answer too.
    """

    what: What
    promised: timedelta
    took: timedelta | None
    due_at: datetime | None
    broken: bool

    @property
    def state(self) -> str:
        if self.broken:
            return "broken"
        return "running" if self.took is None else "kept"


def timed(incident: Incident, sla: Sla, now: datetime) -> Incident:
    """The incident with the times that reports and promises count brought up to date; every change is saved this way.

    The first ack is the answer; so is closing it by hand. To hand it to somebody, or to pass, is none.
    """
    update: dict[str, object] = {}
    hidden = bool(incident.suppressed) and incident.state is not State.RESOLVED
    if hidden and incident.hidden_since is None:
        update["hidden_since"] = now
    if not hidden and incident.hidden_since is not None:
        update |= {"hidden_since": None, "hidden_for": hidden_for(incident, now)}
    if incident.answered_after is None and (by := _answering(incident)) is not None:
        update |= {"answered_by": by, "answered_after": now - incident.opened_at - hidden_for(incident, now)}
    if incident.promised_for is not incident.severity:
        update |= {"promised_for": incident.severity, "promised": _promise(incident, sla)}
    return incident.model_copy(update=update) if update else incident


def _answering(incident: Incident) -> str | None:
    if incident.state is State.ACKED:
        return incident.acked_by
    return incident.resolved_by if incident.how_resolved == "human" else None


def _promise(incident: Incident, sla: Sla) -> Promise:
    if incident.exercise:
        return Promise()
    return next((promise for severity, promise in sla.items() if severity == incident.severity.value), Promise())


def hidden_for(incident: Incident, now: datetime) -> timedelta:
    """How long it has been suppressed in all."""
    going_on = now - incident.hidden_since if incident.hidden_since is not None else timedelta()
    return incident.hidden_for + going_on


def lasted(incident: Incident, now: datetime) -> timedelta:
    """How long it went on, or has gone on, without the time in which it was suppressed. A pause before it opened again
    counts."""
    return (incident.resolved_at or now) - incident.opened_at - hidden_for(incident, now)


def standings(incident: Incident, now: datetime) -> list[Standing]:
    """What is promised for this incident, and how it stands."""
    ended = lasted(incident, now) if incident.state is State.RESOLVED else None
    answered = ended if incident.answered_after is None else incident.answered_after
    promises: tuple[tuple[What, timedelta | None, timedelta | None], ...] = (
        ("ack", incident.promised.ack, answered),
        ("resolve", incident.promised.resolve, ended),
    )
    return [_standing(incident, what, promised, took, now) for what, promised, took in promises if promised is not None]


def _standing(incident: Incident, what: What, promised: timedelta, took: timedelta | None, now: datetime) -> Standing:
    due_at = None if incident.hidden_since else incident.opened_at + promised + incident.hidden_for
    waited = lasted(incident, now) if took is None else took
    return Standing(what, promised, took, due_at, what in incident.breached or waited > promised)


def unnoticed(incident: Incident, now: datetime) -> list[Standing]:
    """Promises that are broken and not yet written down as such."""
    return [one for one in standings(incident, now) if one.broken and one.what not in incident.breached]


def next_look(incident: Incident, now: datetime) -> datetime | None:
    """The next instant at which a promise breaks, if nothing happens until then."""
    if incident.state is State.RESOLVED:
        return None
    coming = [one.due_at for one in standings(incident, now) if one.state == "running" and one.due_at is not None]
    return min(coming, default=None)
