"""Who is to be in a user group of Slack that follows schedules. Pure: upkeep.py asks Slack and changes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.oncall.duty import at_duty, on_duty
from bot.oncall.model import Book


@dataclass(frozen=True)
class Wanted:
    """`users` are members of Slack. Where there are none nobody is on duty in any of the schedules, `until` the first
    of them has somebody again; None when none ever has."""

    group: str
    schedules: tuple[str, ...]
    users: frozenset[str]
    until: datetime | None


def wanted(book: Book, now: datetime) -> list[Wanted]:
    """Everybody on duty in one of the schedules that name the group."""
    named: dict[str, list[str]] = {}
    for schedule in book.schedules.values():
        if schedule.usergroup:
            named.setdefault(schedule.usergroup, []).append(schedule.id)
    return [_wanted(group, tuple(schedules), book, now) for group, schedules in named.items()]


def _wanted(group: str, schedules: tuple[str, ...], book: Book, now: datetime) -> Wanted:
    rotas = [book.schedules[name] for name in schedules]
    people = {person for rota in rotas for person in at_duty(rota, now, book.almanac)[0] if person in book.people}
    if people:
        return Wanted(group, schedules, frozenset(book.people[person].slack for person in people), None)
    ends = [until for rota in rotas if (until := on_duty(rota, now, book.almanac).until) is not None]
    return Wanted(group, schedules, frozenset(), min(ends, default=None))
