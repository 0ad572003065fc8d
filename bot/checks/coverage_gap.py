"""At each instant of the days ahead an incident of each agent reaches somebody before the fallback.

Not among the checks of every load: it depends on the day, and a configuration must not stop working by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from bot.agents.model import Agent
from bot.checks.subject import Entry, Subject
from bot.errors import Finding
from bot.forecast.coverage import Gap, gaps, told
from bot.oncall.model import Book

CODE = "coverage-gap"


def check(
    subject: Subject, agents: Mapping[str, Agent], book: Book, start: datetime, end: datetime
) -> Iterator[Finding]:
    for gap in gaps(agents, book, start, end):
        text, hint = told(gap, book, end)
        yield _place(subject, gap).finding((), CODE, text, hint, severity="warning", key=gap.kind != "fallback")


def _place(subject: Subject, gap: Gap) -> Entry[object]:
    entries: dict[str, tuple[Entry[object], ...]] = {
        "schedules": subject.schedules,
        "escalation_policies": subject.policies,
        "agents": subject.agents,
        "fallback": subject.fallbacks,
    }
    return next(entry for entry in entries[gap.kind] if entry.id == gap.id)
