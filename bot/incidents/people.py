"""What a person may do to an incident: take it, hand it on, put it off, close it. Each returns a decision, or raises
ConflictError when it has moved on, UsageError when what they ask for makes no sense."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.complaints import did_you_mean
from bot.errors import ConflictError, UsageError
from bot.incidents import notes
from bot.incidents.decision import Decision, Say, Told, World, ack_timeout
from bot.incidents.escalation import EVERYBODY, climb, restart
from bot.incidents.model import Event, Incident, State, ended_by_hand, next_state
from bot.oncall.model import Book
from bot.oncall.owners import Reached

LONGEST_SNOOZE = timedelta(days=7)


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
            "snoozed_until": None,
            "assigned": None,
            "next_at": expires,
        }
    )
    return Decision(changed, Event.ACKED, "still on it" if again else "acknowledged", actor, cancel=True)


def take_over(incident: Incident, actor: str, now: datetime) -> Decision:
    """Takes it from whoever has it, and tells them; where nobody has it this is an ack."""
    holder = incident.acked_by
    if incident.state is not State.ACKED or holder == actor:
        return ack(incident, actor, now)
    taken = ack(incident.model_copy(update={"acked_by": actor}), actor, now)
    changed = taken.incident.model_copy(update={"state": next_state(incident.state, Event.TAKEN), "acked_at": now})
    why = f"taken over from {short(holder)}"
    tell = _tell(holder, f"{short(actor)} has taken over {incident.id} from you", actor)
    return replace(taken, incident=changed, event=Event.TAKEN, why=why, tell=tell)


def snooze(incident: Incident, actor: str, until: datetime, now: datetime) -> Decision:
    """Holds it without being asked until that instant; then it pages from the first level if it still goes on.
    Something worse wakes at once."""
    if incident.state is State.ACKED and incident.acked_by != actor:
        raise ConflictError(
            f"{incident.id} is not yours to snooze: {short(incident.acked_by)} has it", incident.acked_by
        )
    if until <= now:
        raise UsageError(f"{until:%Y-%m-%d %H:%M} UTC is past; name a time to come, such as 2h or 09:00")
    if until - now > LONGEST_SNOOZE:
        raise UsageError(f"a snooze lasts {LONGEST_SNOOZE.days} days at most; for longer silence the alert")
    again = incident.state is State.ACKED
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, Event.SNOOZED),
            "revision": incident.revision + 1,
            "acked_by": actor,
            "acked_at": incident.acked_at if again else now,
            "ack_expires_at": until,
            "ack_asked": False,
            "snoozed_until": until,
            "assigned": None,
            "next_at": until,
        }
    )
    return Decision(changed, Event.SNOOZED, f"snoozed until {until:%Y-%m-%d %H:%M} UTC", actor, cancel=True)


def hand_over(incident: Incident, actor: str, person: str, world: World, now: datetime, note: str = "") -> Decision:
    """Gives it to that person, who is paged now and reads the note. Without an answer in the first step's wait the
    ladder begins."""
    heir = person_named(person, world.book)
    if incident.acked_by == f"person:{heir}":
        raise ConflictError(f"{world.book.people[heir].name} has {incident.id} already", incident.acked_by)
    if actor == f"person:{heir}":
        raise UsageError(f"{incident.id} cannot be handed to whoever hands it over; to have it yourself, take it")
    _refuse_hidden(incident)
    holder = incident.acked_by if incident.state is State.ACKED else None
    incident = notes.note(incident, actor, note, now).incident if note.strip() else incident
    told = f": {' '.join(note.split())}" if note.strip() else ""
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, Event.HANDED),
            "revision": incident.revision + 1,
            "step": -1,
            "round": 0,
            "exhausted": False,
            "widened": 0,
            "declined": (),
            "paged_at": now,
            "next_at": now + incident.policy.steps[0].wait,
            "acked_by": None,
            "acked_at": None,
            "ack_expires_at": None,
            "ack_asked": False,
            "snoozed_until": None,
            "assigned": heir,
            "announced": True,
        }
    )
    origin = f" from {short(holder)}" if holder not in {None, actor} else ""
    why = f"{short(actor)} hands it{origin} to {heir}{told}"
    return Decision(
        changed,
        Event.HANDED,
        why,
        actor,
        wake=(Reached(heir, f"{short(actor)} hands it to you{told}"),),
        say=(Say.ESCALATED,) if incident.announced else (Say.CARD, Say.RUNBOOK),
        cancel=True,
        tell=_tell(holder, f"{short(actor)} has handed {incident.id} from you to {heir}", actor),
    )


def escalate_now(
    incident: Incident, actor: str, world: World, now: datetime, seen: tuple[int, int] | None = None
) -> Decision:
    """Somebody wants the next level now. Whoever had it is told; the ladder goes on until somebody has it again. With
    `seen`, the round and step they looked at, it is that next level or none."""
    if seen not in {None, (incident.round, incident.step)}:
        raise ConflictError(f"others have been paged for {incident.id} since you looked; look again who comes next")
    _refuse_hidden(incident)
    holder = incident.acked_by if incident.state is State.ACKED else None
    had = f"; {short(holder)} had it" if holder else ""
    decision = climb(incident, Event.ESCALATED, f"{short(actor)} asks for the next level{had}", world, now, actor)
    tell = _tell(holder, f"{short(actor)} has escalated {incident.id}, which you had", actor)
    return replace(decision, cancel=True, tell=tell)


def person_named(text: str, book: Book) -> str:
    """The id of the person meant by an id, a name or a Slack mention. Raises UsageError with the nearest."""
    wanted = text.strip().removeprefix("person:").removeprefix("@")
    mentioned = wanted.removeprefix("<@").partition("|")[0].rstrip(">")
    for person in book.people.values():
        if wanted.lower() in {person.id.lower(), person.name.lower()} or mentioned == person.slack:
            return person.id
    firsts = [one.id for one in book.people.values() if one.name.lower().split()[:1] == [wanted.lower()]]
    if len(firsts) == 1:
        return firsts[0]
    raise UsageError(f'there is no person "{wanted}" in oncall/; {did_you_mean(wanted, book.people)}')


def _refuse_hidden(incident: Incident) -> None:
    """Nobody is paged for what is hidden, not even by hand: that would be lost."""
    if incident.suppressed:
        why = incident.suppressed[0].why
        raise ConflictError(f"nobody is paged for {incident.id} now: {why}. End that first, or take it yourself")


def _tell(holder: str | None, text: str, actor: str) -> tuple[Told, ...]:
    if holder is None or holder == actor or not holder.startswith("person:"):
        return ()
    return (Told(short(holder), text),)


def decline(incident: Incident, actor: str, world: World, now: datetime) -> Decision:
    """Wakes the next level now. The one who acked may decline too; that releases the ack."""
    if incident.state is State.ACKED and incident.acked_by != actor:
        raise ConflictError(
            f"{incident.id} is not yours to pass on: {short(incident.acked_by)} has it", incident.acked_by
        )
    if incident.state is State.OPEN and actor.startswith("person:") and short(actor) in incident.declined:
        raise ConflictError(f"{short(actor)} has passed {incident.id} on already; nobody else is woken for it again")
    passed = incident.model_copy(update={"declined": (*incident.declined, short(actor))})
    if (
        incident.state is State.OPEN
        and incident.widened >= EVERYBODY
        and not set(world.book.people) <= {*passed.declined}
    ):
        return _left_to_the_others(passed, actor, now)
    return climb(passed, Event.DECLINED, f"{short(actor)} can't take it", world, now, actor)


def _left_to_the_others(passed: Incident, actor: str, now: datetime) -> Decision:
    """Everybody has been paged, and some have not answered: they are not all paged again for each who cannot."""
    update = {"state": next_state(passed.state, Event.DECLINED), "revision": passed.revision + 1}
    why = f"{short(actor)} can't take it; everybody has been paged already"
    return Decision(passed.model_copy(update=update), Event.DECLINED, why, actor, cancel=True)


def release(incident: Incident, actor: str, world: World, now: datetime) -> Decision:
    """Gives an ack back: the ladder starts again from its first level."""
    decision = restart(incident, Event.RELEASED, f"released by {short(actor)}", world, now)
    return replace(decision, actor=actor)


def resolve(incident: Incident, actor: str, now: datetime, cause: str = "", note: str = "") -> Decision:
    """Closes it by hand. While alerts go on it is watched, and opens again should they still be there an ack
    timeout later. `cause` is one of notes.CAUSES, or empty."""
    incident = ended_by_hand(incident, now)  # what was paged by hand is over with that
    if cause and cause not in notes.CAUSES:
        raise UsageError(f'"{cause}" is no cause; write one of {", ".join(notes.CAUSES)}')
    named = f"Cause: {notes.CAUSES[cause]}." if cause else ""
    if written := " ".join(filter(None, [named, note.strip()])):
        incident = notes.note(incident, actor, written, now).incident
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
    why = f"resolved by hand: {notes.CAUSES[cause]}" if cause else "resolved by hand"
    return Decision(changed, Event.RESOLVED, why, actor, say=(Say.RESOLVED,), cancel=True)


def short(actor: str | None) -> str:
    return (actor or "nobody").removeprefix("person:")
