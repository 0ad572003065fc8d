"""What the store needs of the place where its rows are: a file of SQLite, or a server that replicas share."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.store.replicas import Replica, Shown
from bot.store.statements import Statements


@dataclass(frozen=True)
class Begun:
    """A transaction that no other can write beside. `version` is the counter's; `elsewhere`: the connection is a new
    one, so that what was seen before may have been another server's."""

    connection: AsyncConnection
    version: int
    elsewhere: bool = False


class Home(Protocol):
    @property
    def name(self) -> str:
        """For people: without a password."""

    @property
    def writer(self) -> AsyncEngine: ...

    @property
    def readers(self) -> AsyncEngine: ...

    @property
    def statements(self) -> Statements: ...

    @property
    def archive_folder(self) -> Path | None: ...

    @property
    def me(self) -> str: ...

    @property
    def incarnation(self) -> int: ...

    @property
    def takes_part(self) -> bool:
        """Whether others wait for this process to give up its place."""

    @property
    def leads(self) -> bool: ...

    async def open(self, lease_at: datetime | None) -> None:
        """Makes or migrates the tables. With `lease_at` this process takes part from now on."""

    def writing(self, *, leading: bool = False) -> AbstractAsyncContextManager[Begun]:
        """Raises LeaseLostError or StaleReplicaError when this process must not write."""

    def reading(self, *, long: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """One view of everything, to its end; `long` for what may take its time."""

    async def renew(self, now: datetime) -> int:
        """A sign of life. Returns the counter's version."""

    def announce(self, shown: Shown) -> None: ...

    async def replicas(self) -> list[Replica]: ...

    def check(self) -> None:
        """Raises UsageError when it is known by now that the rows cannot be trusted."""

    async def doubt(self) -> str:
        """Why it cannot be written, or loses what it has taken; empty when there is no reason. Changes nothing."""

    async def resign(self) -> None:
        """Lets others take over at once."""

    async def close(self) -> None: ...
