"""Hand-overs of shifts, and digests of the day and the week: what the next person has to know. Pure; posts nothing.

As text a digest has its title on the first line, then its figures, then its sections; slack/duty_blocks.py reads that
again. Nothing that came from data holds a line break, so no label can begin a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from bot.agents.budget import Budget
from bot.agents.cost import Spending
from bot.agents.model import Agent
from bot.audit.chain import Head
from bot.forecast.coverage import Gap
from bot.forecast.spans import length
from bot.incidents.model import Incident, State
from bot.incidents.promises import lasted, standings
from bot.incidents.silences import Silence
from bot.oncall.almanac import Almanac, Shift
from bot.oncall.duty import shifts
from bot.oncall.model import Book, Schedule
from bot.oncall.turns import Every, turns
from bot.records import accounts, markdown
from bot.records.mending import busiest, busy_words, fix_first
from bot.records.report import Case, report
from bot.records.tables import counted
from bot.records.timeline import Names, plain, span
from bot.records.usage import Usage, complaints
from bot.schema import Model

LISTED = 8  # lines of one section
FIGURE, ITEM = "▪ ", "• "  # what lines of the text begin with; headings begin with neither
_LOOK_BACK = timedelta(days=40)  # a monthly turn and more
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
_NOTE = ".note."
_LONGEST = 9000  # characters of a message; Slack takes some 13,000 in all its blocks


class Figure(Model):
    """One number in words, and what it counts."""

    name: str
    value: str


class Section(Model):
    heading: str
    lines: tuple[str, ...]


class Digest(Model):
    title: str
    figures: tuple[Figure, ...] = ()
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Handover:
    """`at` is when `after` took over from `before`, who had had it since `since`."""

    at: datetime
    since: datetime
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Present:
    """How things stand at `now`."""

    now: datetime
    unresolved: Sequence[Incident]
    silences: Sequence[Silence]
    gaps: Sequence[Gap] = ()
    head: Head | None = None
    agents: Mapping[str, Agent] = field(default_factory=dict)
    budgets: Sequence[Budget] = ()
    spending: Sequence[Spending] = ()


@dataclass(frozen=True)
class Shelf:
    """How the runbooks fare: in the time that is told of, and over a longer one."""

    lately: Sequence[Usage] = ()
    known: Sequence[Usage] = ()


def last_handover(schedule: Schedule, almanac: Almanac, now: datetime) -> Handover | None:
    """The latest change from somebody to somebody else. A gap in between belongs to whoever had it before."""
    stretches: list[Shift] = []
    for shift in shifts(schedule, now - _LOOK_BACK, now + timedelta(microseconds=1), almanac):
        if shift.people and (not stretches or stretches[-1].people != shift.people):
            stretches.append(shift)
    if len(stretches) < 2:
        return None
    before, after = stretches[-2:]
    return Handover(after.start, before.start, before.people, after.people)


def weekly_due(when: str, zone: str, now: datetime) -> datetime:
    """The latest `Mon 09:00` of that zone that has come."""
    return _last_turn(_WEEK, when, zone, now)


def daily_due(when: str, zone: str, now: datetime) -> datetime:
    """The latest `09:00` of that zone that has come."""
    return _last_turn(_DAY, when, zone, now)


def _last_turn(every: timedelta, when: str, zone: str, now: datetime) -> datetime:
    rota = turns(Every(every), when, date(2020, 1, 1), zone)
    return rota.end(rota.at(now) - 1)


def concerns(incident: Incident, schedule: str) -> bool:
    """Whether its policy wakes whoever has that schedule."""
    return any(f"schedule:{schedule}" in step.notify for step in incident.policy.steps)


def channel_of(schedule: str, book: Book) -> str | None:
    """The channel of the team whose policy wakes the schedule, if there is one."""
    for team in book.teams.values():
        policy = book.escalation_policies.get(team.escalation or team.id)
        if team.channel and policy and any(f"schedule:{schedule}" in step.notify for step in policy.steps):
            return team.channel
    return None


def handover(
    schedule: str, change: Handover, state: Present, cases: Sequence[Case], book: Book, shelf: Shelf | None = None
) -> Digest:
    """`cases` are the incidents of the shift that ends; of the open ones those that the schedule is woken for."""
    names = Names(book)
    before, after = (", ".join(names.of(person) for person in people) for people in (change.before, change.after))
    mine = [incident for incident in state.unresolved if concerns(incident, schedule)]
    told = report(cases, change.since, change.at, "rule")
    concerned = {one.agent for one in cases}
    agents = {name: agent for name, agent in state.agents.items() if name in concerned}
    sections = (
        Section(heading="Open now", lines=tuple(open_lines(mine, names, state.now)) or ("nothing",)),
        *hidden(state, names),
        *_fix_first(cases, shelf or Shelf(), agents, book),
        *_too_many(cases, names),
        *_past(told, names),
        *_ahead(state),
    )
    lasted_from = Figure(name="The shift began", value=moment(change.since))
    title = f"Hand-over of {schedule}: {before} to {after}"
    return Digest(title=title, figures=(lasted_from, *_figures(told)), sections=sections)


def weekly(
    start: datetime, end: datetime, state: Present, cases: Sequence[Case], book: Book, shelf: Shelf | None = None
) -> Digest:
    shelf = shelf or Shelf()
    runbooks = complaints(shelf.lately, shelf.known)
    told = Section(heading="Runbooks", lines=tuple(some(runbooks)))
    return _of_all(f"The week until {moment(end)}", start, end, state, cases, book, shelf, [told] if runbooks else [])


def daily(
    start: datetime, end: datetime, state: Present, cases: Sequence[Case], book: Book, shelf: Shelf | None = None
) -> Digest:
    return _of_all(f"The day until {moment(end)}", start, end, state, cases, book, shelf or Shelf(), ())


def _of_all(
    title: str,
    start: datetime,
    end: datetime,
    state: Present,
    cases: Sequence[Case],
    book: Book,
    shelf: Shelf,
    more: Iterable[Section],
) -> Digest:
    names = Names(book)
    told = report(cases, start, end, "rule")
    sections = (
        *_fix_first(cases, shelf, state.agents, book),
        Section(heading="Open now", lines=tuple(open_lines(state.unresolved, names, state.now)) or ("nothing",)),
        *_accounts(state),
        *more,
        *hidden(state, names),
        *_too_many(cases, names),
        *_past(told, names),
        *_ahead(state),
    )
    return Digest(title=title, figures=tuple(_figures(told)), sections=sections)


def as_text(digest: Digest, longest: int = _LONGEST) -> str:
    """At most `longest` characters, cut at the end of a line."""
    lines = [digest.title, *(f"{FIGURE}{one.name}: {one.value}" for one in digest.figures)]
    for section in digest.sections:
        lines += [section.heading, *(f"{ITEM}{line}" for line in section.lines)]
    text = "\n".join(lines)
    return text if len(text) <= longest else text[: text.rindex("\n", 0, longest - 2)] + "\n…"


def _figures(told: Mapping[str, Any]) -> Iterator[Figure]:
    """The same numbers as in a report, the ones that say how the nights were first."""
    total = told["total"]
    yield Figure(name="Pages", value=f"{total['pages']}, {total['night_pages']} at night" if total["pages"] else "none")
    if total["woke"]:
        yield Figure(name="Ack p50 / p95", value=_spread(total["ack_seconds"]))
        marked = f"{total['noise']} of {total['marked']} judged" if total["marked"] else "nobody has judged"
        yield Figure(name="Noise", value=marked)
        untaken = f"{total['unattended']}, ended by themselves" if total["unattended"] else "none"
        yield Figure(name="Nobody took", value=untaken)
    quiet = f", {total['suppressed']} suppressed" if total["suppressed"] else ""
    yield Figure(name="Incidents", value=f"{total['incidents']}, {total['woke']} woke somebody{quiet}")
    if total["escalated"]:
        yield Figure(name="Past the first level", value=f"{total['escalated']} of {total['woke']}")
    broken = total["sla"]["ack_breached"] + total["sla"]["resolve_breached"]
    if total["sla"]["promised"]:
        kept = f"{broken} broken" if broken else "all kept"
        yield Figure(name="Promises", value=f"{kept}, {counted(total['sla']['promised'], 'incident')}")


def _spread(seconds: Mapping[str, float] | None) -> str:
    return f"{span(seconds['median'])} / {span(seconds['p95'])}" if seconds else "no acks"


def _fix_first(cases: Sequence[Case], shelf: Shelf, agents: Mapping[str, Agent], book: Book) -> Iterator[Section]:
    if lines := fix_first(cases, shelf.known, shelf.lately, agents, book):
        yield Section(heading="Fix these first", lines=tuple(lines))


def _too_many(cases: Sequence[Case], names: Names) -> Iterator[Section]:
    if busy := busiest(cases):
        yield Section(heading="Too many pages", lines=tuple(some([busy_words(one, names) for one in busy], 5)))


def _accounts(state: Present) -> Iterator[Section]:
    """Error budgets, the scarcest first, and money, the dearest first."""
    if lines := accounts.scarce(state.budgets):
        yield Section(heading="Error budgets", lines=tuple(some(lines)))
    spent = sorted((one for one in state.spending if one.week is not None), key=lambda one: -(one.week or 0.0))
    if spent:
        yield Section(heading="Cost", lines=tuple(some([accounts.week_row(one) for one in spent])))


def open_lines(incidents: Iterable[Incident], names: Names, now: datetime) -> Iterator[str]:
    """Those that nobody has first, then the longest going on."""
    ordered = sorted(incidents, key=lambda one: (one.state is not State.OPEN, one.opened_at))
    yield from some([_line(incident, names, now) for incident in ordered])


def _line(incident: Incident, names: Names, now: datetime) -> str:
    agent = f"{plain(incident.agent)}: " if incident.agent and incident.agent not in incident.title else ""
    broken = [one.what for one in standings(incident, now) if one.broken]
    promise = f"; promise for the {' and the '.join(broken)} not kept" if broken else ""
    exercise = f" ({incident.exercise})" if incident.exercise else ""
    head = f"{incident.id} {incident.severity}{exercise} {agent}{plain(incident.title)}"
    return f"{head}, {_holder(incident, names)}, open for {span(lasted(incident, now).total_seconds())}{promise}"


def _holder(incident: Incident, names: Names) -> str:
    if incident.suppressed:
        return plain(incident.suppressed[0].why)
    if incident.state is State.OPEN or incident.acked_by is None:
        return "nobody has it"
    until = f", snoozed until {moment(incident.snoozed_until)}" if incident.snoozed_until else ""
    return f"{names.of(incident.acked_by)} has it{until}"


def hidden(state: Present, names: Names) -> Iterator[Section]:
    active = [one for one in state.silences if one.active(state.now)]
    coming = [one for one in state.silences if one.pending(state.now)]
    told = [f"{one.id} until {moment(one.ends_at)}: {_silence(one, names)}" for one in active]
    told += [f"{one.id} from {moment(one.starts_at)}: {_silence(one, names)}" for one in coming]
    if told:
        yield Section(heading="Silenced", lines=tuple(some(told)))


def _silence(silence: Silence, names: Names) -> str:
    return f"{plain(' '.join(silence.matchers))}, {names.of(silence.created_by)}: {plain(silence.reason)}"


def _past(told: Mapping[str, Any], names: Names) -> Iterator[Section]:
    noisy = [_rule(row) for row in told["rows"] if row["pages"]]
    if noisy:
        yield Section(heading="Rules that woke most", lines=tuple(some(noisy, 5)))
    woken = [_person(row, names) for row in told["people"]]
    if woken:
        yield Section(heading="Who was woken", lines=tuple(some(woken)))


def _rule(row: Mapping[str, Any]) -> str:
    noise = f", {row['noise']} of {row['marked']} marked as noise" if row["marked"] else ""
    return f"{row['rule']}: {counted(row['pages'], 'page')}, {row['night_pages']} at night{noise}"


def _person(row: Mapping[str, Any], names: Names) -> str:
    woken = f"{counted(row['pages'], 'page')}, {row['night_pages']} at night"
    return f"{names.of(row['person'])}: {woken}, {counted(row['acks'], 'ack')}"


def _ahead(state: Present) -> Iterator[Section]:
    if state.gaps:
        yield Section(
            heading="Nobody but the fallback, in the week ahead", lines=tuple(some(list(map(_gap, state.gaps))))
        )
    if state.head is not None:
        yield Section(heading="Audit log", lines=(f"head {state.head}",))


def _gap(gap: Gap) -> str:
    start, end = gap.spans[0]
    more = f" and {len(gap.spans) - 1} more times" if len(gap.spans) > 1 else ""
    hours = length(gap.spans).total_seconds() / 3600
    agents = ", ".join(gap.agents[:3]) + (f" and {len(gap.agents) - 3} more" if len(gap.agents) > 3 else "")
    return f"{gap.id}: {moment(start)} to {moment(end)}{more}, {hours:.4g} h in all ({agents or 'everybody'})"


def some(lines: list[str], most: int = LISTED) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"and {len(lines) - most} more"]


def moment(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M} UTC"


def note_id(handover_id: str, key: str) -> str:
    """Of the message with one person's notes on a hand-over."""
    return f"{handover_id}{_NOTE}{key}"


def is_note(page_id: str) -> bool:
    return _NOTE in page_id


def as_markdown(digest: Digest) -> str:
    lines = [f"# {markdown.text(digest.title)}"]
    if digest.figures:
        lines += ["", *(f"- {markdown.text(f'{one.name}: {one.value}')}" for one in digest.figures)]
    for section in digest.sections:
        lines += [
            "",
            f"## {markdown.text(section.heading)}",
            "",
            *(f"- {markdown.text(line)}" for line in section.lines),
        ]
    return "\n".join(lines) + "\n"
