"""Exactly one fallback over all on-call files: no page is ever without a person, and nobody wonders who it is."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject
from bot.errors import Finding

CODE = "missing-fallback"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole or subject.main is None:
        return
    if not subject.fallbacks:
        documents = {entry.document.file: entry.document for entry in subject.people}
        place = documents[min(documents)] if documents else subject.main
        hint = 'add to one of the on-call files: fallback: "person:ID"'
        path = () if documents else ("oncall",)
        yield place.finding(path, CODE, "no on-call file names a fallback, so a page could be without a person", hint)
    for extra in subject.fallbacks[1:]:
        first = subject.fallbacks[0]
        text = f"a second fallback; the first is in {first.document.file} line {first.document.mark(first.path).line}"
        yield extra.finding((), CODE, text, "keep one of them", key=True)
