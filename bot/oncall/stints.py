"""Who takes over when, and until when: a schedule as the people in it see it. Pure.

Hours that nobody has belong to whoever had the duty before: somebody who has it in office hours for a week has it once,
not five times, and one who always has it never takes over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.oncall.almanac import Almanac, Shift
from bot.oncall.duty import shifts
from bot.oncall.model import Schedule

_AROUND = timedelta(days=40)  # a monthly turn and more: who had it before, and until when


@dataclass(frozen=True)
class Stint:
    """`until` is None where no end is in sight. `before` had the duty when this person took over, `after` have it once
    they have given it away."""

    person: str
    schedule: str
    start: datetime
    until: datetime | None
    before: tuple[str, ...]
    after: tuple[str, ...]


def stints(schedule: Schedule, almanac: Almanac, start: datetime, end: datetime) -> list[Stint]:
    """Those that begin from `start` until just before `end`, the first one first."""
    horizon = (start - _AROUND, end + _AROUND)
    stretches = [shift for shift in shifts(schedule, *horizon, almanac) if shift.people]
    found = [one for one in _stints(schedule.id, stretches, *horizon) if start <= one.start < end]
    return sorted(found, key=lambda one: (one.start, one.person))


def _stints(schedule: str, stretches: Sequence[Shift], begun: datetime, over: datetime) -> Iterator[Stint]:
    for index, stretch in enumerate(stretches):
        before = stretches[index - 1].people if index else ()
        if index == 0 and stretch.start == begun:
            continue  # it began earlier, at an instant that is not known
        for person in stretch.people:
            if person not in before:
                last = _last(stretches, index, person)
                after = stretches[last + 1].people if last + 1 < len(stretches) else ()
                until = stretches[last].end if stretches[last].end < over else None
                yield Stint(person, schedule, stretch.start, until, before, after)


def _last(stretches: Sequence[Shift], index: int, person: str) -> int:
    while index + 1 < len(stretches) and person in stretches[index + 1].people:
        index += 1
    return index
