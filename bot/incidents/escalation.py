"""Who is woken next, and when. Escalation ends by a human or by the alert's end, never by running out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.incidents.decision import ACK_GRACE, Decision, Say, World, ack_timeout, book_of, snapshot_lost
from bot.incidents.model import AlertState, Event, Incident, State, next_state
from bot.oncall.model import Book
from bot.oncall.owners import Reached, last_resort, people_of, reach

# A step that comes later than this was slept through; the one after it then waits at least as long.
OVERDUE = timedelta(seconds=60)
EVERYBODY = 2  # how far `widened` counts: the fallback, the owner's team too, everybody

# How an incident looks that nobody has.
NOBODYS: dict[str, object] = {
    "acked_by": None,
    "acked_at": None,
    "ack_expires_at": None,
    "ack_asked": False,
    "snoozed_until": None,
    "assigned": None,
    "resolved_by": None,
    "resolved_at": None,
    "how_resolved": "",
}


@dataclass(frozen=True)
class Rung:
    """One level of the ladder that has somebody on it, if only the readers of a channel. `skipped` says which levels
    before it were empty, and why. `widened` counts how far beyond the fallback it goes."""

    step: int
    round: int
    people: tuple[Reached, ...]
    wait: timedelta
    exhausted: bool = False
    skipped: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    widened: int = 0


def next_rung(
    incident: Incident, book: Book, now: datetime, *, present: Collection[str] | None = None, channel: str = ""
) -> Rung:
    """The next level with a person on it: empty steps are passed over at once, after the last round it widens.

    People who said they cannot take it are passed over until the next round. `present` are those who are in the book
    of now and `channel` the default one: at last they are all asked.
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
    width = min(incident.widened + 1, EVERYBODY) if incident.exhausted else 0
    everybody = book.people if present is None else present
    people, channels = wide(incident, width, book, now, everybody, channel, declined)
    return Rung(
        step=len(policy.steps),
        round=max(round_, incident.round + 1),
        people=people,
        wait=policy.fallback_wait,
        exhausted=True,
        skipped=tuple(skipped),
        channels=channels,
        widened=width,
    )


def wide(
    incident: Incident,
    width: int,
    book: Book,
    at: datetime,
    everybody: Collection[str],
    channel: str = "",
    declined: Collection[str] = (),
) -> tuple[tuple[Reached, ...], tuple[str, ...]]:
    """Who and which channels are asked once the policy is exhausted: the fallback; then the owner's team and its
    channel too; then everybody and the default channel too."""
    asked = people_of([incident.fallback], book, at)[0] or people_of([book.fallback], book, at)[0]
    channels: list[str] = []
    if width >= 1:
        teams = _teams(incident.owner, book)
        asked += people_of([f"team:{team}" for team in teams], book, at)[0]
        channels = [named for team in teams if (named := book.teams[team].channel)] or [incident.channel]
    if width >= EVERYBODY:
        asked += [Reached(person, "nobody has answered, so everybody is asked") for person in everybody]
        channels += [channel] if channel else []
    found: dict[str, Reached] = {}
    for one in asked:
        if one.person in book.people:
            found.setdefault(one.person, one)
    willing = [one for one in found.values() if one.person not in declined]
    return tuple(willing or last_resort(incident.fallback, book, at, declined)), tuple(dict.fromkeys(channels))


def _teams(owner: str, book: Book) -> list[str]:
    """The owner's team; of a person all that they are in."""
    kind, _, name = owner.partition(":")
    if kind == "team":
        return [name] if name in book.teams else []
    return [team.id for team in book.teams.values() if name in team.members]


_WIDER = ("nobody answered: fallback", "nobody answered: fallback and team", "nobody answered: everybody")


def climb(
    incident: Incident, event: Event, why: str, world: World, now: datetime, actor: str = "agentpager"
) -> Decision:
    """Wakes the people of the next rung and sets the next deadline. What was not posted yet is posted with it."""
    if incident.suppressed:
        return _held(incident, event, why, now, actor)
    book = book_of(incident, world)
    rung = next_rung(incident, book, now, present=world.book.people, channel=world.channel)
    first = incident.paged_at is None
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, event),
            "revision": incident.revision + 1,
            "step": rung.step,
            "round": rung.round,
            "declined": incident.declined if rung.round == incident.round else (),
            "exhausted": rung.exhausted,
            "widened": rung.widened,
            "paged_at": now,
            "next_at": now + rung.wait,
            "announced": True,
        }
        | NOBODYS
    )
    lost = ["the snapshot of its rotas cannot be read, so those of now count"] if snapshot_lost(incident, world) else []
    reasons = (why, *lost, *rung.skipped, *([_WIDER[rung.widened]] if rung.exhausted else []))
    say = (*_unposted(incident), Say.RUNBOOK) if first else (*_unposted(incident), Say.ESCALATED)
    return Decision(changed, event, "; ".join(reasons), actor, rung.people, say, channels=rung.channels)


def _unposted(incident: Incident) -> tuple[Say, ...]:
    return () if incident.announced else (Say.CARD,)


def _held(incident: Incident, event: Event, why: str, now: datetime, actor: str) -> Decision:
    """Nobody is woken while it is suppressed: the ladder begins when that ends."""
    ends = (one.until for one in incident.suppressed if one.until is not None and one.until > now)
    update = {
        "state": next_state(incident.state, event),
        "revision": incident.revision + 1,
        "next_at": min(ends, default=None),
    }
    hidden = "; ".join(one.why for one in incident.suppressed)
    return Decision(incident.model_copy(update=update | NOBODYS), event, f"{why}; hidden: {hidden}", actor)


def restart(incident: Incident, event: Event, why: str, world: World, now: datetime) -> Decision:
    """From the first rung again, for an incident that nobody has any more. One that wakes nobody just stands open."""
    fresh = incident.model_copy(
        update={"step": -1, "round": 0, "exhausted": False, "widened": 0, "declined": (), "assigned": None}
    )
    if incident.severity.wakes:
        return replace(climb(fresh, event, why, world, now), cancel=True)
    update = {"state": next_state(incident.state, event), "revision": incident.revision + 1, "next_at": None}
    shown = fresh.model_copy(update=update | {"announced": True} | NOBODYS)
    return Decision(shown, event, why, say=_unposted(incident), cancel=True)


def due(incident: Incident, world: World, now: datetime) -> Decision | None:
    """What this instant asks for, if the incident's deadline has come."""
    if incident.next_at is None or incident.next_at > now:
        return None
    return _spaced(_due(incident, world, now), now - incident.next_at, now)


def _due(incident: Incident, world: World, now: datetime) -> Decision:
    match incident.state:
        case State.OPEN if incident.assigned is not None:
            waited = spoken(now - (incident.paged_at or incident.opened_at))
            why = f"no ack from {incident.assigned} in {waited}, so from the first level"
            return restart(incident, Event.ESCALATED, why, world, now)
        case State.OPEN:
            waited = spoken(now - (incident.paged_at or incident.opened_at))
            return climb(incident, Event.ESCALATED, f"no ack in {waited}", world, now)
        case State.ACKED if incident.snoozed_until is not None:
            by = (incident.acked_by or "").removeprefix("person:")
            return restart(incident, Event.SNOOZE_ENDED, f"the snooze of {by} is over", world, now)
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


def _spaced(decision: Decision, late: timedelta, now: datetime) -> Decision:
    """After a sleep of hours overdue steps come one by one, however short their waits are."""
    incident = decision.incident
    if late <= OVERDUE or incident.next_at is None:
        return decision
    changed = incident.model_copy(update={"next_at": max(incident.next_at, now + OVERDUE)})
    return replace(decision, incident=changed, why=f"{decision.why}; {spoken(late)} late")


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
        f"ack is {spoken(now - (incident.acked_at or now))} old; asked {person}",
        say=(Say.REMINDER,),
    )


def spoken(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
