"""`none` stands for nobody in schedules, so nobody may be called that."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject
from bot.errors import Finding
from bot.oncall.model import BLANK

CODE = "reserved-id"


def check(subject: Subject) -> Iterator[Finding]:
    for entry in subject.people:
        if entry.id == BLANK:
            text = f'"{BLANK}" stands for nobody in schedules'
            yield entry.finding((), CODE, text, "give this person another id", key=True)
