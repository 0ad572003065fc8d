"""A runbook or a matcher of incidents/ that names an alert which is nearly one of the rules was meant for that one.

An alert whose name is like none of the rules may come from another Prometheus, so nothing is said about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from bot.checks.applying import alerts
from bot.checks.hiding import matchers
from bot.checks.subject import Entry, Subject, sound
from bot.complaints import Path, quote
from bot.errors import Finding
from bot.labels import Op, parse_matchers
from bot.rules.load import builtin

CODE = "unknown-alert"


def check(subject: Subject) -> Iterator[Finding]:
    known = {rule.name for _, rule in alerts(subject)} | {rule.name for group in builtin() for rule in group.rules}
    for entry, runbook in sound(subject.runbooks):
        for index, text in enumerate(runbook.applies_to):
            for name in _alert_names(text):
                yield from _nearly(entry, ("applies_to", index), name, known)
    for hiding, path, matcher in matchers(subject):
        if matcher.name == "alertname" and matcher.op is Op.EQUAL:
            yield from _nearly(hiding, path, matcher.value, known)


def _nearly(entry: Entry[object], path: Path, name: str, known: set[str]) -> Iterator[Finding]:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    if name not in known and near:
        message, hint = f"no rule has the alert {quote(name)}", f'did you mean "{near[0]}"?'
        yield entry.finding(path, CODE, message, hint, severity="warning")


def _alert_names(text: str) -> list[str]:
    try:
        matchers = parse_matchers(text)
    except ValueError:  # told by the runbook's own lint
        return []
    return [matcher.value for matcher in matchers if matcher.name == "alertname" and matcher.op is Op.EQUAL]
