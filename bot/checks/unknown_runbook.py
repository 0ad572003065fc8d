"""The runbook that an alert names must exist: nobody should search for it at night."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.applying import alerts, named
from bot.checks.subject import Subject, names
from bot.complaints import did_you_mean, quote
from bot.errors import Finding

CODE = "unknown-runbook"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    for entry, rule in alerts(subject):
        name = rule.annotations.get("runbook", "")
        if name and "{{" not in name and named(subject, name) is None:
            yield entry.finding(("annotations", "runbook"), CODE, *_words(name, subject))
    if subject.main is None or subject.settings is None:
        return
    for bridge, sent in subject.settings.bridges.items():
        name = sent.annotations.get("runbook", "")
        if name and named(subject, name) is None:
            path = ("bridges", bridge, "annotations", "runbook")
            yield subject.main.finding(path, CODE, *_words(name, subject))


def _words(name: str, subject: Subject) -> tuple[str, str]:
    stem = name.rpartition("/")[2].rpartition(".")[0] or name
    return f"there is no runbook {quote(name)}", did_you_mean(stem, names(subject.runbooks))
