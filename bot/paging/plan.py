"""Turns a decision into the rows of the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.incidents.decision import Decision, Say
from bot.oncall.model import Book
from bot.paging.model import Page, PageKind

_REROUTED = ".again"


def pages_for(decision: Decision, book: Book, now: datetime) -> list[Page]:
    """One row for each message. The id names incident, revision, kind and person, so the same decision never
    pages twice."""
    incident = decision.incident

    def page(kind: PageKind, channel: str, why: str, person: str | None = None) -> Page:
        return Page(
            id=f"{incident.id}.{incident.revision}.{kind}" + (f".{person}" if person else ""),
            incident=incident.id,
            kind=kind,
            step=max(incident.step, 0),
            round=incident.round,
            person=person,
            channel=channel,
            due_at=now,
            reason=why,
        )

    pages = [
        page(PageKind.PAGE, book.people[reached.person].slack, reached.why, reached.person) for reached in decision.wake
    ]
    for name in decision.channels:
        told = page(PageKind.PAGE, name, f"{name} is named in the policy")
        pages.append(told.model_copy(update={"id": f"{told.id}.{name}"}))
    for say in decision.say:
        if say is Say.REMINDER:
            person = (incident.acked_by or "").removeprefix("person:")
            if person in book.people:
                pages.append(page(PageKind.REMINDER, book.people[person].slack, decision.why, person))
        else:
            pages.append(page(PageKind(say.value), incident.channel, decision.why))
    return pages


def repeated(page: Page, new: Sequence[Page]) -> bool:
    """Whether one of the new pages tells the same person, or the same thread, again."""
    again = {PageKind.PAGE, PageKind.ESCALATED, PageKind.REMINDER}
    return page.kind in again and any(
        (page.kind, page.person) == (other.kind, other.person) and (page.person or page.channel == other.channel)
        for other in new
    )


def same_decision(one: Page, other: Page) -> bool:
    """Whether both are pages that wake somebody and come from one decision: of one incident at one revision."""
    return one.kind is other.kind is PageKind.PAGE and one.id.split(".")[:2] == other.id.split(".")[:2]


def may_reroute(page: Page, channel: str) -> bool:
    """Once, and not to where it has just been refused."""
    return page.channel != channel and not page.id.endswith(_REROUTED)


def rerouted(page: Page, channel: str, now: datetime) -> Page:
    """The same message to another channel, after its own refused it for good."""
    reason = f"{page.channel} refused it ({page.error}), so it goes here"
    return Page(
        id=f"{page.id}{_REROUTED}", incident=page.incident, kind=page.kind, step=page.step, round=page.round,
        person=page.person, channel=channel, due_at=now, reason=reason, text=page.text,
    )  # fmt: skip
