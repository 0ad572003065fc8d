"""Who has to agree to a runbook's action must be somebody of the on-call files, and a role one that somebody has."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, names, sound
from bot.complaints import did_you_mean, quote
from bot.errors import Finding

CODE = "action-approver"
_LEAD = "lead"  # of the team that owns the incident: nobody has to be given that role


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    roles = {role for _, person in sound(subject.people) for role in person.roles} | {_LEAD}
    known = {"person": names(subject.people), "team": names(subject.teams), "role": roles}
    for entry, runbook in sound(subject.runbooks):
        for number, step in enumerate(runbook.steps):
            for index, who in enumerate(step.approve.by if step.approve is not None else ()):
                kind, _, name = who.partition(":")
                if kind in known and name not in known[kind]:
                    text = f"{quote(who)}: nobody has the role {quote(name)}" if kind == "role" else ""
                    text = text or f"{quote(who)}: there is no {kind} {quote(name)}"
                    hint = did_you_mean(name, known[kind]) or f"name one of the on-call files as {kind}:ID"
                    path = ("steps", number, "approve", "by", index)
                    yield entry.finding(path, CODE, text, hint)
