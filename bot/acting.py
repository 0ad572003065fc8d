"""The actions' half of the pipeline: an action is asked for, agreed to or refused, claimed, and what became of it is
written down.

One transaction each: the run, the mark at its step, the audit row, and the messages that ask for approval. Nothing
leaves the process here: the actuator sends what is approved, and reports back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot import pipeline
from bot.actions import runs
from bot.actions.approvers import approvers
from bot.actions.model import Run, RunState
from bot.actions.runs import Wish
from bot.audit.model import Entry
from bot.errors import RemoteError, UsageError
from bot.incidents.decision import SYSTEM, Decision, World, book_of
from bot.incidents.model import Incident
from bot.incidents.steps import with_mark
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Store, Transaction
from bot.runbooks.model import Approve

MOST_ASKED = 10  # people who get a message; more may agree all the same
_NOT_PAGED = {PageState.CANCELLED, PageState.FAILED}


@dataclass(frozen=True)
class Changed:
    run: Run
    incident: Incident


async def ask(
    store: Store, incident_id: str, wish: Wish, world: World, now: datetime, key: str | None, via: str
) -> Changed | None:
    """Somebody asks for an action, or for taking one back. None when this very click has been worked in before. `via`
    is by which way, as in ports.Actor. Raises UsageError, ConflictError."""
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            return None
        incident = await _incident(tx, incident_id)
        may = await _may(tx, wish.approve, incident, world, now)
        run = runs.ask(incident, wish, await tx.runs_of(incident.id), may, now)
        changed = await _write(tx, incident, run, "asked", _why_asked(run), wish.actor, world, now, via)
        await tx.add_pages(_questions(changed, world, now))
    return changed


async def agree(
    store: Store, run_id: str, actor: str, world: World, now: datetime, key: str | None, via: str
) -> Changed | None:
    """Somebody says yes; with the last yes that it needs, it is due to be sent."""

    def decide(run: Run, incident: Incident, may: Mapping[str, str]) -> Run:
        return runs.agree(run, incident, actor, may, now)

    return await _say(store, run_id, actor, "approved", decide, world, now, key, via)


async def refuse(
    store: Store, run_id: str, actor: str, world: World, now: datetime, key: str | None, via: str
) -> Changed | None:
    """Somebody says no, or takes back what they asked for."""

    def decide(run: Run, _: Incident, may: Mapping[str, str]) -> Run:
        return runs.refuse(run, actor, may, now)

    return await _say(store, run_id, actor, "refused", decide, world, now, key, via)


async def _say(
    store: Store,
    run_id: str,
    actor: str,
    what: str,
    decide: Callable[[Run, Incident, Mapping[str, str]], Run],
    world: World,
    now: datetime,
    key: str | None,
    via: str,
) -> Changed | None:
    async with store.transaction() as tx:
        if key is not None and not await tx.first_time(key, now):
            return None
        run, incident = await _known(tx, run_id)
        may = await _may(tx, run.approve, incident, world, now)
        after = decide(run, incident, may)
        why = f"{_what(run)}: {len(after.approvals)} of {run.approve.min}" if what == "approved" else _what(run)
        return await _write(tx, incident, after, what, why, actor, world, now, via)


async def expire(store: Store, run_id: str, world: World, now: datetime) -> Changed | None:
    """Nobody has agreed in time. None when somebody has said something meanwhile."""
    async with store.transaction() as tx:
        run, incident = await _known(tx, run_id)
        if run.state is not RunState.ASKED or run.due_at is None or run.due_at > now:
            return None
        why = f"{_what(run)}: nobody agreed in time"
        return await _write(tx, incident, runs.expired(run, now), "expired", why, SYSTEM, world, now)


async def claim(store: Store, run_id: str, world: World, now: datetime) -> Changed | None:
    """Takes an approved run for sending, unless it is too late for that; None when there is nothing to send."""
    async with store.transaction() as tx:
        run, incident = await _known(tx, run_id)
        if run.state is not RunState.APPROVED or run.due_at is None or run.due_at > now:
            return None
        if runs.too_late(run, now):
            after = runs.given_up(run, now)
            what = "expired" if after.state is RunState.EXPIRED else "failed"
            return await _write(tx, incident, after, what, f"{_what(run)}: {after.answer}", SYSTEM, world, now)
        taken = runs.claimed(run, now)
        await tx.save_run(taken)
        return Changed(taken, incident)


async def finished(store: Store, run_id: str, answer: str, world: World, now: datetime) -> Changed:
    """The webhook has done it."""
    async with store.transaction() as tx:
        run, incident = await _known(tx, run_id)
        after = runs.taken(run, answer, now)
        return await _write(tx, incident, after, "done", f"{_what(run)}: {answer}", SYSTEM, world, now)


async def failed(store: Store, run_id: str, error: RemoteError, world: World, now: datetime) -> Changed:
    """An attempt did not succeed: it is sent again later, or given up."""
    async with store.transaction() as tx:
        run, incident = await _known(tx, run_id)
        after = runs.after_failure(run, error, now)
        what = "failed" if after.over else "delayed"
        why = f"{_what(run)}: {after.answer}"
        if after.over and after.unsure:
            why += "; it may have been carried out all the same"
        return await _write(tx, incident, after, what, why, SYSTEM, world, now)


async def recover(store: Store, run_id: str, world: World, now: datetime) -> Changed | None:
    """After a crash: what was being sent goes out again with the same key."""
    async with store.transaction() as tx:
        run, incident = await _known(tx, run_id)
        if run.state is not RunState.SENDING:
            return None
        after = runs.after_crash(run, now)
        return await _write(tx, incident, after, "delayed", f"{_what(run)}: {after.answer}", SYSTEM, world, now)


async def _write(
    tx: Transaction,
    incident: Incident,
    run: Run,
    what: str,
    why: str,
    actor: str,
    world: World,
    now: datetime,
    via: str = "",
) -> Changed:
    """The messages about the run show it as of the incident's revision, so each change raises that."""
    mark = runs.mark_of(run, now)
    raised = incident.model_copy(update={"revision": incident.revision + 1})
    marked = with_mark(incident, mark) if mark is not None else raised
    await tx.save_run(run)
    await pipeline.record(tx, [Decision(marked, None, why, actor)], world, now)
    detail = {
        "run": run.id, "step": run.step, "kind": run.kind, "webhook": run.call.webhook, "method": run.call.method,
        "path": run.call.path, "attempt": str(run.attempt),
    }  # fmt: skip
    detail |= {"via": via} if via else {}
    entry = Entry(at=now, actor=actor, action=f"action.{what}", subject=incident.id, why=why, detail=detail)
    await tx.append_audit([entry])
    return Changed(run, marked)


def _why_asked(run: Run) -> str:
    enough = "no other word is needed" if run.state is RunState.APPROVED else f"{run.approve.min} have to agree"
    reason = f", because: {run.reason}" if run.reason else ""
    return f"{_what(run)}, {run.call.method} {run.call.path} of {run.call.webhook}; {enough}{reason}"


def _what(run: Run) -> str:
    return f"undo of {run.title}" if run.kind == "undo" else run.title


def _questions(changed: Changed, world: World, now: datetime) -> Sequence[Page]:
    """To everybody who is asked, and to who asks: there it is shown how it goes."""
    run, incident, book = changed.run, changed.incident, book_of(changed.incident, world)
    asker = run.asked_by.removeprefix("person:")
    asked = run.asked_of[:MOST_ASKED] if run.state is RunState.ASKED else ()
    people = [name for name in dict.fromkeys((asker, *asked)) if name in book.people]
    return [
        Page(
            id=f"{incident.id}.{incident.revision}.{PageKind.APPROVAL}.{run.id}.{name}", incident=incident.id,
            kind=PageKind.APPROVAL, step=max(incident.step, 0), round=incident.round, person=name,
            channel=book.people[name].slack, due_at=now, planned_at=now, text=run.id,
            reason="asks for it" if name == asker else "is asked to agree",
        )
        for name in people
    ]  # fmt: skip


async def _may(tx: Transaction, approve: Approve, incident: Incident, world: World, now: datetime) -> dict[str, str]:
    return approvers(approve, incident, paged(await tx.pages_of(incident.id)), book_of(incident, world), now)


def paged(pages: Sequence[Page]) -> list[str]:
    """Who has been paged, the first one first."""
    told = (page for page in pages if page.kind is PageKind.PAGE and page.state not in _NOT_PAGED)
    return list(dict.fromkeys(page.person for page in told if page.person))


async def _known(tx: Transaction, run_id: str) -> tuple[Run, Incident]:
    run = await tx.run(run_id)
    if run is None:
        raise UsageError(f'there is no action "{run_id}"; `agentpager action list` names them')
    return run, await _incident(tx, run.incident)


async def _incident(tx: Transaction, incident_id: str) -> Incident:
    incident = await tx.incident(incident_id)
    if incident is None:
        raise UsageError(f"there is no incident {incident_id}")
    return incident
