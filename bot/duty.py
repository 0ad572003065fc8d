"""Tells people of their shifts: some time before one begins, and when it does. Who has it is computed by oncall/;
each occasion is told once, also over restarts. Wakes nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot import pipeline
from bot.incidents.decision import World
from bot.oncall.model import Book
from bot.oncall.stints import stints
from bot.paging.model import Page, PageKind
from bot.ports import Clock, Rest
from bot.records import shift
from bot.records.digest import Present, as_text
from bot.records.shift import GRACE, Occasion, Turn
from bot.records.usage import usages
from bot.runbooks.model import Runbook
from bot.settings import Shifts
from bot.store.database import Database

_PLANNED = timedelta(hours=1)  # how long a look at all schedules holds, unless they change


class Duty:
    """`rest` asks Slack when somebody's notifications pause, `wake` hurries the outbox."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        runbooks: Callable[[], Sequence[Runbook]],
        settings: Callable[[], Shifts],
        wake: Callable[[], None],
        rest: Rest | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._runbooks = runbooks
        self._settings = settings
        self._wake = wake
        self._rest = rest
        self._planned: tuple[Book, timedelta, datetime, list[Turn]] | None = None
        self._told: set[str] = set()

    async def tick(self) -> None:
        settings, now = self._settings(), self._clock.now()
        if not settings.messages:
            return
        due: dict[str, tuple[Turn, Occasion]] = {}
        for turn in await self._turns(settings.ahead, now):
            if (what := shift.occasion(turn, now, settings.ahead)) is not None:
                due[_page_id(turn, what)] = (turn, what)
        self._told &= set(due)
        for page_id, (turn, what) in due.items():
            if page_id not in self._told and not await self._store.history.page_known(page_id):
                await self._tell(page_id, turn, what, now)
            self._told.add(page_id)

    async def _turns(self, ahead: timedelta, now: datetime) -> list[Turn]:
        """Walking every schedule takes some milliseconds each: done once an hour, and when the book changes."""
        book = self._world().book
        known = self._planned
        if known is not None and known[0] is book and known[1] == ahead and abs(now - known[2]) < _PLANNED:
            return known[3]
        found = await asyncio.to_thread(_planned, book, now - GRACE, now + ahead + _PLANNED)
        self._planned = (book, ahead, now, found)
        return found

    async def _tell(self, page_id: str, turn: Turn, what: Occasion, now: datetime) -> None:
        book = self._world().book
        person = book.people.get(turn.person)
        if person is None:
            return
        state = Present(now, await self._store.unresolved(), await self._store.silences(now))
        rest = await self._rest.rest(person.slack) if self._rest is not None else None
        told = shift.told(turn, what, state, usages(self._runbooks(), (), now.date()), rest, book)
        page = Page(
            id=page_id,
            incident=None,
            kind=PageKind.SHIFT,
            person=person.id,
            channel=person.slack,
            due_at=now,
            text=as_text(told),
            reason="your shift begins" if what == "begins" else "your shift is coming",
        )
        await pipeline.announce(self._store.leading, page, now)
        self._wake()


def _planned(book: Book, start: datetime, end: datetime) -> list[Turn]:
    return shift.turns(one for each in book.schedules.values() for one in stints(each, book.almanac, start, end))


def _page_id(turn: Turn, what: Occasion) -> str:
    return f"shift.{turn.person}.{round(turn.start.timestamp())}.{what}"
