"""Whoever is woken by a critical alert should find a runbook in the page."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.applying import alerts, known_labels, may_apply
from bot.checks.subject import Subject
from bot.complaints import quote
from bot.errors import Finding

CODE = "no-runbook"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    broken = any(entry.value is None for entry in subject.runbooks)
    for entry, rule in alerts(subject):
        labels = known_labels(rule)
        given = rule.annotations.get("runbook") or rule.annotations.get("runbook_url")
        if broken or given or labels.get("severity") != "critical":
            continue
        if not any(runbook.value is not None and may_apply(runbook.value, labels) for runbook in subject.runbooks):
            text = f"critical alert {quote(rule.name)} has no runbook"
            hint = "annotate it with runbook: ID, or write one that applies to it"
            yield entry.finding(("alert",), CODE, text, hint, severity="warning")
