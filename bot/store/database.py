"""Keeps incidents, pages, audit, rule states, clicks and renderings in SQLite.

One connection writes, each transaction begun IMMEDIATE and committed to disk (`synchronous=FULL`) before it returns;
readers have their own connections and never wait for the writer (WAL).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.actions.model import Run
from bot.agents.evidence import Evidence
from bot.agents.record import HOUR, Hour, Sums
from bot.audit.model import Entry
from bot.errors import LeaseLostError, UsageError
from bot.incidents.model import Incident, State
from bot.incidents.silences import Silence
from bot.oncall.changes import RotaChange
from bot.paging.model import Page, PageState
from bot.runbooks.rendered import Rendered
from bot.store import files, lease, migrate
from bot.store.history import History
from bot.store.live import VERSION, Live
from bot.store.replicas import Replica
from bot.store.tables import (
    LEADS,
    action_runs,
    agent_hours,
    audit,
    clicks,
    counters,
    evidence,
    feeds,
    incidents,
    keys,
    pages,
    renderings,
    rota_changes,
    rule_states,
    silences,
    snapshots,
)
from bot.store.transaction import Transaction

_BUSY_SECONDS = 5
_LATELY = 2000  # pages
_CHECK_SECONDS = 1.0  # of a start, for a look at the file
_PATIENCE_SECONDS = 30.0  # for the same when it cannot be opened
_STATE = sa.select(VERSION.scalar_subquery(), lease.EPOCH)
_DELIVERY = "delivery|"
_SUMMED = ("runs", "bad", "run_seen", "success_seen", "last_success")
_ROWID = sa.literal_column("pages.rowid", sa.Integer)


class Database:
    """Implements ports.Store. `url` is SQLAlchemy's, with or without a driver: `sqlite:///agentpager.db`."""

    def __init__(self, url: str, base_dir: Path) -> None:
        parsed = sa.make_url(url)
        path = base_dir / (parsed.database or "")
        self.path = path
        self._url = parsed.set(drivername="sqlite+aiosqlite", database=str(path))
        self._writer: AsyncEngine = _engine(self._url, "BEGIN IMMEDIATE", pool_size=1)
        self._readers: AsyncEngine = _engine(self._url, "BEGIN", pool_size=4)
        self._turn = asyncio.Lock()
        self._live = Live()
        self._lock = lease.LockFile(path.with_name(f"{path.name}-lock"))
        self._epoch: int | None = None
        self._look: files.Look | None = None
        self.lost = asyncio.Event()  # another process has taken over, and this one must end
        self.leading = Leading(self)
        self.incarnation = 1  # grows whenever this replica was given up by the others and is back
        self._groups: frozenset[str] = frozenset()
        self._address = ""
        self._watching = False
        self.history = History(self._read)

    async def open(self, lease_at: datetime | None = None) -> None:
        """Creates or migrates the file, readable by its owner only. With `lease_at`, this instant, it is for this
        process alone to write from now on. Raises UsageError when another process is at work or the file is damaged,
        OSError when the place is not writable."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        if lease_at is not None:
            await self._refuse_damage(_CHECK_SECONDS)
        try:
            async with self._writer.begin() as connection:
                if lease_at is not None:
                    await self._claim(connection, lease_at)
                await connection.run_sync(migrate.upgrade)
                if lease_at is not None:
                    self._epoch = await lease.take(connection, lease_at)
        except sa.exc.DatabaseError as error:
            await self._refuse_damage(_PATIENCE_SECONDS)
            raise UsageError(f"the database {self.path} cannot be opened: {error.orig}") from None

    async def _refuse_damage(self, seconds: float) -> None:
        """A look at a large file goes on beside the work; what it finds later fails every `ping`."""
        self._look = self._look or files.Look(self.path)
        if why := await asyncio.to_thread(self._look.within, seconds):
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
        """Whether no other process has the database for itself; none can have it from now on."""
        return self._lock.take()

    def unlock(self) -> None:
        self._lock.release()

    async def renew(self, now: datetime) -> None:
        """A sign of life. The lock of a process that was stopped, and is gone by now, is taken over as well."""
        async with self._writing() as (connection, _):
            await lease.renew(connection, (now + lease.LASTS).timestamp())
        self._lock.take()

    @property
    def leads(self) -> bool:
        """Whether what only one process may do is for this one, for some seconds more at least."""
        return not self.lost.is_set()

    @property
    def alone(self) -> bool:
        """Whether one process has the database to itself; whoever loses it then ends."""
        return True

    @property
    def me(self) -> str:
        """The id of this replica."""
        return lease.holder()

    def announce(self, *, url: str, groups: Collection[str], watching: bool) -> None:
        """What other replicas are to know of this one, from the next `renew` on."""
        self._address, self._groups, self._watching = url, frozenset(groups), watching

    async def replicas(self) -> list[Replica]:
        """Those that are alive by the database's clock, the oldest first."""
        async with self._read() as connection:
            held = await lease.read(connection)
        if held is None:
            return []
        return [held.replica(self._address, self._groups, watching=self._watching)]

    def on_change(self, callback: Callable[[], None]) -> None:
        """`callback` is called whenever another replica has committed something; now and then without a reason."""

    @property
    def archive_folder(self) -> Path:
        """Where what is long over goes when nothing else is configured."""
        return self.path.with_name(f"{self.path.name}.archive")

    async def close(self) -> None:
        """Gives the lease back, if this process has it."""
        if self._epoch is not None and not self.lost.is_set():
            with suppress(LeaseLostError, sa.exc.DatabaseError):
                async with self._writing() as (connection, _):
                    await lease.renew(connection, 0.0)
        self._lock.release()
        await self._writer.dispose()
        await self._readers.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Raises LeaseLostError when another process has taken over; nothing is changed then."""
        async with self._writing() as (connection, version):
            tx = Transaction(connection, self._live, version)
            yield tx
        self._live.committed(tx.saved)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[tuple[AsyncConnection, int]]:
        async with self._turn, self._writer.begin() as connection:
            version, epoch = (await connection.execute(_STATE)).one()
            if self._epoch is not None and epoch != self._epoch:
                self.lost.set()
                raise LeaseLostError(f"another agentpager has taken over the database {self.path}")
            await self._live.catch_up(connection, version)
            yield connection, version

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        async with self._readers.connect() as connection:
            yield connection

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for the other modules of the store."""
        return self._read()

    async def ping(self) -> None:
        """Writes one row, as every page must. Raises whatever the driver raises when that is not possible, UsageError
        when the file has turned out to be damaged."""
        if self._look is not None and self._look.found:
            raise files.refuse(self.path, self._look.found)
        async with self.transaction() as tx:
            await tx.prove_writable()

    async def _now(self) -> Live:
        """What is going on, as of this moment."""
        async with self._read() as connection:
            await self._live.catch_up(connection)
        return self._live

    async def live(self) -> Live:
        """What is going on and what is owed, as of this moment; not to be changed."""
        return await self._now()

    def known(self, incident_id: str) -> Incident | None:
        """As it was when last looked, if it is not over."""
        return self._live.known(incident_id)

    async def unresolved(self) -> list[Incident]:
        live = (await self._now()).incidents.values()
        return [incident for incident in live if incident.state is not State.RESOLVED]

    async def recent(self, limit: int) -> list[Incident]:
        return await self._incidents(sa.select(incidents.c.doc).order_by(incidents.c.number.desc()).limit(limit))

    async def incident(self, incident_id: str) -> Incident | None:
        if (known := (await self._now()).known(incident_id)) is not None:
            return known
        found = await self._incidents(sa.select(incidents.c.doc).where(incidents.c.id == incident_id))
        return found[0] if found else None

    async def _incidents(self, query: sa.Select[str]) -> list[Incident]:
        async with self._read() as connection:
            return [Incident.model_validate_json(doc) for doc in (await connection.scalars(query)).all()]

    async def incidents_of_message(self, channel: str, ts: str) -> list[str]:
        query = sa.select(pages.c.incident).where(pages.c.slack_channel == channel, pages.c.ts == ts)
        async with self._read() as connection:
            found = (await connection.scalars(query)).all()
        return list(dict.fromkeys(name for name in found if name))

    async def incident_of_message(self, channel: str, ts: str) -> str | None:
        query = sa.select(pages.c.incident).where(pages.c.slack_channel == channel, pages.c.ts == ts)
        async with self._read() as connection:
            return await connection.scalar(query)

    async def waiting(self, now: datetime) -> list[Page]:
        """Pages to be sent now, and unknown ones whose settle time is over."""
        waiting = (await self._now()).waiting
        return [page for page in waiting if page.state is not PageState.SENDING and page.due_at <= now]

    async def next_due(self) -> datetime | None:
        waiting = (await self._now()).waiting
        return min((page.due_at for page in waiting if page.state is not PageState.SENDING), default=None)

    async def overdue(self, now: datetime) -> list[str]:
        """Ids of the incidents whose deadline has come, the longest overdue first."""
        query = sa.select(incidents.c.id).where(incidents.c.next_at <= now.timestamp()).order_by(incidents.c.next_at)
        async with self._read() as connection:
            return list((await connection.scalars(query)).all())

    async def interrupted(self) -> list[Page]:
        return list((await self._now()).sending.values())

    async def on_their_way(self) -> Sequence[Page]:
        """Every page that is due, now or later, being sent, or of unknown outcome."""
        return (await self._now()).waiting

    async def page(self, page_id: str) -> Page | None:
        found = await self._pages(sa.select(pages.c.doc).where(pages.c.id == page_id))
        return found[0] if found else None

    async def outdated(self) -> list[tuple[Page, Incident]]:
        """Messages in Slack that show an older revision than their incident has."""
        return (await self._now()).behind

    async def pages_led_by(self, page_id: str) -> list[Page]:
        """Everything that the message of this page shows, itself first."""
        rows = await self._pages(sa.select(pages.c.doc).where(pages.c.lead == page_id))
        return sorted(rows, key=lambda page: (page.id != page_id, page.due_at, page.id))

    async def storm_messages(self, since: datetime) -> list[Page]:
        """The leading pages of the messages that show several incidents and were sent after this instant."""
        lately = sa.and_(pages.c.state == "sent", pages.c.due_at > since.timestamp())
        rows = await self._pages(sa.select(pages.c.doc).where(LEADS, lately))
        return sorted(rows, key=lambda page: page.sent_at or page.due_at)

    async def card_of(self, incident_id: str) -> Page | None:
        query = sa.select(pages.c.doc).where(
            pages.c.incident == incident_id, pages.c.kind == "card", pages.c.state.not_in(("failed", "cancelled"))
        )
        found = await self._pages(query)
        return found[0] if found else None

    async def addresses(self) -> dict[str, str]:
        """Where messages to a channel have landed lately: the name used for it, and Slack's id. The newest counts."""
        newest = sa.select(sa.func.max(_ROWID) - _LATELY).select_from(pages).scalar_subquery()
        query = sa.select(pages.c.doc).where(newest < _ROWID, pages.c.state == "sent")
        newest_first = await self._pages(query.order_by(pages.c.due_at.desc()))
        return {page.channel: page.slack_channel for page in reversed(newest_first) if page.slack_channel}

    async def pages_of(self, incident_id: str) -> list[Page]:
        return await self._pages(sa.select(pages.c.doc).where(pages.c.incident == incident_id))

    async def _pages(self, query: sa.Select[str]) -> list[Page]:
        async with self._read() as connection:
            return [Page.model_validate_json(doc) for doc in (await connection.scalars(query)).all()]

    async def rule_states_saved_at(self) -> dict[str, float]:
        """Group to when it was evaluated last with a state that was saved."""
        async with self._read() as connection:
            query = sa.select(rule_states.c.group, rule_states.c.evaluated_at)
            return dict((await connection.execute(query)).all())

    async def rule_state(self, groups: Collection[str] | None = None) -> dict[str, Any]:
        """What the watcher gets back after a restart: group to its last state and when it was evaluated; of all, or of
        these."""
        query = sa.select(rule_states)
        if groups is not None:
            query = query.where(rule_states.c.group.in_(groups))
        async with self._read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return {row["group"]: {"evaluated_at": row["evaluated_at"], "state": row["state"]} for row in rows}

    async def rendering(self, incident_id: str) -> Rendered | None:
        async with self._read() as connection:
            doc = await connection.scalar(sa.select(renderings.c.doc).where(renderings.c.incident == incident_id))
        return Rendered.model_validate_json(doc) if doc else None

    async def silences(self, after: datetime) -> list[Silence]:
        """Those that end after this instant, the first made first."""
        query = sa.select(silences.c.doc).where(silences.c.ends_at > after.timestamp()).order_by(silences.c.number)
        async with self._read() as connection:
            return [Silence.model_validate_json(doc) for doc in (await connection.scalars(query)).all()]

    async def waiting_silences(self, now: datetime) -> bool:
        """Whether a silence lasts until its alerts resolve."""
        return any(silence.until_resolved and silence.active(now) for silence in await self.silences(now))

    async def due_runs(self, now: datetime) -> list[Run]:
        """Runs of actions whose moment has come: they are to be sent, or their approval runs out."""
        due = sa.and_(action_runs.c.due_at.is_not(None), action_runs.c.due_at <= now.timestamp())
        return await self._runs(sa.select(action_runs.c.doc).where(due).order_by(action_runs.c.due_at))

    async def run(self, run_id: str) -> Run | None:
        found = await self._runs(sa.select(action_runs.c.doc).where(action_runs.c.id == run_id))
        return found[0] if found else None

    async def runs_of(self, incident_id: str) -> list[Run]:
        """The first asked for first."""
        found = await self._runs(sa.select(action_runs.c.doc).where(action_runs.c.incident == incident_id))
        return sorted(found, key=lambda run: (run.asked_at, run.id))

    async def _runs(self, query: sa.Select[str]) -> list[Run]:
        async with self._read() as connection:
            return [Run.model_validate_json(doc) for doc in (await connection.scalars(query)).all()]

    async def rota_changes(self, after: datetime) -> list[RotaChange]:
        """Overrides and swaps made beside the files that end after this instant, the first made first."""
        query = sa.select(rota_changes.c.doc).where(rota_changes.c.until > after.timestamp())
        async with self._read() as connection:
            rows = (await connection.scalars(query.order_by(rota_changes.c.number))).all()
        return [RotaChange.model_validate_json(doc) for doc in rows]

    async def agent_hours(self, start: datetime, end: datetime, agent: str | None = None) -> list[Hour]:
        """What agents, or one of them, did in the hours that begin in that time, the earliest first."""
        asked = sa.and_(agent_hours.c.hour >= start.timestamp(), agent_hours.c.hour < end.timestamp())
        query = sa.select(agent_hours.c.doc).where(asked)
        if agent is not None:
            query = query.where(agent_hours.c.agent == agent)
        async with self._read() as connection:
            docs = (await connection.scalars(query.order_by(agent_hours.c.hour, agent_hours.c.agent))).all()
        return await asyncio.to_thread(lambda: [Hour.model_validate_json(doc) for doc in docs])

    async def agent_sums(self, start: datetime) -> dict[str, Sums]:
        """What each agent has done since then, of the hours in which its runs were counted. SQLite adds up: to read a
        month of a hundred agents row by row would take a second."""
        runs, bad, *seen = (sa.func.json_extract(agent_hours.c.doc, f"$.{name}") for name in _SUMMED)
        counted = sa.func.json_extract(agent_hours.c.doc, "$.run_minutes") > 0
        name = agent_hours.c.agent + ""  # keeps SQLite from going through all hours in the order of agents
        query = (
            sa.select(
                name,
                sa.func.min(agent_hours.c.hour),
                sa.func.sum(runs),
                sa.func.sum(bad),
                *(sa.func.max(one) for one in seen),
            )
            .where(agent_hours.c.hour >= start.timestamp(), counted)
            .group_by(name)
        )
        async with self._read() as connection:
            rows = (await connection.execute(query)).all()
        return {row[0]: _sums(*row[1:]) for row in rows}

    async def counted_until(self, now: datetime) -> datetime | None:
        """The end of the last minute that the track record holds, if it is not long ago; what a clock counted that ran
        ahead is none of it."""
        lately = agent_hours.c.hour.between((now - 2 * HOUR).timestamp(), now.timestamp())
        async with self._read() as connection:
            upto = await connection.scalar(sa.select(sa.func.max(agent_hours.c.upto)).where(lately))
        return None if upto is None else datetime.fromtimestamp(upto, now.tzinfo)

    async def evidence(self, agent: str | None = None, kind: str | None = None, limit: int = 100) -> list[Evidence]:
        """Of one agent or all, of one kind or all, the newest first."""
        query = sa.select(evidence.c.doc)
        if kind is not None:
            query = query.where(evidence.c.kind == kind)
        if agent is not None:
            query = query.where(evidence.c.agent == agent)
        async with self._read() as connection:
            found = await connection.scalars(query.order_by(evidence.c.number.desc()).limit(limit))
            return [Evidence.model_validate_json(doc) for doc in found]

    async def latest_evidence(self, agent: str, kind: str, *, passed: bool = False) -> Evidence | None:
        """The newest of this kind; with `passed` the newest that was passed."""
        query = sa.select(evidence.c.doc).where(evidence.c.agent == agent, evidence.c.kind == kind)
        async with self._read() as connection:
            async for doc in await connection.stream_scalars(query.order_by(evidence.c.at.desc())):
                found = Evidence.model_validate_json(doc)
                if found.passed or not passed:
                    return found
        return None

    async def snapshot(self, snapshot_id: str) -> str | None:
        async with self._read() as connection:
            return await connection.scalar(sa.select(snapshots.c.doc).where(snapshots.c.id == snapshot_id))

    async def key(self, name: str) -> str | None:
        async with self._read() as connection:
            return await connection.scalar(sa.select(keys.c.value).where(keys.c.name == name))

    async def deliveries(self, since: datetime) -> list[str]:
        """The keys of what Slack has delivered since then. They stand beside those of clicks, which make a change
        harmless when it is asked for again; a delivery may hold no change at all."""
        mine = clicks.c.key.between(_DELIVERY, _DELIVERY + "\U0010ffff")
        async with self._read() as connection:
            found = await connection.scalars(sa.select(clicks.c.key).where(mine, clicks.c.at >= since.timestamp()))
            return [key.removeprefix(_DELIVERY) for key in found]

    async def remember_deliveries(self, keys: Collection[str], now: datetime) -> None:
        async with self.transaction() as tx:
            for key in keys:
                await tx.first_time(_DELIVERY + key, now)

    async def feeds(self) -> dict[str, str]:
        async with self._read() as connection:
            return dict((await connection.execute(sa.select(feeds.c.url, feeds.c.doc))).all())

    async def counts(self) -> dict[str, dict[str, int]]:
        """Rows by state, for the metrics."""
        async with self._read() as connection:
            rows = (await connection.execute(sa.select(counters.c.name, counters.c.value))).all()
        found: dict[str, dict[str, int]] = {"incidents": {}, "pages": {}}
        for name, value in rows:
            table, _, state = name.partition(".")
            if table in found and value:
                found[table][state] = value
        return found

    async def audit_rows(self, subject: str | None = None) -> Sequence[tuple[int, Entry, str]]:
        query = sa.select(audit.c.sequence, audit.c.doc, audit.c.hash).order_by(audit.c.sequence)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        async with self._read() as connection:
            rows = (await connection.execute(query)).all()
        return [(sequence, Entry.model_validate_json(doc), written) for sequence, doc, written in rows]

    async def broken_audit_row(self) -> int | None:
        """The first row that does not follow from those before it, cannot be read, or is filed under a subject or an
        instant that is not its own."""
        return (await self.history.verified()).broken


class Leading:
    """The same database for what only one process may do: its transactions raise LeaseLostError, and change nothing,
    when that is not this one any more."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._store.transaction()


def _sums(hour: float, runs: float, bad: float, *seen: str | None) -> Sums:
    moments = [None if text is None else datetime.fromisoformat(text) for text in seen]
    return Sums(datetime.fromtimestamp(hour, UTC), runs, bad, *moments)


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
