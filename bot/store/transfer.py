"""All rows from one database to another, whichever kind each is: copies of PostgreSQL as a file, and the way between.

The file is a SQLite database with the same tables: it can be looked into, checked and served by itself, and needs no
program of a server's version. Everything arrives in one transaction, or nothing does, and is read back before it ends.
Blocking, for a command.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from bot.audit.chain import Chain
from bot.errors import UsageError
from bot.store import files, migrate, tables, troubles
from bot.store.database import Database

if TYPE_CHECKING:
    import psycopg

_LEFT_OUT = {"lease", "replicas", "counters"}  # whose turn it is; what triggers count, and a number
_TABLES = [table for table in tables.metadata.sorted_tables if table.name not in _LEFT_OUT]
_AT_ONCE = 1000
Rows = Iterator[tuple[Any, ...]]


@dataclass
class Moved:
    """Rows by table. `broken` is the first row of the audit log that does not follow from those before it, as it was
    in the source already."""

    rows: dict[str, int] = field(default_factory=dict)
    broken: int | None = None


class _Side(Protocol):
    def read(self, table: sa.Table) -> Rows:
        """In the order in which they were added, where that counts."""

    def write(self, table: sa.Table, rows: Rows) -> None: ...

    def do(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...


# Commands


def backup(url: str, target: Path) -> int:
    """What PostgreSQL has at this moment, as a file for its owner alone; replicas work on. Its size in bytes."""
    if target.exists():
        raise UsageError(f"{target} is there already; name another file, or remove it")
    part = target.with_name(f"{target.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
        _migrated(f"sqlite:///{part.resolve()}")
        with _server(url, moves=False) as source, _file(part) as copy:
            _move(source, copy)
        files.settle(part)
        part.replace(target)
    finally:
        for end in ("", "-wal", "-shm", "-lock"):
            Path(f"{part}{end}").unlink(missing_ok=True)
    return target.stat().st_size


def restore(source: Path, url: str) -> Moved:
    """Fills an empty database of PostgreSQL with what a backup has."""
    if (why := files.damage(source)) is not None or not files.ours(source):
        raise UsageError(f"{source} is no sound database of agentpager: {why or 'its tables are not there'}")
    return copy(f"sqlite:///{source.resolve()}", url)


def copy(source: str, target: str) -> Moved:
    """From one to the other, both of this release. Nobody may be at work on either; the target must be empty."""
    _migrated(target)
    with _side(source) as read, _side(target, fills=True) as write:
        return _move(read, write)


def _migrated(url: str) -> None:
    async def run() -> None:
        store = Database(url, Path())
        try:
            await store.open()
        finally:
            await store.close()

    asyncio.run(run())


def _side(url: str, *, fills: bool = False) -> AbstractContextManager[_Side]:
    if not url.startswith("sqlite"):
        return _server(url, moves=True)
    path = Path(sa.make_url(url).database or "")
    return _kept_off(path, _file(path)) if fills else _untouched(path)


# Rows


def _move(source: _Side, target: _Side) -> Moved:
    for table in _TABLES:
        if target.do(f'SELECT count(*) FROM "{table.name}"') != [(0,)]:  # noqa: S608 - names of ours
            raise UsageError(
                "the database to be filled is not empty, and what is there is never overwritten: make a new one, and "
                "name it in store.url or after --to"
            )
    moved = Moved()
    for table in _TABLES:
        sent, arrived = _Digest(), _Digest()
        target.write(table, sent.of(source.read(table)))
        chain = Chain(None) if table is tables.audit else None
        for row in arrived.of(target.read(table)):
            if chain is not None:
                chain.follow(row[0], row[3], row[4])
        if (sent.rows, sent.hexdigest()) != (arrived.rows, arrived.hexdigest()):
            raise UsageError(f"{table.name} did not arrive as it was; nothing was changed")
        moved.rows[table.name] = sent.rows
        moved.broken = chain.broken if chain is not None else moved.broken
    version = source.do("SELECT value FROM counters WHERE name = 'version'")[0][0]
    target.do("UPDATE counters SET value = ? WHERE name = 'version'", version)
    counted = "SELECT name, value FROM counters WHERE value <> 0 ORDER BY name"
    if source.do(counted) != target.do(counted):
        raise UsageError("the rows are not as many as had been counted; nothing was changed")
    return moved


class _Digest:
    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()
        self.hexdigest = self._hash.hexdigest

    def of(self, rows: Rows) -> Rows:
        for row in rows:
            self.rows += 1
            self._hash.update(
                repr([troubles.without_nul(one) if isinstance(one, str) else one for one in row]).encode()
            )
            yield row


def _names(table: sa.Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def _key(table: sa.Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.primary_key)


# SQLite


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, table: sa.Table) -> Rows:
        order = "rowid" if table is tables.pages else _key(table)
        yield from self._connection.execute(f'SELECT {_names(table)} FROM "{table.name}" ORDER BY {order}')  # noqa: S608

    def write(self, table: sa.Table, rows: Rows) -> None:
        marks = ", ".join("?" for _ in table.columns)
        self._connection.executemany(f'INSERT INTO "{table.name}" ({_names(table)}) VALUES ({marks})', rows)  # noqa: S608

    def do(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()


@contextmanager
def _file(path: Path) -> Iterator[_Sqlite]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield _Sqlite(connection)
        connection.execute("COMMIT")


@contextmanager
def _kept_off(path: Path, side: AbstractContextManager[_Sqlite]) -> Iterator[_Sqlite]:
    """No server has the file, or gets it meanwhile."""
    store = Database(f"sqlite:///{path.resolve()}", Path())
    if not store.lock():
        raise UsageError(f"agentpager is using the database {path}; stop it first")
    try:
        with side as found:
            yield found
    finally:
        store.unlock()


@contextmanager
def _untouched(path: Path) -> Iterator[_Sqlite]:
    """A copy of the file, brought to this release: the file itself stays as it is."""
    if not path.exists():
        raise UsageError(f"there is no database {path}")
    with tempfile.TemporaryDirectory(prefix="agentpager-", dir=path.parent) as folder:
        snapshot = Path(folder) / "copy.db"
        with _kept_off(path, _nothing()):
            files.backup(path, snapshot)
        _migrated(f"sqlite:///{snapshot}")
        with _file(snapshot) as found:
            yield found


@contextmanager
def _nothing() -> Iterator[_Sqlite]:
    with closing(sqlite3.connect(":memory:")) as connection:
        yield _Sqlite(connection)


# PostgreSQL


class _Server:
    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def read(self, table: sa.Table) -> Rows:
        order = "place" if table is tables.pages else _key(table)
        with self._connection.cursor(name="rows") as cursor:
            cursor.itersize = _AT_ONCE
            yield from cursor.execute(f'SELECT {_names(table)} FROM "{table.name}" ORDER BY {order}')  # noqa: S608

    def write(self, table: sa.Table, rows: Rows) -> None:
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f'COPY "{table.name}" ({_names(table)}) FROM STDIN') as copied,
        ):
            for row in rows:
                copied.write_row(row)
        if table is tables.evidence:
            self.do("SELECT setval('evidence_number_seq', max(number)) FROM evidence HAVING max(number) IS NOT NULL")

    def do(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def _server(url: str, *, moves: bool) -> Iterator[_Server]:
    """One view of it, to the end. With `moves` no replica is at work, and none writes meanwhile."""
    conninfo = troubles.conninfo(url)
    import psycopg  # noqa: PLC0415 - an extra

    name = troubles.without_password(url)
    try:
        with psycopg.connect(conninfo, context=troubles.adapters(), client_encoding="UTF8") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            side = _Server(connection)
            if moves:
                side.do("SELECT value FROM counters WHERE name = 'version' FOR UPDATE")
                _refuse_users(side.do(_ALIVE), name)
            if side.do("SELECT version_num FROM alembic_version") != [(migrate.HEAD,)]:
                raise UsageError(
                    f"{name} has the schema of another release; use that one, or bring it here: agentpager db upgrade"
                )
            yield side
    except psycopg.Error as error:
        raise UsageError(f"{name}: {str(error).strip()}") from None


_ALIVE = "SELECT id FROM replicas WHERE expires_at > extract(epoch FROM clock_timestamp())"


def _refuse_users(alive: Sequence[tuple[Any, ...]], name: str) -> None:
    if alive:
        who = ", ".join(row[0] for row in alive)
        raise UsageError(f"agentpager is using the database {name}: {who}; stop every replica first")
