"""A mute window or maintenance says what it hides: matchers that hold for an alert without any label hide those about
agentpager itself too, such as WatcherDown."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject, sound
from bot.complaints import quote
from bot.errors import Finding
from bot.incidents.matching import compiled
from bot.labels import matches_all

CODE = "broad-hiding"


def check(subject: Subject) -> Iterator[Finding]:
    told = subject.incidents
    for muted, window in sound(told.mute_windows):
        yield from _broad(muted, f"mute window {quote(muted.id)}", window.matchers)
    for planned, maintenance in sound(told.maintenance):
        yield from _broad(planned, f"maintenance {quote(planned.id)}", maintenance.matchers)


def _broad(entry: Entry[object], what: str, matchers: tuple[str, ...]) -> Iterator[Finding]:
    if matches_all(compiled(matchers), {}):
        text = f"{what} also hides alerts without any of these labels, among them those about agentpager itself"
        hint = 'add a matcher that such an alert does not meet, for example agent!=""'
        yield entry.finding(("matchers",), CODE, text, hint, severity="warning", key=True)
