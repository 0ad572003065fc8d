"""A calendar of holidays that a restriction, a condition or a mute window names must exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.checks.subject import Entry, Subject, names, sound
from bot.complaints import Path, did_you_mean, quote
from bot.errors import Finding
from bot.oncall.windows import Window

CODE = "unknown-calendar"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    known = names(subject.holidays)
    for entry, path, windows in _windows(subject):
        for number, window in enumerate(windows):
            for key in ("not_on", "only_on"):
                for name in getattr(window, key):
                    if name not in known:
                        text = f"there is no calendar of holidays {quote(name)}"
                        yield entry.finding((*path, number, key), CODE, text, did_you_mean(name, known))


def _windows(subject: Subject) -> Iterator[tuple[Entry[object], Path, Sequence[Window]]]:
    for muted, window in sound(subject.incidents.mute_windows):
        yield muted, ("during",), window.during
    for entry, schedule in sound(subject.schedules):
        for number, layer in enumerate(schedule.layers):
            yield entry, ("layers", number, "restrictions"), layer.restrictions
    for ladder, policy in sound(subject.policies):
        for number, step in enumerate(policy.steps):
            if step.when is not None:
                yield ladder, ("steps", number, "when", "during"), step.when.during
                yield ladder, ("steps", number, "when", "outside"), step.when.outside
