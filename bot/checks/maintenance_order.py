"""A maintenance ends after it begins."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, sound
from bot.complaints import quote
from bot.errors import Finding
from bot.incidents.suppression import span_of

CODE = "maintenance-order"


def check(subject: Subject) -> Iterator[Finding]:
    for entry, maintenance in sound(subject.incidents.maintenance):
        start, until = span_of(maintenance)
        if until <= start:
            told = f"({until:%Y-%m-%d %H:%M}) before it begins ({start:%Y-%m-%d %H:%M})"
            text = f"maintenance {quote(maintenance.name)} ends {told}"
            yield entry.finding(("until",), CODE, text, "until must be later than from")
