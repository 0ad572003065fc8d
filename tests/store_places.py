"""The two places where rows can be, for tests that must not notice which it is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server

from bot.store.database import Database

_CHANGING = {"CREATE", "DROP", "ALTER", "GRANT"}


@dataclass
class Place:
    """`folder` is what relative paths begin at; `server` and `name` are there with PostgreSQL."""

    url: str
    folder: Path
    server: Server | None = None
    name: str = ""
    changed: bool = False

    def database(self) -> Database:
        return Database(self.url, self.folder)

    def execute(self, *statements: str) -> Sequence[tuple[Any, ...]]:
        """By somebody else, past our code; the rows of the last one."""
        if self.server is None:
            connection = sqlite3.connect(self.folder / "pager.db", isolation_level=None)
            try:
                return [connection.execute(statement) for statement in statements][-1].fetchall()
            finally:
                connection.close()
        self.changed = self.changed or any(one.split()[0] in _CHANGING or "alembic" in one for one in statements)
        with self.server.connect(self.name) as other:
            cursors = [other.execute(statement) for statement in statements]  # type: ignore[call-overload]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def disarm(self) -> None:
        """Takes away what keeps audit rows from being changed."""
        if self.server is None:
            self.execute("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")
        else:
            self.execute("DROP TRIGGER audit_no_change ON audit", "GRANT ALL ON audit TO pager")

    def fill(self) -> None:
        """From now on nothing can be written."""
        if self.server is None:
            self.execute("CREATE TRIGGER f BEFORE UPDATE ON clicks BEGIN SELECT RAISE(ABORT, 'disk full'); END")
            return
        self.execute(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$",
            "CREATE TRIGGER f BEFORE UPDATE ON clicks FOR EACH STATEMENT EXECUTE FUNCTION f()",
        )


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place("sqlite:///pager.db", tmp_path)
        return
    with lent(request.getfixturevalue("postgres"), tmp_path) as found:
        yield found


@contextmanager
def lent(server: Server, folder: Path) -> Iterator[Place]:
    name = server.lend()
    found = Place(server.url(name), folder, server, name)
    yield found
    server.take_back(name, changed=found.changed)


@pytest.fixture
async def store(place):
    database = place.database()
    await database.open()
    yield database
    async with asyncio.timeout(10):
        await database.close()
