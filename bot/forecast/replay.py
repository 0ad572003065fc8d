"""Plays a history of alerts against owners, rotas and policies on virtual time: who would have been woken, and when.

Incidents, escalation and acks are those of the pager. People are simple here: each page is answered or not, as drawn,
and whoever answers keeps the incident until its alerts end.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from bot.errors import ConflictError
from bot.forecast.history import Firing
from bot.forecast.nights import is_night, night_of
from bot.incidents import grouping, people
from bot.incidents.decision import Decision, Say, World
from bot.incidents.model import Alert, AlertState, Event, Incident, Severity, State
from bot.incidents.suppression import next_change
from bot.labels import fingerprint

_UTC = ZoneInfo("UTC")
_FOR_EVER = timedelta(days=7)  # an alert whose end is not known, as far as it was watched


@dataclass(frozen=True)
class Habits:
    """`answers` is the share of pages that are answered, `after` how long that takes. `draw` as in history.py."""

    answers: float
    after: timedelta
    draw: Callable[[], float]


@dataclass(frozen=True)
class Woken:
    """One page that woke one person. `level` counts from 0 within a round, and is None for the fallback."""

    at: datetime
    person: str
    incident: str
    agent: str
    severity: Severity
    level: int | None
    round: int


@dataclass
class Course:
    """What came of it. `taken` has how long each incident that somebody took waited for the ack."""

    alerts: int = 0
    incidents: dict[str, str] = field(default_factory=dict)  # incident → agent
    pages: list[Woken] = field(default_factory=list)
    taken: dict[str, timedelta] = field(default_factory=dict)
    escalated: set[str] = field(default_factory=set)
    ended_untaken: set[str] = field(default_factory=set)


def replay(history: Iterable[Firing], world: World, habits: Habits) -> Course:
    play = _Play(world, habits)
    for number, firing in enumerate(sorted(history, key=lambda one: one.start)):
        play.run_until(firing.start)
        play.fire(number, firing)
    play.run_until(None)
    return play.course


class _Play:
    """The pager's part, without a store: live incidents by id, and a heap of what comes next."""

    def __init__(self, world: World, habits: Habits) -> None:
        self._world = world
        self._habits = habits
        self._live: dict[str, Incident] = {}
        self._cleared: dict[str, Incident] = {}  # by key, the last of each: what may open again
        self._coming: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._window_edge: datetime | None = None
        self._order = 0
        self._number = 0
        self.course = Course()

    def run_until(self, end: datetime | None) -> None:
        while self._coming and (end is None or self._coming[0][0] <= end):
            now, _, act = heapq.heappop(self._coming)
            act(now)

    def fire(self, number: int, firing: Firing) -> None:
        alert = Alert(
            fingerprint=f"{fingerprint(firing.labels)}-{number}",
            group=f"simulated;{number}",
            state=AlertState.FIRING,
            labels=dict(firing.labels),
            annotations={},
            value=1.0,
            starts_at=firing.start,
        )
        self.course.alerts += 1
        self._watch_windows(firing.start)
        self._observe(alert, firing.start)
        end = firing.end or firing.start + _FOR_EVER
        over = alert.model_copy(update={"state": AlertState.RESOLVED, "ends_at": end})
        self._later(end, lambda now: self._observe(over, now))

    def _observe(self, alert: Alert, now: datetime) -> None:
        live = list(self._live.values())
        cleared = self._may_open_again(alert, live, now)
        decisions = grouping.observe(alert.group, [alert], live, self._world, now, self._next_number, cleared=cleared)
        for decision in decisions:
            self._record(decision, now)

    def _may_open_again(self, alert: Alert, live: list[Incident], now: datetime) -> list[Incident]:
        since = now - self._world.rules.reopen_window
        keys = grouping.missing_keys([alert], live, self._world)
        found = [self._cleared[key] for key in keys if key in self._cleared]
        return [incident for incident in found if incident.resolved_at is not None and incident.resolved_at > since]

    def _watch_windows(self, now: datetime) -> None:
        """Mute windows and maintenance begin and end by themselves, for as long as something goes on."""
        if self._window_edge is None or self._window_edge < now:
            self._window_edge = next_change(self._world, now)
            if self._window_edge is not None:
                self._later(self._window_edge, self._hide)

    def _hide(self, now: datetime) -> None:
        for decision in grouping.resuppress(list(self._live.values()), self._world, now):
            self._record(decision, now)
        self._window_edge = None
        if self._live:
            self._watch_windows(now)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _later(self, at: datetime, act: Callable[[datetime], None]) -> None:
        self._order += 1
        heapq.heappush(self._coming, (at, self._order, act))

    def _record(self, decision: Decision, now: datetime) -> None:
        incident = decision.incident
        before = self._live.get(incident.id)
        self.course.incidents.setdefault(incident.id, incident.agent or "")
        if incident.over:
            self._live.pop(incident.id, None)
            self._cleared[incident.key] = incident
        else:
            self._live[incident.id] = incident
        if decision.event is Event.ESCALATED:
            self.course.escalated.add(incident.id)
        if decision.event is Event.CLEARED and incident.severity.wakes and incident.id not in self.course.taken:
            self.course.ended_untaken.add(incident.id)
        deadline = incident.deadline
        if deadline is not None and (before is None or before.deadline != deadline):
            self._later(deadline, partial(self._come_due, incident.id))
        for reached in decision.wake:
            self._page(reached.person, incident, now)
        if Say.REMINDER in decision.say and incident.acked_by is not None:
            self._ask(incident.acked_by.removeprefix("person:"), incident, now)

    def _come_due(self, name: str, now: datetime) -> None:
        incident = self._live.get(name)
        if incident is not None:
            for decision in grouping.come_due(incident, None, self._world, now):
                self._record(decision, now)

    def _page(self, person: str, incident: Incident, now: datetime) -> None:
        level = None if incident.exhausted else incident.step
        agent, severity = incident.agent or "", incident.severity
        self.course.pages.append(Woken(now, person, incident.id, agent, severity, level, incident.round))
        self._ask(person, incident, now)

    def _ask(self, person: str, incident: Incident, now: datetime) -> None:
        if self._habits.draw() < self._habits.answers:
            self._later(now + self._habits.after, lambda at: self._answer(person, incident.id, at))

    def _answer(self, person: str, name: str, now: datetime) -> None:
        incident = self._live.get(name)
        if incident is None or incident.state is State.RESOLVED:
            return
        try:
            decision = people.ack(incident, f"person:{person}", now)
        except ConflictError:  # somebody else was quicker
            return
        self.course.taken.setdefault(name, now - incident.opened_at)
        self.course.ended_untaken.discard(name)
        self._record(decision, now)


# What is told of it


def summary(course: Course, world: World) -> dict[str, Any]:
    """Counts over all, by person and by agent. Nights and weekends are those of the person who was woken."""
    nights = _Clock(world)
    waits = sorted(wait.total_seconds() for wait in course.taken.values())
    woke = {page.incident for page in course.pages}
    return {
        "alerts": course.alerts,
        "incidents": len(course.incidents),
        "pages": len(course.pages),
        "night_pages": sum(nights.is_night(page) for page in course.pages),
        "taken": len(course.taken),
        "ended_untaken": len(course.ended_untaken),
        "ack_seconds": {"mean": round(sum(waits) / len(waits), 1), "longest": waits[-1]} if waits else None,
        "escalated_share": _share(len(course.escalated), len(woke)),
        "people": list(_by_person(course, nights, world)),
        "agents": list(_by_agent(course, nights)),
    }


class _Clock:
    """The time of the day where the person who was woken lives."""

    def __init__(self, world: World) -> None:
        self._zones = {name: ZoneInfo(person.timezone) for name, person in world.book.people.items()}

    def _local(self, page: Woken) -> datetime:
        return page.at.astimezone(self._zones.get(page.person, _UTC))

    def is_night(self, page: Woken) -> bool:
        return is_night(self._local(page))

    def night_of(self, page: Woken) -> date:
        """The day on whose evening the night began."""
        return night_of(self._local(page))

    def is_weekend(self, page: Woken) -> bool:
        return self._local(page).weekday() >= 5


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _by_person(course: Course, nights: _Clock, world: World) -> Iterator[dict[str, Any]]:
    """Who was woken most at night comes first; whoever was never woken is there too."""
    pages: dict[str, list[Woken]] = {person: [] for person in world.book.people}
    for page in course.pages:
        pages.setdefault(page.person, []).append(page)
    rows = []
    for person, mine in pages.items():
        at_night = [page for page in mine if nights.is_night(page)]
        rows.append(
            {
                "person": person,
                "pages": len(mine),
                "incidents": len({page.incident for page in mine}),
                "night_pages": len(at_night),
                "nights": len({nights.night_of(page) for page in at_night}),
                "weekend_pages": sum(nights.is_weekend(page) for page in mine),
            }
        )
    yield from sorted(rows, key=lambda row: (-row["nights"], -row["night_pages"], -row["pages"], row["person"]))  # type: ignore[operator]


def _by_agent(course: Course, nights: _Clock) -> Iterator[dict[str, Any]]:
    agents: dict[str, set[str]] = {}
    for incident, agent in course.incidents.items():
        agents.setdefault(agent, set()).add(incident)
    pages: dict[str, list[Woken]] = {}
    for page in course.pages:
        pages.setdefault(page.agent, []).append(page)
    for agent in sorted(agents, key=lambda name: (-len(pages.get(name, ())), name)):
        mine = pages.get(agent, [])
        yield {
            "agent": agent,
            "incidents": len(agents[agent]),
            "pages": len(mine),
            "night_pages": sum(nights.is_night(page) for page in mine),
            "escalated": len(agents[agent] & course.escalated),
            "to_fallback": len({page.incident for page in mine if page.level is None}),
        }
