"""Silences: matchers that keep matching alerts from waking anybody, with an author, a reason and an end. Pure.

A silence hides nothing that is more severe than it was made for: who silences a warning has not seen the critical alert
that comes later. It always ends, at the latest at `ends_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.errors import ConflictError, UsageError
from bot.incidents.matching import index_of
from bot.incidents.model import (
    BY_HAND,
    INTERNAL,
    SEVERITY_RANK,
    Alert,
    Incident,
    Severity,
    Suppression,
    SuppressionKind,
)
from bot.incidents.registered import NOBODY, Agents, seen
from bot.labels import Matcher, matches_all, parse_matchers
from bot.schema import Model

LONGEST = timedelta(days=30)
_REASON = 500  # characters


def _one_matcher(text: str) -> str:
    (matcher, *more) = parse_matchers(text)
    if more:
        raise ValueError(f'"{text}" holds several matchers; give each one by itself')
    return str(matcher)


MatcherText = Annotated[str, AfterValidator(_one_matcher), Field(examples=['agent="refund-agent"'])]


class Silence(Model):
    """`id` is `SIL-<number>`. `max_severity` is the highest severity it hides. `until_resolved` ends it early, once
    nothing that it hides is left. `ended_by` is set when it ended before its time, with `ends_at` set to that instant.
    """

    id: str
    matchers: tuple[MatcherText, ...] = Field(min_length=1)
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    created_by: str
    reason: str = Field(min_length=1)
    max_severity: Severity = Severity.WARNING
    until_resolved: bool = False
    ended_by: str | None = None

    def active(self, at: datetime) -> bool:
        return self.starts_at <= at < self.ends_at

    def pending(self, at: datetime) -> bool:
        return at < self.starts_at


@dataclass(frozen=True)
class Draft:
    """A silence as somebody asks for it. `matchers` are texts in Alertmanager's syntax, each may hold several; without
    `starts_at` it begins at once; without `max_severity` it hides what is as severe as what fires now."""

    matchers: tuple[str, ...]
    ends_at: datetime
    reason: str
    starts_at: datetime | None = None
    max_severity: Severity | None = None
    until_resolved: bool = False


class Silences:
    """The silences that are active at one instant, their matchers compiled once."""

    def __init__(self, silences: Iterable[Silence], at: datetime) -> None:
        active = [silence for silence in silences if silence.active(at)]
        self._matchers = index_of(tuple(silence.matchers for silence in active))
        self._reasons = [(SEVERITY_RANK[silence.max_severity], suppression(silence)) for silence in active]
        self._names = [_names_alerts(compiled(silence.matchers)) for silence in active]

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def hiding(self, alert: Alert, agents: Agents = NOBODY) -> list[Suppression]:
        """Every silence that hides this alert, as a reason for people."""
        if not self._reasons:
            return []
        rank, own = SEVERITY_RANK[alert.severity], alert.group == INTERNAL
        numbers = self._matchers.matching(alert.labels, agents)
        found = (self._reasons[number] for number in numbers if not own or self._names[number])
        return [reason for highest, reason in found if rank <= highest]


def compiled(matchers: Sequence[str]) -> tuple[Matcher, ...]:
    return tuple(matcher for text in matchers for matcher in parse_matchers(text))


def matches(matchers: Sequence[Matcher], alert: Alert, agents: Agents = NOBODY) -> bool:
    return alert.group != BY_HAND and matches_all(matchers, seen(alert.labels, agents))


def hides(silence: Silence, matchers: Sequence[Matcher], alert: Alert, agents: Agents = NOBODY) -> bool:
    """Whether it would hide the alert while it is active."""
    if alert.group == INTERNAL and not _names_alerts(matchers):
        return False
    return SEVERITY_RANK[alert.severity] <= SEVERITY_RANK[silence.max_severity] and matches(matchers, alert, agents)


def _names_alerts(matchers: Sequence[Matcher]) -> bool:
    """Alerts about agentpager itself have to be named: who silences all warnings of a team does not mean that nobody
    shall know when nothing is watched any more."""
    return any(one.name == "alertname" and not one.matches_value("") for one in matchers)


@lru_cache(maxsize=1024)
def suppression(silence: Silence) -> Suppression:
    by = silence.created_by.removeprefix("person:")
    until = f"{silence.ends_at:%Y-%m-%d %H:%M} UTC" + (" or until it resolves" if silence.until_resolved else "")
    why = f"silenced by {by} until {until}: {silence.reason} ({silence.id})"
    return Suppression(kind=SuppressionKind.SILENCE, by=silence.id, why=why, until=silence.ends_at)


def make(
    draft: Draft, number: int, author: str, incidents: Iterable[Incident], now: datetime, agents: Agents = NOBODY
) -> Silence:
    """Raises UsageError when the draft cannot become a silence, with the way out."""
    matchers = _checked_matchers(draft.matchers)
    starts_at, reason = max(draft.starts_at or now, now), " ".join(draft.reason.split())
    if draft.ends_at <= starts_at:
        raise UsageError(f"the silence would end at {draft.ends_at:%Y-%m-%d %H:%M} UTC, before it begins")
    if draft.ends_at - starts_at > LONGEST:
        days = LONGEST.days
        raise UsageError(f"a silence lasts {days} days at most; for longer write a mute window in incidents/*.yaml")
    if not reason:
        raise UsageError("say why: a silence needs a reason that others can read tonight")
    matching = [alert for one in incidents for alert in one.going_on if matches(matchers, alert, agents)]
    if draft.until_resolved and not matching:
        raise UsageError("nothing that matches fires, so there is nothing whose end could be waited for")
    return Silence(
        id=f"SIL-{number}",
        matchers=tuple(str(matcher) for matcher in matchers),
        starts_at=starts_at,
        ends_at=draft.ends_at,
        created_at=now,
        created_by=author,
        reason=reason[:_REASON],
        max_severity=draft.max_severity or _worst(matching),
        until_resolved=draft.until_resolved,
    )


def _checked_matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    try:
        matchers = compiled(texts)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not matchers:
        raise UsageError('name what to silence, for example agent="refund-agent"')
    if all(matcher.matches({}) for matcher in matchers):
        raise UsageError("these matchers also match alerts without any of these labels; add one that names something")
    return matchers


def _worst(alerts: Iterable[Alert]) -> Severity:
    severities = [Severity.WARNING, *(alert.severity for alert in alerts)]
    return max(severities, key=lambda severity: SEVERITY_RANK[severity])


def hidden(silence: Silence, incidents: Iterable[Incident], agents: Agents = NOBODY) -> list[tuple[Incident, Alert]]:
    """What it hides, or will once it begins, of what goes on now."""
    matchers = compiled(silence.matchers)
    return [(one, alert) for one in incidents for alert in one.going_on if hides(silence, matchers, alert, agents)]


def too_severe(
    silence: Silence, incidents: Iterable[Incident], agents: Agents = NOBODY
) -> list[tuple[Incident, Alert]]:
    """What matches and still wakes somebody, being more severe than the silence was made for."""
    matchers = compiled(silence.matchers)
    found = [(one, alert) for one in incidents for alert in one.going_on if matches(matchers, alert, agents)]
    return [(one, alert) for one, alert in found if not hides(silence, matchers, alert, agents)]


def expire(silence: Silence, actor: str, now: datetime) -> Silence:
    """Ends it now. Raises ConflictError when it has ended already."""
    if silence.ends_at <= now:
        raise ConflictError(f"{silence.id} ended at {silence.ends_at:%Y-%m-%d %H:%M} UTC")
    begun = min(silence.starts_at, now)  # one that never began is never active
    return silence.model_copy(update={"starts_at": begun, "ends_at": now, "ended_by": actor})


def done(
    silences: Iterable[Silence], incidents: Sequence[Incident], now: datetime, agents: Agents = NOBODY
) -> list[Silence]:
    """The silences "until it resolves" of which nothing is left to hide."""
    waiting = [silence for silence in silences if silence.until_resolved and silence.active(now)]
    return [expire(silence, "agentpager", now) for silence in waiting if not _anything(silence, incidents, agents)]


def _anything(silence: Silence, incidents: Sequence[Incident], agents: Agents) -> bool:
    matchers = compiled(silence.matchers)
    return any(matches(matchers, alert, agents) for one in incidents for alert in one.going_on)
