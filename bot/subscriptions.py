"""Calendars for people's own calendar programs: their addresses, which can be revoked, and their text."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime

from bot.audit.model import Entry
from bot.errors import UsageError
from bot.oncall import ical_out, subscription
from bot.oncall.model import Book
from bot.ports import Actor, Clock
from bot.store.database import Database

_KEPT = 1000  # calendars; each a few kilobytes


class CalendarDesk:
    """`book` is the one of now, `since` from when on it counts, `address` is http.external_url."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        book: Callable[[], Book],
        since: Callable[[], datetime],
        address: Callable[[], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._since = since
        self._address = address
        self._turn = asyncio.Lock()
        self._texts: dict[tuple[str, str], tuple[datetime, datetime, str]] = {}

    async def url(self, target: str) -> str:
        """The address of `person:ana` or `schedule:payments`. Raises UsageError."""
        kind, name = subscription.parse(target, self._book())
        address = self._external()
        async with self._store.transaction() as tx:
            key = await tx.key(subscription.KEY, secrets.token_hex(32))
            epoch = await tx.key(subscription.epoch_key(kind, name), secrets.token_hex(8))
        return address + subscription.path_of(subscription.token_of(key, kind, name, epoch), kind, name)

    async def revoke(self, target: str, actor: Actor) -> str:
        """The address that counts from now on; the one before is nobody's any more."""
        kind, name = subscription.parse(target, self._book())
        self._external()
        entry = Entry(at=self._clock.now(), actor=actor.id, action="calendar.revoked", subject=f"{kind}:{name}")
        async with self._store.transaction() as tx:
            await tx.replace_key(subscription.epoch_key(kind, name), secrets.token_hex(8))
            await tx.append_audit([entry])
        return await self.url(target)

    def _external(self) -> str:
        if not self._address():
            raise UsageError("set http.external_url in agentpager.yaml: calendar programs ask for it from elsewhere")
        return self._address().rstrip("/")

    async def text(self, kind: str, name: str, token: str) -> str | None:
        """None for an address that is not, or no longer, one of ours."""
        book = self._book()
        if not subscription.exists(kind, name, book):
            return None
        key = await self._store.key(subscription.KEY)
        epoch = await self._store.key(subscription.epoch_key(kind, name))
        if key is None or epoch is None or not subscription.is_token(token, key, kind, name, epoch):
            return None
        return await self._drawn(kind, name, book)

    async def _drawn(self, kind: str, name: str, book: Book) -> str:
        """Drawn once for each state of the book and month, one at a time, in a thread: a large book takes a while."""
        since, (start, end) = self._since(), subscription.window(self._clock.now())
        async with self._turn:
            known = self._texts.get((kind, name))
            if known is None or known[:2] != (since, start):
                draw = ical_out.of_person if kind == "person" else ical_out.of_schedule
                known = (since, start, await asyncio.to_thread(draw, name, book, start, end, since))
                if len(self._texts) >= _KEPT:
                    self._texts.clear()
                self._texts[kind, name] = known
        return known[2]
