"""One message about several incidents: the worst by name, the rest counted. Pure, like blocks.py.

The same is drawn for a direct message that wakes somebody and for the card of a channel, the first time and for every
edit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from bot.incidents.model import SEVERITY_RANK, Incident, Severity, State
from bot.oncall.model import Book
from bot.paging.model import Page, PageKind
from bot.slack.blocks import EVENT_TYPE, Message
from bot.slack.facts import actor_name, subject_of
from bot.slack.kit import (
    TEXT_LIMIT,
    Block,
    Part,
    actions,
    button,
    confirmation,
    context,
    fit,
    header,
    overflow,
    section,
)
from bot.slack.rows import ACK, RUNBOOK
from bot.slack.text import mrk, span, wall

ACK_ALL = "storm.ack_all"
MORE = "storm.more"
WORST = 8
_SIGNS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🔶", Severity.INFO: "🔹", Severity.NONE: "🔹"}
_NAMED = 3  # holders of acknowledged incidents


def draw_storm(lead: Page, incidents: Sequence[Incident], book: Book, now: datetime) -> Message:
    """`{"text", "blocks", "metadata"}`; `incidents` are all that the message shows."""
    ordered = sorted(incidents, key=_worst_first)
    open_ones = [incident for incident in ordered if incident.state is State.OPEN and not incident.suppressed]
    payload = {"page_id": lead.id, "incident": "", "kind": lead.kind.value, "step": lead.step, "round": lead.round}
    blocks = _open(lead, ordered, open_ones, book, now) if open_ones else _calm(lead, ordered, book, now)
    text = _text(lead, ordered, open_ones, book)
    return {"text": text, "blocks": blocks, "metadata": {"event_type": EVENT_TYPE, "event_payload": payload}}


def plain_storm(message: Message, incidents: Sequence[Incident]) -> Message:
    """The same without blocks, for when Slack refuses the layout."""
    worst = sorted(incidents, key=_worst_first)[:WORST]
    lines = [message["text"], *(f"{_sign(one)} {one.id} {mrk(subject_of(one), 200)}" for one in worst)]
    lines.append(f"To take one: /agent ack {worst[0].id}")
    return {"text": "\n".join(lines), "metadata": message["metadata"]}


def _worst_first(incident: Incident) -> tuple[int, int, datetime, int]:
    order = {State.OPEN: 0, State.ACKED: 1, State.RESOLVED: 2}
    number = int(incident.id.removeprefix("INC-"))
    return order[incident.state], -SEVERITY_RANK[incident.severity], incident.opened_at, number


def _open(
    lead: Page, ordered: Sequence[Incident], open_ones: Sequence[Incident], book: Book, now: datetime
) -> list[Block]:
    shown = open_ones[:WORST]
    sign = _sign(open_ones[0])
    parts = [Part(100, header(f"{sign} {len(open_ones)} incidents at once · {_severities(open_ones)}"))]
    parts.append(Part(95, section(*_whom(lead, open_ones, book))))
    parts += [_row(incident, now, 90 - place) for place, incident in enumerate(shown)]
    if rest := open_ones[len(shown) :]:
        parts.append(Part(92, section(_rest(rest))))
    if done := _done(ordered, book):
        parts.append(Part(91, section(done)))
    parts.append(Part(99, _all_buttons(lead, open_ones)))
    parts.append(Part(50, context(_hint(shown[0]))))
    return fit(parts, "; `/agent incidents` lists them all")


def _row(incident: Incident, now: datetime, value: int) -> Part:
    line = f"{_sign(incident)} *{mrk(subject_of(incident), 160)}*"
    ack = button("Ack", ACK, f"{incident.id}|{incident.revision}")
    block = section(line, f"{incident.id} · for {span(now - incident.opened_at)}")
    return Part(value, block | {"block_id": f"{incident.id}.{incident.revision}", "accessory": ack})


def _whom(lead: Page, open_ones: Sequence[Incident], book: Book) -> list[str]:
    agents = _agents(open_ones)
    what = f"{len(open_ones)} incidents{agents}"
    if lead.kind is not PageKind.PAGE:
        people = sorted({incident.owner for incident in open_ones})
        return [f"{what} · owned by {mrk(', '.join(people[:_NAMED]), 200)}" + _more(len(people) - _NAMED)]
    person = book.people.get(lead.person or "")
    told = f"<@{person.slack}> you are paged" if person else "Everybody here is paged"
    return [f"{told} for {what}: one message for all of them."]


def _rest(rest: Sequence[Incident]) -> str:
    plural = "s" if len(rest) != 1 else ""
    return f"*+{len(rest)} more incident{plural}*{_agents(rest)}: {_severities(rest)}"


def _done(ordered: Sequence[Incident], book: Book) -> str:
    acked = [incident for incident in ordered if incident.state is State.ACKED]
    over = sum(incident.state is State.RESOLVED for incident in ordered)
    told = [f"🟨 {len(acked)} acknowledged{_by(acked, book)}"] if acked else []
    told += [f"🔇 {len(hidden)} hidden: {_whys(hidden)}"] if (hidden := _hidden(ordered)) else []
    told += [f"✅ {over} resolved"] if over else []
    return " · ".join(told)


def _by(acked: Sequence[Incident], book: Book) -> str:
    holders = Counter(incident.acked_by for incident in acked)
    names = [actor_name(holder, book) for holder, _ in holders.most_common(_NAMED)]
    return f" by {', '.join(names)}{_more(len(holders) - _NAMED)}"


def _hidden(ordered: Sequence[Incident]) -> list[Incident]:
    return [incident for incident in ordered if incident.state is State.OPEN and incident.suppressed]


def _whys(hidden: Sequence[Incident]) -> str:
    whys = Counter(one.why for incident in hidden for one in incident.suppressed)
    return "; ".join(mrk(why, 150) for why, _ in whys.most_common(_NAMED)) + _more(len(whys) - _NAMED)


def _calm(lead: Page, ordered: Sequence[Incident], book: Book, now: datetime) -> list[Block]:
    """Nobody is needed for any of them now."""
    acked = [incident for incident in ordered if incident.state is State.ACKED]
    hidden = _hidden(ordered)
    state = "🟨 ACKED" if acked else "🔇 HIDDEN" if hidden else "✅ RESOLVED"
    title = f"{state}{' or hidden' if acked and hidden else ''} · all {len(ordered)} incidents"
    parts = [Part(100, header(title)), Part(95, section(_done(ordered, book)))]
    lines = [f"{_sign(one)} {one.id} {mrk(subject_of(one), 160)}" for one in acked[:WORST]]
    if lines:
        more = [f"+{len(acked) - WORST} more"] if len(acked) > WORST else []
        parts.append(Part(80, section(*lines, *more)))
        parts.append(Part(90, _runbooks(lead, acked)))
    began = min(incident.opened_at for incident in ordered)
    parts.append(Part(10, context(f"began {span(now - began)} ago · `/agent incidents` lists them")))
    return fit(parts)


def _all_buttons(lead: Page, open_ones: Sequence[Incident]) -> Block:
    count = len(open_ones)
    title = f"Acknowledge all {count}" if count > 1 else "Acknowledge"
    sure = confirmation(
        f"Take all {count} incidents?",
        "Nobody else is paged for any of them until your ack runs out.",
        "Take all",
        "Back",
    )
    first = open_ones[0]
    every = button(title, ACK_ALL, lead.id, "primary", confirm=sure if count > 1 else None)
    return actions(f"{lead.id}.all", [every, _runbook(first), *_split(lead, open_ones)])


def _runbooks(lead: Page, acked: Sequence[Incident]) -> Block:
    """A button has to be one of a kind in its row, so only the worst has one; for the rest the command."""
    split = _split(lead, acked) if lead.kind is PageKind.CARD else []
    return actions(f"{acked[0].id}.books", [_runbook(acked[0]), *split])


def _runbook(incident: Incident) -> Block:
    return button(f"Runbook {incident.id}", RUNBOOK, f"{incident.id}|{incident.revision}")


def _split(lead: Page, incidents: Sequence[Incident]) -> list[Block]:
    return [overflow(MORE, [("Split one out…", f"split|{lead.id}|0")])] if len(incidents) > 1 else []


def _hint(first: Incident) -> str:
    return f"To take one: its Ack button, or `/agent ack {first.id}`. `/agent incidents` lists all of them."


def _text(lead: Page, ordered: Sequence[Incident], open_ones: Sequence[Incident], book: Book) -> str:
    """The push message."""
    if not open_ones:
        acked = any(incident.state is State.ACKED for incident in ordered)
        state = "🟨 Acknowledged" if acked else "🔇 Hidden" if _hidden(ordered) else "✅ Resolved"
        return f"{state}: all {len(ordered)} incidents."
    worst = open_ones[0]
    head = f"{_sign(worst)} {len(open_ones)} incidents ({_severities(open_ones)}), worst:"
    deadlines = [incident.next_at for incident in open_ones if incident.next_at is not None]
    person = book.people.get(lead.person or "")
    by = f" Ack by {wall(min(deadlines), person.timezone if person else 'UTC')}." if deadlines and person else ""
    room = TEXT_LIMIT - len(head) - len(by) - len(worst.id) - 3
    return f"{head} {mrk(subject_of(worst), max(room, 20))} {worst.id}.{by}"


def _severities(incidents: Sequence[Incident]) -> str:
    """`1 critical, 99 warnings`."""
    found = Counter(incident.severity for incident in incidents)
    words = {Severity.CRITICAL: ("critical", "critical"), Severity.WARNING: ("warning", "warnings")}
    told = []
    for severity, count in sorted(found.items(), key=lambda one: -SEVERITY_RANK[one[0]]):
        one, many = words.get(severity, (severity.value, severity.value))
        told.append(f"{count} {one if count == 1 else many}")
    return ", ".join(told)


def _agents(incidents: Iterable[Incident]) -> str:
    agents = {incident.agent for incident in incidents if incident.agent}
    return f" on {len(agents)} agent{'s' if len(agents) != 1 else ''}" if agents else ""


def _sign(incident: Incident) -> str:
    if incident.state is State.ACKED:
        return "🟨"
    return "✅" if incident.state is State.RESOLVED else _SIGNS[incident.severity]


def _more(count: int) -> str:
    return f" +{count}" if count > 0 else ""
