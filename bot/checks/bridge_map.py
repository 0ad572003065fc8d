"""The templates of a bridge's map must be readable: what they cannot make, nobody is woken for."""

from __future__ import annotations

from collections.abc import Iterator

from bot.bridges.mapped import problems
from bot.checks.subject import Subject
from bot.errors import Finding

CODE = "bridge-map"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.main is None or subject.settings is None:
        return
    for name, bridge in subject.settings.bridges.items():
        for place, problem in problems(bridge.map) if bridge.map is not None else ():
            path = ("bridges", name, "map", *place)
            yield subject.main.finding(path, CODE, problem, "docs/bridges.md says what the templates see")
