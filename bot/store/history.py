"""What reports, timelines and the proof of the audit log read. Only reads, and never a whole table at once.

An answer that may be long comes in pieces and is read on a thread of its own, so that the pager goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.audit.chain import Chain, Head
from bot.audit.model import Entry
from bot.incidents.model import Incident
from bot.paging.model import Page
from bot.records.usage import PARTS, Use, use
from bot.store.statements import Statements
from bot.store.tables import UNRESOLVED, audit, incidents, pages, renderings
from bot.store.troubles import without_nul

_PIECE = 100  # incidents at once: some milliseconds of reading
_USES = 500  # incidents at once, of which only a few keys are read
_ROWS = 5000  # audit rows at once, when nothing else is to be done
_BREATH = 0.005  # seconds between pieces, for whoever waits

_PAGES = sa.select(pages.c.id, pages.c.doc)
_AUDIT = sa.select(audit.c.sequence, audit.c.doc).order_by(audit.c.sequence)

Case = tuple[Incident, list[Page]]
Told = tuple[Incident, list[Page], list[tuple[int, Entry]]]


Read = Callable[..., AbstractAsyncContextManager[AsyncConnection]]


class History:
    """`read` gives a connection that only reads; `long=True` one for what may take its time."""

    def __init__(
        self, read: Callable[..., AbstractAsyncContextManager[AsyncConnection]], statements: Statements
    ) -> None:
        self._read = read
        self._statements = statements

    async def audit_of(self, incident_id: str) -> list[Entry]:
        """Everything that was done about an incident and its pages, the oldest first."""
        query = sa.select(audit.c.doc).where(_about(incident_id)).order_by(audit.c.sequence)
        async with self._read() as connection:
            return [Entry.model_validate_json(doc) for doc in (await connection.scalars(query)).all()]

    async def audit(
        self, subject: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[tuple[int, str, str]]:
        """Sequence, JSON and hash of the rows about an incident with its pages, or about a page, or of a time."""
        query = sa.select(audit.c.sequence, audit.c.doc, audit.c.hash).order_by(audit.c.sequence)
        if subject is not None:
            query = query.where(_about(subject))
        if since is not None:
            query = query.where(audit.c.at >= since.timestamp())
        if until is not None:
            query = query.where(audit.c.at < until.timestamp())
        async with self._read(long=True) as connection:
            found = await connection.stream(query.execution_options(yield_per=_ROWS))
            async for row in found:
                yield row[0], row[1], row[2]

    async def audit_after(self, sequence: int, limit: int) -> list[tuple[int, datetime, str]]:
        """Sequence, instant and subject of the rows behind one, in their order."""
        query = sa.select(audit.c.sequence, audit.c.at, audit.c.subject).where(audit.c.sequence > sequence)
        async with self._read() as connection:
            rows = (await connection.execute(query.order_by(audit.c.sequence).limit(limit))).all()
        return [(number, datetime.fromtimestamp(at, UTC), subject) for number, at, subject in rows]

    async def told_of(self, names: Sequence[str]) -> list[Told]:
        """These incidents with their pages and everything that was done about them, in its order."""
        async with self._read() as connection:
            found = (await connection.scalars(sa.select(incidents.c.doc).where(incidents.c.id.in_(names)))).all()
            query = self._statements.in_order(_PAGES.where(pages.c.incident.in_(names)), self._statements.place)
            sent = (await connection.execute(query)).all()
            subjects = [*names, *(row[0] for row in sent)]
            rows = (await connection.execute(_AUDIT.where(audit.c.subject.in_(subjects)))).all()
        return await asyncio.to_thread(_told, found, [row[1] for row in sent], [(row[0], row[1]) for row in rows])

    async def audit_head(self) -> Head | None:
        query = sa.select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
        async with self._read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else Head(row[0], row[1])

    async def verified(self, remembered: Head | None = None) -> Chain:
        """Follows every row: its hash, and that it is filed under its own subject and instant."""
        columns = (audit.c.sequence, audit.c.at, audit.c.subject, audit.c.doc, audit.c.hash)
        query = sa.select(*columns).order_by(audit.c.sequence).execution_options(yield_per=_ROWS)
        chain = Chain(remembered)
        async with self._read(long=True) as connection:
            found = await connection.stream(query)
            async for piece in found.partitions():
                for sequence, at, subject, doc, written in piece:
                    if not chain.follow(sequence, doc, written if _as_filed(at, subject, doc) else ""):
                        return chain
        return chain

    async def opened(self, start: datetime, end: datetime) -> AsyncIterator[list[Case]]:
        """The incidents that opened in that time with their pages, the oldest first, piece by piece."""
        opened = sa.and_(incidents.c.opened_at >= start.timestamp(), incidents.c.opened_at < end.timestamp())
        last = (float("-inf"), 0)
        while True:
            behind = sa.or_(
                incidents.c.opened_at > last[0],
                sa.and_(incidents.c.opened_at == last[0], incidents.c.number > last[1]),
            )
            query = (
                sa.select(incidents.c.opened_at, incidents.c.number, incidents.c.doc)
                .where(opened, behind if last[1] else sa.true())
                .order_by(incidents.c.opened_at, incidents.c.number)
                .limit(_PIECE)
            )
            async with self._read() as connection:
                rows = (await connection.execute(query)).all()
            if rows:
                last = (rows[-1][0], rows[-1][1])
                yield await asyncio.to_thread(
                    _cases, [row[2] for row in rows], await self._pages([row[1] for row in rows])
                )
            if len(rows) < _PIECE:
                return
            await asyncio.sleep(_BREATH)

    async def _pages(self, numbers: Sequence[int]) -> list[str]:
        names = [f"INC-{number}" for number in numbers]
        async with self._read() as connection:
            query = sa.select(pages.c.doc).where(pages.c.incident.in_(names))
            query = self._statements.in_order(query, self._statements.place)
            return list((await connection.scalars(query)).all())

    async def runbook_uses(self, start: datetime, end: datetime) -> AsyncIterator[list[Use]]:
        """What became of the runbook of each incident that opened in that time, the oldest first, piece by piece.
        The database takes the few keys out of the documents: whole incidents would be a hundred times as much."""
        opened = sa.and_(incidents.c.opened_at >= start.timestamp(), incidents.c.opened_at < end.timestamp())
        parts = self._statements.parts_of(incidents.c.doc, PARTS)
        runbook = self._statements.text_of(renderings.c.doc, "runbook")
        last = (float("-inf"), 0)
        while True:
            behind = sa.or_(
                incidents.c.opened_at > last[0],
                sa.and_(incidents.c.opened_at == last[0], incidents.c.number > last[1]),
            )
            query = (
                sa.select(incidents.c.opened_at, incidents.c.number, incidents.c.id, runbook, parts)
                .join(renderings, renderings.c.incident == incidents.c.id)
                .where(opened, behind if last[1] else sa.true())
                .order_by(incidents.c.opened_at, incidents.c.number)
                .limit(_USES)
            )
            async with self._read() as connection:
                rows = (await connection.execute(query)).all()
            if rows:
                last = (rows[-1][0], rows[-1][1])
                yield await asyncio.to_thread(_uses, [(row[0], row[2], row[3], row[4]) for row in rows if row[3]])
            if len(rows) < _USES:
                return
            await asyncio.sleep(_BREATH)

    async def count_opened(self, start: datetime, end: datetime) -> int:
        opened = sa.and_(incidents.c.opened_at >= start.timestamp(), incidents.c.opened_at < end.timestamp())
        async with self._read() as connection:
            return await connection.scalar(sa.select(sa.func.count()).select_from(incidents).where(opened)) or 0

    async def unresolved_versions(self, opened_before: datetime) -> dict[str, int]:
        """Of each incident that opened before then and is not resolved the number that grows with every change."""
        # The sum keeps SQLite from the index by that column, in which nearly everything opened before.
        early = incidents.c.opened_at + 0.0 < opened_before.timestamp()
        query = sa.select(incidents.c.id, incidents.c.version).where(UNRESOLVED, early)
        async with self._read() as connection:
            return {name: version for name, version in (await connection.execute(query)).all()}  # noqa: C416

    async def incidents(self, names: Sequence[str]) -> list[Incident]:
        query = sa.select(incidents.c.doc).where(incidents.c.id.in_(names))
        async with self._read() as connection:
            return [Incident.model_validate_json(doc) for doc in (await connection.scalars(query)).all()]

    async def ended_lately(self, since: datetime, opened_after: datetime) -> list[str]:
        """Incidents that were resolved since an instant, among those that have opened since another."""
        query = sa.select(incidents.c.id).where(
            incidents.c.opened_at >= opened_after.timestamp(), incidents.c.resolved_at >= since.timestamp()
        )
        async with self._read() as connection:
            return list((await connection.scalars(query)).all())

    async def page_known(self, page_id: str) -> bool:
        async with self._read() as connection:
            return await connection.scalar(sa.select(pages.c.id).where(pages.c.id == page_id)) is not None


def _cases(incident_docs: Sequence[str], page_docs: Sequence[str]) -> list[Case]:
    found = [Incident.model_validate_json(doc) for doc in incident_docs]
    by_incident: dict[str | None, list[Page]] = {}
    for doc in page_docs:
        page = Page.model_validate_json(doc)
        by_incident.setdefault(page.incident, []).append(page)
    return [(incident, by_incident.get(incident.id, [])) for incident in found]


def _told(incident_docs: Sequence[str], page_docs: Sequence[str], audit_docs: Sequence[tuple[int, str]]) -> list[Told]:
    cases = _cases(incident_docs, page_docs)
    of = {incident.id: incident.id for incident, _ in cases}
    of |= {page.id: incident.id for incident, shown in cases for page in shown}
    rows: dict[str, list[tuple[int, Entry]]] = {}
    for sequence, doc in audit_docs:
        entry = Entry.model_validate_json(doc)
        rows.setdefault(of.get(entry.subject, ""), []).append((sequence, entry))
    return [(incident, shown, rows.get(incident.id, [])) for incident, shown in cases]


def _uses(rows: Sequence[tuple[float, str, str, str]]) -> list[Use]:
    return [use(name, datetime.fromtimestamp(at, UTC), runbook, parts) for at, name, runbook, parts in rows]


def _about(subject: str) -> sa.ColumnElement[bool]:
    """The subject itself, and what belongs to it: the ids of an incident's pages begin with its own and a dot."""
    # "/" is the character behind ".": a range that the index can answer.
    return sa.or_(audit.c.subject == subject, audit.c.subject.between(f"{subject}.", f"{subject}/"))


def _as_filed(at: float, subject: str, doc: str) -> bool:
    """Whether the columns say what the row says."""
    try:
        row = json.loads(doc)
        return bool(
            without_nul(row["subject"]) == without_nul(subject) and datetime.fromisoformat(row["at"]).timestamp() == at
        )
    except (ValueError, KeyError, TypeError):
        return False
