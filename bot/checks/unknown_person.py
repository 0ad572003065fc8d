"""Members, leads, those of layers, swaps and overrides, and whom tokens act for must be people of the on-call files."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject, names, sound
from bot.complaints import Path, did_you_mean, quote
from bot.errors import Finding
from bot.oncall.model import BLANK

CODE = "unknown-person"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    known = names(subject.people)
    for entry, path, person in _named(subject):
        if person not in known and not (person == BLANK and path[0] in {"layers", "overrides"}):
            hint = did_you_mean(person.removeprefix("person:"), known)
            yield entry.finding(path, CODE, f"there is no person {quote(person)}", hint)
    yield from _of_tokens(subject, known)


def _of_tokens(subject: Subject, known: set[str]) -> Iterator[Finding]:
    if subject.main is None or subject.settings is None:
        return
    for name, token in subject.settings.http.tokens.items():
        if token.person is not None and token.person not in known:
            text, hint = f"there is no person {quote(token.person)}", did_you_mean(token.person, known)
            yield subject.main.finding(("http", "tokens", name, "person"), CODE, text, hint)


def _named(subject: Subject) -> Iterator[tuple[Entry[object], Path, str]]:
    for entry, team in sound(subject.teams):
        yield from ((entry, ("members", index), name) for index, name in enumerate(team.members))
        if team.lead is not None:
            yield entry, ("lead",), team.lead
    for rota, schedule in sound(subject.schedules):
        for number, layer in enumerate(schedule.layers):
            yield from ((rota, ("layers", number, "people", index), name) for index, name in enumerate(layer.people))
        for number, swap in enumerate(schedule.swaps):
            yield from ((rota, ("swaps", number, "people", index), name) for index, name in enumerate(swap.people))
        for number, override in enumerate(schedule.overrides):
            yield rota, ("overrides", number, "person"), override.person
