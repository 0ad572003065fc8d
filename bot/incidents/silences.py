"""Silences: matchers that keep matching alerts from waking anybody, with an author, a reason and an end. Pure.

A silence hides nothing that is more severe than it was made for: who silences a warning has not seen the critical alert
that comes later. It always ends, at the latest at `ends_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.incidents.model import SEVERITY_RANK, Alert, Severity, Suppression, SuppressionKind
from bot.labels import Matcher, matches_all, parse_matchers
from bot.schema import Model


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


class Silences:
    """The silences that are active at one instant, their matchers compiled once."""

    def __init__(self, silences: Iterable[Silence], at: datetime) -> None:
        active = (silence for silence in silences if silence.active(at))
        self._active = [(silence, compiled(silence.matchers)) for silence in active]

    def hiding(self, alert: Alert) -> list[Suppression]:
        """Every silence that hides this alert, as a reason for people."""
        return [suppression(silence) for silence, matchers in self._active if hides(silence, matchers, alert)]


def compiled(matchers: Sequence[str]) -> tuple[Matcher, ...]:
    return tuple(matcher for text in matchers for matcher in parse_matchers(text))


def matches(matchers: Sequence[Matcher], alert: Alert) -> bool:
    return matches_all(matchers, alert.labels)


def hides(silence: Silence, matchers: Sequence[Matcher], alert: Alert) -> bool:
    """Whether it would hide the alert while it is active."""
    return SEVERITY_RANK[alert.severity] <= SEVERITY_RANK[silence.max_severity] and matches(matchers, alert)


def suppression(silence: Silence) -> Suppression:
    by = silence.created_by.removeprefix("person:")
    until = f"{silence.ends_at:%Y-%m-%d %H:%M} UTC" + (" or until it resolves" if silence.until_resolved else "")
    why = f"silenced by {by} until {until}: {silence.reason} ({silence.id})"
    return Suppression(kind=SuppressionKind.SILENCE, by=silence.id, why=why, until=silence.ends_at)
