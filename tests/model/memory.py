"""The real store on SQLite in memory, driven without a thread: every statement is done when it returns.

Each connection is a real one on a file in the machine's memory, so commit, rollback and isolation are SQLite's own.
`Power` is the plug: once pulled, every statement raises and whatever was not committed is gone. Triggers write down
what the rows do, inside the same transactions: they are the oracle of the invariants and share no code with the bot.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite

from bot.store.database import Database

MEMORY = Path("/dev/shm")

ORACLE = """
CREATE TABLE seen_claims (
  n INTEGER PRIMARY KEY, mono REAL, wall REAL, process INTEGER, page TEXT, incident TEXT, kind TEXT, doc TEXT,
  incident_doc TEXT);
CREATE TRIGGER seen_claim AFTER UPDATE ON pages WHEN old.state = 'due' AND new.state = 'sending' BEGIN
  INSERT INTO seen_claims (mono, wall, process, page, incident, kind, doc, incident_doc)
  VALUES (sim_mono(), sim_wall(), sim_process(), new.id, new.incident, new.kind, new.doc,
          (SELECT doc FROM incidents WHERE id = new.incident));
END;
CREATE TABLE seen_changes (
  n INTEGER PRIMARY KEY, mono REAL, wall REAL, process INTEGER, incident TEXT, before TEXT, after TEXT);
CREATE TRIGGER seen_insert AFTER INSERT ON incidents BEGIN
  INSERT INTO seen_changes (mono, wall, process, incident, before, after)
  VALUES (sim_mono(), sim_wall(), sim_process(), new.id, NULL, new.doc);
END;
CREATE TRIGGER seen_update AFTER UPDATE ON incidents WHEN old.doc <> new.doc BEGIN
  INSERT INTO seen_changes (mono, wall, process, incident, before, after)
  VALUES (sim_mono(), sim_wall(), sim_process(), new.id, old.doc, new.doc);
END;
CREATE TABLE seen_pages (
  n INTEGER PRIMARY KEY, mono REAL, wall REAL, process INTEGER, page TEXT, before TEXT, after TEXT);
CREATE TRIGGER seen_page AFTER UPDATE ON pages WHEN old.state <> new.state BEGIN
  INSERT INTO seen_pages (mono, wall, process, page, before, after)
  VALUES (sim_mono(), sim_wall(), sim_process(), new.id, old.state, new.state);
END;
"""


class Dead(BaseException):
    """The process is gone: nothing in it may catch this."""


class Power:
    """What holds one process up. `point` counts the instants at which it can be killed; `countdown` says at which."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.on = True
        self.countdown: int | None = None
        self.stop_at = ""  # the name of the point at which it dies
        self.passed: list[str] = []
        self.replaced = False
        self.sleeps_at = ""
        self._awake: asyncio.Event | None = None
        self.killed: Callable[[], None] = lambda: None

    def check(self) -> None:
        if not self.on:
            raise Dead

    def stop(self) -> None:
        """SIGSTOP: it goes on to its next transaction or request, and no further."""
        self._awake = asyncio.Event()

    def go_on(self) -> None:
        """SIGCONT."""
        if self._awake is not None:
            self._awake.set()
            self._awake = None

    async def breathe(self, point: str = "") -> None:
        """A place where a stopped process stays; `sleeps_at` names the one where it is stopped by itself."""
        if point and point == self.sleeps_at:
            self.sleeps_at = ""
            self.stop()
        if self._awake is not None:
            await self._awake.wait()
        self.check()

    def point(self, name: str) -> None:
        """An instant at which the process may die."""
        self.check()
        self.passed.append(name)
        if self.countdown is not None:
            self.countdown -= 1
        if (self.countdown is not None and self.countdown < 0) or name == self.stop_at:
            self.cut()
            raise Dead

    def cut(self) -> None:
        self.on = False
        self.killed()


class _Done:
    """Takes the place of aiosqlite's queue to its thread: what is put there is done at once."""

    def put_nowait(self, item: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        future, function = item
        future.set_result(function())


class _Cursor:
    def __init__(self, cursor: sqlite3.Cursor, connection: Connection) -> None:
        self._cursor = cursor
        self._connection = connection

    async def __aenter__(self) -> _Cursor:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cursor.close()

    def __await__(self) -> Any:
        return self.__aenter__().__await__()

    async def execute(self, sql: str, parameters: Any = ()) -> _Cursor:
        if sql.startswith("BEGIN"):
            await self._connection.power.breathe()
        self._connection.power.check()
        ends = sql.lstrip().upper().startswith(("COMMIT", "END"))
        if ends:
            self._connection.power.point("before commit")
        self._cursor.execute(sql, parameters or ())
        if ends:
            self._connection.power.point("after commit")
        return self

    async def executemany(self, sql: str, parameters: Any) -> _Cursor:
        self._connection.power.check()
        self._cursor.executemany(sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        return self._cursor.fetchmany(size or self._cursor.arraysize)

    async def close(self) -> None:
        self._cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class Connection:
    """What SQLAlchemy needs of an aiosqlite connection."""

    def __init__(self, raw: sqlite3.Connection, power: Power) -> None:
        self._conn = self._connection = raw
        self.power = power
        self._tx = _Done()
        self._thread = type("NoThread", (), {"daemon": True})()

    def __await__(self) -> Any:
        return self._itself().__await__()

    async def _itself(self) -> Connection:
        return self

    @property
    def isolation_level(self) -> str | None:
        return self._conn.isolation_level

    def cursor(self) -> _Cursor:
        self.power.check()
        return _Cursor(self._conn.cursor(), self)

    async def execute(self, sql: str, parameters: Any = ()) -> _Cursor:
        return await self.cursor().execute(sql, parameters)

    async def commit(self) -> None:
        self.power.check()
        writes = self._conn.in_transaction and self._conn.total_changes != getattr(self, "_changes", 0)
        if writes:
            self.power.point("before commit")
        self._conn.commit()
        self._changes = self._conn.total_changes
        if writes:
            self.power.point("after commit")

    async def rollback(self) -> None:
        self.power.check()
        self._conn.rollback()
        self._changes = self._conn.total_changes

    async def create_function(self, *args: Any, **more: Any) -> None:
        self._conn.create_function(*args, **more)

    async def close(self) -> None:
        self._conn.close()

    def stop(self) -> None:
        self._conn.close()


class Disk:
    """The database file of one test, and the connections that processes have to it."""

    _numbers = itertools.count()

    def __init__(self, mono: Callable[[], float], wall: Callable[[], float]) -> None:
        base = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
        self.folder = Path(tempfile.mkdtemp(prefix="agentpager-model-", dir=base))
        (self.folder / "pager.db").write_bytes(template())
        self._mono, self._wall = mono, wall
        self._open: list[tuple[Power, sqlite3.Connection]] = []
        self.eye = self._connect(Power())  # reads what is committed, from outside every process

    @property
    def url(self) -> str:
        return "sqlite:///pager.db"

    def _connect(self, power: Power, *args: Any, **more: Any) -> sqlite3.Connection:
        raw = sqlite3.connect(self.folder / "pager.db", *args, **more | {"check_same_thread": False})
        seen = {"sim_mono": self._mono, "sim_wall": self._wall, "sim_process": lambda: power.number}
        for name, function in seen.items():
            raw.create_function(name, 0, function)
        self._open.append((power, raw))
        return raw

    def connect_as(self, power: Power) -> Callable[..., Connection]:
        def connect(_database: str, **more: Any) -> Connection:
            power.check()
            kept = {key: value for key, value in more.items() if key in {"timeout", "isolation_level", "uri"}}
            return Connection(self._connect(power, **kept), power)

        return connect

    def database(self, power: Power) -> Database:
        """The real store of one process; its connections are made by that process' power."""
        store = Database(self.url, self.folder)
        for engine in (store._writer, store._readers):
            engine.dialect.dbapi.aiosqlite = _Driver(self.connect_as(power))
        return store

    def unplug(self, power: Power) -> None:
        """What that process had not committed is gone."""
        for owner, raw in self._open:
            if owner is power:
                raw.close()
        self._open = [(owner, raw) for owner, raw in self._open if owner is not power]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.eye.execute(query, values).fetchall()

    def close(self) -> None:
        for _, raw in self._open:
            raw.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Driver:
    """The aiosqlite module with another `connect`."""

    def __init__(self, connect: Callable[..., Connection]) -> None:
        self.connect = connect

    def __getattr__(self, name: str) -> Any:
        return getattr(aiosqlite, name)


@functools.cache
def template() -> bytes:
    """A migrated, empty database with the oracle's triggers; made once, copied for each test."""

    async def make(folder: Path) -> None:
        store = Database("sqlite:///pager.db", folder)
        await store.open()
        await store.close()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(make(folder))
        raw = sqlite3.connect(folder / "pager.db")
        raw.executescript(ORACLE)
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        assert not (folder / "pager.db-wal").exists()
        return (folder / "pager.db").read_bytes()
