"""The processes that share one database, as they know each other."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.store.transaction import Transaction


@dataclass(frozen=True)
class Replica:
    """A process that has given a sign of life lately. `groups` are the rule groups of its configuration, `watching` is
    whether it can evaluate them now, `url` is where the others reach it; instants are those of the database's clock."""

    id: str
    host: str
    pid: int
    url: str
    groups: frozenset[str]
    watching: bool
    started_at: datetime
    expires_at: datetime
    leads: bool


@dataclass(frozen=True)
class Shown:
    """What a replica lets the others know of itself."""

    url: str = ""
    groups: frozenset[str] = frozenset()
    watching: bool = False


class Writing(Protocol):
    """What a part that only writes is given: the whole Database, or `Database.leading`."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...
