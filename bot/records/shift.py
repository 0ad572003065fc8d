"""What somebody is told of their shift: before it begins, and when it does. Pure; duty.py posts it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from bot.oncall.model import Book
from bot.oncall.stints import Stint
from bot.records.digest import Digest, Figure, Present, Section, concerns, hidden, open_lines, some
from bot.records.timeline import Names
from bot.records.usage import Usage, of_person, overdue_words

Occasion = Literal["ahead", "begins"]
GRACE = timedelta(hours=2)  # a shift that began in a stop is told this much later at most
_TOO_LATE = timedelta(minutes=15)  # before it begins: then its beginning is word enough
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Turn:
    """What one person takes over at one instant: of one schedule, or of several."""

    person: str
    start: datetime
    stints: tuple[Stint, ...]

    @property
    def until(self) -> datetime | None:
        """When the last of it ends; None where no end is in sight."""
        ends = [one.until for one in self.stints]
        return None if None in ends else max(end for end in ends if end is not None)


def turns(stints: Iterable[Stint]) -> list[Turn]:
    found: dict[tuple[datetime, str], list[Stint]] = {}
    for one in stints:
        found.setdefault((one.start, one.person), []).append(one)
    return [
        Turn(person, start, tuple(sorted(mine, key=lambda one: one.schedule)))
        for (start, person), mine in sorted(found.items())
    ]


def occasion(turn: Turn, now: datetime, ahead: timedelta) -> Occasion | None:
    """What is to be told of it now, if it has not been told yet."""
    if turn.start <= now < turn.start + GRACE and (turn.until is None or now < turn.until):
        return "begins"
    if turn.start - ahead <= now < turn.start - _TOO_LATE:
        return "ahead"
    return None


Pause = tuple[datetime, datetime]


def told(
    turn: Turn, what: Occasion, state: Present, runbooks: Sequence[Usage], rest: Pause | None, book: Book
) -> Digest:
    """Times are those of the person's own wall clock. `rest` is when Slack pauses their notifications next."""
    names, zone = Names(book), ZoneInfo(_zone(turn.person, book))
    schedules = [one.schedule for one in turn.stints]
    mine = [one for one in state.unresolved if any(concerns(one, schedule) for schedule in schedules)]
    overdue = [one for one in of_person(runbooks, turn.person, schedules, book) if one.overdue_days]
    overdue.sort(key=lambda one: (-one.overdue_days, one.runbook))
    sections = (
        *_silent(turn, rest, zone),
        Section(heading="Open now", lines=tuple(open_lines(mine, names, state.now)) or ("nothing",)),
        *hidden(state, names),
        *_section("Runbooks to read through: their review is overdue", [overdue_words(one) for one in overdue]),
    )
    return Digest(title=_title(turn, what, zone), figures=tuple(_figures(turn, what, zone, names)), sections=sections)


def _zone(person: str, book: Book) -> str:
    return book.people[person].timezone if person in book.people else "UTC"


def _title(turn: Turn, what: Occasion, zone: ZoneInfo) -> str:
    of = f"for {' and '.join(one.schedule for one in turn.stints)}"
    if what == "ahead":
        return f"You will be on call {of} from {wall(turn.start, zone)}"
    return f"You are on call {of} until {wall(turn.until, zone)}"


def _figures(turn: Turn, what: Occasion, zone: ZoneInfo, names: Names) -> Iterator[Figure]:
    """Without what the title has said."""
    if what == "ahead" or len(turn.stints) > 1:
        yield from (Figure(name=one.schedule, value=f"until {wall(one.until, zone)}") for one in turn.stints)
    for name, people in (
        ("Before you", [person for one in turn.stints for person in one.before]),
        ("After you", [person for one in turn.stints for person in one.after]),
    ):
        others = [names.of(person) for person in dict.fromkeys(people) if person != turn.person]
        if others:
            yield Figure(name=name, value=", ".join(others))


def wall(at: datetime | None, zone: ZoneInfo) -> str:
    """`Mon 23 Nov 09:00 CET`."""
    if at is None:
        return "further notice"
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M} {local.tzname()}"


def _silent(turn: Turn, rest: Pause | None, zone: ZoneInfo) -> Iterator[Section]:
    if rest is None or not _meets(turn, rest):
        return
    start, end = (at.astimezone(zone) for at in rest)
    pause = f"Slack pauses your notifications from {start:%H:%M} to {end:%H:%M}, and no page makes a sound then"
    way_out = "in Slack: your picture › Pause notifications, and Preferences › Notifications › schedule"
    yield Section(heading="⚠ Your phone will stay silent", lines=(pause, way_out))


def _meets(turn: Turn, rest: Pause) -> bool:
    """Whether the pause falls into the shift: a schedule of pauses comes every day, and Slack only names the next."""
    start, end = rest
    if turn.until is None or turn.until - turn.start >= _DAY:
        return True
    first = start - _DAY * ((start - turn.start) // _DAY + 1)  # the last that begins before the shift
    return any(first + _DAY * n < turn.until and end - start + first + _DAY * n > turn.start for n in (0, 1))


def _section(heading: str, lines: list[str]) -> Iterator[Section]:
    if lines:
        yield Section(heading=heading, lines=tuple(some(lines, 5)))
