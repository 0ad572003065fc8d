"""Whom an escalation step of a runbook wakes must be a person or team of the on-call files."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, names, sound
from bot.complaints import did_you_mean, quote
from bot.errors import Finding

CODE = "escalation-target"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    known = {"person": names(subject.people), "team": names(subject.teams)}
    for entry, runbook in sound(subject.runbooks):
        for number, step in enumerate(runbook.steps):
            kind, _, name = step.to.partition(":")
            if kind in known and "{{" not in name and name not in known[kind]:
                text = f"{quote(step.to)}: there is no {kind} {quote(name)}"
                hint = did_you_mean(name, known[kind]) or f"name one of the on-call files as {kind}:ID"
                yield entry.finding(("steps", number, "to"), CODE, text, hint)
