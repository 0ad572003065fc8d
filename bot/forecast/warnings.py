"""What is said before anything happens, as alerts of agentpager's own: hours that nobody covers, calendars that cannot
be read, people whom a page would not reach. Each goes to somebody who can mend it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.agents.model import Agent
from bot.forecast.coverage import Gap, told, words
from bot.incidents.model import Severity
from bot.incidents.own import OwnAlert
from bot.oncall import feeds
from bot.oncall.feeds import Copy
from bot.oncall.model import Book, Person
from bot.oncall.owners import owner_of
from bot.oncall.reachability import Trouble

COVERAGE_GAP = "CoverageGap"
FEED_FAILED = "CalendarFeedFailed"
UNREACHABLE = "OwnerUnreachable"
MOST = 20  # places; whoever mends these sees the rest tomorrow, and in agentpager check


def of_gaps(found: Sequence[Gap], agents: Mapping[str, Agent], book: Book, end: datetime) -> list[OwnAlert]:
    """One for each place that has to be mended, the nearest first, for whoever answers for the agents concerned."""
    by_place: dict[str, list[Gap]] = {}
    for gap in found:
        by_place.setdefault("fallback" if gap.kind == "fallback" else f"{gap.kind}.{gap.id}", []).append(gap)
    nearest = sorted(by_place.items(), key=lambda item: min(gap.spans[0][0] for gap in item[1]))
    return [_of_place(place, gaps, agents, book, end) for place, gaps in nearest[:MOST]]


def _of_place(place: str, found: Sequence[Gap], agents: Mapping[str, Agent], book: Book, end: datetime) -> OwnAlert:
    first = min(found, key=lambda gap: gap.spans[0][0])
    owners = {owner_of({"agent": agent}, agents, book).id for gap in found for agent in gap.agents}
    owner = owners.pop() if len(owners) == 1 else ""
    lines = [told(gap, book, end) for gap in found]
    mend = f"To mend, in {place}: {lines[0][1]}. It is for {owner or f'the fallback, {book.fallback}'}."
    name = place.partition(".")[2] or place
    return OwnAlert(
        summary=f"Nobody is on call in {name} {words(first, book, end, 1)}",
        description=" ".join([*(f"{text[:1].upper()}{text[1:]}." for text, _ in lines), mend]),
        severity=Severity.WARNING,
        labels={"place": place},
        owner=owner,
    )


def of_feed(written: str, places: Sequence[str], copy: Copy) -> OwnAlert:
    """A calendar without any copy is critical: nobody is on duty by it now."""
    name, since = feeds.shown(written), copy.failing_since
    where = " and ".join(places)
    if copy.text and copy.confirmed_at is not None:
        held = f"The copy of {copy.confirmed_at:%a %Y-%m-%d %H:%M} UTC is used: changes made since then do not count."
    else:
        held = "It has never been read: nobody is on duty by it, and steps that need it are passed over."
    return OwnAlert(
        summary=f"The calendar of {where} cannot be read",
        description=f"{name} fails since {since:%a %Y-%m-%d %H:%M} UTC: {copy.error}. {held}",
        severity=Severity.WARNING if copy.text else Severity.CRITICAL,
        labels={"calendar": name, "of": where},
    )


def of_person(person: Person, found: Sequence[Trouble], urgent: bool, owner: str) -> OwnAlert:
    """`urgent`: a page may be meant for them within a day."""
    grave = any(trouble.grave for trouble in found)
    texts = [f"{trouble.text} ({trouble.hint})" for trouble in found]
    what = "No page to" if grave else "Not every page to"
    return OwnAlert(
        summary=f"{what} {person.name} would arrive: {found[0].text}",
        description=f"people.{person.id}: {'; '.join(texts)}. What Slack refuses goes to the next level at once.",
        severity=Severity.CRITICAL if grave and urgent else Severity.WARNING,
        labels={"person": person.id},
        owner=owner,
    )
