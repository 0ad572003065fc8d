"""Each event of a calendar file that is a layer names somebody of the on-call files, or nobody is on duty then."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, sound
from bot.errors import Finding
from bot.oncall import ical

CODE = "ical-person"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    people = {entry.id: person for entry, person in sound(subject.people)}
    layers = [layer for _, schedule in sound(subject.schedules) for layer in schedule.layers]
    for written in sorted({layer.ical for layer in layers if layer.ical is not None}):
        if written in subject.icals:
            name, calendar = subject.icals[written]
            for trouble in ical.strangers(calendar, people):
                yield Finding(name, trouble.line, 1, CODE, trouble.message, "warning", trouble.hint)
