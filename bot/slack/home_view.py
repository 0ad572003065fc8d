"""The home tab: what concerns one person, never empty. Pure: rows in, view out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.incidents.model import Incident, State
from bot.incidents.silences import Silence
from bot.oncall.changes import RotaChange
from bot.oncall.duty import on_duty
from bot.oncall.model import Book, Person
from bot.oncall.stints import stints
from bot.ports import AgentStatus
from bot.slack import silence_words
from bot.slack.answers import HEALTH, incident_row, override_row
from bot.slack.kit import Block, actions, button, context, header, section
from bot.slack.scopes import OPTIONAL, REQUIRED, lost_without
from bot.slack.text import link, moment, mrk, wall

ACK, UNSILENCE, UNOVERRIDE, REFRESH = "home.ack", "home.unsilence", "home.unoverride", "home.refresh"
TEST = "duty.test"
_LISTED = 10
_AHEAD = timedelta(days=35)
_SHOWN_TITLE = 150


@dataclass(frozen=True)
class Shift:
    """One turn of a person: now when `start` is None; `until` is None where no end is in sight."""

    schedule: str
    start: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Facts:
    """Everything that the tab of one person shows. `note` says what became of a click in it."""

    person: Person
    shifts: tuple[Shift, ...] = ()
    pause: tuple[datetime, datetime] | None = None
    mine: tuple[Incident, ...] = ()
    teams: tuple[Incident, ...] = ()
    agents: tuple[AgentStatus, ...] = ()
    silences: tuple[Silence, ...] = ()
    changes: tuple[RotaChange, ...] = ()
    scopes: tuple[str, ...] = ()
    external_url: str = ""
    note: str = ""
    book: Book | None = field(default=None, compare=False)


def shifts_of(person: str, book: Book, now: datetime) -> tuple[Shift, ...]:
    """What they have now, and the next of each schedule. Walks every schedule: some milliseconds each."""
    found: list[Shift] = []
    for schedule in book.schedules.values():
        duty = on_duty(schedule, now, book.almanac)
        if person in duty.people:
            found.append(Shift(schedule.id, None, duty.until))
        coming = [one for one in stints(schedule, book.almanac, now, now + _AHEAD) if one.person == person]
        found += [Shift(schedule.id, one.start, one.until) for one in coming[:1]]
    return tuple(sorted(found, key=lambda shift: (shift.start is not None, shift.start or now, shift.schedule)))


def draw(facts: Facts, now: datetime) -> dict[str, Any]:
    book = facts.book
    assert book is not None
    blocks: list[Block] = []
    if facts.note:
        blocks.append(section(f"👉 {mrk(facts.note, 500, lines=True)}"))
    blocks += _you(facts, now)
    blocks += _incidents("Your incidents", facts.mine, "None is yours, and none waits for you.", book, now, acks=True)
    if facts.teams:
        blocks += _incidents("Open in your teams", facts.teams, "", book, now, acks=False)
    blocks += _agents(facts)
    blocks += _silences(facts, book, now)
    blocks += _changes(facts, book, now)
    blocks += _missing(facts.scopes)
    return _view([*blocks, *_end(facts, now)])


def newcomer(user: str, why: str, now: datetime) -> dict[str, Any]:
    """For somebody whom the on-call files do not know, or who may not act: what to do about it."""
    steps = (
        "1. Ask whoever keeps agentpager's on-call files for an entry under `people`.",
        f"2. Tell them your member id: `{mrk(user, 40)}`.",
        "3. Open this tab again: it then shows your shifts and incidents, and lets you test your page.",
    )
    said = mrk(why or "agentpager does not know you yet.", 400)
    return _view(
        [header("👋 agentpager wakes the owners of AI agents"), section(said, *steps), _refresh(), _drawn(now)]
    )


def failed(note: str, now: datetime) -> dict[str, Any]:
    """Something failed inside agentpager; what a click has done is told all the same."""
    said = "This tab could not be drawn: something failed inside agentpager. `/agent status` and your pages still work."
    told = [section(f"👉 {mrk(note, 500, lines=True)}")] if note else []
    return _view([*told, section(said), _refresh(), _drawn(now)])


def _you(facts: Facts, now: datetime) -> list[Block]:
    current = [shift for shift in facts.shifts if shift.start is None]
    coming = [shift for shift in facts.shifts if shift.start is not None]
    lines = [
        f"📟 *On call in {mrk(one.schedule, 80)}*" + (f" until {moment(one.until, now)}" if one.until else "")
        for one in current
    ]
    lines += [
        f"Next: *{mrk(one.schedule, 80)}* from {moment(one.start, now)}"
        + (f" until {moment(one.until, now)}" if one.until else "")
        for one in coming[:3]
        if one.start is not None
    ]
    if not lines:
        lines = [f"You are not on call, and have no shift in the {_AHEAD.days} days ahead."]
    if facts.pause is not None:
        start, end = (wall(at, facts.person.timezone) for at in facts.pause)
        lines.append(f"⚠️ Your Slack notifications pause from {start} until {end}: a page makes no sound then.")
    test = button("Test my page", TEST, facts.person.id)
    return [header(f"{facts.person.name}"), section(*lines), actions("home.you", [test, _refresh_button()])]


def _incidents(
    title: str, rows: Sequence[Incident], empty: str, book: Book, now: datetime, *, acks: bool
) -> list[Block]:
    blocks = [header(title)]
    if not rows:
        return [*blocks, section(empty)]
    for row in rows[:_LISTED]:
        block = section(incident_row(row, book, now))
        if acks and row.state is State.OPEN:
            value = f"{row.id}|{row.revision}"
            block |= {"accessory": button("Acknowledge", ACK, value, "primary")}
        blocks.append(block)
    return [*blocks, *_more(rows)]


def _agents(facts: Facts) -> list[Block]:
    """Those that are not well, the worst first."""
    bad = [row for row in facts.agents if row.health != "ok"]
    if not facts.agents:
        return [header("Agents"), section("No agents are known yet: none is registered and none is scraped.")]
    if not bad:
        return [header("Agents"), section(f"🟢 All {len(facts.agents)} agents are well.")]
    lines = [
        f"{HEALTH[row.health]} *{mrk(row.title or row.agent, 80)}* {mrk(row.health, 20)} · {mrk(row.owner, 80)}"
        for row in bad[:_LISTED]
    ]
    more = [f"+{len(bad) - _LISTED} more"] if len(bad) > _LISTED else []
    return [header(f"{len(bad)} of {len(facts.agents)} agents are not well"), section(*lines, *more)]


def _silences(facts: Facts, book: Book, now: datetime) -> list[Block]:
    if not facts.silences:
        return []
    names = silence_words.names_of(book)
    blocks = [header("Your silences")]
    for row in facts.silences[:_LISTED]:
        shown = section(silence_words.line(row, names, now))
        blocks.append(shown | {"accessory": button("End it", UNSILENCE, row.id)})
    return [*blocks, *_more(facts.silences)]


def _changes(facts: Facts, book: Book, now: datetime) -> list[Block]:
    if not facts.changes:
        return []
    blocks = [header("Overrides and swaps")]
    for row in facts.changes[:_LISTED]:
        shown = section(override_row(row, book, now))
        blocks.append(shown | {"accessory": button("Take it back", UNOVERRIDE, row.id)})
    return [*blocks, *_more(facts.changes)]


def _missing(scopes: Sequence[str]) -> list[Block]:
    """What the app may not do. Slack says with each answer what it may; without that nothing is claimed."""
    if not scopes:
        return []
    lines = [
        f"⚠️ The app lacks the scope `{scope}`: {mrk(lost_without(scope), 300)}."
        for scope in REQUIRED
        if scope not in scopes
    ]
    optional = [scope for scope in OPTIONAL if scope not in scopes]
    if optional:
        lines.append(f"Not switched on: {mrk(', '.join(optional), 200)}.")
    return [context(*lines)] if lines else []


def _end(facts: Facts, now: datetime) -> list[Block]:
    words = "`/agent override payments @ben 4h` puts somebody on call, `/agent swap …` trades turns; see `/agent help`"
    url = facts.external_url.rstrip("/")
    web = [link(f"{url}/-/ready", "How this server is", 600)] if url else []
    return [context(words, *web), _drawn(now)]


def _more(rows: Sequence[object]) -> list[Block]:
    return [context(f"+{len(rows) - _LISTED} more")] if len(rows) > _LISTED else []


def _refresh() -> Block:
    return actions("home.refresh", [_refresh_button()])


def _refresh_button() -> Block:
    return button("Refresh", REFRESH, "home")


def _drawn(now: datetime) -> Block:
    return context(f"As of {moment(now, now)}")


def _view(blocks: Sequence[Block]) -> dict[str, Any]:
    return {"type": "home", "blocks": list(blocks[:100])}
