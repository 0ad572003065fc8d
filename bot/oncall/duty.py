"""Who is on duty at an instant. Computed from the rota each time, never stored.

Layers are stacked: the last one in the list that has begun, is open and names somebody is in force; swaps exchange its
people, overrides replace them. Each look also tells until when its answer certainly holds, so that a line of time is
walked from change to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bot.oncall.almanac import NOTHING, Almanac, Shift
from bot.oncall.model import BLANK, Book, Layer, Override, Schedule
from bot.oncall.turns import instant, midnight, turns
from bot.oncall.windows import next_edge, within

_ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_LOOKED_AHEAD = timedelta(days=28)
_LOOKS = 1500  # after so many changes in which nothing changed there is no end worth naming


@dataclass(frozen=True)
class Duty:
    """`people` is empty while nobody has the duty; `until` is the next instant with another answer, None if there
    is none."""

    people: tuple[str, ...]
    until: datetime | None
    why: str


def on_duty(schedule: Schedule, at: datetime, almanac: Almanac = NOTHING) -> Duty:
    first = here = _look(schedule, at, almanac)
    for _ in range(_LOOKS):
        if here.until is None:
            break
        here = _look(schedule, here.until, almanac)
        if here.people != first.people:
            return Duty(first.people, here.since, first.why)
    return Duty(first.people, None, first.why)


def at_duty(schedule: Schedule, at: datetime, almanac: Almanac = NOTHING) -> tuple[tuple[str, ...], str]:
    """The people and why; does not look for the end of it."""
    here = _look(schedule, at, almanac)
    return here.people, here.why


def shifts(schedule: Schedule, start: datetime, end: datetime, almanac: Almanac = NOTHING) -> Iterator[Shift]:
    """Who is on duty from one instant to another without a gap between them: nobody has shifts too."""
    begun, here = start, _look(schedule, start, almanac)
    while here.until is not None and here.until < end:
        following = _look(schedule, here.until, almanac)
        if following.people != here.people:
            yield Shift(begun, following.since, here.people)
            begun = following.since
        here = following
    yield Shift(begun, end, here.people)


def ahead(book: Book, now: datetime) -> None:
    """Has the calendars of layers write out the months that are asked about next. They remember them."""
    for schedule in book.schedules.values():
        for layer in schedule.layers:
            if (rota := book.almanac.rotas.get(layer.ical or "")) is None:
                continue
            for at in (now, now + _LOOKED_AHEAD):
                rota(ZoneInfo(schedule.timezone), at.year, at.month)


@dataclass(frozen=True)
class _Look:
    """Who has it at `since`, and until when nothing can change that."""

    since: datetime
    people: tuple[str, ...]
    why: str
    until: datetime | None


def _look(schedule: Schedule, at: datetime, almanac: Almanac) -> _Look:
    zone = ZoneInfo(schedule.timezone)
    edges: list[datetime] = []
    for override in schedule.overrides:
        edges += _span(override.start, override.until, schedule.timezone)
    if (override_now := _override_at(schedule, at)) is not None:
        nobody = override_now.person == BLANK
        why = f"override in {schedule.id}" + (" leaves it empty" if nobody else "")
        return _Look(at, () if nobody else (override_now.person,), why, _next(edges, at))
    people, why = _by_layers(schedule, zone, at, almanac, edges)
    for swap in schedule.swaps:
        start, until = _span(swap.start, swap.until, schedule.timezone)
        edges += (start, until)
        if start <= at < until and set(swap.people) & set(people):
            why = f"swap of {' and '.join(swap.people)} in {schedule.id}"
            other = dict(zip(swap.people, reversed(swap.people), strict=True))
            people = tuple(other.get(person, person) for person in people)
    return _Look(at, people, why, _next(edges, at))


def _next(edges: list[datetime], at: datetime) -> datetime | None:
    later = min((edge for edge in edges if edge > at), default=_ALWAYS[1])
    return None if later == _ALWAYS[1] else later


def _override_at(schedule: Schedule, at: datetime) -> Override | None:
    for override in reversed(schedule.overrides):
        start, until = _span(override.start, override.until, schedule.timezone)
        if start <= at < until:
            return override
    return None


def _by_layers(
    schedule: Schedule, zone: ZoneInfo, at: datetime, almanac: Almanac, edges: list[datetime]
) -> tuple[tuple[str, ...], str]:
    """From the top down to the layer that names somebody; only what shows adds to the edges."""
    lives = [_life(layer, zone) for layer in schedule.layers]
    for layer, (begins, ends) in zip(reversed(schedule.layers), reversed(lives), strict=True):
        edges += (begins, ends)
        if not begins <= at < ends:
            continue
        if (edge := next_edge(layer.restrictions, zone, at, almanac)) is not None:
            edges.append(edge)
        if not within(layer.restrictions, zone, at, almanac):
            continue
        if people := _of_layer(layer, zone, at, almanac, edges):
            return people, f"on call in {schedule.id}"
    if all(begins > at for begins, _ in lives):
        return (), f"{schedule.id} has not started"
    return (), f"{schedule.id} has ended" if all(ends <= at for _, ends in lives) else f"nobody in {schedule.id}"


def _of_layer(layer: Layer, zone: ZoneInfo, at: datetime, almanac: Almanac, edges: list[datetime]) -> tuple[str, ...]:
    if layer.ical is not None:
        return _of_file(layer.ical, zone, at, almanac, edges)
    assert layer.start is not None
    rotation = turns(layer.every, layer.handoff, layer.start, zone.key)
    if len(set(layer.people)) == 1:
        person = layer.people[0]
    else:
        turn = rotation.at(at)
        edges.append(rotation.end(turn))
        person = layer.people[turn % len(layer.people)]
    return () if person == BLANK else (person,)


def _of_file(path: str, zone: ZoneInfo, at: datetime, almanac: Almanac, edges: list[datetime]) -> tuple[str, ...]:
    """All whose events are going on. Events are asked for by month, each month knowing what reaches into it."""
    rota = almanac.rotas.get(path)
    if rota is None:
        return ()
    following = (at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    edges.append(following)
    people: dict[str, None] = {}
    for shift in rota(zone, at.year, at.month):
        edges += (shift.start, shift.end)
        if shift.start <= at < shift.end:
            people.update(dict.fromkeys(shift.people))
    return tuple(people)


def _life(layer: Layer, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From midnight of `start` until midnight of `until`, in the schedule's zone."""
    begins = midnight(layer.start, zone) if layer.start else _ALWAYS[0]
    return begins, midnight(layer.until, zone) if layer.until else _ALWAYS[1]


@lru_cache(maxsize=65536)
def _span(start: datetime, until: datetime, zone: str) -> tuple[datetime, datetime]:
    """Times without an offset are in the schedule's zone."""
    return instant(start, ZoneInfo(zone)), instant(until, ZoneInfo(zone))
