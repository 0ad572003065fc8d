"""The windows about who has an incident: snooze it, take it, page the next level, and what else there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.incidents.escalation import next_rung
from bot.incidents.model import Incident, State
from bot.incidents.people import short
from bot.oncall.model import Book
from bot.oncall.moments import moment
from bot.slack.facts import actor_name, names_of, subject_of
from bot.slack.kit import Block, button, section
from bot.slack.rows import value_of
from bot.slack.text import mrk, span
from bot.slack.windows.base import InputError, NothingToDoError, Visit
from bot.slack.windows.frame import Memory, Values, View, moment_picker, select, told, window

OPEN = "win.open."  # buttons that lead to another window
_MORNING = "09:00"
_NAMED = 3


@dataclass(frozen=True)
class SnoozeWindow:
    name: str = "snooze"
    checked: bool = True

    def title(self, subject: str) -> str:
        return f"Snooze {subject}"

    def instead(self, subject: str) -> str:
        return f"/agent snooze {subject} 2h"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        _refuse_over(incident)
        if incident.state is State.ACKED and incident.acked_by != visit.actor.id:
            holder = visit.book.people.get(short(incident.acked_by))
            name = holder.name if holder else short(incident.acked_by)
            raise NothingToDoError(f"{incident.id} is not yours to snooze: {name} has it. Take it over first.")
        morning = span(moment(_MORNING, visit.now, visit.zone) - visit.now)
        lengths = [
            ("30m", "30 minutes"),
            ("1h", "1 hour"),
            ("2h", "2 hours"),
            ("4h", "4 hours"),
            ("8h", "8 hours"),
            (_MORNING, f"Until 09:00 my time, in {morning}"),
        ]
        blocks = [
            section("It is yours, and quiet until then. If it still goes on it pages again; if it worsens, at once."),
            select("long", "For how long", lengths, values.choice("long", "1h")),
            moment_picker("until", "Or until", hint="Counts instead of the list. Seven days at most."),
        ]
        return window(self.name, self.title(incident.id), "Snooze", memory, blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        at = values.moment("until")
        if at is not None and at <= visit.now:
            raise InputError("until", "That is past; choose a time to come.")
        until = at.isoformat() if at is not None else values.choice("long", "1h")
        return (await visit.desks.commands.snooze(visit.actor, memory.subject, until, event_key=key)).message


@dataclass(frozen=True)
class TakeWindow:
    """Asks whoever was not paged, or finds somebody else on it."""

    name: str = "take"
    checked: bool = True

    def title(self, subject: str) -> str:
        return f"Take {subject}?"

    def instead(self, subject: str) -> str:
        return f"/agent take {subject}"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        _refuse_over(incident)
        if incident.state is State.ACKED:
            if incident.acked_by == visit.actor.id:
                raise NothingToDoError(f"You have {incident.id} already.")
            lines, submit = _held(incident, visit.book, visit.now), "Take over"
        else:
            paged = await visit.desks.commands.paged(incident)
            lines, submit = _paged(incident, sorted(paged), visit.book, visit.now), "Take it"
        return window(self.name, self.title(incident.id), submit, memory, [section(*lines)])

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        return (await visit.desks.commands.take(visit.actor, memory.subject, event_key=key)).message


def _held(incident: Incident, book: Book, now: datetime) -> list[str]:
    holder = actor_name(incident.acked_by, book)
    since = f" for {span(now - incident.acked_at)}" if incident.acked_at else ""
    return [
        f"*Take over from {holder}?*",
        f"{holder} has {incident.id}{since}: {mrk(subject_of(incident), 200)}",
        "They are told that you have it now.",
    ]


def _paged(incident: Incident, paged: list[str], book: Book, now: datetime) -> list[str]:
    names = names_of([book.people[one].name if one in book.people else one for one in paged])
    ago = f" {span(now - incident.paged_at)} ago" if incident.paged_at else ""
    return [
        f"*Take over from {names}?*" if paged else f"*Take {incident.id}?*",
        f"{names} {'were' if len(paged) > 1 else 'was'} paged{ago} for {incident.id}, you were not." if paged else "",
        mrk(subject_of(incident), 200),
        "If you take it, nobody else is paged, and their messages say that you have it.",
    ]


@dataclass(frozen=True)
class EscalateWindow:
    name: str = "escalate"
    checked: bool = True

    def title(self, subject: str) -> str:
        return f"Escalate {subject}?"

    def instead(self, subject: str) -> str:
        return f"/agent escalate {subject}"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        _refuse_over(incident)
        book = visit.desks.commands.book_of(incident)
        rung = next_rung(incident, book, visit.now)
        people = [book.people[one.person].name for one in rung.people if one.person in book.people]
        lines = [f"*{names_of(people or list(rung.channels))}* is paged now for {incident.id}."]
        if incident.acked_by and incident.state is State.ACKED:
            lines.append(f"*{actor_name(incident.acked_by, visit.book)}* has it no more, and is told.")
        return window(self.name, self.title(incident.id), "Escalate", memory, [section(*lines)])

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        commands = visit.desks.commands
        return (await commands.escalate(visit.actor, memory.subject, seen=memory.seen(), event_key=key)).message


@dataclass(frozen=True)
class MoreWindow:
    """What the menu of five has no room for, each with a button of its own."""

    name: str = "more"
    checked: bool = False

    def title(self, subject: str) -> str:
        return f"More on {subject}"

    def instead(self, subject: str) -> str:
        return f"/agent snooze {subject} 2h, take {subject} or escalate {subject}"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        _refuse_over(incident)
        mine = incident.acked_by == visit.actor.id
        blocks = [_offer(incident, "snooze", "Snooze…", "Keep it, and hear nothing of it for a while.")] if mine else []
        if incident.state is State.ACKED and not mine:
            holder = actor_name(incident.acked_by, visit.book)
            blocks.append(_offer(incident, "take", "Take over…", f"*{holder}* has it; they are told."))
        blocks.append(_offer(incident, "escalate", "Escalate…", "Page the next level now."))
        return told(self.title(incident.id), blocks=blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        raise NothingToDoError("This window has nothing to submit.")


def _offer(incident: Incident, name: str, title: str, text: str) -> Block:
    accessory = button(title, OPEN + name, value_of(incident))
    return section(text) | {"block_id": name, "accessory": accessory}


def _refuse_over(incident: Incident) -> None:
    if incident.state is State.RESOLVED:
        raise NothingToDoError(f"{incident.id} is resolved: there is nothing to take, put off or escalate any more.")
