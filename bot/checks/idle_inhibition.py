"""An inhibit rule whose two sides are the same hides nothing: no alert is hidden by one that matches both sides too."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, sound
from bot.complaints import quote
from bot.errors import Finding

CODE = "idle-inhibition"


def check(subject: Subject) -> Iterator[Finding]:
    for entry, rule in sound(subject.incidents.inhibit_rules):
        if set(rule.source_matchers) == set(rule.target_matchers):
            text = f"inhibit rule {quote(rule.name)} hides nothing: its source and its target are the same alerts"
            hint = "say what tells the cause from what follows from it, by alertname or a label"
            yield entry.finding(("target_matchers",), CODE, text, hint, key=True)
