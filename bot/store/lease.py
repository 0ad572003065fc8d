"""Who may write: one process at a time, by a row that says until when, and by an epoch that every write looks at.

A lock on a file beside the database tells at once that the process which held it is dead, for the kernel lets go of it.
One that was only stopped still has it, so its place is taken when it has not renewed the row for a while. Whoever takes
it raises the epoch; the other finds that in the transaction of its next write, and changes nothing.
"""

from __future__ import annotations

import fcntl
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.replicas import Replica, Shown
from bot.store.tables import lease

LASTS = timedelta(seconds=10)
RENEWED_EVERY = timedelta(seconds=2)
_NAME = "pager"


@dataclass(frozen=True)
class Held:
    """What the row says."""

    holder: str
    epoch: int
    expires_at: float

    def alive(self, now: datetime) -> bool:
        """One that would last longer than any lease was written before the clock was set back: nobody renews it."""
        return now.timestamp() < self.expires_at <= (now + LASTS).timestamp()

    def replica(self, shown: Shown) -> Replica:
        """SQLite has one process alone: whoever holds the lease."""
        _, pid, _, host = self.holder.split(" ", 3)
        until = datetime.fromtimestamp(self.expires_at, UTC)
        return Replica(
            self.holder, host, int(pid), shown.url, shown.groups, shown.watching, until - LASTS, until, leads=True
        )


class LockFile:
    """Held until this process ends, whichever way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether this process has it now."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


async def read(connection: AsyncConnection) -> Held | None:
    """None when nobody has ever held it, also before the table was made."""
    known = await connection.run_sync(lambda sync: sa.inspect(sync).has_table(lease.name))
    if not known:
        return None
    columns = (lease.c.holder, lease.c.epoch, lease.c.expires_at)
    row = (await connection.execute(sa.select(*columns).where(lease.c.name == _NAME))).first()
    return None if row is None else Held(*row)


def holder() -> str:
    """This process, as the row has it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


async def take(connection: AsyncConnection, now: datetime) -> int:
    """The new epoch. Nothing is asked: whether it may be taken has been decided."""
    before = await read(connection)
    epoch = before.epoch + 1 if before else 1
    row = {"holder": holder(), "epoch": epoch, "expires_at": (now + LASTS).timestamp()}
    if before is None:
        await connection.execute(lease.insert().values(name=_NAME, **row))
    else:
        await connection.execute(lease.update().where(lease.c.name == _NAME).values(**row))
    return epoch


async def renew(connection: AsyncConnection, until: float) -> None:
    await connection.execute(lease.update().where(lease.c.name == _NAME).values(expires_at=until))


EPOCH = sa.select(lease.c.epoch).where(lease.c.name == _NAME).scalar_subquery()
