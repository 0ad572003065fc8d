"""Who would be paged for an alert, level by level, if nobody ever answered.

Nothing is worked out here: an incident is opened and its deadlines come, by the same functions as in earnest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.incidents import grouping
from bot.incidents.decision import Decision, World
from bot.incidents.escalation import EVERYBODY
from bot.incidents.model import Alert, AlertState, Incident
from bot.labels import Labels, fingerprint
from bot.oncall.owners import Reached
from bot.paging.plan import pages_for

_GROUP = "forecast"
_FAR_ENOUGH = timedelta(days=60)  # what is muted all day long would never come to a page


@dataclass(frozen=True)
class Level:
    """One page of the ladder; `widened` counts how far beyond the fallback it goes. `paged` are the channels that the
    step names, `channels` all that get a message."""

    at: datetime
    after: timedelta
    step: int
    round: int
    exhausted: bool
    widened: int
    people: tuple[Reached, ...]
    paged: tuple[str, ...]
    channels: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Ladder:
    """`levels` end with the page to everybody, after the fallback and its team; it is repeated after `again`, for
    ever."""

    incident: Incident
    levels: tuple[Level, ...]
    again: timedelta | None


def ladder(labels: Labels, annotations: Mapping[str, str], world: World, at: datetime) -> Ladder:
    first = _opened(labels, annotations, world, at)
    levels = [_level(decision, world, at, now) for decision, now in _unanswered(first, world, at)]
    again = first.incident.policy.fallback_wait if first.incident.severity.wakes else None
    return Ladder(first.incident, tuple(levels), again)


def _opened(labels: Labels, annotations: Mapping[str, str], world: World, at: datetime) -> Decision:
    alert = Alert(
        fingerprint=fingerprint(labels),
        group=_GROUP,
        state=AlertState.FIRING,
        labels=dict(labels),
        annotations=dict(annotations),
        value=0.0,
        starts_at=at,
    )
    numbers = iter(range(1, 10))
    return grouping.observe(_GROUP, [alert], [], world, at, lambda: next(numbers))[0]


def _unanswered(first: Decision, world: World, at: datetime) -> Iterator[tuple[Decision, datetime]]:
    decision, now = first, at
    yield decision, now
    while decision.incident.next_at is not None and decision.incident.widened < EVERYBODY and now - at < _FAR_ENOUGH:
        now = decision.incident.next_at
        (decision,) = grouping.come_due(decision.incident, None, world, now)
        if decision.event is not None:
            yield decision, now


def _level(decision: Decision, world: World, opened: datetime, now: datetime) -> Level:
    incident = decision.incident
    channels = [page.channel for page in pages_for(decision, world.book, now) if page.person is None]
    return Level(
        at=now,
        after=now - opened,
        step=incident.step,
        round=incident.round,
        exhausted=incident.exhausted,
        widened=incident.widened,
        people=decision.wake,
        paged=decision.channels,
        channels=tuple(dict.fromkeys(channels)),
        why=decision.why,
    )
