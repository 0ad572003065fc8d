"""One incident as a trace: the spans that its audit rows and its pages tell of. Pure.

    alert CostRunaway                      the root: from its first alert to the opening
    ├─ incident.fired                      each change of the incident: who, why, whom it wakes
    │  └─ page ana                         from when it was due to Slack's word
    │     ├─ send slack                    each attempt
    │     └─ incident.acked                from the page to the answer
    └─ incident                            from the opening to the end

A span is told of once, by the row that completes it, and its ids come from the rows: whoever reads them again, after a
crash or on another machine, tells the same. Names of attributes are OpenTelemetry's where it has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bot.audit.events import reason
from bot.audit.model import Entry
from bot.incidents import trace
from bot.incidents.model import Alert, Event, Incident
from bot.paging.attempt import Verdict
from bot.paging.model import CHART, Page, PageKind, PageState

Numbered = tuple[int, Entry]  # an audit row and its sequence
Value = str | int | float | bool | tuple[str, ...]

_LONGEST = 300  # characters of a reason
# These answer the page before them; the time in between is somebody's.
_ANSWERS = frozenset(
    f"incident.{event}"
    for event in (Event.ACKED, Event.SNOOZED, Event.TAKEN, Event.DECLINED, Event.HANDED, Event.ESCALATED)
)
_ENDS = frozenset({f"incident.{Event.CLEARED}", f"incident.{Event.RESOLVED}"})
_BEGINS_AGAIN = frozenset({f"incident.{Event.REOPENED}", f"incident.{Event.STILL_FIRING}"})
_PAGE, _SENT, _REFUSED = "page.", f"page.{Verdict.SENT}", f"page.{Verdict.REFUSED}"
_OTHERWISE = "page.otherwise"
_OPERATIONS = {"slack": "chat.postMessage", "email": "send", "webhook": "post"}


@dataclass(frozen=True)
class Link:
    trace: str
    span: str
    why: str


@dataclass(frozen=True)
class Span:
    """`parent` is empty for a root. `error` says why it failed, `error_type` in one word; both empty when it did not.
    `told_by` is the sequence of the row that completes it."""

    trace: str
    id: str
    parent: str
    name: str
    start: datetime
    end: datetime
    told_by: int
    kind: Literal["internal", "client"] = "internal"
    attributes: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    error_type: str = ""
    error: str = ""


def spans_of(
    incident: Incident, pages: Sequence[Page], rows: Sequence[Numbered], leads: Mapping[str, Incident] | None = None
) -> list[Span]:
    """Everything that can be told by now. `rows` are all audit rows about the incident and its pages in their order,
    `leads` other incidents whose pages lead a message that shows one of these, by the id of that page."""
    return list(_Story(incident, pages, rows, leads or {}).spans())


class _Story:
    def __init__(
        self, incident: Incident, pages: Sequence[Page], rows: Sequence[Numbered], leads: Mapping[str, Incident]
    ) -> None:
        self.incident = incident
        self.trace = trace.trace_of(incident)
        self.root = trace.root_span(self.trace)
        self.pages = {page.id: page for page in pages}
        self.leads = leads
        self.changes = [(number, row) for number, row in rows if not _is_attempt(row)]
        self.attempts = [(number, row) for number, row in rows if _is_attempt(row)]
        self.by_page: dict[str, list[Numbered]] = {}
        for number, row in self.attempts:
            self.by_page.setdefault(row.subject, []).append((number, row))
        self.ids = self._ids()

    def _ids(self) -> dict[int, str]:
        """The span of each change. A note changes no revision, so a second one is told apart by its row."""
        ids: dict[int, str] = {}
        taken: set[str] = set()
        for number, row in self.changes:
            span = trace.change_span(self.trace, _number(row.detail.get("revision")), row.action.partition(".")[2])
            if span in taken or "revision" not in row.detail:
                span = trace.other_span(self.trace, str(number))
            ids[number] = span
            taken.add(span)
        return ids

    def spans(self) -> Iterator[Span]:
        begun = self.incident.opened_at
        for number, row in self.changes:
            if row.at == self.incident.opened_at and "policy" in row.detail:
                yield from self._opening(number, row)
            yield self._change(number, row)
            if row.action in _BEGINS_AGAIN:
                begun = row.at
            elif row.action in _ENDS:
                yield self._whole(number, row, begun)
        for name, rows in self.by_page.items():
            yield from self._sending(name, rows)

    def _opening(self, number: int, row: Entry) -> Iterator[Span]:
        incident = self.incident
        early = sorted((one for one in incident.alerts if one.starts_at <= incident.opened_at), key=_age)
        links: tuple[Link, ...] = ()
        if (text := row.detail.get("evaluated_at")) and early:
            group, at = early[0].group, datetime.fromisoformat(text)
            other = trace.evaluation_trace(group, at, row.at)
            links = (Link(other, trace.root_span(other), "evaluation"),)
            about = {"agentpager.rule.group": group}
            yield Span(other, trace.root_span(other), "", "evaluate", at, max(at, row.at), number, attributes=about)
        attributes = self._about() | {
            "agentpager.alerts": tuple(dict.fromkeys(alert.name for alert in early)),
            "agentpager.incident.owner": incident.owner,
            "agentpager.policy": incident.policy_id,
        }
        name = f"alert {early[0].name}" if early else "alert"
        start = early[0].starts_at if early else incident.opened_at
        yield Span(self.trace, self.root, "", name, start, row.at, number, attributes=attributes, links=links)

    def _change(self, number: int, row: Entry) -> Span:
        start, parent = row.at, self.root
        if row.action in _ANSWERS and (asked := self._asked(number, row)) is not None:
            start = min(asked.at, row.at)
            if asked.subject in self.pages and row.actor == f"person:{asked.detail.get('person')}":
                parent = trace.page_span(self.trace, asked.subject)
        attributes = self._about() | {"agentpager.actor": row.actor, "agentpager.state": row.detail.get("state", "")}
        if why := reason(row):
            attributes["agentpager.why"] = why[:_LONGEST]
        for key in ("woken", "channels"):
            if names := row.detail.get(key):
                attributes[f"agentpager.{key}"] = tuple(names.split(","))
        return Span(self.trace, self.ids[number], parent, row.action, start, row.at, number, attributes=attributes)

    def _asked(self, number: int, row: Entry) -> Entry | None:
        """The page that this answers: the latest to whoever acts, else the latest to anybody."""
        before = [one for place, one in self.attempts if place < number and one.action == _SENT]
        before = [one for one in before if self._kind(one) is PageKind.PAGE]
        mine = [one for one in before if row.actor == f"person:{one.detail.get('person')}"]
        return next(reversed(mine or before), None)

    def _kind(self, row: Entry) -> PageKind | None:
        page = self.pages.get(row.subject)
        return page.kind if page is not None else None

    def _whole(self, number: int, row: Entry, begun: datetime) -> Span:
        incident = self.incident
        attributes = self._about() | {"agentpager.state": row.detail.get("state", ""), "agentpager.actor": row.actor}
        if incident.acked_by:
            attributes["agentpager.acked_by"] = incident.acked_by
        span = trace.other_span(self.trace, "incident", str(number))
        return Span(self.trace, span, self.root, "incident", begun, row.at, number, attributes=attributes)

    def _sending(self, name: str, rows: Sequence[Numbered]) -> Iterator[Span]:
        page = self.pages.get(name)
        if page is None:
            return
        seen: dict[int, datetime] = {}  # attempt → what was last heard of it
        for number, row in rows:
            attempt = _number(row.detail.get("attempt"))
            yield self._attempt(page, number, row, seen.get(attempt))
            seen[attempt] = row.at
        if (last := self._settled(page, rows)) is not None:
            yield self._page(page, rows, *last)

    def _attempt(self, page: Page, number: int, row: Entry, heard: datetime | None) -> Span:
        """A second row about the same attempt is of the search for a message whose outcome was unknown."""
        attempt, verdict = row.detail.get("attempt", ""), row.action.removeprefix(_PAGE)
        system = _system(page)
        claimed = row.detail.get("claimed_at")
        start = heard or (datetime.fromisoformat(claimed) if claimed else row.at)
        span = trace.send_span(self.trace, page.id, _number(attempt))
        name, operation = f"send {system}", _OPERATIONS[system]
        if heard is not None:
            span = trace.other_span(self.trace, "settle", str(number))
            name, operation = f"settle {system}", "settle"
        attributes: dict[str, Value] = self._about() | _of_page(page)
        attributes |= {
            "messaging.system": system,
            "messaging.operation.name": operation,
            "messaging.operation.type": "send" if heard is None else "settle",
            "agentpager.page.attempt": _number(attempt),
            "agentpager.verdict": verdict,
        }
        if system == "slack":
            attributes["messaging.destination.name"] = page.slack_channel or page.channel
        failed = verdict != Verdict.SENT
        if page.ts and not failed:
            attributes["messaging.message.id"] = page.ts
        links: tuple[Link, ...] = ()
        if page.lead not in {None, page.id} and (other := self.leads.get(page.lead or "")) is not None:
            shared = trace.trace_of(other)
            links = (Link(shared, trace.page_span(shared, page.lead or ""), "one message"),)
        return Span(
            self.trace, span, trace.page_span(self.trace, page.id), name, min(start, row.at), row.at, number, "client",
            attributes, links, verdict if failed else "", _short(row.why) if failed else "",
        )  # fmt: skip

    def _settled(self, page: Page, rows: Sequence[Numbered]) -> Numbered | None:
        """The row since which nothing more becomes of it; None while it is on its way."""
        for number, row in rows:
            if row.action in {_SENT, _REFUSED}:
                return number, row
        if page.state is not PageState.CANCELLED:
            return None
        last = rows[-1][0]
        return next(((number, row) for number, row in self.changes if number > last), None)

    def _page(self, page: Page, rows: Sequence[Numbered], number: int, row: Entry) -> Span:
        first = rows[0][1].detail.get("claimed_at")
        planned = page.planned_at or page.due_at
        start = min(planned, datetime.fromisoformat(first) if first else planned, row.at)
        attributes: dict[str, Value] = self._about() | _of_page(page)
        attributes |= {"agentpager.page.state": page.state.value, "agentpager.why": _short(page.reason)}
        refused = row.action == _REFUSED
        to = page.person or (page.channel if page.by_slack else _system(page))
        return Span(
            self.trace, trace.page_span(self.trace, page.id), self._decision(page), f"{page.kind} {to}", start, row.at,
            number, attributes=attributes, error_type="refused" if refused else "",
            error=_short(row.why) if refused else "",
        )  # fmt: skip

    def _decision(self, page: Page) -> str:
        """The change that asked for this page: the id of a page names the revision."""
        revision = page.id.removeprefix(f"{self.incident.id}.").partition(".")[0]
        for number, row in self.changes:
            if row.detail.get("revision") == revision:
                return self.ids[number]
        return self.root

    def _about(self) -> dict[str, Value]:
        incident = self.incident
        about: dict[str, Value] = {
            "agentpager.incident.id": incident.id,
            "agentpager.incident.severity": incident.severity.value,
        }
        if incident.agent:
            about["gen_ai.agent.id"] = incident.agent
        if incident.exercise:
            about["agentpager.exercise"] = incident.exercise
        return about


def _is_attempt(row: Entry) -> bool:
    return row.action.startswith(_PAGE) and row.action != _OTHERWISE


def _of_page(page: Page) -> dict[str, Value]:
    about: dict[str, Value] = {
        "agentpager.page.id": page.id,
        "agentpager.page.kind": page.kind.value,
        "agentpager.page.level": page.step + 1,
    }
    return about | ({"agentpager.person": page.person} if page.person else {})


def _system(page: Page) -> str:
    kind, colon, _ = page.channel.removeprefix(CHART).partition(":")
    return kind if colon and kind in _OPERATIONS else "slack"


def _short(why: str) -> str:
    return why.partition("\n")[0][:_LONGEST]


def _age(alert: Alert) -> tuple[datetime, str]:
    return alert.starts_at, alert.name


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
