"""SQLite: one file, one process that writes.

One connection writes, each transaction begun IMMEDIATE and committed to disk (`synchronous=FULL`) before it returns;
readers have their own connections and never wait for the writer (WAL).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.errors import LeaseLostError, UsageError
from bot.store import files, lease, migrate
from bot.store.dialect import Begun
from bot.store.live import VERSION
from bot.store.replicas import Replica, Shown
from bot.store.statements import SqliteStatements

_BUSY_SECONDS = 5
_CHECK_SECONDS = 1.0  # of a start, for a look at the file
_PATIENCE_SECONDS = 30.0  # for the same when it cannot be opened
_STATE = sa.select(VERSION.scalar_subquery(), lease.EPOCH)


class Sqlite:
    """Implements dialect.Home."""

    incarnation = 1

    def __init__(self, url: str, base_dir: Path) -> None:
        parsed = sa.make_url(url)
        self.path = base_dir / (parsed.database or "")
        self.name = str(self.path)
        self.archive_folder = self.path.with_name(f"{self.path.name}.archive")
        where = parsed.set(drivername="sqlite+aiosqlite", database=str(self.path))
        self.writer = _engine(where, "BEGIN IMMEDIATE", pool_size=1)
        self.readers = _engine(where, "BEGIN", pool_size=4)
        self.statements = SqliteStatements()
        self.epoch: int | None = None
        self.look: files.Look | None = None
        self.lost = asyncio.Event()
        self._lock = lease.LockFile(self.path.with_name(f"{self.path.name}-lock"))
        self._shown = Shown()

    async def open(self, lease_at: datetime | None) -> None:
        """Readable by its owner only."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        if lease_at is not None:
            await self._refuse_damage(_CHECK_SECONDS)
        try:
            async with self.writer.begin() as connection:
                if lease_at is not None:
                    await self._claim(connection, lease_at)
                await connection.run_sync(migrate.upgrade)
                if lease_at is not None:
                    self.epoch = await lease.take(connection, lease_at)
        except sa.exc.DatabaseError as error:
            await self._refuse_damage(_PATIENCE_SECONDS)
            raise UsageError(f"the database {self.path} cannot be opened: {error.orig}") from None

    async def _refuse_damage(self, seconds: float) -> None:
        """A look at a large file goes on beside the work; what it finds later fails every `ping`."""
        self.look = self.look or files.Look(self.path)
        if why := await asyncio.to_thread(self.look.within, seconds):
            raise files.refuse(self.path, why)

    async def _claim(self, connection: AsyncConnection, now: datetime) -> None:
        """The lock tells that whoever had the lease is dead; without it the lease must have run out."""
        locked = self._lock.take()
        held = await lease.read(connection)
        if held is not None and not locked and held.alive(now):
            raise UsageError(
                f"another agentpager is using the database {self.path}: {held.holder}. Two would page twice, so stop "
                f"that one first; if it hangs, start again {lease.LASTS.seconds} s after its last sign of life"
            )

    def lock(self) -> bool:
        return self._lock.take()

    def unlock(self) -> None:
        self._lock.release()

    def check(self) -> None:
        if self.look is not None and self.look.found:
            raise files.refuse(self.path, self.look.found)

    @asynccontextmanager
    async def writing(self, *, leading: bool = False) -> AsyncIterator[Begun]:
        async with self.writer.begin() as connection:
            version, epoch = (await connection.execute(_STATE)).one()
            if self.epoch is not None and epoch != self.epoch:
                self.lost.set()
                raise LeaseLostError(f"another agentpager has taken over the database {self.path}")
            yield Begun(connection, version)

    @asynccontextmanager
    async def reading(self, *, long: bool = False) -> AsyncIterator[AsyncConnection]:
        async with self.readers.connect() as connection:
            yield connection

    @property
    def me(self) -> str:
        return lease.holder()

    @property
    def takes_part(self) -> bool:
        return self.epoch is not None and not self.lost.is_set()

    @property
    def leads(self) -> bool:
        return not self.lost.is_set()

    async def renew(self, now: datetime) -> int:
        """The lock of a process that was stopped, and is gone by now, is taken over as well."""
        async with self.writing() as begun:
            await lease.renew(begun.connection, (now + lease.LASTS).timestamp())
        self._lock.take()
        return begun.version

    def announce(self, shown: Shown) -> None:
        self._shown = shown

    async def replicas(self) -> list[Replica]:
        async with self.reading() as connection:
            held = await lease.read(connection)
        return [] if held is None else [held.replica(self._shown)]

    async def doubt(self) -> str:
        return files.damage(self.path) or "" if self.path.exists() else ""

    async def resign(self) -> None:
        with suppress(LeaseLostError, sa.exc.DatabaseError):
            async with self.writing() as begun:
                await lease.renew(begun.connection, 0.0)

    async def close(self) -> None:
        self._lock.release()
        await self.writer.dispose()
        await self.readers.dispose()


def _engine(url: sa.URL, begin: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=pool_size, max_overflow=0)

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: a deferred one that later writes fails with SQLITE_BUSY.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={_BUSY_SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
