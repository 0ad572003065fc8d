"""A secret is given directly or by a file, not both: nobody could say which one counts."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject
from bot.complaints import Path
from bot.errors import Finding

CODE = "double-secret"
_SECTIONS = ("slack", "http", "notify", "actions", "bridges")


def check(subject: Subject) -> Iterator[Finding]:
    if subject.main is None or not isinstance(subject.main.data, dict):
        return
    for section in _SECTIONS:
        for place in _given_twice(subject.main.data.get(section), (section,)):
            key = ".".join(str(part) for part in place)
            text = f"both {key} and {key}_file are given"
            yield subject.main.finding((*place[:-1], f"{place[-1]}_file"), CODE, text, "keep one of them", key=True)


def _given_twice(data: object, here: Path) -> Iterator[Path]:
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if f"{key}_file" in data:
            yield (*here, key)
        yield from _given_twice(value, (*here, key))
