"""The product on one page: observe → decide → record → deliver.

Every step reads what it needs, lets a pure function decide, and writes the incident, its pages and its audit rows in
one transaction. Nothing leaves the process here: the outbox delivers what is written, and reports back through
`delivery.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.actions import runs
from bot.agents.evidence import Evidence
from bot.audit import events
from bot.audit.model import Entry
from bot.errors import ConflictError, UsageError
from bot.incidents import deadlines, drill, exercise, grouping, own, silences, suppression
from bot.incidents.decision import Decision, World, book_of
from bot.incidents.drill import Drill, Drills
from bot.incidents.model import INTERNAL, Alert, AlertState, Incident, State
from bot.incidents.own import OwnAlert
from bot.incidents.promises import timed
from bot.incidents.silences import Draft, Silence
from bot.joint import Update
from bot.paging import attempt, legs, measured, merge, notify, plan, statuses
from bot.paging import deadlines as page_deadlines
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Store, Transaction
from bot.runbooks.rendered import Rendered

DRILLS = "drills"  # the key under which those under way are kept


async def observe(
    store: Store, update: Update, world: World, now: datetime, rules: frozenset[str] | None = None
) -> list[Decision]:
    """A rule group has reported: alerts open, join, change and end incidents."""
    async with store.transaction() as tx:
        live = await tx.live_incidents()
        if update.state is not None:
            await tx.save_rule_state(update.group, update.evaluated_at, update.state)
        at = update.evaluated_at
        return await _take(tx, update.group, update.alerts, update.still, live, world, now, rules, evaluated_at=at)


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
        return await _take(tx, INTERNAL, alerts, {alert.fingerprint for alert in known}, live, world, now)


async def push(store: Store, alerts: Sequence[Alert], world: World, now: datetime) -> list[Decision]:
    """Others have sent these alerts, all of one group: what goes on keeps its beginning, what is not known and has
    ended is nothing. What a rule of ours holds that has the same labels is that rule's, and ends with it."""
    async with store.transaction() as tx:
        live = await tx.live_incidents()
        group = alerts[0].group
        others = {one.fingerprint for incident in live for one in incident.going_on if one.group != group}
        began = {alert.fingerprint: alert.starts_at for incident in live for alert in incident.going_on}
        mine = [
            one.model_copy(update={"starts_at": began.get(one.fingerprint, one.starts_at)})
            for one in alerts
            if one.fingerprint not in others
        ]
        return await _take(tx, group, mine, None, live, world, now) if mine else []


async def expire_pushed(store: Store, world: World, now: datetime, since: datetime | None = None) -> list[Decision]:
    """What others have sent, and not again for so long that it counts as over; with `since` only what began then."""
    async with store.transaction() as tx:
        live = await tx.live_incidents()
        going_on = [alert for incident in live for alert in incident.going_on]
        over = [
            alert.model_copy(update={"state": AlertState.RESOLVED, "ends_at": now})
            for alert in going_on
            if alert.expired(now, since)
        ]
        return await _take(tx, over[0].group, over, None, live, world, now) if over else []


async def _take(
    tx: Transaction,
    group: str,
    alerts: Sequence[Alert],
    still: Collection[str] | None,
    live: Sequence[Incident],
    world: World,
    now: datetime,
    rules: frozenset[str] | None = None,
    *,
    evaluated_at: datetime | None = None,
) -> list[Decision]:
    """What has arrived of one group, with `still` and `rules` as in `grouping.observe`."""
    world = await _with_silences(tx, world, now)
    number = _Numbers(await tx.last_number())
    cleared = await _cleared(tx, alerts, live, world, now)
    decisions = grouping.observe(group, alerts, live, world, now, number.next, rules, still=still, cleared=cleared)
    await record(tx, decisions, world, now, evaluated_at)
    return decisions


async def forget_groups(store: Store, known: frozenset[str], world: World, now: datetime) -> list[Decision]:
    """The configuration has changed: alerts of rule groups that are gone end."""
    async with store.transaction() as tx:
        world = await _with_silences(tx, world, now)
        decisions = grouping.drop_groups(await tx.live_incidents(), known, world, now)
        await record(tx, decisions, world, now)
    return decisions


async def resuppress(store: Store, world: World, now: datetime) -> tuple[list[Decision], datetime | None]:
    """A window has opened or closed, a silence has begun or ended by itself, or the configuration is another one. Also
    says when time alone next changes what is hidden."""
    async with store.transaction() as tx:
        world = await _with_silences(tx, world, now)
        decisions = grouping.resuppress(await tx.live_incidents(), world, now)
        await record(tx, decisions, world, now)
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
        if incident.exercise == "test":
            return [await _end_of_test(tx, incident, world, now)]
        if incident.exercise == "drill":
            return [await _drill_goes_on(tx, incident, world, now)]
        other = await tx.unresolved_with(incident.key) if incident.state is State.RESOLVED else None
        decisions = grouping.come_due(incident, other, world, now)
        await record(tx, decisions, world, now)
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
        if incident.exercise:
            told = {page.person for page in await tx.pages_of(incident.id)}
            check = exercise.checked if incident.exercise == "test" else drill.checked
            decision = check(decision, incident, told)
        await record(tx, [decision], world, now)
        if exercise.answered(decision):
            return await _end_of_test(tx, decision.incident, world, now)
        if incident.exercise == "drill" and _drill_is_over(incident, decision.incident):
            return await _end_of_drill(tx, decision.incident, world, now)
        await tx.add_pages(plan.owed_runbook(decision, await tx.pages_of(incident.id), now))
    return decision


async def _end_of_test(tx: Transaction, incident: Incident, world: World, now: datetime) -> Decision:
    """A test was answered, or its time is over: what it has shown is kept as evidence."""
    found = measured.measure(await tx.pages_of(incident.id), incident.acked_at)
    decision = exercise.over(incident, measured.told(found), now)
    await record(tx, [decision], world, now)
    await tx.append_audit([events.of_test(decision, found, exercise.asked_by(incident), now)])
    return decision


async def begin_drill(
    store: Store, make: Callable[[Drills], tuple[Drills, Drill]], now: datetime, key: str | None
) -> Drill | None:
    """Somebody asks for a drill, which outlives this process. None when this very click has been worked in before.
    Raises UsageError, ConflictError when there is one of that agent."""
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            return None
        drills, begun = make(await drills_of(tx))
        await _keep_drills(tx, drills)
        await tx.append_audit([events.of_drill_begun(begun)])
    return begun


async def observe_drills(store: Store, alerts: Sequence[Alert], world: World, now: datetime) -> list[Decision]:
    """Alerts of drills have arrived. One that is of none under way is of one that has just ended."""
    decisions: list[Decision] = []
    async with store.transaction() as tx:
        drills = await drills_of(tx)
        for alert in alerts:
            begun = drill.of_alert(alert, drills)
            if begun is None or begun.incident is not None:
                continue
            try:
                decision = drill.opened(begun, alert, 1 + await tx.last_number(), world, now)
            except UsageError as error:  # the files have changed since it was asked for
                shown = legs.evidence_of_none(begun, str(error), now)
                drills = drills.without(begun)
                await _shown(tx, shown, begun.asked_by)
                continue
            await record(tx, [decision], world, now)
            drills = drills.changed(begun.model_copy(update={"incident": decision.incident.id}))
            decisions.append(decision)
        await _keep_drills(tx, drills)
    return decisions


async def give_up_drills(store: Store, world: World, now: datetime) -> list[Drill]:
    """Those whose alert has not arrived in time. Whoever asked for one is told."""
    async with store.transaction() as tx:
        drills = await drills_of(tx)
        late = [one for one in drills.running if one.incident is None and drill.late(one, now)]
        for one in late:
            drills = drills.without(one)
            shown = legs.evidence_of_none(one, legs.NOT_FIRED, now)
            await _shown(tx, shown, one.asked_by)
            await tx.add_pages(plan.told_of_drill(one, shown.summary, world.book, now))
        await _keep_drills(tx, drills)
    return late


async def end_drills(store: Store, world: World, now: datetime) -> list[Decision]:
    """Those that have gone all the way by something else than a click on a step, such as a request that was made."""
    decisions = []
    async with store.transaction() as tx:
        for one in (await drills_of(tx)).running:
            incident = await tx.incident(one.incident) if one.incident else None
            if incident is not None and (drill.shown(incident) or incident.state is State.RESOLVED):
                decisions.append(await _end_of_drill(tx, incident, world, now))
    return decisions


async def _drill_goes_on(tx: Transaction, incident: Incident, world: World, now: datetime) -> Decision:
    """Its deadline has come: the next level where the whole ladder is drilled, else its end."""
    decision = drill.next_level(incident, world, now)
    if decision is None:
        return await _end_of_drill(tx, incident, world, now)
    await record(tx, [decision], world, now)
    return decision


def _drill_is_over(before: Incident, after: Incident) -> bool:
    closed = after.state is State.RESOLVED and before.state is not State.RESOLVED
    return closed or drill.shown(after)


async def _end_of_drill(tx: Transaction, incident: Incident, world: World, now: datetime) -> Decision:
    """What it has shown is kept as evidence, and the agent may be drilled again."""
    way = legs.way_of(incident, await tx.pages_of(incident.id))
    decision = drill.over(incident, legs.told(way), now)
    await record(tx, [decision], world, now)
    drills = await drills_of(tx)
    if (begun := drills.of_incident(incident.id)) is not None:
        await _keep_drills(tx, drills.without(begun))
        await _shown(tx, legs.evidence_of(incident, way, now), decision.actor)
    return decision


async def _shown(tx: Transaction, evidence: Evidence, actor: str) -> None:
    await tx.add_evidence(evidence)
    await tx.append_audit([events.of_drill(evidence, actor)])


async def drills_of(tx: Transaction) -> Drills:
    return Drills.model_validate_json(await tx.key(DRILLS, Drills().model_dump_json()))


async def _keep_drills(tx: Transaction, drills: Drills) -> None:
    await tx.replace_key(DRILLS, drills.model_dump_json())


async def open_by_hand(
    store: Store, make: Callable[[int], Decision], world: World, now: datetime, key: str | None
) -> Decision | None:
    """A person opens an incident: `make` gets its number. None when this very click has been worked in before. Raises
    UsageError, ConflictError when the same is under way."""
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            return None
        decision = make(1 + await tx.last_number())
        running = await tx.unresolved_with(decision.incident.key)
        if running is not None:
            raise ConflictError(f"{running.id} is the same test, and under way; acknowledge that one")
        await record(tx, [decision], world, now)
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
        shown = [one for one in known if one.state is State.OPEN and not one.suppressed and not one.exercise]
        changed = [(incident, decide(incident)) for incident in shown]
        await record(tx, [decision for _, decision in changed], world, now)
    return changed


async def split(
    store: Store, shown: Sequence[Page], incident_id: str, actor: str, now: datetime, key: str | None
) -> bool:
    """A person wants a message of its own for one incident of a message about several; `shown` is all that it shows.
    False when this very click has been worked in before. Raises UsageError, ConflictError."""
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            return False
        incident = await tx.incident(incident_id)
        pages = await tx.pages([page.id for page in shown])
        if incident is None or all(page.incident != incident_id for page in pages):
            raise UsageError(f"{incident_id} is not in that message any more; `incidents` lists what is open")
        if len({page.incident for page in pages} - {None}) < 2:
            raise ConflictError(f"{incident_id} is the only one left in that message")
        changed, new = merge.split_out(pages, incident, now)
        new = [page for page in new if attempt.wanted(page, incident)]
        if not new:
            raise ConflictError(f"{incident_id} has been taken, so nobody is paged for it by a message of its own")
        await tx.save_pages(changed)
        await tx.add_pages(new)
        why = "it has a message of its own now"
        await tx.append_audit([Entry(at=now, actor=actor, action="incident.split", subject=incident_id, why=why)])
    return True


async def silence(
    store: Store, draft: Draft, author: str, world: World, now: datetime, key: str | None = None
) -> tuple[Silence, list[Decision]]:
    """What it hides wakes nobody from the moment it is written down. Raises UsageError; ConflictError when this very
    click has been worked in before."""
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            raise ConflictError("that click has been recorded already")
        made = silences.make(draft, 1 + await tx.last_silence(), author, await tx.live_incidents(), now, world.agents)
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
        over = silences.done(await tx.silences(now), await tx.live_incidents(), now, world.agents)
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
    await record(tx, decisions, world, now)
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
        for run in await tx.waiting_runs():
            await tx.save_run(runs.moved(run, jump))
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
        waiting = [again for run in await tx.waiting_runs() if (again := runs.bounded(run, now)) is not run]
        if incidents or pages or waiting:
            await tx.save_incidents(incidents)
            await tx.save_pages(pages)
            for run in waiting:
                await tx.save_run(run)
            why = "deadlines lay further away than their whole wait: they were written while the clock was wrong"
            detail = {"incidents": str(len(incidents)), "pages": str(len(pages))}
            await tx.append_audit([_of_clock("clock.bounded", why, detail, now)])
    return len(incidents) + len(pages) + len(waiting)


def _of_clock(action: str, why: str, detail: dict[str, str], now: datetime) -> Entry:
    return Entry(at=now, actor="agentpager", action=action, subject="clock", why=why, detail=detail)


async def announce(store: Store, page: Page, now: datetime) -> None:
    """A message about agentpager itself, as durable as any page."""
    entry = Entry(at=now, actor="agentpager", action="notice", subject=page.id, why=page.reason)
    async with store.transaction() as tx:
        if await tx.page(page.id) is None:
            await tx.add_pages([page])
            await tx.append_audit([entry])


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


async def record(
    tx: Transaction, decisions: Sequence[Decision], world: World, now: datetime, evaluated_at: datetime | None = None
) -> None:
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
        if world.receivers:
            told, superseded = statuses.rows_for(decision.incident, before, world, now)
            added += told
            cancelled += superseded
    await tx.save_incidents([timed(decision.incident, world.rules.sla, now) for decision in decisions])
    await tx.save_pages(cancelled)
    added = merge.without_replies(added)
    await tx.add_pages(plan.with_charts(added) if world.charts else added)
    heard = [decision for decision in decisions if decision.event is not None]
    await tx.append_audit([events.of_decision(decision, now, evaluated_at) for decision in heard])


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
