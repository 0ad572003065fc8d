"""The product on one page: observe → decide → record → deliver.

Every step reads what it needs, lets a pure function decide, and writes the incident, its pages and its audit rows in
one transaction. Nothing leaves the process here: the outbox delivers what is written, and reports back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.audit import events
from bot.audit.model import Entry
from bot.errors import RemoteError, UsageError
from bot.incidents import deadlines, escalation, grouping, own, silences, suppression
from bot.incidents.decision import Decision, World, book_of
from bot.incidents.model import INTERNAL, Alert, Event, Incident, State
from bot.incidents.own import OwnAlert
from bot.incidents.promises import timed
from bot.incidents.silences import Draft, Silence
from bot.joint import Update
from bot.paging import attempt, merge, notify, plan
from bot.paging import deadlines as page_deadlines
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Posted, Store, Transaction
from bot.runbooks.rendered import Rendered

_NOT_CLAIMED = {PageState.DUE, PageState.CANCELLED}


async def observe(
    store: Store, update: Update, world: World, now: datetime, rules: frozenset[str] | None = None
) -> list[Decision]:
    """A rule group has reported: alerts open, join, change and end incidents."""
    async with store.transaction() as tx:
        world = await _with_silences(tx, world, now)
        number = _Numbers(await tx.last_number())
        live = await tx.live_incidents()
        cleared = await _cleared(tx, update.alerts, live, world, now)
        decisions = grouping.observe(
            update.group, update.alerts, live, world, now, number.next, rules, still=update.still, cleared=cleared
        )
        if update.state is not None:
            await tx.save_rule_state(update.group, update.evaluated_at, update.state)
        await _record(tx, decisions, world, now)
    return decisions


async def tell_own(
    store: Store,
    name: str,
    told: Collection[OwnAlert],
    held: Callable[[Alert], bool],
    world: World,
    now: datetime,
) -> list[Decision]:
    """All alerts of this name about agentpager itself, as they are now: what is told no more has ended. They take the
    same way as everybody's."""
    async with store.transaction() as tx:
        live = await tx.live_incidents()
        known = [alert for incident in live for alert in incident.going_on if alert.group == INTERNAL]
        alerts = own.reported(name, told, known, world.book.fallback, now, held)
        if not alerts:
            return []
        world = await _with_silences(tx, world, now)
        number = _Numbers(await tx.last_number())
        cleared = await _cleared(tx, alerts, live, world, now)
        mine = {alert.fingerprint for alert in alerts}
        every = [*(alert for alert in known if alert.fingerprint not in mine), *alerts]
        decisions = grouping.observe(INTERNAL, every, live, world, now, number.next, cleared=cleared)
        await _record(tx, decisions, world, now)
    return decisions


async def forget_groups(store: Store, known: frozenset[str], world: World, now: datetime) -> list[Decision]:
    """The configuration has changed: alerts of rule groups that are gone end."""
    async with store.transaction() as tx:
        world = await _with_silences(tx, world, now)
        decisions = grouping.drop_groups(await tx.live_incidents(), known, world, now)
        await _record(tx, decisions, world, now)
    return decisions


async def resuppress(store: Store, world: World, now: datetime) -> tuple[list[Decision], datetime | None]:
    """A window has opened or closed, a silence has begun or ended by itself, or the configuration is another one. Also
    says when time alone next changes what is hidden."""
    async with store.transaction() as tx:
        world = await _with_silences(tx, world, now)
        decisions = grouping.resuppress(await tx.live_incidents(), world, now)
        await _record(tx, decisions, world, now)
    return decisions, suppression.next_change(world, now)


async def escalate(store: Store, incident_id: str, world: World, now: datetime) -> list[Decision]:
    """The deadline of an incident has come: the next person is woken, an ack is asked about or runs out.

    Each incident has a transaction of its own: one that cannot be worked in keeps nobody else waiting.
    """
    async with store.transaction() as tx:
        incident = await tx.incident(incident_id)
        if incident is None or incident.deadline is None or incident.deadline > now:
            return []
        world = await _with_silences(tx, world, now)
        other = await tx.unresolved_with(incident.key) if incident.state is State.RESOLVED else None
        decisions = grouping.come_due(incident, other, world, now)
        await _record(tx, decisions, world, now)
    return decisions


async def act(
    store: Store, incident_id: str, decide: Callable[[Incident], Decision], world: World, now: datetime, key: str | None
) -> Decision | None:
    """A person acts. None when this very click has been worked in before. Raises UsageError, ConflictError."""
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            return None
        incident = await tx.incident(incident_id)
        if incident is None:
            raise UsageError(f"there is no incident {incident_id}")
        decision = decide(incident)
        await _record(tx, [decision], world, now)
        await tx.add_pages(plan.owed_runbook(decision, await tx.pages_of(incident.id), now))
    return decision


async def act_on_all(
    store: Store,
    incident_ids: Sequence[str],
    decide: Callable[[Incident], Decision],
    world: World,
    now: datetime,
    key: str | None,
) -> list[tuple[Incident, Decision]] | None:
    """A person acts on everything open and not hidden among these, in one transaction: each as it was, and what became
    of it. None when this very click has been worked in before."""
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            return None
        known = [incident for name in incident_ids if (incident := await tx.incident(name)) is not None]
        shown = [incident for incident in known if incident.state is State.OPEN and not incident.suppressed]
        changed = [(incident, decide(incident)) for incident in shown]
        await _record(tx, [decision for _, decision in changed], world, now)
    return changed


async def silence(
    store: Store, draft: Draft, author: str, world: World, now: datetime
) -> tuple[Silence, list[Decision]]:
    """What it hides wakes nobody from the moment it is written down. Raises UsageError."""
    async with store.transaction() as tx:
        made = silences.make(draft, 1 + await tx.last_silence(), author, await tx.live_incidents(), now)
        return made, await _silenced(tx, made, "silence.added", author, world, now)


async def expire_silence(
    store: Store, silence_id: str, actor: str, world: World, now: datetime
) -> tuple[Silence, list[Decision]]:
    """Ends a silence; what it hid and still fires wakes somebody. Raises UsageError, ConflictError."""
    async with store.transaction() as tx:
        known = await tx.silence(silence_id)
        if known is None:
            raise UsageError(f'there is no silence "{silence_id}"; `agentpager silence list` names them')
        ended = silences.expire(known, actor, now)
        return ended, await _silenced(tx, ended, "silence.expired", actor, world, now)


async def end_silences(store: Store, world: World, now: datetime) -> list[Decision]:
    """Silences "until it resolves" whose alerts have all ended."""
    async with store.transaction() as tx:
        over = silences.done(await tx.silences(now), await tx.live_incidents(), now)
        decisions: list[Decision] = []
        for one in over:
            decisions += await _silenced(tx, one, "silence.expired", "agentpager", world, now)
    return decisions


async def _silenced(
    tx: Transaction, changed: Silence, action: str, actor: str, world: World, now: datetime
) -> list[Decision]:
    await tx.save_silence(changed)
    detail = {"matchers": " ".join(changed.matchers), "until": changed.ends_at.isoformat()}
    entry = Entry(at=now, actor=actor, action=action, subject=changed.id, why=changed.reason, detail=detail)
    await tx.append_audit([entry])
    world = await _with_silences(tx, world, now)
    decisions = grouping.resuppress(await tx.live_incidents(), world, now)
    await _record(tx, decisions, world, now)
    return decisions


async def clock_jumped(
    store: Store, jump: timedelta, when: str, now: datetime, keys: Mapping[str, str]
) -> tuple[int, int]:
    """The machine's clock was set on or back by `jump`: every stored deadline goes with it, once. `keys` are kept in
    the same transaction, so that a crash does not make it twice. Returns how many incidents and pages were moved."""
    async with store.transaction() as tx:
        incidents = [deadlines.moved(incident, jump) for incident in await tx.live_incidents()]
        pages = [page_deadlines.moved(page, jump) for page in await tx.all_owed()]
        await tx.save_incidents(incidents)
        await tx.save_pages(pages)
        for name, value in keys.items():
            await tx.replace_key(name, value)
        seconds = f"{jump.total_seconds():+.1f}"
        why = f"the clock was set by {seconds} s {when}; the deadlines of incidents and pages went with it"
        detail = {"seconds": seconds, "incidents": str(len(incidents)), "pages": str(len(pages))}
        await tx.append_audit([_of_clock("clock.jumped", why, detail, now)])
    return len(incidents), len(pages)


async def bound_deadlines(store: Store, quiet: timedelta, now: datetime) -> int:
    """No deadline may lie further away than its whole wait, whatever the clock said when it was written."""
    async with store.transaction() as tx:
        live, owed = await tx.live_incidents(), await tx.all_owed()
        incidents = [nearer for one in live if (nearer := deadlines.bounded(one, now, quiet)) is not one]
        pages = [sooner for page in owed if (sooner := page_deadlines.bounded(page, now)) is not page]
        if incidents or pages:
            await tx.save_incidents(incidents)
            await tx.save_pages(pages)
            why = "deadlines lay further away than their whole wait: they were written while the clock was wrong"
            detail = {"incidents": str(len(incidents)), "pages": str(len(pages))}
            await tx.append_audit([_of_clock("clock.bounded", why, detail, now)])
    return len(incidents) + len(pages)


def _of_clock(action: str, why: str, detail: dict[str, str], now: datetime) -> Entry:
    return Entry(at=now, actor="agentpager", action=action, subject="clock", why=why, detail=detail)


async def announce(store: Store, page: Page, now: datetime) -> None:
    """A message about agentpager itself, as durable as any page."""
    entry = Entry(at=now, actor="agentpager", action="notice", subject=page.id, why=page.reason)
    async with store.transaction() as tx:
        if await tx.page(page.id) is None:
            await tx.add_pages([page])
            await tx.append_audit([entry])


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
        for page in interrupted:
            current = await tx.page(page.id)
            if current is None or current.state is not PageState.SENDING:
                continue
            after = attempt.after_crash(current)
            await tx.save_page(after)
            await tx.append_audit([events.of_page(after, Verdict.UNKNOWN, now)])


async def shown_together(store: Store, shown: Sequence[tuple[str, int]]) -> None:
    """The message in Slack shows these pages now, each at this revision; by their ids."""
    async with store.transaction() as tx:
        revisions = dict(shown)
        rows = [(page, revisions[page.id]) for page in await tx.pages(list(revisions))]
        newer = [(page, revision) for page, revision in rows if page.shown_revision < revision]
        await tx.save_pages([page.model_copy(update={"shown_revision": revision}) for page, revision in newer])


async def rendered(store: Store, incident_id: str, result: Rendered, redraw: bool) -> None:
    """Keeps the rendered runbook; `redraw` asks for an edit of the messages that went out without it."""
    async with store.transaction() as tx:
        await tx.save_rendering(incident_id, result)
        incident = await tx.incident(incident_id)
        if redraw and incident is not None:
            await tx.save_incident(incident.model_copy(update={"revision": incident.revision + 1}))


async def _with_silences(tx: Transaction, world: World, now: datetime) -> World:
    return replace(world, silences=tuple(await tx.silences(now)))


async def _cleared(
    tx: Transaction, alerts: Sequence[Alert], live: Sequence[Incident], world: World, now: datetime
) -> list[Incident]:
    """The incidents that may open again, rather than new ones for the same agent and cause."""
    window = world.rules.reopen_window
    keys = grouping.missing_keys(alerts, live, world) if window else set()
    return await tx.cleared_since(now - window, keys) if keys else []


class _Numbers:
    def __init__(self, last: int) -> None:
        self._last = last

    def next(self) -> int:
        self._last += 1
        return self._last


async def _record(tx: Transaction, decisions: Sequence[Decision], world: World, now: datetime) -> None:
    """Many decisions are written as one: a storm opens thousands of incidents in one transaction."""
    if world.book_doc and any(decision.incident.opened_at == now for decision in decisions):
        await tx.save_snapshot(world.book_id, world.book_doc)
    rows = await tx.pages_of_each([decision.incident.id for decision in decisions])
    cancelled: list[Page] = []
    added: list[Page] = []
    for decision in decisions:
        before = rows.get(decision.incident.id, [])
        pages = plan.pages_for(decision, book_of(decision.incident, world), now)
        if not _has_card(before):  # the card will say by itself that it is over
            pages = [page for page in pages if page.kind is not PageKind.RESOLVED]
        if merge.shares_card(before):
            pages = [page for page in pages if page.kind not in merge.REPLIES]
        if decision.cancel or pages:
            taken_back = _taken_back(before, decision.incident, pages)
            gone = {page.id for page in taken_back}
            pages = notify.without_pending(pages, [page for page in before if page.id not in gone])
            cancelled += taken_back
        added += pages
    await tx.save_incidents([timed(decision.incident, world.rules.sla, now) for decision in decisions])
    await tx.save_pages(cancelled)
    await tx.add_pages(merge.without_replies(added))
    await tx.append_audit([events.of_decision(decision, now) for decision in decisions if decision.event is not None])


def _has_card(pages: Sequence[Page]) -> bool:
    """Whether the card has been sent, or may have been."""
    gone = {PageState.DUE, PageState.FAILED, PageState.CANCELLED}
    return any(page.kind is PageKind.CARD and page.state not in gone for page in pages)


def _taken_back(pages: Sequence[Page], incident: Incident, new: Sequence[Page]) -> list[Page]:
    """What wakes somebody and has not been claimed is cancelled; the shared record stays on its way. What a new page
    repeats is taken back too: after an outage nobody gets every page of the night."""
    return [
        page.model_copy(update={"state": PageState.CANCELLED})
        for page in pages
        if page.state is PageState.DUE
        and (not attempt.wanted(page, incident) or plan.repeated(page, new) or notify.given_up(page, incident))
    ]


async def _another_way(tx: Transaction, page: Page, world: World, now: datetime) -> None:
    incident = await tx.incident(page.incident) if page.incident else None
    if page.kind is PageKind.PAGE and incident is not None and incident.state is State.OPEN:
        others = [other for other in await tx.pages_of(incident.id) if plan.same_decision(other, page)]
        reachable = [other for other in others if other.state is not PageState.FAILED]
        if reachable or (max(incident.step, 0), incident.round) != (page.step, page.round):
            return
        if not incident.exhausted:
            other_side = "Slack" if page.by_slack else page.channel
            why = f"{other_side} refused to reach {page.person or 'anybody'}: {page.error}"
            await _record(tx, [escalation.climb(incident, Event.ESCALATED, why, world, now)], world, now)
        elif plan.may_reroute(page, world.channel):  # nobody is left above the fallback: everybody in the channel
            await tx.add_pages([plan.rerouted(page, world.channel, now)])
    elif page.kind is not PageKind.PAGE and plan.may_reroute(page, world.channel):
        await tx.add_pages([plan.rerouted(page, world.channel, now)])
