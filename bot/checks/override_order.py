"""An override ends after it begins."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from bot.checks.subject import Subject, sound
from bot.errors import Finding

CODE = "override-order"


def check(subject: Subject) -> Iterator[Finding]:
    for entry, schedule in sound(subject.schedules):
        zone = ZoneInfo(schedule.timezone)
        for number, override in enumerate(schedule.overrides):
            start, until = (
                moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
                for moment in (override.start, override.until)
            )
            if until <= start:
                text = f"the override ends ({until:%Y-%m-%d %H:%M}) before it begins ({start:%Y-%m-%d %H:%M})"
                yield entry.finding(("overrides", number, "until"), CODE, text, "until must be later than from")
