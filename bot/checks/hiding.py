"""Where the files of incidents/ name alerts: each list of matchers with its place."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject, sound
from bot.complaints import Path
from bot.labels import Matcher, parse_matchers


def matchers(subject: Subject) -> Iterator[tuple[Entry[object], Path, Matcher]]:
    """Every single matcher of grouping entries, inhibit rules, mute windows and maintenance."""
    told = subject.incidents
    for entry, rule in sound(told.inhibit_rules):
        yield from _each(entry, "source_matchers", rule.source_matchers)
        yield from _each(entry, "target_matchers", rule.target_matchers)
    for group, grouping in sound(told.groupings):
        yield from _each(group, "matchers", grouping.matchers)
    for muted, window in sound(told.mute_windows):
        yield from _each(muted, "matchers", window.matchers)
    for planned, maintenance in sound(told.maintenance):
        yield from _each(planned, "matchers", maintenance.matchers)


def label_names(subject: Subject) -> Iterator[tuple[Entry[object], Path, str]]:
    """The labels by which alerts are grouped, and which have to be equal."""
    told = subject.incidents
    for group, grouping in sound(told.groupings):
        yield from ((group, ("group_by", number), name) for number, name in enumerate(grouping.group_by))
    for entry, rule in sound(told.inhibit_rules):
        yield from ((entry, ("equal", number), name) for number, name in enumerate(rule.equal))


def _each(entry: Entry[object], key: str, texts: tuple[str, ...]) -> Iterator[tuple[Entry[object], Path, Matcher]]:
    for number, text in enumerate(texts):
        (matcher,) = parse_matchers(text)
        yield entry, (key, number), matcher
