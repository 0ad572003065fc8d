"""A runbook that no alert of the rules can lead to is found by nobody at night.

Like a matcher with a name that no rule has, one for an unknown alert is believed: the alert may come from elsewhere.
Told to authors by `runbook lint`, not at every load.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.applying import alerts, known_labels, lines, named
from bot.checks.subject import Subject, sound
from bot.complaints import quote
from bot.errors import Finding
from bot.labels import Matcher, Op
from bot.rules.load import builtin

CODE = "idle-runbook"


def check(subject: Subject) -> Iterator[Finding]:
    rules = [rule for _, rule in alerts(subject)]
    if not subject.whole or not rules:
        return
    bridges = subject.settings.bridges.values() if subject.settings is not None else ()
    names = [one.annotations.get("runbook", "") for one in (*rules, *bridges)]
    if any("{{" in name for name in names):
        return
    wanted = {entry.id for name in names if name and (entry := named(subject, name)) is not None}
    every = [known_labels(rule) for rule in (*rules, *(rule for group in builtin() for rule in group.rules))]
    known = {labels["alertname"] for labels in every}
    for entry, runbook in sound(subject.runbooks):
        readable = len(list(lines(runbook))) == len(runbook.applies_to)  # else its mistake is told already
        if not readable or entry.id in wanted or any(_may_be_met(line, every, known) for line in lines(runbook)):
            continue
        text = f"no alert leads to runbook {quote(entry.id)}"
        hint = f"correct applies_to, or annotate an alert with runbook: {entry.id}"
        yield entry.finding(("applies_to",), CODE, text, hint, severity="warning", key=True)


def _may_be_met(line: tuple[Matcher, ...], every: list[dict[str, str]], known: set[str]) -> bool:
    if any(m.name == "alertname" and m.op is Op.EQUAL and m.value not in known for m in line):
        return True
    return any(all(m.matches(labels) for m in line if m.name in labels) for labels in every)
