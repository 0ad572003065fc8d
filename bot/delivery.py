"""The outbox's half of the pipeline: pages are claimed, and what became of each attempt is written down.

One transaction each: the pages, their audit rows, and whatever follows from a refusal. A crash in between leaves a row
that says what is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot import pipeline
from bot.audit import events
from bot.errors import RemoteError
from bot.incidents import escalation
from bot.incidents.decision import World, book_of
from bot.incidents.model import Event, Incident, State
from bot.paging import attempt, merge, notify, plan
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Posted, Store, Transaction

_NOT_CLAIMED = {PageState.DUE, PageState.CANCELLED}


async def claim(store: Store, page_id: str, now: datetime) -> tuple[Page, Incident | None] | None:
    """Takes a due page for sending. Whether it is still wanted is asked in the same transaction, so that nothing is
    claimed after an ack. None when there is nothing to send."""
    async with store.transaction() as tx:
        page = await tx.page(page_id)
        if page is None or page.state is not PageState.DUE:
            return None
        incident = await tx.incident(page.incident) if page.incident else None
        if not attempt.wanted(page, incident):
            await tx.save_page(page.model_copy(update={"state": PageState.CANCELLED}))
            return None
        claimed = await tx.claim(page, now)
        return (claimed, incident) if claimed else None


async def claim_together(
    store: Store, messages: Sequence[Sequence[str]], now: datetime
) -> list[list[tuple[Page, Incident]]]:
    """Takes the due pages of each message; the first that is still wanted leads it. Replies in the threads of cards
    that become one are taken back: the one card has no room for a thread of each."""
    async with store.transaction() as tx:
        return [await _claim(tx, page_ids, now) for page_ids in messages]


async def _claim(tx: Transaction, page_ids: Sequence[str], now: datetime) -> list[tuple[Page, Incident]]:
    known = {page.id: page for page in await tx.owed(page_ids)}
    due = [known[name] for name in page_ids if name in known and known[name].state is PageState.DUE]
    asked = [(page, await tx.incident(page.incident or "")) for page in due]
    wanted = [(page, incident) for page, incident in asked if incident and attempt.wanted(page, incident)]
    kept = {page.id for page, _ in wanted}
    lead = wanted[0][0].id if len(wanted) > 1 else None
    taken = [(attempt.taken(page, now, lead), incident) for page, incident in wanted]
    replies = await _replies(tx, [page for page, _ in wanted]) if lead else []
    cancelled = [attempt.cancelled(page, "no longer wanted") for page in due if page.id not in kept]
    cancelled += [attempt.cancelled(page, "its card is shared by several incidents") for page in replies]
    await tx.save_pages([*(page for page, _ in taken), *cancelled])
    return taken


async def _replies(tx: Transaction, cards: Sequence[Page]) -> list[Page]:
    if cards[0].kind is not PageKind.CARD:
        return []
    mine = {card.incident for card in cards}
    waiting = await tx.owed_at(cards[0].channel)
    return [page for page in waiting if merge.is_reply(page) and page.incident in mine]


async def sent(store: Store, page: Page, posted: Posted, revision: int, now: datetime) -> None:
    """Slack has it, at this address, showing this revision."""
    await sent_together(store, [([(page, revision)], posted)], now)


async def sent_together(
    store: Store, messages: Sequence[tuple[Sequence[tuple[Page, int]], Posted]], now: datetime
) -> None:
    """Each message shows these pages, each at this revision of its incident."""
    done = [
        attempt.landed(page, posted.channel, posted.ts, revision, now)
        for shown, posted in messages
        for page, revision in shown
    ]
    async with store.transaction() as tx:
        await tx.save_pages(done)
        await tx.append_audit([events.of_page(page, Verdict.SENT, now) for page in done])


async def joined(store: Store, lead: Page, shown: Sequence[tuple[Page, int]], now: datetime) -> None:
    """The message of `lead` has been redrawn and shows these pages too. One that was taken back meanwhile has been
    seen all the same, and is kept up to date like the others."""
    async with store.transaction() as tx:
        leader = await tx.page(lead.id)
        if leader is None or leader.ts is None or leader.slack_channel is None:
            return
        revisions = {page.id: revision for page, revision in shown}
        rows = await tx.pages(list(revisions))
        fresh = [(page, revisions[page.id]) for page in rows if page.state in _NOT_CLAIMED]
        done = [
            attempt.landed(page.model_copy(update={"lead": lead.id}), leader.slack_channel, leader.ts, revision, now)
            for page, revision in fresh
        ]
        grown = [leader.model_copy(update={"lead": leader.id})] if leader.lead is None else []
        await tx.save_pages([*done, *grown])
        await tx.append_audit([events.of_page(page, Verdict.SENT, now) for page in done])


async def failed(store: Store, page: Page, error: RemoteError, world: World, now: datetime) -> Verdict:
    """An attempt did not succeed. A message refused for good goes another way at once: the next person, another
    channel."""
    return await failed_together(store, [page], error, world, now)


async def failed_together(
    store: Store, pages: Sequence[Page], error: RemoteError, world: World, now: datetime
) -> Verdict:
    """The same for the pages of one message."""
    results = [attempt.after_failure(page, error, now) for page in pages]
    async with store.transaction() as tx:
        await tx.save_pages([after for after, _ in results])
        await tx.append_audit([events.of_page(after, verdict, now) for after, verdict in results])
        for after, verdict in results:
            if verdict is Verdict.REFUSED:
                if after.kind is PageKind.PAGE and after.incident is not None:
                    await _tell_otherwise(tx, [after.incident], world, now)
                await _another_way(tx, after, world, now)
    return results[0][1]


async def dropped(store: Store, page: Page) -> None:
    """It will not be sent after all, and nobody has to hear of it; `page` is as it is to be."""
    async with store.transaction() as tx:
        current = await tx.page(page.id)
        if current is not None and current.state in {PageState.DUE, PageState.SENDING}:
            await tx.save_page(page)


async def postponed(store: Store, page: Page, wait: timedelta, now: datetime) -> None:
    """What it waits for is not there yet."""
    async with store.transaction() as tx:
        current = await tx.page(page.id)
        if current is not None and current.state is PageState.DUE:
            await tx.save_page(current.model_copy(update={"due_at": now + wait}))


async def tell_otherwise(store: Store, incident_ids: Sequence[str], world: World, now: datetime) -> list[Page]:
    """Slack fails, or has not confirmed pages for too long: whom they were for is told another way at once."""
    async with store.transaction() as tx:
        return await _tell_otherwise(tx, incident_ids, world, now)


async def _tell_otherwise(tx: Transaction, incident_ids: Sequence[str], world: World, now: datetime) -> list[Page]:
    """Many incidents in one transaction: Slack fails for all of them at the same time."""
    pages = await tx.pages_of_each(incident_ids)
    rows: list[Page] = []
    for incident_id, before in pages.items():
        incident = await tx.incident(incident_id)
        if incident is not None:
            rows += notify.second_channels(before, incident, book_of(incident, world), world.second_channel_after, now)
    known = {page.id for before in pages.values() for page in before}
    await tx.save_pages([row for row in rows if row.id in known])
    await tx.add_pages([row for row in rows if row.id not in known])
    await tx.append_audit([events.of_second_channel(row, now) for row in rows])
    return rows


async def searched_together(store: Store, pages: Sequence[Page], error: RemoteError | None, now: datetime) -> Verdict:
    """The channel's history did not show the message of these pages, or could not be read."""
    results = [attempt.after_search(page, error, now) for page in pages]
    async with store.transaction() as tx:
        await tx.save_pages([after for after, _ in results])
        await tx.append_audit([events.of_page(after, verdict, now) for after, verdict in results])
    return results[0][1]


async def recover(store: Store, interrupted: Sequence[Page], now: datetime) -> None:
    """After a crash, or when an outcome could not be recorded: what was being sent has an unknown outcome."""
    async with store.transaction() as tx:
        rows = await tx.pages([page.id for page in interrupted])
        after = [attempt.after_crash(page) for page in rows if page.state is PageState.SENDING]
        await tx.save_pages(after)
        await tx.append_audit([events.of_page(page, Verdict.UNKNOWN, now) for page in after])


async def shown_together(store: Store, shown: Sequence[tuple[str, int]]) -> None:
    """The message in Slack shows these pages now, each at this revision; by their ids."""
    async with store.transaction() as tx:
        revisions = dict(shown)
        rows = [(page, revisions[page.id]) for page in await tx.pages(list(revisions))]
        newer = [(page, revision) for page, revision in rows if page.shown_revision < revision]
        await tx.save_pages([page.model_copy(update={"shown_revision": revision}) for page, revision in newer])


async def _another_way(tx: Transaction, page: Page, world: World, now: datetime) -> None:
    incident = await tx.incident(page.incident) if page.incident else None
    if page.kind is PageKind.PAGE and incident is not None and incident.state is State.OPEN:
        others = [other for other in await tx.pages_of(incident.id) if plan.same_decision(other, page)]
        reachable = [other for other in others if other.state is not PageState.FAILED]
        if reachable or (max(incident.step, 0), incident.round) != (page.step, page.round):
            return
        if incident.exercise:
            return  # it tries this way, and wakes nobody else
        if not incident.exhausted:
            other_side = "Slack" if page.by_slack else page.channel
            why = f"{other_side} refused to reach {page.person or 'anybody'}: {page.error}"
            await pipeline.record(tx, [escalation.climb(incident, Event.ESCALATED, why, world, now)], world, now)
        elif plan.may_reroute(page, world.channel):  # nobody is left above the fallback: everybody in the channel
            await tx.add_pages([plan.rerouted(page, world.channel, now)])
    elif page.kind not in {PageKind.PAGE, PageKind.STATUS} and plan.may_reroute(page, world.channel):
        await tx.add_pages([plan.rerouted(page, world.channel, now)])
