"""The first rule of a person has to count at once: a page that begins with a wait is a page that comes late."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, sound
from bot.errors import Finding
from bot.schema import format_duration

CODE = "late-first"


def check(subject: Subject) -> Iterator[Finding]:
    for entry, person in sound(subject.people):
        for urgency, rules in person.notification_rules.items():
            soonest = min(rule.after for rule in rules)
            if soonest:
                text = f"{person.name} hears of nothing before {format_duration(soonest)} have passed"
                hint = "leave out after in the first rule"
                yield entry.finding(("notification_rules", urgency), CODE, text, hint, severity="warning", key=True)
