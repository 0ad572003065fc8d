"""Records as Markdown: the skeleton of a postmortem, and tables. Pure.

What came from labels, notes and people is escaped: it shows as it was written, and formats, links and embeds nothing.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from collections.abc import Iterator, Sequence

from bot.incidents.model import State
from bot.paging.model import PageKind, PageState
from bot.records.timeline import Moment, Story, Told, plain, promise_words, span

_ESCAPED = frozenset("\\`*_{}[]()#!~^$")  # emphasis, code, links, images, headings, formulas
_REPLACED = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "|": "&#124;"}
_BLOCK = re.compile(r"([-+=]|\d+(?=[.)](?:\s|$)))")  # begins a list or underlines a heading, at the start of a line
_HOST = re.compile(r"(?i)(www)\.")
_EMPTY_SECTIONS = {
    "What went well": "-",
    "What went badly": "-",
    "Where we were lucky": "-",
}


def text(value: str) -> str:
    """Shows as it is, on one line."""
    flat = plain(value)
    safe = "".join(_REPLACED.get(one) or (f"\\{one}" if one in _ESCAPED else one) for one in flat)
    safe = _HOST.sub(r"\1&#46;", safe.replace("://", "&#58;//"))  # an address on its own becomes a link
    return safe if _BLOCK.match(safe) is None else f"&#{ord(safe[0])};{safe[1:]}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells are text, and are escaped here."""
    out = [_row(headings), _row(["---"] * len(headings))]
    return out + [_row([text(cell) for cell in row]) for row in rows]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def postmortem(story: Story) -> str:
    """What is known of an incident, with empty sections for what only people know."""
    return "\n".join(_sections(story)) + "\n"


def _sections(story: Story) -> Iterator[str]:
    yield f"# {story.id}: {text(story.title)}"
    yield ""
    yield from table(["", ""], list(_facts(story)))
    yield from ["", "## Summary", ""]
    yield text(_summary(story))
    yield from ["", "## Impact", ""]
    impacts = sorted({alert.summary for alert in story.alerts if alert.summary})
    yield from [f"- {text(line)}" for line in impacts] or ["-"]
    yield from ["", "## Timeline (UTC)", ""]
    yield from table(["time", "what", "who", "why"], [_line(moment) for moment in story.timeline])
    yield from ["", "## Alerts", ""]
    yield from table(
        ["alert", "severity", "state", "from", "until", "labels"], [_alert_row(alert) for alert in story.alerts]
    )
    yield from ["", "## Who was paged", ""]
    yield from table(["person or channel", "through", "sent", "after", "attempts"], list(_paged(story)))
    yield from ["", "## Numbers", ""]
    yield from table(["", ""], list(_numbers(story)))
    if story.notes:
        yield from ["", "## Notes", ""]
        yield from (f"- {note.at:%Y-%m-%d %H:%M} UTC, {text(note.by)}: {text(note.text)}" for note in story.notes)
    for heading, content in _EMPTY_SECTIONS.items():
        yield from ["", f"## {heading}", "", content]
    yield from ["", "## Action items", ""]
    yield from table(["what", "who", "by when"], [["", "", ""]])


def _facts(story: Story) -> Iterator[tuple[str, str]]:
    yield "state", story.state.value
    yield "severity", story.severity
    yield "agent", story.agent or "none"
    yield "owner", f"{story.owner} ({story.owner_why})"
    yield "opened", f"{story.opened_at:%Y-%m-%d %H:%M:%S} UTC"
    if story.resolved_at is not None:
        yield "resolved", f"{story.resolved_at:%Y-%m-%d %H:%M:%S} UTC"
    yield "told", f"{story.told_at:%Y-%m-%d %H:%M:%S} UTC"


def _summary(story: Story) -> str:
    answered = story.answered_after_seconds
    took = "nobody took it" if answered is None else f"{story.answered_by} took it after {span(answered)}"
    if story.state is State.RESOLVED:
        end = f"{story.resolved_by} closed it" if story.resolved_by else "its alerts ended"
        return f"{story.title}. It lasted {span(story.lasted_seconds)}: {took}, {end}."
    return f"{story.title}. It has gone on for {span(story.lasted_seconds)}: {took}."


def _line(moment: Moment) -> tuple[str, str, str, str]:
    woken = f"wakes {', '.join(moment.woken)}" if moment.woken else ""
    why = "; ".join(part for part in (moment.why, woken, moment.through) if part)
    return f"{moment.at:%Y-%m-%d %H:%M:%S}", moment.text, moment.who, why


def _alert_row(alert: Told) -> tuple[str, ...]:
    hidden = f", hidden: {'; '.join(alert.suppressed)}" if alert.suppressed else ""
    begun = f"{alert.starts_at:%Y-%m-%d %H:%M:%S}"
    return alert.name, alert.severity, f"{alert.state.value}{hidden}", begun, _end(alert.ends_at), _labels(alert.labels)


def _end(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else "goes on"


def _labels(labels: dict[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "alertname")


def _paged(story: Story) -> Iterator[tuple[str, str, str, str, str]]:
    for page in story.pages:
        if page.kind is not PageKind.PAGE or page.state is PageState.CANCELLED:
            continue
        if page.sent_at is None:
            yield page.to, page.through, page.state.value, "", str(page.attempts)
        else:
            since = span(max((page.sent_at - story.opened_at).total_seconds(), 0))
            yield page.to, page.through, f"{page.sent_at:%Y-%m-%d %H:%M:%S}", since, str(page.attempts)


def _numbers(story: Story) -> Iterator[tuple[str, str]]:
    yield (
        "time to the first ack",
        span(story.answered_after_seconds) if story.answered_after_seconds is not None else "none",
    )
    yield "lasted", span(story.lasted_seconds)
    yield "suppressed for", span(story.suppressed_seconds)
    yield "opened again", f"{story.reopened} times"
    yield "was it right to wake somebody", story.mark or "nobody has said"
    for one in story.sla:
        yield "promise", promise_words(one)
