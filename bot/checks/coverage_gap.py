"""At each instant of the days ahead an incident of each agent reaches somebody before the fallback.

Not among the checks of every load: it depends on the day, and a configuration must not stop working by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.agents.model import Agent
from bot.checks.subject import Entry, Subject
from bot.errors import Finding
from bot.forecast.coverage import Gap, gaps
from bot.forecast.spans import Span, length
from bot.oncall.model import Book

CODE = "coverage-gap"
_SHOWN = 4


def check(
    subject: Subject, agents: Mapping[str, Agent], book: Book, start: datetime, end: datetime
) -> Iterator[Finding]:
    for gap in gaps(agents, book, start, end):
        schedule = book.schedules.get(gap.id.removeprefix("schedule:")) if gap.kind != "agents" else None
        when = _when(gap.spans, schedule.timezone if schedule is not None else "UTC", end)
        if gap.kind == "fallback":
            text = f"the fallback reaches nobody {when}: everybody would be paged"
            hint = "name a person or a team, or a schedule without gaps"
        else:
            text = f"nobody but the fallback {when} for {_whom(gap)}"
            hint = "cover it by a layer or an override, or add a step that always reaches somebody"
        yield _place(subject, gap).finding((), CODE, text, hint, severity="warning", key=gap.kind != "fallback")


def _place(subject: Subject, gap: Gap) -> Entry[object]:
    entries: dict[str, tuple[Entry[object], ...]] = {
        "schedules": subject.schedules,
        "escalation_policies": subject.policies,
        "agents": subject.agents,
        "fallback": subject.fallbacks,
    }
    return next(entry for entry in entries[gap.kind] if entry.id == gap.id)


def _whom(gap: Gap) -> str:
    named = ", ".join(gap.agents[:3]) + (f" and {len(gap.agents) - 3} more agents" if len(gap.agents) > 3 else "")
    return f"{' and '.join(gap.severities)} of {named}"


def _when(spans: Sequence[Span], zone: str, end: datetime) -> str:
    """`from Sat 2026-11-21 00:00 to Mon 2026-11-23 09:00, …`, in the zone of the schedule."""
    known = ZoneInfo(zone)
    shown = [_span(start, until, known, until == end) for start, until in spans[:_SHOWN]]
    more = f" and {len(spans) - _SHOWN} more times" if len(spans) > _SHOWN else ""
    hours = length(spans).total_seconds() / 3600
    total = f", {hours:.4g} h in all" if len(spans) > 1 else ""
    return f"{', '.join(shown)}{more} ({zone}{total})"


def _span(start: datetime, until: datetime, zone: ZoneInfo, endless: bool) -> str:
    first, last = start.astimezone(zone), until.astimezone(zone)
    same_day = first.date() == last.date()
    to = f"{last:%H:%M}" if same_day else f"{last:%a %Y-%m-%d %H:%M}"
    return f"from {first:%a %Y-%m-%d %H:%M} on" if endless else f"from {first:%a %Y-%m-%d %H:%M} to {to}"
