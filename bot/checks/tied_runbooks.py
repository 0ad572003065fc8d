"""Of two runbooks that fit an alert equally well nobody can say which one the page will show."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.applying import alerts, certain, known_labels
from bot.checks.subject import Subject, sound
from bot.complaints import quote
from bot.errors import Finding

CODE = "tied-runbooks"


def check(subject: Subject) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for _, rule in alerts(subject):
        if rule.annotations.get("runbook"):
            continue
        labels = known_labels(rule)
        ranked = [(certain(runbook, labels), entry) for entry, runbook in sound(subject.runbooks)]
        best = max((rank for rank, _ in ranked), default=0)
        first, *others = [entry for rank, entry in ranked if rank == best] if best else [None]
        for other in others:
            if first is None or other is None or (first.id, other.id) in told:
                continue
            told.add((first.id, other.id))
            text = f"fits alert {quote(rule.name)} no better and no worse than runbook {quote(first.id)}"
            hint = "add a matcher to one of them, or annotate the alert with runbook: ID"
            yield other.finding(("applies_to",), CODE, text, hint, severity="warning", key=True)
