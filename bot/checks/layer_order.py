"""A layer ends after it begins, a swap too, and is between two people."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from bot.checks.subject import Subject, sound
from bot.errors import Finding
from bot.oncall.turns import instant

CODE = "layer-order"


def check(subject: Subject) -> Iterator[Finding]:
    for entry, schedule in sound(subject.schedules):
        zone = ZoneInfo(schedule.timezone)
        for number, layer in enumerate(schedule.layers):
            if layer.start is not None and layer.until is not None and layer.until <= layer.start:
                text = f"the layer ends ({layer.until}) before it begins ({layer.start})"
                yield entry.finding(("layers", number, "until"), CODE, text, "until must be later than start")
        for number, swap in enumerate(schedule.swaps):
            if instant(swap.until, zone) <= instant(swap.start, zone):
                text = f"the swap ends ({swap.until:%Y-%m-%d %H:%M}) before it begins ({swap.start:%Y-%m-%d %H:%M})"
                yield entry.finding(("swaps", number, "until"), CODE, text, "until must be later than from")
            if swap.people[0] == swap.people[1]:
                yield entry.finding(("swaps", number, "people"), CODE, "a swap is between two different people")
