"""The two places where rows can be, for tests that must not notice which it is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server

from bot.store.database import Database


@dataclass
class Place:
    """`folder` is what relative paths begin at; `server` and `name` are there with PostgreSQL."""

    url: str
    folder: Path
    server: Server | None = None
    name: str = ""

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
def place(request, tmp_path) -> Place:
    if request.param == "sqlite":
        return Place("sqlite:///pager.db", tmp_path)
    server: Server = request.getfixturevalue("postgres")
    name = server.migrated()
    return Place(server.url(name), tmp_path, server, name)


@pytest.fixture
async def store(place):
    database = place.database()
    await database.open()
    yield database
    async with asyncio.timeout(10):
        await database.close()
