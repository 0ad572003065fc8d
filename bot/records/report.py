"""Numbers over the incidents of a time: how soon they were taken and ended, whom they woke, how often for nothing.

docs/reports.md says what each number counts. An incident belongs to the time in which it opened, with all its pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from typing_extensions import TypedDict

from bot.forecast.nights import is_night
from bot.incidents.model import Incident, State
from bot.incidents.promises import lasted
from bot.oncall.model import Book
from bot.paging.model import Page, PageKind, PageState
from bot.records.timeline import plain

By = Literal["agent", "rule", "person", "team"]
BYS: tuple[By, ...] = ("agent", "rule", "person", "team")


@dataclass(frozen=True)
class Woke:
    """One message that woke one person."""

    person: str
    at: datetime
    night: bool


@dataclass(frozen=True)
class Case:
    """What reports count of one incident. `answered` and `ended` are seconds, None while there is no ack or no end.
    `acted`: somebody did more about it than to take it. `unattended`: it woke somebody, nobody took it, and it ended by
    itself."""

    agent: str
    owner: str
    rules: tuple[str, ...]
    woke: tuple[Woke, ...]
    told_somebody: bool
    escalated: bool
    suppressed: bool
    reopened: int
    answered: float | None
    answered_by: str | None
    ended: float | None
    acted: bool
    unattended: bool
    mark: str
    promised: bool
    breached: tuple[str, ...]


def case(incident: Incident, pages: Iterable[Page], book: Book, now: datetime) -> Case:
    sent = [page for page in pages if page.kind is PageKind.PAGE and page.state is PageState.SENT]
    over = incident.state is State.RESOLVED
    answered = incident.answered_after
    return Case(
        agent=plain(incident.agent or ""),
        owner=plain(incident.owner),
        rules=tuple(sorted({plain(alert.name) for alert in incident.alerts})),
        woke=tuple(_woke(sent, book)),
        told_somebody=bool(sent),
        escalated=any(page.step > 0 or page.round > 0 for page in sent),
        suppressed=bool(incident.hidden_since or incident.hidden_for or incident.suppressed) and not sent,
        reopened=len(incident.reopened),
        answered=answered.total_seconds() if answered is not None else None,
        answered_by=(incident.answered_by or "").removeprefix("person:") or None,
        ended=lasted(incident, now).total_seconds() if over else None,
        acted=_acted(incident),
        unattended=bool(sent) and over and incident.how_resolved == "cleared" and answered is None,
        mark=incident.mark,
        promised=incident.promised.ack is not None or incident.promised.resolve is not None,
        breached=incident.breached,
    )


def _acted(incident: Incident) -> bool:
    """Whether waking somebody led to anything: a step was done, it was closed by hand, or they say it was right."""
    did = any(mark.state in {"done", "undone"} for mark in incident.progress)
    return incident.mark != "noise" and (did or incident.mark == "right" or incident.how_resolved == "human")


def _woke(sent: Sequence[Page], book: Book) -> Iterable[Woke]:
    """Messages, not rows: what was shown by another message, or went by a further way too, woke nobody again. Whoever
    was told by nothing but a second channel was woken by that."""
    told = {_telling(page) for page in sent if page.by_slack}
    for page in sent:
        if not page.person or page.sent_at is None or page.lead not in {None, page.id}:
            continue
        if not page.by_slack:
            if _telling(page) in told:
                continue
            told.add(_telling(page))
        known = book.people.get(page.person)
        local = page.sent_at.astimezone(ZoneInfo(known.timezone if known is not None else "UTC"))
        yield Woke(page.person, page.sent_at, is_night(local))


def _telling(page: Page) -> tuple[str | None, ...]:
    """One decision to tell one person, by however many ways."""
    return page.person, *page.id.split(".")[:2]


class SpreadJson(TypedDict):
    mean: float
    median: float
    p90: float
    p95: float


class PromisesJson(TypedDict):
    promised: int
    ack_breached: int
    resolve_breached: int


class NumbersJson(TypedDict):
    incidents: int
    woke: int
    suppressed: int
    answered: int
    unattended: int
    ended: int
    reopened: int
    ack_seconds: SpreadJson | None
    resolve_seconds: SpreadJson | None
    pages: int
    night_pages: int
    escalated: int
    escalated_share: float | None
    marked: int
    noise: int
    noise_share: float | None
    sla: PromisesJson


class PersonJson(TypedDict):
    person: str
    pages: int
    night_pages: int
    incidents: int
    acks: int


_Report = TypedDict("_Report", {"from": str, "to": str, "by": By | None})


class ReportJson(_Report):
    """`rows` are numbers too, each with what it is of."""

    total: NumbersJson
    rows: list[dict[str, Any]]
    people: list[PersonJson]


def report(cases: Sequence[Case], start: datetime, end: datetime, by: By | None = None) -> ReportJson:
    """`total` over all; `rows` the same by agent, rule, person or team; `people` who was woken how often."""
    rows: list[dict[str, Any]] = []
    if by is not None:
        rows = [{by: name, **_numbers(mine)} for name, mine in sorted(_groups(cases, by), key=lambda group: group[0])]
        rows.sort(key=lambda row: (-row["pages"], -row["incidents"]))
    told: _Report = {"from": start.isoformat(), "to": end.isoformat(), "by": by}
    return {**told, "total": _numbers(cases), "rows": rows, "people": _people(cases)}


def _groups(cases: Sequence[Case], by: By) -> Iterable[tuple[str, list[Case]]]:
    """An incident of two rules, or that woke two people, is in both of their rows."""
    names: dict[By, Callable[[Case], Iterable[str]]] = {
        "agent": lambda one: (one.agent or "none",),
        "rule": lambda one: one.rules,
        "team": lambda one: (one.owner,),
        "person": lambda one: {woke.person for woke in one.woke},
    }
    found: dict[str, list[Case]] = {}
    for one in cases:
        for name in names[by](one):
            found.setdefault(name, []).append(_of_person(one, name) if by == "person" else one)
    return found.items()


def _of_person(one: Case, person: str) -> Case:
    """The incident as one person's: only the pages to them, only their own ack."""
    mine = tuple(woke for woke in one.woke if woke.person == person)
    answered = one.answered if one.answered_by == person else None
    return replace(one, woke=mine, answered=answered)


def _numbers(cases: Sequence[Case]) -> NumbersJson:
    woke = [one for one in cases if one.told_somebody]
    marked = [one for one in woke if one.mark]
    noise = sum(one.mark == "noise" for one in marked)
    escalated = sum(one.escalated for one in woke)
    pages = [page for one in cases for page in one.woke]
    return {
        "incidents": len(cases),
        "woke": len(woke),
        "suppressed": sum(one.suppressed for one in cases),
        "answered": sum(one.answered is not None for one in woke),
        "unattended": sum(one.unattended for one in woke),
        "ended": sum(one.ended is not None for one in woke),
        "reopened": sum(one.reopened > 0 for one in cases),
        "ack_seconds": _spread([one.answered for one in woke if one.answered is not None]),
        "resolve_seconds": _spread([one.ended for one in woke if one.ended is not None]),
        "pages": len(pages),
        "night_pages": sum(page.night for page in pages),
        "escalated": escalated,
        "escalated_share": _share(escalated, len(woke)),
        "marked": len(marked),
        "noise": noise,
        "noise_share": _share(noise, len(marked)),
        "sla": {
            "promised": sum(one.promised for one in cases),
            "ack_breached": sum("ack" in one.breached for one in cases),
            "resolve_breached": sum("resolve" in one.breached for one in cases),
        },
    }


def _spread(seconds: list[float]) -> SpreadJson | None:
    """Mean, median and two percentiles by nearest rank: `p90` is the smallest that nine of ten do not exceed."""
    if not seconds:
        return None
    ranked = sorted(seconds)
    middle = len(ranked) // 2
    median = ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2
    p90, p95 = (ranked[math.ceil(len(ranked) * share / 100) - 1] for share in (90, 95))
    mean = math.fsum(ranked) / len(ranked)
    return {"mean": round(mean, 1), "median": round(median, 1), "p90": round(p90, 1), "p95": round(p95, 1)}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _people(cases: Sequence[Case]) -> list[PersonJson]:
    """Whoever was woken most at night comes first."""
    pages: dict[str, list[Woke]] = {}
    incidents: dict[str, int] = {}
    acks: dict[str, int] = {}
    for one in cases:
        for page in one.woke:
            pages.setdefault(page.person, []).append(page)
        for person in {page.person for page in one.woke}:
            incidents[person] = incidents.get(person, 0) + 1
        if one.answered_by is not None and one.answered is not None:
            acks[one.answered_by] = acks.get(one.answered_by, 0) + 1
    rows: list[PersonJson] = [
        {
            "person": person,
            "pages": len(mine),
            "night_pages": sum(page.night for page in mine),
            "incidents": incidents[person],
            "acks": acks.get(person, 0),
        }
        for person, mine in pages.items()
    ]
    return sorted(rows, key=lambda row: (-row["night_pages"], -row["pages"], row["person"]))
