"""A label or annotation whose name is nearly one that means something here was most likely meant to be that one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import lru_cache

from bot.checks.hiding import label_names, matchers
from bot.checks.subject import Subject, sound
from bot.complaints import quote
from bot.errors import Finding
from bot.labels import parse_matchers

CODE = "odd-label"
LABELS = ("agent", "env", "owner", "severity")
ANNOTATIONS = ("summary", "now", "description", "impact", "runbook", "runbook_url", "covers")


def check(subject: Subject) -> Iterator[Finding]:
    for entry, rule in sound(subject.rules):
        if not rule.is_alert:
            continue
        for section, given, known in (("labels", rule.labels, LABELS), ("annotations", rule.annotations, ANNOTATIONS)):
            for name, meant in _nearly(given, known):
                text, hint = f"{quote(name)} means nothing to agentpager", f'did you mean "{meant}"?'
                yield entry.finding((section, name), CODE, text, hint, severity="warning", key=True)
    for page, runbook in sound(subject.runbooks):
        for index, text in enumerate(runbook.applies_to):
            for name, meant in _nearly(_matched(text), ("alertname", *LABELS)):
                message, hint = f"hardly any alert has a label {quote(name)}", f'did you mean "{meant}"?'
                yield page.finding(("applies_to", index), CODE, message, hint, severity="warning")
    named = [(entry, path, matcher.name) for entry, path, matcher in matchers(subject)]
    for hiding, path, label in (*named, *label_names(subject)):
        for _, meant in _nearly([label], ("alertname", *LABELS)):
            message, hint = f"hardly any alert has a label {quote(label)}", f'did you mean "{meant}"?'
            yield hiding.finding(path, CODE, message, hint, severity="warning")
    if subject.main is None or subject.settings is None:
        return
    for index, target in enumerate(subject.settings.metrics.scrape.targets):
        for name, meant in _nearly(target.labels, LABELS):
            path = ("metrics", "scrape", "targets", index, "labels", name)
            text, hint = f"{quote(name)} is not the label of an agent's metrics", f'did you mean "{meant}"?'
            yield subject.main.finding(path, CODE, text, hint, severity="warning", key=True)


def _matched(text: str) -> list[str]:
    try:
        return [matcher.name for matcher in parse_matchers(text)]
    except ValueError:  # told by the runbook's own lint
        return []


def _nearly(given: Iterable[str], known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Near, and the meant one is not given as well."""
    names = set(given)
    for name in sorted(names.difference(known)):
        near = _nearest(name, known)
        if near and near not in names:
            yield name, near


@lru_cache(maxsize=1024)  # a thousand rules have a handful of names
def _nearest(name: str, known: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.75)), "")
