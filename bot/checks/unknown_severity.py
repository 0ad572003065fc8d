"""A matcher that asks for a severity which no alert has here matches nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.hiding import matchers
from bot.checks.subject import Subject
from bot.complaints import did_you_mean, quote
from bot.errors import Finding
from bot.incidents.model import Severity
from bot.labels import Op

CODE = "unknown-severity"


def check(subject: Subject) -> Iterator[Finding]:
    known = {severity.value for severity in Severity}
    for entry, path, matcher in matchers(subject):
        if matcher.name == "severity" and matcher.op is Op.EQUAL and matcher.value and matcher.value not in known:
            text = f"there is no severity {quote(matcher.value)}"
            hint = did_you_mean(matcher.value, known) or f"severities are {', '.join(sorted(known))}"
            yield entry.finding(path, CODE, text, hint, severity="warning")
