"""Overrides and swaps as people make and end them, the same from Slack, the command line and the API. Implements
ports.Rotas."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from bot.audit.model import Entry
from bot.errors import AgentpagerError, ConflictError, UsageError
from bot.oncall import changes
from bot.oncall.changes import Plan, RotaChange
from bot.oncall.duty import on_duty
from bot.oncall.model import Book
from bot.paging.model import Page, PageKind
from bot.ports import Actor, Clock, Transaction
from bot.store.database import Database

log = structlog.get_logger()


async def counting(store: Database, now: datetime) -> list[RotaChange]:
    """What says anything about now or later, the first made first."""
    return [change for change in await store.rota_changes(now) if change.counts(now)]


class RotaDesk:
    """`known` is what counts here, `changed` is given everything that is to count from now on; `wake` sends what was
    written for people."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        book: Callable[[], Book],
        known: Callable[[], Sequence[RotaChange]],
        changed: Callable[[Sequence[RotaChange]], Awaitable[None]],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._known = known
        self._changed = changed
        self._wake = wake
        self._adopting = asyncio.Lock()  # an older look at what counts must not come after a newer one
        self._behind = False  # something was written down that does not count yet

    async def add(self, actor: Actor, plan: Plan, *, event_key: str | None = None) -> RotaChange:
        book, now = self._book(), self._clock.now()
        async with self._store.transaction() as tx:
            if event_key is not None and not await tx.first_time(event_key, now):
                raise ConflictError("that has been recorded already; `overrides` lists what there is")
            made = changes.make(plan, 1 + await tx.last_rota_change(), actor.id, book, now)
            await self._write(tx, made, actor, f"rota.{made.kind}", changes.told(made, book), book, now)
        await self._adopt(now)
        return made

    async def end(self, actor: Actor, change_id: str, *, event_key: str | None = None) -> RotaChange:
        book, now = self._book(), self._clock.now()
        number = change_id.upper().removeprefix("ROTA-")
        async with self._store.transaction() as tx:
            if event_key is not None and not await tx.first_time(event_key, now):
                raise ConflictError("that has been recorded already; `overrides` lists what there is")
            known = {change.id: change for change in await tx.rota_changes(now)}
            if f"ROTA-{number}" not in known:
                raise UsageError(f'there is no override or swap "{change_id}" that counts; `overrides` lists them')
            ended = changes.end(known[f"ROTA-{number}"], actor.id, now)
            told = f"No longer: {changes.told(ended, book)}"
            await self._write(tx, ended, actor, "rota.ended", told, book, now)
        await self._adopt(now)
        return ended

    async def changes(self) -> Sequence[RotaChange]:
        """Those that count, the first to begin first."""
        return sorted(await counting(self._store, self._clock.now()), key=lambda change: change.start)

    async def _write(
        self, tx: Transaction, change: RotaChange, actor: Actor, action: str, told: str, book: Book, now: datetime
    ) -> None:
        """With a word to everybody whom it concerns and who did not make it."""
        await tx.save_rota_change(change)
        detail = {
            "schedule": change.schedule,
            "people": ",".join(change.people),
            "from": change.start.isoformat(),
            "until": change.until.isoformat(),
        }
        why = f"{told}: {change.why}" if change.why else told
        await tx.append_audit([Entry(at=now, actor=actor.id, action=action, subject=change.id, why=why, detail=detail)])
        concerned = [person for person in _concerned(change, book, now) if f"person:{person}" != actor.id]
        await tx.add_pages([_notice(change, action, actor, person, book, now) for person in concerned])

    async def catch_up(self) -> None:
        """Makes count what could not be made to when it was written down, or was written down elsewhere."""
        now = self._clock.now()
        known = [change for change in self._known() if change.counts(now)]
        if self._behind or await counting(self._store, now) != known:
            await self._adopt(now)

    async def _adopt(self, now: datetime) -> None:
        """It is written down already: should this fail, nobody is told to do it again, and it is tried again."""
        try:
            async with self._adopting:
                await self._changed(await counting(self._store, now))
                self._behind = False
        except AgentpagerError as error:
            self._behind = True
            log.error("rotas.not_adopted", error=str(error))
        except Exception:
            self._behind = True
            log.exception("rotas.not_adopted")
        self._wake()


def _concerned(change: RotaChange, book: Book, now: datetime) -> list[str]:
    """Who is put on duty, or trades turns, and who has the first of that time otherwise: had it, or has it again."""
    schedule, at = book.schedules.get(change.schedule), max(change.start, now)
    had: tuple[str, ...] = ()
    if schedule is not None:
        had = on_duty(schedule, at, book.almanac).people
        had += on_duty(changes.without(schedule, change), at, book.almanac).people
    return [person for person in dict.fromkeys((*change.people, *had)) if person in book.people]


def _notice(change: RotaChange, action: str, actor: Actor, person: str, book: Book, now: datetime) -> Page:
    known = book.people[person]
    told = changes.told(change, book, known.timezone)
    head = f"No longer: {told}" if action == "rota.ended" else told
    by = f"{'Taken back' if action == 'rota.ended' else 'Made'} by {actor.name}"
    why = f": {change.why}" if change.why else ""
    return Page(
        id=f"{change.id}.{action.removeprefix('rota.')}.{person}",
        incident=None,
        kind=PageKind.NOTICE,
        person=person,
        channel=known.slack,
        due_at=now,
        planned_at=now,
        text=f"{head}\n{by}{why}. Incidents that are open keep the rota they began with.",
        reason=f"{change.id} concerns {person}",
    )
