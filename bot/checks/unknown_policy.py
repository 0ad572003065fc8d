"""The escalation policy that an agent or a team names must exist."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject, names, sound
from bot.complaints import did_you_mean, quote
from bot.errors import Finding

CODE = "unknown-policy"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    known = names(subject.policies)
    for entry, policy in _named(subject):
        if policy is not None and policy not in known:
            text = f"there is no escalation policy {quote(policy)}"
            yield entry.finding(("escalation",), CODE, text, did_you_mean(policy, known))


def _named(subject: Subject) -> Iterator[tuple[Entry[object], str | None]]:
    yield from ((entry, agent.escalation) for entry, agent in sound(subject.agents))
    yield from ((entry, team.escalation) for entry, team in sound(subject.teams))
