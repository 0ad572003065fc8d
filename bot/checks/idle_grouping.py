"""The first grouping entry that matches counts, so none behind one that matches everything is ever used."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Entry, Subject, sound
from bot.errors import Finding
from bot.incidents.policy import Grouping

CODE = "idle-grouping"


def check(subject: Subject) -> Iterator[Finding]:
    greedy: Entry[Grouping] | None = None
    for entry, grouping in sound(subject.incidents.groupings):
        if greedy is not None:
            where = f"{greedy.document.file} line {greedy.document.mark(greedy.path).line}"
            text = f"this entry is never used: the one in {where} matches every alert"
            yield entry.finding((), CODE, text, "put the entry without matchers last", severity="warning")
        elif not grouping.matchers:
            greedy = entry
