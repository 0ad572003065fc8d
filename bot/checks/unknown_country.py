"""The country (and part of it) of a calendar must be one that the `holidays` package knows, and it must be there."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, sound
from bot.errors import Finding
from bot.oncall.public_holidays import problem

CODE = "unknown-country"


def check(subject: Subject) -> Iterator[Finding]:
    for entry, calendar in sound(subject.holidays):
        if calendar.country is not None and (told := problem(calendar.country, calendar.subdivision)):
            message, hint = told
            key = "country" if calendar.subdivision is None else "subdivision"
            yield entry.finding((key,), CODE, message, hint)
