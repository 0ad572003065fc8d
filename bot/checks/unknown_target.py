"""What a step notifies, and the fallback, must be a person, team or schedule of the on-call files."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject, names, sound
from bot.complaints import Path, did_you_mean, quote
from bot.errors import Finding

CODE = "unknown-target"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    known = {
        "person": names(subject.people),
        "team": names(subject.teams),
        "schedule": names(subject.schedules),
    }
    for entry, path, target in _targets(subject):
        kind, _, name = target.partition(":")
        if kind in {"channel", "webhook"}:
            continue  # of channels only Slack knows, `doctor` asks it; webhooks have a check of their own
        if name in known.get(kind, set()):
            continue
        other = next((other for other, there in known.items() if name in there), None)
        hint = f'did you mean "{other}:{name}"?' if other else did_you_mean(name, known.get(kind, set()))
        yield entry.finding(path, CODE, f"{quote(target)}: there is no {kind} {quote(name)}", hint)


def _targets(subject: Subject) -> Iterator[tuple[Entry[object], Path, str]]:
    for entry, policy in sound(subject.policies):
        for number, step in enumerate(policy.steps):
            yield from ((entry, ("steps", number, "notify", index), name) for index, name in enumerate(step.notify))
    for fallback, target in sound(subject.fallbacks):
        if target.count(":") == 1:  # anything else is already refused for its form
            yield fallback, (), target
