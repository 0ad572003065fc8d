"""Which runbooks an alert rule can lead to, told from the labels that stand in the rule itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from bot.checks.subject import Entry, Subject, sound
from bot.labels import Matcher, parse_matchers
from bot.rules.model import Rule
from bot.runbooks.model import Runbook


def known_labels(rule: Rule) -> dict[str, str]:
    """Labels whose value is fixed; others come from the series and cannot be told here."""
    fixed = {name: value for name, value in rule.labels.items() if "{{" not in value}
    return {**fixed, "alertname": rule.name}


def lines(runbook: Runbook) -> Iterator[tuple[Matcher, ...]]:
    """The alternatives of `applies_to`; one that cannot be read is told by the runbook's own lint."""
    for text in runbook.applies_to:
        try:
            yield parse_matchers(text)
        except ValueError:
            continue


def may_apply(runbook: Runbook, labels: Mapping[str, str]) -> bool:
    """Whether it fits all that is known; what the series will say is taken to fit."""
    return any(all(m.matches(labels) for m in line if m.name in labels) for line in lines(runbook))


def certain(runbook: Runbook, labels: Mapping[str, str]) -> int:
    """How many matchers of its longest line fit for certain; 0 when no line does."""
    fits = [line for line in lines(runbook) if all(m.name in labels and m.matches(labels) for m in line)]
    return max((len(line) for line in fits), default=0)


def named(subject: Subject, name: str) -> Entry[Runbook] | None:
    """The runbook that an annotation means: by id, or by the path of its file, whose name is the id."""
    path = PurePosixPath(name.strip())
    wanted = path.stem if path.suffix in {".yaml", ".yml"} else path.name
    return next((entry for entry in subject.runbooks if entry.id == wanted), None)


def alerts(subject: Subject) -> Iterator[tuple[Entry[Rule], Rule]]:
    return ((entry, rule) for entry, rule in sound(subject.rules) if rule.is_alert)
