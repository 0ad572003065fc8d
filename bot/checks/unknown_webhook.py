"""A webhook that a step or a person's rule names must stand under notify.webhooks of agentpager.yaml."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject, sound
from bot.complaints import Path, did_you_mean, quote
from bot.errors import Finding

CODE = "unknown-webhook"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.settings is None:
        return
    known = set(subject.notify.webhooks)
    for entry, path, target in _named(subject):
        name = target.removeprefix("webhook:")
        if target.startswith("webhook:") and name not in known:
            hint = did_you_mean(name, known) or "name it under notify.webhooks in agentpager.yaml"
            yield entry.finding(path, CODE, f"there is no webhook {quote(name)}", hint)


def _named(subject: Subject) -> Iterator[tuple[Entry[object], Path, str]]:
    for ladder, policy in sound(subject.policies):
        for number, step in enumerate(policy.steps):
            yield from ((ladder, ("steps", number, "notify", index), name) for index, name in enumerate(step.notify))
    for entry, person in sound(subject.people):
        for urgency, rules in person.notification_rules.items():
            for index, rule in enumerate(rules):
                yield entry, ("notification_rules", urgency, index, "by"), rule.by
