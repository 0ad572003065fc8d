"""A story as text for a terminal, down to the width of a phone. Pure; colours nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import datetime

from bot.incidents.model import State
from bot.paging.model import PageState
from bot.records.timeline import Delivery, Moment, Story, promise_words, span

NARROWEST = 32
_ON_ITS_WAY = {PageState.DUE, PageState.SENDING, PageState.UNKNOWN}


def lines(story: Story, width: int) -> list[str]:
    """What matters first stands first: state, who has it, what is promised; then the timeline, oldest first."""
    width = max(width, NARROWEST)
    out = [f"{story.id} {story.state.upper()} {story.severity}"]
    for text in _head(story):
        out += _wrapped(text, width, "")
    out.append("")
    day = None
    for moment in story.timeline:
        if (today := f"{moment.at:%a %Y-%m-%d} UTC") != day:
            out.append(today)
            day = today
        out += _moment(moment, story.opened_at, width)
    waiting = [page for page in story.pages if page.state in _ON_ITS_WAY]
    if waiting:
        out += ["", "still on their way"]
        for page in waiting:
            out += _wrapped(_waiting(page), width, "  ")
    return out


def _head(story: Story) -> Iterator[str]:
    yield story.title
    yield f"owner {story.owner}" + (f", agent {story.agent}" if story.agent else "")
    yield _who_has_it(story)
    yield from (f"suppressed: {why}" for why in story.suppressed)
    yield from (promise_words(one) for one in story.sla)
    going_on = [alert for alert in story.alerts if alert.ends_at is None]
    yield f"{len(going_on)} of {len(story.alerts)} alerts going on"
    if story.mark:
        yield f"marked {'as noise' if story.mark == 'noise' else 'right'} by {story.marked_by}"


def _who_has_it(story: Story) -> str:
    lasted = span(story.lasted_seconds)
    match story.state:
        case State.ACKED:
            until = f", snoozed until {story.snoozed_until:%a %H:%M} UTC" if story.snoozed_until else ""
            return f"{story.acked_by} has it{until}; open for {lasted}"
        case State.RESOLVED:
            by = f"resolved by {story.resolved_by}" if story.resolved_by else "its alerts ended"
            return f"{by} after {lasted}"
        case _:
            return f"nobody has it; open for {lasted}"


def _moment(moment: Moment, opened: datetime, width: int) -> Iterator[str]:
    """The clock, the time since it opened, and what happened; below it by whom, why and who is woken."""
    since = max((moment.at - opened).total_seconds(), 0)
    yield from _wrapped(f"{moment.at:%H:%M:%S} +{span(since)} {moment.text}", width, "")
    if moment.who != "agentpager":
        yield from _wrapped(f"by {moment.who}", width, "  ")
    for line in moment.why.splitlines():
        yield from _wrapped(line, width, "  ")
    if moment.woken:
        yield from _wrapped(f"wakes {', '.join(moment.woken)}", width, "  ")
    if moment.through and moment.through.removeprefix("Slack ") not in moment.text:
        again = f", attempt {moment.attempt}" if moment.attempt > 1 else ""
        yield from _wrapped(f"{moment.through}{again}", width, "  ")


def _waiting(page: Delivery) -> str:
    error = f": {page.error}" if page.error else ""
    return f"{page.kind} to {page.to}, {page.through}, {page.state} {page.due_at:%H:%M:%S} UTC{error}"


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Names with hyphens stay whole."""
    further = indent + "  "
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False)
