"""Which pages go out together: several due ones for one person, or cards of one channel, are one message.

Nothing is dropped by it. Each page stays a row of its own that is sent, unknown or due again with the message that
shows it. One or two incidents look as they always do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.incidents.model import Incident
from bot.paging.model import Page, PageKind, PageState

MERGE_FROM = 3  # pages due for one place
MOST = 500  # in one message; the rest joins by an edit
COOL_DOWN = timedelta(minutes=5)  # what is not critical joins the last storm message for so long
SAME_BURST = timedelta(seconds=30)  # many that fall due so soon after a message belong to it
_EDIT_PATIENCE = timedelta(minutes=5)  # after this a page whose edit is held up goes out as a message
REPLIES = {PageKind.RUNBOOK, PageKind.CHART, PageKind.ESCALATED, PageKind.NEWS, PageKind.RESOLVED}
_MERGED = {PageKind.PAGE, PageKind.CARD}


@dataclass(frozen=True)
class Recent:
    """The last message of a kind to a place; `merged` when it shows several incidents."""

    lead: str
    at: datetime
    merged: bool


@dataclass(frozen=True)
class Parcel:
    """What goes out as one message, the most urgent first; `into` is the message that shows it by an edit instead."""

    pages: tuple[Page, ...]
    into: str | None = None

    @property
    def lead(self) -> Page:
        return self.pages[0]

    @property
    def merged(self) -> bool:
        return len(self.pages) > 1


def mergeable(page: Page) -> bool:
    return page.kind in _MERGED and page.incident is not None and page.by_slack and not page.alone


def parcel(due: Sequence[Page], critical: Callable[[Page], bool], recent: Recent | None, now: datetime) -> Parcel:
    """The first of what is due for one place, with what goes out beside it.

    A critical page always wakes by a message of its own time; it takes along whatever else is due.
    """
    first = due[0]
    if not mergeable(first):
        return Parcel((first,))
    alike = tuple(page for page in due if (page.kind, page.person) == (first.kind, first.person) and mergeable(page))
    alike = alike[:MOST]
    wakes = first.kind is PageKind.PAGE and any(critical(page) for page in alike)
    if recent is not None and not wakes and _joins(alike, recent, now):
        return Parcel(alike, recent.lead)
    return Parcel(alike if len(alike) >= MERGE_FROM else (first,))


def _joins(alike: Sequence[Page], recent: Recent, now: datetime) -> bool:
    if alike[0].kind is PageKind.PAGE and now - min(page.due_at for page in alike) > _EDIT_PATIENCE:
        return False
    if recent.merged:
        return now - recent.at < COOL_DOWN
    return len(alike) >= MERGE_FROM and now - recent.at < SAME_BURST


def answered(lead: Page, shown: Sequence[Incident]) -> bool:
    """Whether somebody has acted since the message went out: they have looked at it, and may not look again."""
    sent = lead.sent_at or lead.due_at
    acted = (at for one in shown for at in (one.acked_at, one.resolved_at if one.resolved_by else None) if at)
    return any(at > sent for at in acted)


def split_out(shown: Sequence[Page], incident: Incident, now: datetime) -> tuple[list[Page], list[Page]]:
    """One incident leaves a message about several for one of its own. `shown` is all that the message shows; returns
    the rows that change, so that it is redrawn without that incident, and the new ones. A row that leaves stays as the
    record of what was sent, without its incident."""
    leaving = [page for page in shown if page.incident == incident.id]
    staying = [page for page in shown if page.incident not in {incident.id, None}]
    changed = [page.model_copy(update={"incident": None}) for page in leaving]
    changed += [page.model_copy(update={"shown_revision": 0}) for page in staying]
    if not leaving:
        return [], []
    first = leaving[0]
    stem = f"{incident.id}.{incident.revision}"
    why = "split out of a message about several incidents"
    place = {"incident": incident.id, "step": first.step, "round": first.round, "due_at": now, "planned_at": now}
    person = f".{first.person}" if first.person else ""
    alone = Page(
        id=f"{stem}.{first.kind}{person}.alone", kind=first.kind, person=first.person, channel=first.channel,
        alone=True, reason=first.reason if first.kind is PageKind.PAGE else why, **place,
    )  # fmt: skip
    if first.kind is not PageKind.CARD:
        return changed, [alone]
    runbook = Page(
        id=f"{stem}.{PageKind.RUNBOOK}.alone", kind=PageKind.RUNBOOK, channel=first.channel, reason=why, **place
    )
    return changed, [alone, runbook]


def is_reply(page: Page) -> bool:
    """Stands in the thread of one incident's card, and says what a card of several incidents shows by itself."""
    return page.kind in REPLIES and page.state is PageState.DUE


def shares_card(pages: Sequence[Page]) -> bool:
    """Whether these pages of one incident have it on a card of several."""
    return any(page.kind is PageKind.CARD and page.lead is not None for page in pages)


def without_replies(new: Sequence[Page]) -> list[Page]:
    """The new pages but the runbooks of cards that will be one card anyway: its readers open them by a button."""
    cards = Counter(page.channel for page in new if page.kind is PageKind.CARD)
    crowded = {channel for channel, count in cards.items() if count >= MERGE_FROM}
    return [page for page in new if page.kind is not PageKind.RUNBOOK or page.channel not in crowded]
