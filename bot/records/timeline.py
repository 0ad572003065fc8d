"""The story of one incident: who did what, when, why, and through which channel, from its audit rows and its pages.

Every line comes from a row that was written when it happened; nothing is guessed from the state of today, but for what
is still on its way. Everything is plain text without control characters: it may end in a terminal or in a file.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime

from bot.audit.model import Entry
from bot.incidents.model import Alert, AlertState, Incident, Note, State
from bot.incidents.promises import hidden_for, lasted, standings
from bot.oncall.model import Book
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind, PageState
from bot.schema import Model, format_duration

_WORDS = {
    "incident.fired": "alerts changed",
    "incident.worsened": "got worse",
    "incident.escalated": "escalated",
    "incident.declined": "passed on",
    "incident.acked": "acknowledged",
    "incident.released": "released",
    "incident.ack_asked": "asked whether it is still in good hands",
    "incident.ack_expired": "the ack ran out",
    "incident.cleared": "every alert ended",
    "incident.resolved": "resolved by hand",
    "incident.still_firing": "opened again: its alerts go on",
    "incident.reopened": "opened again",
    "incident.suppressed": "suppressed",
    "incident.unsuppressed": "no longer suppressed",
    "incident.snoozed": "snoozed",
    "incident.snooze_ended": "the snooze ended",
    "incident.taken": "taken over",
    "incident.handed": "handed over",
    "incident.noted": "note",
    "incident.marked": "marked",
    "incident.stepped": "runbook step",
    "incident.split": "a message of its own",
    "incident.reported": "the runbook is wrong or lacks something",
    "action.asked": "action asked for",
    "action.approved": "action agreed to",
    "action.refused": "action refused",
    "action.expired": "action not sent",
    "action.delayed": "action to be sent again",
    "action.done": "action carried out",
    "action.failed": "action failed",
    "drill.passed": "drill passed",
    "drill.failed": "drill not passed",
    "sla.breached": "promise not kept",
}
_KINDS = {
    PageKind.PAGE: "page",
    PageKind.CARD: "card",
    PageKind.RUNBOOK: "runbook",
    PageKind.ESCALATED: "escalation line",
    PageKind.REMINDER: "reminder",
    PageKind.RESOLVED: "closing line",
    PageKind.NEWS: "line about more alerts",
    PageKind.NOTICE: "notice",
    PageKind.CHART: "chart",
    PageKind.TASK: "task",
    PageKind.APPROVAL: "message about an action",
    PageKind.SHIFT: "word about the shift",
    PageKind.HANDOVER: "hand-over",
    PageKind.DIGEST: "digest",
    PageKind.STATUS: "state",
}
_OUTCOMES = {
    Verdict.SENT: "sent",
    Verdict.TOLD_TO_WAIT: "not taken yet, told to wait",
    Verdict.RETRY: "not sent, tried again",
    Verdict.CLIENT_REFUSED: "refused: the bot itself is",
    Verdict.REFUSED: "refused for good",
    Verdict.UNKNOWN: "outcome unknown, looked for later",
    Verdict.NOT_LANDED: "had not arrived, sent again",
    Verdict.ASSUMED_LOST: "cannot be looked for, sent again",
}
_OTHERWISE = "page.otherwise"
FOUND = "found: it had arrived"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


class Moment(Model):
    """One line. `what` is the action of the audit row, `text` says it in words. `through` is how a message went."""

    at: AwareDatetime
    who: str
    what: str
    text: str
    why: str = ""
    woken: tuple[str, ...] = ()
    through: str = ""
    page: str = ""
    attempt: int = 0


class Delivery(Model):
    """One message and how far it came. `merged_into` is the message that showed this one too."""

    id: str
    kind: PageKind
    to: str
    through: str
    state: PageState
    attempts: int
    due_at: AwareDatetime
    sent_at: AwareDatetime | None
    merged_into: str | None = None
    error: str = ""


class Told(Model):
    """One alert of the incident."""

    name: str
    state: AlertState
    severity: str
    labels: dict[str, str]
    summary: str
    value: float | None
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None
    suppressed: tuple[str, ...]


class Promised(Model):
    """One promise of the SLA. `due_at` is None while the incident is suppressed."""

    what: Literal["ack", "resolve"]
    promised_seconds: float
    took_seconds: float | None
    due_at: AwareDatetime | None
    state: Literal["running", "kept", "broken"]


class Written(Model):
    """One note."""

    at: AwareDatetime
    by: str
    text: str


class Story(Model):
    """Everything that is told of one incident. People are named as the book names them now."""

    id: str
    told_at: AwareDatetime
    state: State
    severity: str
    agent: str | None
    title: str
    owner: str
    owner_why: str
    policy: str
    opened_at: AwareDatetime
    resolved_at: AwareDatetime | None
    how_resolved: str
    acked_by: str | None
    resolved_by: str | None
    snoozed_until: AwareDatetime | None
    suppressed: tuple[str, ...]
    mark: str
    marked_by: str | None
    answered_after_seconds: float | None
    answered_by: str | None
    lasted_seconds: float
    suppressed_seconds: float
    reopened: int
    sla: tuple[Promised, ...]
    alerts: tuple[Told, ...]
    notes: tuple[Written, ...]
    timeline: tuple[Moment, ...]
    pages: tuple[Delivery, ...]


def story(incident: Incident, entries: Iterable[Entry], pages: Sequence[Page], book: Book, now: datetime) -> Story:
    """`entries` are the audit rows about the incident and its pages, in the order in which they were written."""
    names = Names(book)
    answered = incident.answered_after
    return Story(
        id=incident.id,
        told_at=now,
        state=incident.state,
        severity=incident.severity.value,
        agent=plain(incident.agent) if incident.agent else None,
        title=plain(incident.title),
        owner=plain(incident.owner),
        owner_why=plain(incident.owner_why),
        policy=incident.policy_id,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        how_resolved=incident.how_resolved,
        acked_by=names.of(incident.acked_by) if incident.acked_by else None,
        resolved_by=names.of(incident.resolved_by) if incident.resolved_by else None,
        snoozed_until=incident.snoozed_until,
        suppressed=tuple(plain(one.why) for one in incident.suppressed),
        mark=incident.mark,
        marked_by=names.of(incident.marked_by) if incident.marked_by else None,
        answered_after_seconds=answered.total_seconds() if answered is not None else None,
        answered_by=names.of(incident.answered_by) if incident.answered_by else None,
        lasted_seconds=lasted(incident, now).total_seconds(),
        suppressed_seconds=hidden_for(incident, now).total_seconds(),
        reopened=len(incident.reopened),
        sla=tuple(promised(incident, now)),
        alerts=tuple(_told(alert) for alert in incident.alerts),
        notes=tuple(_written(note, names) for note in incident.notes),
        timeline=tuple(_moments(entries, {page.id: page for page in pages}, names)),
        pages=tuple(_delivery(page, names) for page in sorted(pages, key=lambda page: (page.due_at, page.id))),
    )


def _written(note: Note, names: Names) -> Written:
    return Written(at=note.at, by=names.of(note.by), text=plain(note.text, lines=True))


def promised(incident: Incident, now: datetime) -> list[Promised]:
    return [
        Promised(
            what=one.what,
            promised_seconds=one.promised.total_seconds(),
            took_seconds=one.took.total_seconds() if one.took is not None else None,
            due_at=one.due_at,
            state=one.state,
        )
        for one in standings(incident, now)
    ]


class Names:
    """What people are called."""

    def __init__(self, book: Book) -> None:
        self._people = book.people

    def of(self, actor: str) -> str:
        """Of `person:ana`, `ana`, `cli:root` or `agentpager`."""
        person = self._people.get(actor.removeprefix("person:"))
        return plain(person.name if person is not None else actor)

    def addressee(self, page: Page) -> str:
        return self.of(page.person) if page.person else plain(page.channel)


def plain(text: str, *, lines: bool = False) -> str:
    """Without control, bidirectional and zero-width characters; on one line unless `lines`."""
    kept = "".join(one if one == "\n" or unicodedata.category(one) not in _INVISIBLE else " " for one in text)
    return kept.strip() if lines else " ".join(kept.split())


def through(channel: str) -> str:
    """The way to `channel`, in words."""
    kind, colon, rest = channel.partition(":")
    if colon and kind == "email":
        return f"e-mail {plain(rest)}"
    if colon and kind == "webhook":
        return f"webhook {plain(rest)}"
    if colon and kind == "receiver":
        return f"receiver {plain(rest)}"
    return "Slack direct message" if channel[:1] in {"U", "W", "D"} else f"Slack {plain(channel)}"


def _told(alert: Alert) -> Told:
    return Told(
        name=plain(alert.name),
        state=alert.state,
        severity=alert.severity.value,
        labels={plain(name): plain(value) for name, value in alert.labels.items()},
        summary=plain(alert.annotations.get("summary", "")),
        value=alert.value if math.isfinite(alert.value) else None,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        suppressed=tuple(plain(one.why) for one in alert.suppressed),
    )


def _delivery(page: Page, names: Names) -> Delivery:
    return Delivery(
        id=page.id,
        kind=page.kind,
        to=names.addressee(page),
        through=through(page.channel),
        state=page.state,
        attempts=page.attempt,
        due_at=page.due_at,
        sent_at=page.sent_at,
        merged_into=page.lead if page.lead != page.id else None,
        error=plain(page.error),
    )


def _moments(entries: Iterable[Entry], pages: Mapping[str, Page], names: Names) -> Iterable[Moment]:
    unknown: dict[str, str] = {}  # page → the attempt whose outcome is not known
    first = True
    for entry in entries:
        if entry.action.startswith("page."):
            yield _attempt(entry, pages.get(entry.subject), names, unknown)
        else:
            yield _change(entry, names, opened=first and entry.action == "incident.fired")
            first = False


def _change(entry: Entry, names: Names, *, opened: bool) -> Moment:
    people = [name for name in entry.detail.get("woken", "").split(",") if name]
    channels = [name for name in entry.detail.get("channels", "").split(",") if name]
    text = "opened" if opened else _WORDS.get(entry.action) or _unknown(entry.action)
    why = plain(entry.why, lines=entry.action == "incident.noted")
    if entry.action == "incident.stepped" and why:  # the reason is the whole sentence: `step 3 · Rotate: done`
        text, why = why, ""
    return Moment(
        at=entry.at,
        who=names.of(entry.actor),
        what=entry.action,
        text=text,
        why=why,
        woken=(*map(names.of, people), *(through(name) for name in channels)),
    )


def _attempt(entry: Entry, page: Page | None, names: Names, unknown: dict[str, str]) -> Moment:
    """A message found after its outcome was unknown is told as found: nothing was sent a second time."""
    verdict, attempt = entry.action.removeprefix("page."), entry.detail.get("attempt", "")
    outcome = _OUTCOMES.get(Verdict(verdict)) if verdict in set(Verdict) else None
    if verdict == Verdict.UNKNOWN:
        unknown[entry.subject] = attempt
    elif verdict == Verdict.SENT and unknown.pop(entry.subject, None) == attempt:
        outcome = FOUND
    elif entry.action == _OTHERWISE:
        outcome = "goes another way, for Slack fails"
    to = names.of(entry.detail["person"]) if "person" in entry.detail else plain(entry.detail.get("channel", ""))
    kind = _KINDS.get(page.kind, page.kind.value) if page is not None else "message"
    return Moment(
        at=entry.at,
        who=names.of(entry.actor),
        what=entry.action,
        text=f"{kind} to {to}: {outcome or _unknown(entry.action)}",
        why=_joined(page) if verdict == Verdict.SENT else plain(entry.why),
        through=through(entry.detail.get("channel", "")),
        page=entry.subject,
        attempt=int(attempt) if attempt.isdecimal() else 0,
    )


def _joined(page: Page | None) -> str:
    """Of a page that another one's message shows too: whose."""
    if page is None or page.lead in {None, page.id}:
        return ""
    return f"in one message with {(page.lead or '').partition('.')[0]}"


def _unknown(action: str) -> str:
    """Words for an action that this page has none for yet."""
    return plain(action.rpartition(".")[2].replace("_", " "))


def promise_words(one: Promised) -> str:
    """`ack promised within 15m: kept, 4m`."""
    spoken = span(one.promised_seconds)
    if one.state == "running":
        due = f", due {one.due_at:%H:%M} UTC" if one.due_at else ", its clock stands still"
        return f"{one.what} promised within {spoken}: running{due}"
    took = f", took {span(one.took_seconds)}" if one.took_seconds is not None else ""
    return f"{one.what} promised within {spoken}: {one.state}{took}"


def span(seconds: float) -> str:
    """To the second: `4m5s`, `2h`."""
    return format_duration(timedelta(seconds=round(seconds)))
