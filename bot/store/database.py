"""Keeps incidents, pages, audit, rule states, clicks and renderings, in SQLite or PostgreSQL.

Whoever writes is alone meanwhile; readers have their own connections and never wait. What differs between the two is
in `sqlite.py`, `postgres.py` and `statements.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import logs
from bot.actions.model import Run
from bot.agents.evidence import Evidence
from bot.agents.record import HOUR, Hour, Sums
from bot.audit.model import Entry
from bot.errors import LeaseLostError, StaleReplicaError, UsageError
from bot.incidents.model import Incident, State
from bot.incidents.silences import Silence
from bot.oncall.changes import RotaChange
from bot.paging.model import Page, PageState
from bot.runbooks.rendered import Rendered
from bot.store.dialect import Home
from bot.store.history import History
from bot.store.live import Live
from bot.store.replicas import Replica, Shown
from bot.store.sqlite import Sqlite
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
from bot.store.troubles import passing

_LATELY = 2000  # pages
_DELIVERY = "delivery|"
_COUNTED = ("runs", "bad")
_LATEST = ("run_seen", "success_seen", "last_success")


class Database:
    """Implements ports.Store. `url` is `sqlite:///agentpager.db`, or one of PostgreSQL's. Raises UsageError when there
    is no driver for it. Who is not `patient` does without a server that is not there."""

    def __init__(self, url: str, base_dir: Path, *, patient: bool = True) -> None:
        if not url:
            raise UsageError("store.url is empty; is the variable set that it is made of?")
        self._sqlite = Sqlite(url, base_dir) if url.startswith("sqlite") else None
        self._home: Home = self._sqlite or _server(url, self._changed, patient)
        self._writer, self._readers = self._home.writer, self._home.readers
        self._statements = self._home.statements
        self._turn = asyncio.Lock()
        self._live = Live(self._statements)
        self._written = 0  # the version of the last transaction of this process
        self._callbacks: list[Callable[[], None]] = []
        # Another process has taken over, and this one must end. Replicas live on beside each other.
        self.lost = self._sqlite.lost if self._sqlite else asyncio.Event()
        self.leading = Leading(self)
        self.history = History(self._home.reading, self._statements)

    def away(self, error: BaseException) -> bool:
        """Whether it was the server that failed, and not what was asked of it: the same may succeed in a moment."""
        return self._sqlite is None and (isinstance(error, StaleReplicaError | LeaseLostError) or passing(error))

    @property
    def name(self) -> str:
        """For people: the path of the file, or the address without a password."""
        return self._home.name

    @property
    def path(self) -> Path:
        """The file. Raises UsageError when it is a server."""
        if self._sqlite is None:
            raise UsageError(f"the database {self.name} is no file")
        return self._sqlite.path

    @property
    def archive_folder(self) -> Path | None:
        """Where what is long over goes when nothing else is configured; None: it stays, for of several
        replicas nobody knows which would have the files."""
        return self._home.archive_folder

    async def open(self, lease_at: datetime | None = None) -> None:
        """Creates or migrates the tables. With `lease_at`, this instant, it is for this process alone to write from
        now on; on PostgreSQL it becomes one of the replicas, and leads if no other does. Raises UsageError when another
        process is at work, the database is damaged or cannot be used, OSError when the place is not writable."""
        await self._home.open(lease_at)

    def lock(self) -> bool:
        """Whether no other process has the file for itself; none can have it from now on."""
        return self._sqlite is None or self._sqlite.lock()

    def unlock(self) -> None:
        if self._sqlite is not None:
            self._sqlite.unlock()

    async def renew(self, now: datetime) -> None:
        """A sign of life; a replica takes over the lead when nobody has it any more."""
        async with self._turn if self._sqlite is not None else nullcontext():
            version = await self._home.renew(now)
        if version > max(self._written, self._live.version):
            self._changed()

    @property
    def leads(self) -> bool:
        """Whether what only one process may do is for this one, for some seconds more at least."""
        return self._home.leads

    @property
    def incarnation(self) -> int:
        """Grows whenever this replica was given up by the others and is back."""
        return self._home.incarnation

    def as_of(self, incarnation: int) -> AsOf:
        """To write down what this replica found out in this incarnation: it may have waited while others took over."""
        return AsOf(self, incarnation)

    @property
    def alone(self) -> bool:
        """Whether one process has the database to itself; whoever loses it then ends."""
        return self._sqlite is not None

    @property
    def me(self) -> str:
        """The id of this replica."""
        return self._home.me

    def announce(self, *, url: str, groups: Collection[str], watching: bool) -> None:
        """What other replicas are to know of this one, from the next `renew` on."""
        self._home.announce(Shown(url, frozenset(groups), watching))

    async def replicas(self) -> list[Replica]:
        """Those that are alive by the database's clock, the oldest first."""
        return await self._home.replicas()

    def on_change(self, callback: Callable[[], None]) -> None:
        """`callback` is called whenever another replica has committed something; now and then without a reason."""
        self._callbacks.append(callback)

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()

    async def close(self) -> None:
        """Gives the lease back, if this process has it."""
        if self._home.takes_part:
            async with self._turn:
                await self._home.resign()
        await self._home.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Raises LeaseLostError when another process has taken over, StaleReplicaError when this one was given up;
        nothing is changed then."""
        async with self._transaction(leading=False) as tx:
            yield tx

    @asynccontextmanager
    async def _transaction(self, *, leading: bool, incarnation: int | None = None) -> AsyncIterator[Transaction]:
        async with self._turn, self._home.writing(leading=leading) as begun:
            if incarnation is not None and incarnation != self._home.incarnation:
                raise StaleReplicaError("nothing is recorded: others have taken over what this replica found out about")
            if begun.elsewhere:
                self._live.forget_all()
            await self._live.catch_up(begun.connection, begun.version)
            tx = Transaction(begun.connection, self._live, begun.version, self._statements)
            yield tx
        self._live.committed(tx.saved)
        self._written = max(self._written, tx.saved.version)
        logs.audited(tx.audited, tx.saved.incidents)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        async with self._home.reading() as connection:
            yield connection

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for the other modules of the store."""
        return self._read()

    async def ping(self) -> None:
        """Writes one row, as every page must. Raises whatever the driver raises when that is not possible, UsageError
        when the file has turned out to be damaged."""
        self._home.check()
        async with self.transaction() as tx:
            await tx.prove_writable()

    async def doubt(self) -> str:
        """Why it cannot be written, or loses what it has taken; empty when there is no reason. Changes nothing."""
        return await self._home.doubt()

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
        place = self._statements.place
        newest = sa.select(sa.func.max(place) - _LATELY).select_from(pages).scalar_subquery()
        query = sa.select(pages.c.doc).where(newest < place, pages.c.state == "sent")
        newest_first = await self._pages(query.order_by(pages.c.due_at.desc()))
        return {page.channel: page.slack_channel for page in reversed(newest_first) if page.slack_channel}

    async def pages_of(self, incident_id: str) -> list[Page]:
        return await self._pages(sa.select(pages.c.doc).where(pages.c.incident == incident_id))

    async def _pages(self, query: sa.Select[str]) -> list[Page]:
        async with self._read() as connection:
            found = await connection.scalars(self._statements.in_order(query, self._statements.place))
            return [Page.model_validate_json(doc) for doc in found.all()]

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
        """What each agent has done since then, of the hours in which its runs were counted. The database adds up: to
        read a month of a hundred agents row by row would take a second."""
        doc, number_of, text_of = agent_hours.c.doc, self._statements.number_of, self._statements.text_of
        runs, bad = (number_of(doc, name) for name in _COUNTED)
        seen = [text_of(doc, name) for name in _LATEST]
        counted = number_of(doc, "run_minutes") > 0
        name = self._statements.unsorted(agent_hours.c.agent)
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
        return self._store._transaction(leading=True)


class AsOf:
    """The same database for what was found out in one incarnation: its transactions raise StaleReplicaError, and change
    nothing, in a later one."""

    def __init__(self, store: Database, incarnation: int) -> None:
        self._store, self._incarnation = store, incarnation

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._store._transaction(leading=False, incarnation=self._incarnation)


def _server(url: str, heard: Callable[[], None], patient: bool) -> Home:
    from bot.store.postgres import Postgres  # noqa: PLC0415 - of those who have one

    return Postgres(url, heard, patient=patient)


def _sums(hour: float, runs: float, bad: float, *seen: str | None) -> Sums:
    moments = [None if text is None else datetime.fromisoformat(text) for text in seen]
    return Sums(datetime.fromtimestamp(hour, UTC), runs, bad, *moments)
