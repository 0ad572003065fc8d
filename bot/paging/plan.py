"""Turns a decision into the rows of the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.incidents.decision import Decision, Say
from bot.incidents.drill import Drill
from bot.incidents.model import Event, Incident, title_of
from bot.oncall.model import Book
from bot.paging import notify
from bot.paging.model import CHART, Page, PageKind, PageState

_REROUTED = ".again"
CHART_WAITS = timedelta(seconds=3)  # for the card and the runbook that it stands below
_GONE = {PageState.FAILED, PageState.CANCELLED}


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
            planned_at=now,
            reason=why,
            alone=bool(incident.exercise),
        )

    def address(person: str) -> str:
        """Somebody without an entry any more is asked for where everybody sees it: no page is lost."""
        return book.people[person].slack if person in book.people else incident.channel

    pages = []
    for one in decision.wake:
        first = page(PageKind.PAGE, address(one.person), one.why, one.person)
        known = book.people.get(one.person)
        pages += notify.pages_by_rules(first, known, incident.severity) if known is not None else [first]
    for name in decision.channels:
        why = "nobody has answered" if incident.exhausted else f"{name} is named in the policy"
        named = page(PageKind.PAGE, name, why)
        pages.append(named.model_copy(update={"id": f"{named.id}.{name.replace(':', '.')}"}))
    for say in decision.say:
        if say is Say.REMINDER:
            person = (incident.acked_by or "").removeprefix("person:")
            if person in book.people:
                pages.append(page(PageKind.REMINDER, book.people[person].slack, decision.why, person))
        elif say is Say.NEWS and incident.told_at is not None:
            later = {"due_at": incident.told_at, "planned_at": incident.told_at, "text": _news(incident)}
            pages.append(page(PageKind.NEWS, incident.channel, decision.why).model_copy(update=later))
        else:
            pages.append(page(PageKind(say.value), incident.channel, decision.why))
    for told in decision.tell:
        if told.person in book.people:
            quiet = page(PageKind.NOTICE, address(told.person), decision.why, told.person)
            pages.append(quiet.model_copy(update={"text": told.text}))
    for number, task in enumerate(decision.tasks):
        filed = page(PageKind.TASK, task.channel, decision.why)
        page_id = f"{filed.id}.{round(now.timestamp() * 1000)}.{number}"  # what is filed need not change the incident
        pages.append(filed.model_copy(update={"id": page_id, "text": task.text}))
    return pages


def _news(incident: Incident) -> str:
    """One line for each symptom that joined since people were last told."""
    untold = set(incident.untold)
    return "\n".join(dict.fromkeys(title_of(alert) for alert in incident.alerts if alert.fingerprint in untold))


def told_of_drill(begun: Drill, result: str, book: Book, now: datetime) -> list[Page]:
    """A quiet word to whoever asked for a drill that has paged nobody."""
    person = begun.asked_by.removeprefix("person:")
    if not begun.asked_by.startswith("person:") or person not in book.people:
        return []
    return [
        Page(
            id=f"{begun.id}.{PageKind.NOTICE}.{person}", incident=None, kind=PageKind.NOTICE, person=person,
            channel=book.people[person].slack, due_at=now, planned_at=now, text=f"DRILL of {begun.agent} {result}",
            reason=f"{begun.id} is over",
        )
    ]  # fmt: skip


def with_charts(pages: Sequence[Page]) -> list[Page]:
    """Each runbook of a thread is followed by a picture, which goes its own way and holds nothing up."""
    charts = [
        Page(
            id=f"{page.incident}.{page.id.split('.')[1]}.{PageKind.CHART}", incident=page.incident, kind=PageKind.CHART,
            step=page.step, round=page.round, channel=f"{CHART}{page.channel}", due_at=page.due_at + CHART_WAITS,
            planned_at=page.due_at + CHART_WAITS, reason="what the alert saw",
        )
        for page in pages
        if page.kind is PageKind.RUNBOOK and page.incident is not None
    ]  # fmt: skip
    return [*pages, *charts]


def owed_runbook(decision: Decision, pages: Sequence[Page], now: datetime) -> list[Page]:
    """The runbook for somebody who has taken an incident out of a message about several: those have none of their
    own."""
    incident = decision.incident
    card = next((page for page in pages if page.kind is PageKind.CARD and page.lead and page.ts), None)
    there = any(page.kind is PageKind.RUNBOOK and page.state not in _GONE for page in pages)
    if decision.event is not Event.ACKED or card is None or there:
        return []
    return [
        Page(
            id=f"{incident.id}.{incident.revision}.{PageKind.RUNBOOK}", incident=incident.id, kind=PageKind.RUNBOOK,
            step=max(incident.step, 0), round=incident.round, channel=card.channel, due_at=now,
            reason="taken from a message about several incidents",
        )
    ]  # fmt: skip


def repeated(page: Page, new: Sequence[Page]) -> bool:
    """Whether one of the new pages tells the same person, or the same thread, again."""
    if page.kind is PageKind.NEWS:
        return any(other.kind is page.kind and other.planned_at == page.planned_at for other in new)
    again = {PageKind.PAGE, PageKind.ESCALATED, PageKind.REMINDER}
    return (
        page.kind in again
        and not notify.is_follow_up(page)  # a ladder that climbs fast must not put it off for ever
        and any(
            (page.kind, page.person) == (other.kind, other.person) and (page.person or page.channel == other.channel)
            for other in new
        )
    )


def same_decision(one: Page, other: Page) -> bool:
    """Whether both are pages that wake somebody and come from one decision: of one incident at one revision."""
    return one.kind is other.kind is PageKind.PAGE and one.id.split(".")[:2] == other.id.split(".")[:2]


def may_reroute(page: Page, channel: str) -> bool:
    """Once, and not to where it has just been refused."""
    return page.kind is not PageKind.CHART and page.channel != channel and not page.id.endswith(_REROUTED)


def rerouted(page: Page, channel: str, now: datetime) -> Page:
    """The same message to another channel, after its own refused it for good."""
    reason = f"{page.channel} refused it ({page.error}), so it goes here"
    return Page(
        id=f"{page.id}{_REROUTED}", incident=page.incident, kind=page.kind, step=page.step, round=page.round,
        person=page.person, channel=channel, due_at=now, reason=reason, text=page.text,
    )  # fmt: skip
