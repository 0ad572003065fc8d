"""PostgreSQL: one server, several processes that share it.

Writers take turns here too: each transaction begins by locking one row, so that it reads what the last one left.
A process that takes part is a row of `replicas`, renewed every two seconds and counted as gone ten seconds later by the
database's clock; one of them has the lease, whose epoch every write of the leader looks at behind that lock. A session
that is stopped inside a transaction is ended by the server, one that hears nothing from the server is ended here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.clock import through_suspend
from bot.errors import LeaseLostError, StaleReplicaError, UsageError
from bot.store import migrate, troubles
from bot.store.dialect import Begun
from bot.store.lease import LASTS
from bot.store.notices import CHANNEL, Ear
from bot.store.replicas import Replica, Shown
from bot.store.statements import PostgresStatements
from bot.store.tables import replicas

if TYPE_CHECKING:
    import psycopg

_LASTS = LASTS.total_seconds()
_MARGIN = 2.0  # seconds before its end from which a lease is not relied on any more
_FORGOTTEN = 60.0  # seconds after which the row of a replica that is gone is taken away
_TRANSACTION = 15.0  # seconds for one that writes, and for a read
_CONNECT = 5  # seconds
_PATIENCE = 4.0  # seconds for which a server that is just not there is tried again
_START_PATIENCE = 15.0  # the same at the start of a server: the database may be starting too
_PAUSE = 0.25
_MIGRATING = 0x6167656E74  # the key of an advisory lock

# Defaults of libpq's parameters; what the address says counts. A peer that is gone without a word is found out.
_PARAMETERS = {
    "application_name": "agentpager",
    "client_encoding": "UTF8",
    "connect_timeout": str(_CONNECT),
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "target_session_attrs": "read-write",
}
# The server ends what has a lock and says nothing more: its process was stopped, or cut off.
_SESSION = """
    SELECT set_config('client_min_messages', 'warning', false), set_config('timezone', 'UTC', false),
        set_config('lock_timeout', '8s', false), set_config('statement_timeout', '{statement}s', false),
        set_config('idle_in_transaction_session_timeout', '{idle}s', false),
        set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),
        set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '10000', false),
        CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END
"""
_WRITER = _SESSION.format(statement=12, idle=5)
_READER = _SESSION.format(statement=30, idle=600)

# Notices are delivered when it commits.
_LOCK = sa.text(
    f"SELECT value, pg_notify('{CHANNEL}', :me) "  # noqa: S608
    "FROM counters WHERE name = 'version' FOR UPDATE"
)
# A statement of its own: one that waits for a lock goes on with what it saw before the wait.
_STATE = sa.text(
    "SELECT extract(epoch FROM clock_timestamp())::float8 AS now, lease.epoch, lease.holder, "
    "lease.expires_at AS lease_until, replicas.expires_at AS mine_until "
    "FROM lease LEFT JOIN replicas ON replicas.id = :me WHERE lease.name = 'pager'"
)
# The same, and a note that is there only if all the rest is. The number of a transaction would not do: after a crash
# the server gives it to another one.
_BEGUN = sa.text(
    "WITH note AS (INSERT INTO clicks VALUES (:note, extract(epoch FROM clock_timestamp())) "
    "ON CONFLICT (key) DO UPDATE SET at = excluded.at RETURNING at) "
    "SELECT (SELECT at FROM note), state.* FROM ("
    "SELECT extract(epoch FROM clock_timestamp())::float8 AS now, lease.epoch, lease.holder, "
    "lease.expires_at AS lease_until, replicas.expires_at AS mine_until "
    "FROM lease LEFT JOIN replicas ON replicas.id = :me WHERE lease.name = 'pager') AS state"
)
_REGISTER = sa.text(
    "INSERT INTO replicas VALUES (:id, :host, :pid, :url, :groups, :watching, :now, :until) ON CONFLICT (id) DO UPDATE "
    "SET url = excluded.url, groups = excluded.groups, watching = excluded.watching, expires_at = excluded.expires_at"
)
# While nothing changes hands: only longer, and only what is still ours. Whoever takes over does it behind the lock.
_LONGER = sa.text(
    "WITH clock AS (SELECT extract(epoch FROM clock_timestamp())::float8 AS t), "
    "mine AS (UPDATE replicas SET expires_at = t + :lasts, url = :url, groups = :groups, watching = :watching "
    "FROM clock WHERE id = :me AND expires_at > t RETURNING 1), "
    "held AS (UPDATE lease SET expires_at = t + :lasts FROM clock "
    "WHERE name = 'pager' AND holder = :me AND epoch = :epoch AND expires_at > t RETURNING 1) "
    "SELECT EXISTS (SELECT 1 FROM mine) AS mine, EXISTS (SELECT 1 FROM held) AS held, "
    "(SELECT expires_at > t FROM lease WHERE name = 'pager') AS led, "
    "(SELECT value FROM counters WHERE name = 'version') AS version FROM clock"
)
_FORGET = sa.text("DELETE FROM replicas WHERE expires_at < :before")
_LEAVE = sa.text("DELETE FROM replicas WHERE id = :me")
_HOLD = sa.text(
    "UPDATE lease SET holder = :me, epoch = :epoch, expires_at = :until WHERE name = 'pager' AND expires_at = :seen"
)
_NOW = sa.text("SELECT extract(epoch FROM clock_timestamp())::float8")
_STANDBY = sa.text("SELECT pg_is_in_recovery()")
_MAY_CREATE = sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")
_RISKS = sa.text(
    "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
)
_REVISION = sa.text("SELECT version_num FROM alembic_version")
_HAS_TABLES = sa.text("SELECT to_regclass('alembic_version') IS NOT NULL, to_regclass('counters') IS NOT NULL")


@dataclass(frozen=True)
class _State:
    now: float
    epoch: int
    holder: str
    lease_until: float
    mine_until: float | None

    @property
    def gone(self) -> bool:
        return self.mine_until is None or self.now >= self.mine_until


@dataclass(frozen=True)
class _Note:
    key: str
    at: float


class Postgres:
    """Implements dialect.Home. Raises UsageError when the driver is not installed or the address makes no sense."""

    def __init__(self, url: str, heard: Callable[[], None], *, patient: bool = True) -> None:
        self._conninfo = troubles.conninfo(url)
        self._patient = patient
        self.name = troubles.without_password(url)
        self.archive_folder: Path | None = None
        self.statements = PostgresStatements()
        self.writer: AsyncEngine = self._engine(_WRITER, pool_size=1)
        self.readers: AsyncEngine = self._engine(_READER, pool_size=4)
        self._renewer = self._engine(_WRITER, pool_size=1, writes_pages=False)  # stands in no queue of ours
        self.me = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.incarnation = 1
        self._elsewhere = False
        self.takes_part = False
        self._epoch: int | None = None
        self._leads_until = 0.0
        self._shown = Shown()
        self._registered = False
        self._ear = Ear(self._listening, self.me, heard)

    def _engine(self, session: str, pool_size: int, *, writes_pages: bool = True) -> AsyncEngine:
        reads = session is _READER

        async def connect(*_: object, **__: object) -> psycopg.AsyncConnection[Any]:
            raw = await self._connect(session, reads=reads)
            self._elsewhere = self._elsewhere or (writes_pages and not reads)
            return raw

        return create_async_engine(
            "postgresql+psycopg://", async_creator=connect, pool_size=pool_size, max_overflow=0, pool_pre_ping=reads,
            pool_timeout=_TRANSACTION, use_native_hstore=False,
        )  # fmt: skip

    async def _connect(self, session: str, *, reads: bool) -> psycopg.AsyncConnection[Any]:
        import psycopg  # noqa: PLC0415 - an extra

        hurry = {} if self._patient else {"connect_timeout": "2"}
        parameters: dict[str, Any] = {**_PARAMETERS, **hurry, **psycopg.conninfo.conninfo_to_dict(self._conninfo)}
        # Prepared statements would fail whenever a newer release changes a table, and behind some poolers.
        raw = await psycopg.AsyncConnection.connect(
            "", autocommit=True, prepare_threshold=None, context=troubles.adapters(), **parameters
        )
        try:
            troubles.refuse_server(raw.info, self.name)
            with _deadline(raw, _TRANSACTION):
                await raw.execute(session)
                if reads:
                    await raw.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
                    await raw.set_read_only(True)
                await raw.set_autocommit(False)
        except BaseException:
            await raw.close()
            raise
        return raw

    async def _listening(self) -> psycopg.AsyncConnection[Any]:
        raw = await self._connect(_READER, reads=False)
        await raw.set_autocommit(True)
        return raw

    # The start and the end

    async def open(self, lease_at: datetime | None) -> None:
        patience = _PATIENCE if lease_at is None else _START_PATIENCE
        try:
            await self._migrate(patience)
            if lease_at is not None:
                self.takes_part = True
                await self.renew(lease_at)
                self._ear.start()
        except (sa.exc.DBAPIError, OSError, TimeoutError) as error:
            raise troubles.explained(error, self.name) from None

    async def _migrate(self, patience: float) -> None:
        async with AsyncExitStack() as stack:
            connection, _ = await self._retried(stack, self.writer, _nothing, patience)
            if await connection.scalar(_STANDBY):
                raise UsageError(troubles.STANDBY.format(name=self.name))
            if await _revision(connection) == migrate.HEAD:
                return
            # One at a time, also before there is any table to lock; and no writer is in the middle of anything.
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
            if (await connection.execute(_HAS_TABLES)).one()[1]:
                await connection.execute(sa.text("SELECT value FROM counters WHERE name = 'version' FOR UPDATE"))
            if await _revision(connection) != migrate.HEAD:
                await connection.run_sync(migrate.upgrade)
            await connection.commit()

    async def resign(self) -> None:
        if not self.takes_part:
            return
        self.takes_part = False
        with contextlib.suppress(sa.exc.DBAPIError, OSError, TimeoutError):
            async with self._transaction(patience=0.0) as (begun, state):
                await begun.connection.execute(_LEAVE, {"me": self.me})
                if state.holder == self.me:
                    given_back = {"me": self.me, "epoch": state.epoch, "until": 0.0, "seen": state.lease_until}
                    await begun.connection.execute(_HOLD, given_back)
        self._epoch = None

    async def close(self) -> None:
        await self._ear.stop()
        await self._renewer.dispose()
        await self.writer.dispose()
        await self.readers.dispose()

    def check(self) -> None:
        """The server looks after its files."""

    async def doubt(self) -> str:
        try:
            async with AsyncExitStack() as stack:
                connection, _ = await self._retried(stack, self.writer, _nothing, 0.0)
                if await connection.scalar(_STANDBY):
                    return troubles.STANDBY.format(name=self.name)
                if (await connection.execute(_HAS_TABLES)).one()[1]:
                    await connection.execute(_LOCK, {"me": self.me})
                elif not await connection.scalar(_MAY_CREATE):
                    return f"{self.name}: {troubles.NO_TABLES}"
                off = (await connection.scalars(_RISKS)).all()
                await connection.rollback()
        except (sa.exc.DBAPIError, OSError, TimeoutError) as error:
            return str(troubles.explained(error, self.name))
        lost = f"{self.name}: {' and '.join(off)} is off, so that a crash of the server may lose pages"
        return lost if off else ""

    # Transactions

    @asynccontextmanager
    async def writing(self, *, leading: bool = False) -> AsyncIterator[Begun]:
        async with self._transaction() as (begun, state):
            if self.takes_part and state.gone:
                raise StaleReplicaError(
                    f"nothing is recorded: this replica gave no sign of life for {LASTS.seconds} s, and the others "
                    "have taken over what was its; it is coming back, so try again"
                )
            if leading and self._registered and not (state.epoch == self._epoch and state.holder == self.me):
                self._epoch = None
                raise LeaseLostError("another replica leads now")
            yield begun

    @asynccontextmanager
    async def _transaction(self, patience: float | None = None) -> AsyncIterator[tuple[Begun, _State]]:
        async with AsyncExitStack() as stack:
            patience = _PATIENCE if patience is None else patience
            connection, (version, note, state) = await self._retried(stack, self.writer, self._begin, patience)
            elsewhere, self._elsewhere = self._elsewhere, False
            try:
                yield Begun(connection, version, elsewhere), state
            except BaseException:
                self._elsewhere = self._elsewhere or elsewhere
                raise
            await self._commit(connection, note)

    async def _begin(self, connection: AsyncConnection) -> tuple[int, _Note, _State]:
        version, _ = (await connection.execute(_LOCK, {"me": self.me})).one()
        key = f"commit|{self.me}|{'renewer' if connection.engine is self._renewer else 'writer'}"
        at, *state = (await connection.execute(_BEGUN, {"me": self.me, "note": key})).one()
        return version, _Note(key, at), _State(*state)

    async def _commit(self, connection: AsyncConnection, note: _Note) -> None:
        """When the answer is lost, the rows are asked what became of it."""
        try:
            await connection.commit()
        except sa.exc.DBAPIError as error:
            if not troubles.passing(error) or not await self._was_committed(note):
                raise

    async def _was_committed(self, note: _Note) -> bool:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return await self._noted(note)
            except (OSError, TimeoutError, troubles.driver_error()):
                if time.monotonic() >= end:
                    return False
            await asyncio.sleep(_PAUSE)

    async def _noted(self, note: _Note) -> bool:
        """Behind the lock: the transaction may still be ending."""
        raw = await self._connect(_WRITER, reads=False)
        try:
            with _deadline(raw, _TRANSACTION):
                await raw.execute("SELECT value FROM counters WHERE name = 'version' FOR UPDATE")
                found = await (await raw.execute("SELECT at FROM clicks WHERE key = %s", (note.key,))).fetchone()
                return found is not None and bool(found[0] == note.at)
        finally:
            await raw.close()

    @asynccontextmanager
    async def reading(self, *, long: bool = False) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            connection, _ = await self._retried(stack, self.readers, _nothing, _PATIENCE, long=long)
            yield connection

    async def _retried(
        self,
        stack: AsyncExitStack,
        engine: AsyncEngine,
        begin: Callable[[AsyncConnection], Any],
        patience: float,
        *,
        long: bool = False,
    ) -> tuple[AsyncConnection, Any]:
        """A connection and how it begins; again while the server is away for a moment: nothing is lost by then."""
        end = time.monotonic() + (patience if self._patient else 0.0)
        while True:
            attempt = AsyncExitStack()
            try:
                connection = await attempt.enter_async_context(_connected(engine))
                raw = (await connection.get_raw_connection()).driver_connection
                if not long:
                    attempt.enter_context(_deadline(raw, _TRANSACTION))
                begun = await begin(connection)
            except (sa.exc.DBAPIError, OSError, TimeoutError) as error:
                await attempt.aclose()
                if not troubles.passing(error) or time.monotonic() >= end:
                    raise
                await asyncio.sleep(_PAUSE)
            except BaseException:
                await attempt.aclose()
                raise
            else:
                await stack.enter_async_context(attempt)
                return connection, begun

    # Taking part

    @property
    def leads(self) -> bool:
        return self._epoch is not None and through_suspend() < self._leads_until

    def announce(self, shown: Shown) -> None:
        self._shown = shown

    async def renew(self, now: datetime) -> int:
        """Membership and the lease; who finds that the lease has run out takes it. Returns the version that it saw."""
        asked_at = through_suspend()
        async with AsyncExitStack() as stack:
            longer = await self._longer(stack)
            if longer is not None:
                if self._epoch is not None:
                    self._leads_until = asked_at + _LASTS - _MARGIN
                return longer
        return await self._change_hands(asked_at)

    def _row(self) -> dict[str, Any]:
        groups = json.dumps(sorted(self._shown.groups))
        return {"url": self._shown.url, "groups": groups, "watching": int(self._shown.watching)}

    async def _longer(self, stack: AsyncExitStack) -> int | None:
        """None when that is not all there is to do."""
        if not self._registered:
            return None
        connection, _ = await self._retried(stack, self._renewer, _nothing, _PATIENCE)
        asked = {"me": self.me, "epoch": -1 if self._epoch is None else self._epoch, "lasts": _LASTS, **self._row()}
        found = (await connection.execute(_LONGER, asked)).one()
        await connection.commit()
        all_done = found.mine and (found.held if self._epoch is not None else found.led)
        return int(found.version) if all_done else None

    async def _change_hands(self, asked_at: float) -> int:
        async with AsyncExitStack() as stack:
            connection, (version, note, state) = await self._retried(stack, self._renewer, self._begin, _PATIENCE)
            until = state.now + _LASTS
            row = {"id": self.me, "host": socket.gethostname(), "pid": os.getpid(), "now": state.now, "until": until}
            await connection.execute(_REGISTER, row | self._row())
            await connection.execute(_FORGET, {"before": state.now - _FORGOTTEN})
            epoch: int | None = None
            if state.holder == self.me and state.epoch == self._epoch:
                epoch = state.epoch
            elif state.now >= state.lease_until:
                epoch = state.epoch + 1
            if epoch is not None:
                taken = {"me": self.me, "epoch": epoch, "until": until, "seen": state.lease_until}
                if (await connection.execute(_HOLD, taken)).rowcount != 1:
                    epoch = None  # whoever has it renewed it at the last moment
            if state.gone and self._registered:
                self.incarnation += 1  # before others can write, and also if nobody says what became of the commit
            await self._commit(connection, note)
        self._registered = True
        self._epoch = epoch
        self._leads_until = asked_at + _LASTS - _MARGIN
        return int(version)

    async def replicas(self) -> list[Replica]:
        async with self.reading() as connection:
            state = _State(*(await connection.execute(_STATE, {"me": self.me})).one())
            alive = sa.select(replicas).where(replicas.c.expires_at > state.now)
            rows = (await connection.execute(alive.order_by(replicas.c.started_at, replicas.c.id))).all()
        leader = state.holder if state.now < state.lease_until else ""
        return [_replica(row, leader) for row in rows]


def _replica(row: sa.Row[Any], leader: str) -> Replica:
    began, until = (datetime.fromtimestamp(at, UTC) for at in (row.started_at, row.expires_at))
    groups, watching = frozenset(json.loads(row.groups)), bool(row.watching)
    return Replica(row.id, row.host, row.pid, row.url, groups, watching, began, until, leads=row.id == leader)


async def _revision(connection: AsyncConnection) -> str | None:
    if not (await connection.execute(_HAS_TABLES)).one()[0]:
        return None
    return str(await connection.scalar(_REVISION))


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """What goes wrong while it is given back is of no interest: the next one gets another."""
    connection = await engine.connect()
    try:
        yield connection
    finally:
        try:
            await connection.close()
        except (sa.exc.DBAPIError, OSError):
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                await connection.invalidate()


async def _nothing(_: AsyncConnection) -> None: ...


@contextlib.contextmanager
def _deadline(raw: Any, seconds: float) -> Iterator[None]:
    """A server that hangs answers no request to cancel either: whoever waits is woken by the end of the connection."""
    timer = asyncio.get_running_loop().call_later(seconds, _cut, raw)
    try:
        yield
    finally:
        timer.cancel()


def _cut(raw: Any) -> None:
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(raw.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
