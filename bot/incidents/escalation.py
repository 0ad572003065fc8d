"""Who is woken next, and when. Escalation ends by a human or by the alert's end, never by running out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.incidents.decision import ACK_GRACE, Decision, Say, World, ack_timeout
from bot.incidents.model import AlertState, Event, Incident, State, next_state
from bot.oncall.model import Book
from bot.oncall.owners import Reached, last_resort, reach

# How an incident looks that nobody has.
_NOBODYS: dict[str, object] = {
    "acked_by": None,
    "acked_at": None,
    "ack_expires_at": None,
    "ack_asked": False,
    "resolved_by": None,
    "resolved_at": None,
    "how_resolved": "",
}


@dataclass(frozen=True)
class Rung:
    """One level of the ladder that has somebody on it, if only the readers of a channel. `skipped` says which levels
    before it were empty, and why."""

    step: int
    round: int
    people: tuple[Reached, ...]
    wait: timedelta
    exhausted: bool = False
    skipped: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def next_rung(incident: Incident, book: Book, now: datetime) -> Rung:
    """The next level with a person on it: empty steps are passed over at once, after the last round the fallback
    stands.

    People who said they cannot take it are passed over until the next round.
    """
    policy = incident.policy
    step, round_, declined = incident.step, incident.round, set(incident.declined)
    skipped: list[str] = []
    while not incident.exhausted:
        step += 1
        if step == len(policy.steps):
            step, round_, declined = 0, round_ + 1, set()
        if round_ > policy.repeat:
            break
        reached = reach(policy.steps[step], book, now, incident.severity)
        people = tuple(person for person in reached.people if person.person not in declined)
        if people or (reached.channels and not reached.people):
            wait = policy.steps[step].wait
            return Rung(step, round_, people, wait, skipped=tuple(skipped), channels=reached.channels)
        reasons = [*reached.empty, *(f"{person.person} cannot take it" for person in reached.people)]
        line = f"level {step + 1} skipped ({'; '.join(reasons)})"
        skipped += [line] if line not in skipped else []
    return Rung(
        step=len(policy.steps),
        round=max(round_, incident.round + 1),
        people=tuple(last_resort(incident.fallback, book, now, declined)),
        wait=policy.fallback_wait,
        exhausted=True,
        skipped=tuple(skipped),
    )


def climb(
    incident: Incident, event: Event, why: str, world: World, now: datetime, actor: str = "agentpager"
) -> Decision:
    """Wakes the people of the next rung and sets the next deadline."""
    rung = next_rung(incident, world.book, now)
    first = incident.paged_at is None
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, event),
            "revision": incident.revision + 1,
            "step": rung.step,
            "round": rung.round,
            "declined": incident.declined if rung.round == incident.round else (),
            "exhausted": rung.exhausted,
            "paged_at": now,
            "next_at": now + rung.wait,
        }
        | _NOBODYS
    )
    reasons = (why, *rung.skipped, *(["nobody answered: fallback"] if rung.exhausted else []))
    say = () if first else (Say.ESCALATED,)
    return Decision(changed, event, "; ".join(reasons), actor, rung.people, say, channels=rung.channels)


def restart(incident: Incident, event: Event, why: str, world: World, now: datetime) -> Decision:
    """From the first rung again, for an incident that nobody has any more. One that wakes nobody just stands open."""
    fresh = incident.model_copy(update={"step": -1, "round": 0, "exhausted": False, "declined": ()})
    if incident.severity.wakes:
        return replace(climb(fresh, event, why, world, now), cancel=True)
    update = {"state": next_state(incident.state, event), "revision": incident.revision + 1, "next_at": None}
    return Decision(fresh.model_copy(update=update | _NOBODYS), event, why, cancel=True)


def due(incident: Incident, world: World, now: datetime) -> Decision | None:
    """What this instant asks for, if the incident's deadline has come."""
    if incident.next_at is None or incident.next_at > now:
        return None
    match incident.state:
        case State.OPEN:
            waited = _spoken(now - (incident.paged_at or incident.opened_at))
            return climb(incident, Event.ESCALATED, f"no ack in {waited}", world, now)
        case State.ACKED if (
            incident.ack_asked or incident.acked_by is None or not incident.acked_by.startswith("person:")
        ):
            return restart(incident, Event.ACK_EXPIRED, "the ack ran out without an answer", world, now)
        case State.ACKED:
            return _ask(incident, now)
        case State.RESOLVED if still_firing(incident):
            return restart(incident, Event.STILL_FIRING, "closed by hand, but its alerts go on", world, now)
        case State.RESOLVED:
            return Decision(incident.model_copy(update={"next_at": None}), None, "nothing fires any more")


def still_firing(incident: Incident) -> bool:
    """Missing data is not enough: a human has seen that it is missing, and closed the incident all the same."""
    return any(alert.state is AlertState.FIRING for alert in incident.alerts)


def _ask(incident: Incident, now: datetime) -> Decision:
    assert incident.acked_by is not None
    person = incident.acked_by.removeprefix("person:")
    grace = min(ACK_GRACE, ack_timeout(incident))
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, Event.ACK_ASKED),
            "revision": incident.revision + 1,
            "ack_asked": True,
            "next_at": now + grace,
        }
    )
    return Decision(
        changed,
        Event.ACK_ASKED,
        f"ack is {_spoken(now - (incident.acked_at or now))} old; asked {person}",
        say=(Say.REMINDER,),
    )


def _spoken(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
