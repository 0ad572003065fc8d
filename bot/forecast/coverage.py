"""Proof that somebody is there: when the ladder of an agent would reach nobody before the fallback.

Only the instants at which something changes are looked at: hand-offs, the edges of windows. A ladder reaches somebody
at an instant if one of its steps does, for empty steps are passed over at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from bot.agents.model import Agent
from bot.forecast.spans import Spans, common, length, rest, union
from bot.labels import Labels
from bot.oncall.almanac import Shift
from bot.oncall.duty import shifts
from bot.oncall.model import Book, Condition, Policy, Step, Waking
from bot.oncall.owners import every_way, owner_of, policy_of, zone_of
from bot.oncall.windows import spans as open_spans

Kind = Literal["schedules", "escalation_policies", "agents", "fallback"]
SEVERITIES: tuple[Waking, ...] = get_args(Waking)
_SHOWN = 4


@dataclass(frozen=True)
class Gap:
    """`kind` and `id` say where to mend it: the schedule that leaves the gap, else the policy, else the agent.

    `agents` are those concerned, none when it is the fallback's own.
    """

    kind: Kind
    id: str
    severities: tuple[str, ...]
    agents: tuple[str, ...]
    spans: tuple[tuple[datetime, datetime], ...]


def gaps(agents: Mapping[str, Agent], book: Book, start: datetime, end: datetime) -> list[Gap]:
    """Every agent × severity × instant from `start` to `end`; what has the same cause is told as one."""
    view = _View(book, start, end)
    ladders: dict[str, tuple[str, Policy, set[str]]] = {}
    for labels in every_way(agents, book):
        owner = owner_of(labels, agents, book)
        name, policy = policy_of(owner, labels, agents, book)
        key = name if policy == book.escalation_policies.get(name) else f"{name} {owner.id} {owner.accountable}"
        ladders.setdefault(key, (name, policy, set()))[2].add(_concerned(labels))
    found: dict[tuple[Kind, str, tuple[tuple[datetime, datetime], ...]], tuple[set[str], set[str]]] = {}
    for name, policy, concerned in ladders.values():
        for severity in SEVERITIES:
            if uncovered := tuple(view.uncovered(policy, severity)):
                kind, place = _place(name, policy, concerned, book)
                severities, names = found.setdefault((kind, place, uncovered), (set(), set()))
                severities.add(severity)
                names.update(concerned)
    told = [
        Gap(kind, place, tuple(s for s in SEVERITIES if s in severities), tuple(sorted(names)), spans)
        for (kind, place, spans), (severities, names) in found.items()
    ]
    if empty := tuple(rest(view.whole, union(view.target(book.fallback, None)))):
        told.append(Gap("fallback", book.fallback, SEVERITIES, (), empty))
    return told


def _concerned(labels: Labels) -> str:
    if labels.get("agent"):
        return labels["agent"]
    if "route" in labels:
        return f"route {labels['route']}"
    return f"alerts with {' '.join(f'{name}={value}' for name, value in labels.items())}" if labels else "other alerts"


def _place(name: str, policy: Policy, concerned: Collection[str], book: Book) -> tuple[Kind, str]:
    for step in policy.steps:
        for target in step.notify:
            schedule = target.removeprefix("schedule:")
            if target.startswith("schedule:") and schedule in book.schedules:
                return "schedules", schedule
    return ("escalation_policies", name) if name in book.escalation_policies else ("agents", min(concerned))


def told(gap: Gap, book: Book, end: datetime) -> tuple[str, str]:
    """What is wrong, and the way out. `end` is that of the look ahead: what lasts until then has no known end."""
    when = words(gap, book, end)
    if gap.kind == "fallback":
        hint = "name a person or a team, or a schedule without gaps"
        return f"the fallback reaches nobody {when}: everybody would be paged", hint
    hint = "cover it by a layer or an override, or add a step that always reaches somebody"
    return f"nobody but the fallback {when} for {_whom(gap)}", hint


def words(gap: Gap, book: Book, end: datetime, most: int = _SHOWN) -> str:
    """`from Sat 2026-11-21 00:00 to Mon 2026-11-23 09:00, …`, in the zone of the schedule."""
    schedule = book.schedules.get(gap.id.removeprefix("schedule:")) if gap.kind != "agents" else None
    zone = schedule.timezone if schedule is not None else "UTC"
    shown = [_span_words(start, until, ZoneInfo(zone), until == end) for start, until in gap.spans[:most]]
    more = f" and {len(gap.spans) - most} more times" if len(gap.spans) > most else ""
    hours = length(gap.spans).total_seconds() / 3600
    total = f", {hours:.4g} h in all" if len(gap.spans) > 1 else ""
    return f"{', '.join(shown)}{more} ({zone}{total})"


def _whom(gap: Gap) -> str:
    named = ", ".join(gap.agents[:3]) + (f" and {len(gap.agents) - 3} more agents" if len(gap.agents) > 3 else "")
    return f"{' and '.join(gap.severities)} of {named}"


def _span_words(start: datetime, until: datetime, zone: ZoneInfo, endless: bool) -> str:
    first, last = start.astimezone(zone), until.astimezone(zone)
    same_day = first.date() == last.date()
    to = f"{last:%H:%M}" if same_day else f"{last:%a %Y-%m-%d %H:%M}"
    return f"from {first:%a %Y-%m-%d %H:%M} on" if endless else f"from {first:%a %Y-%m-%d %H:%M} to {to}"


@dataclass(frozen=True)
class _View:
    """One book over one stretch of time; what is asked twice is computed once."""

    book: Book
    start: datetime
    end: datetime
    _shifts: dict[str, list[Shift]] = field(default_factory=dict)
    _open: dict[tuple[int, str], Spans] = field(default_factory=dict)

    @cached_property
    def whole(self) -> Spans:
        return [(self.start, self.end)]

    def uncovered(self, policy: Policy, severity: str) -> Spans:
        reached = [span for step in policy.steps for span in self._step(step, severity)]
        return rest(self.whole, union(reached))

    def _step(self, step: Step, severity: str) -> Spans:
        if step.when is not None and step.when.severity and severity not in step.when.severity:
            return []
        return [span for target in step.notify for span in self.target(target, step.when)]

    def target(self, target: str, when: Condition | None) -> Spans:
        """When somebody of the book stands behind it; the readers of a channel are nobody one can count on."""
        kind, _, name = target.partition(":")
        if kind == "person":
            return self._person(name, target, when, self.whole)
        if kind == "team":
            members = self.book.teams[name].members if name in self.book.teams else ()
            return [span for member in members for span in self._person(member, target, when, self.whole)]
        return [
            span
            for shift in self.shifts_of(name)
            for person in shift.people
            for span in self._person(person, target, when, [(shift.start, shift.end)])
        ]

    def _person(self, person: str, target: str, when: Condition | None, spans: Spans) -> Spans:
        if person not in self.book.people:
            return []
        if when is None or not (when.during or when.outside):
            return spans
        return common(spans, self._open_spans(when, zone_of(when, target, person, self.book)))

    def _open_spans(self, when: Condition, zone: str) -> Spans:
        key = (id(when), zone)  # the book keeps it alive
        if key not in self._open:
            known, almanac = ZoneInfo(zone), self.book.almanac
            during = union(open_spans(when.during, known, self.start, self.end, almanac))
            outside = union(open_spans(when.outside, known, self.start, self.end, almanac)) if when.outside else []
            self._open[key] = rest(during, outside)
        return self._open[key]

    def shifts_of(self, name: str) -> list[Shift]:
        if name not in self._shifts:
            schedule = self.book.schedules.get(name)
            found = shifts(schedule, self.start, self.end, self.book.almanac) if schedule is not None else ()
            self._shifts[name] = list(found)
        return self._shifts[name]
