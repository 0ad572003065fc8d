"""One id, one meaning: the same person, team, schedule, policy, agent or inhibit rule may not stand in two files."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject
from bot.complaints import quote
from bot.errors import Finding

CODE = "duplicate-id"


def check(subject: Subject) -> Iterator[Finding]:
    yield from _twice("agent", subject.agents)
    yield from _twice("person", subject.people)
    yield from _twice("team", subject.teams)
    yield from _twice("schedule", subject.schedules)
    yield from _twice("escalation policy", subject.policies)
    yield from _twice("calendar", subject.holidays)
    yield from _twice("route", subject.routes)
    yield from _twice("runbook", subject.runbooks, "id")
    yield from _twice("mute window", subject.incidents.mute_windows)
    yield from _twice("inhibit rule", subject.incidents.inhibit_rules, "name")
    yield from _twice("maintenance", subject.incidents.maintenance, "name")
    yield from _twice("key", subject.incidents.once)


def _twice(what: str, entries: tuple[Entry[object], ...], key: str = "") -> Iterator[Finding]:
    """`key` is where the id stands inside of the entry, if it is not the entry's own name."""
    path = (key,) if key else ()
    first: dict[str, Entry[object]] = {}
    for entry in entries:
        other = first.setdefault(entry.id, entry)
        if other is not entry:
            line = other.document.mark((*other.path, *path), key=True).line
            text = f"{what} {quote(entry.id)} is already in {other.document.file} line {line}"
            yield entry.finding(path, CODE, text, "rename or remove one of them", key=True)
