"""Moves incidents that are long over out of the database, with their pages and runbooks, into files of JSON lines.

Audit rows stay. What is moved stands in the file, on disk, before it is taken out of the database: a stop in between
leaves it in both. A few at a time, so that a page never waits for it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.audit.model import Entry
from bot.store.database import Database
from bot.store.tables import action_runs, incidents, pages, renderings

AT_ONCE = 10  # incidents in one transaction: some ten milliseconds
_PAUSE = 0.05  # seconds between two, for everybody else

_LATEST = sa.select(sa.func.max(incidents.c.number)).scalar_subquery()  # keeps the count of incidents going
_OWED = sa.exists().where(pages.c.incident == incidents.c.id, pages.c.state.in_(("due", "sending", "unknown")))
_OVER = sa.and_(incidents.c.state == "resolved", incidents.c.next_at.is_(None), incidents.c.number < _LATEST, ~_OWED)
_SETTLED = sa.and_(pages.c.incident.is_(None), pages.c.state.in_(("sent", "failed", "cancelled")))


@dataclass
class Moved:
    incidents: int = 0
    pages: int = 0


@dataclass(frozen=True)
class _Batch:
    """Incidents by id with the version they were read at, the pages that belong to none, and the lines of all."""

    versions: dict[str, int]
    loose: tuple[str, ...]
    lines: tuple[str, ...]
    pages: int


class Archive:
    def __init__(self, store: Database) -> None:
        self._store = store

    async def move(self, before: datetime, target: Path, now: datetime, actor: str = "agentpager") -> Moved:
        """Everything that was over before that instant. Raises OSError when the file cannot be written."""
        total = Moved()
        while batch := await self._read(before):
            await asyncio.to_thread(_append, target, batch.lines)
            total.incidents += await self._remove(batch, before, target, now, actor)
            total.pages += batch.pages
            await asyncio.sleep(_PAUSE)
        return total

    async def _read(self, before: datetime) -> _Batch | None:
        async with self._store.reading() as connection:
            old = sa.and_(incidents.c.resolved_at < before.timestamp(), _OVER)
            query = sa.select(incidents.c.id, incidents.c.version, incidents.c.doc).where(old)
            rows = (await connection.execute(query.order_by(incidents.c.resolved_at).limit(AT_ONCE))).all()
            notices = sa.select(pages.c.id, pages.c.doc).where(_SETTLED, pages.c.due_at < before.timestamp())
            loose = (await connection.execute(notices.limit(AT_ONCE))).all()
            belonging = await _belonging(connection, [row.id for row in rows])
        if not rows and not loose:
            return None
        lines = [_line(row.doc, *belonging[row.id]) for row in rows]
        lines += [f'{{"page":{row.doc}}}' for row in loose]
        count = len(loose) + sum(len(of) for of, _, _ in belonging.values())
        return _Batch({row.id: row.version for row in rows}, tuple(row.id for row in loose), tuple(lines), count)

    async def _remove(self, batch: _Batch, before: datetime, target: Path, now: datetime, actor: str) -> int:
        """What has changed since it was read stays."""
        async with self._store.leading.transaction() as tx:
            gone = await tx.remove_incidents(batch.versions)
            await tx.remove_pages(batch.loose)
            detail = {"incidents": str(len(gone)), "notices": str(len(batch.loose)), "file": target.name}
            if gone:
                detail |= {"first": gone[0], "last": gone[-1]}
            why = f"over before {before.date().isoformat()}"
            await tx.append_audit(
                [Entry(at=now, actor=actor, action="store.archived", subject="archive", why=why, detail=detail)]
            )
        return len(gone)


async def _belonging(
    connection: AsyncConnection, names: Sequence[str]
) -> dict[str, tuple[list[str], str | None, list[str]]]:
    """Of each incident the texts of its pages, of its runbook, and of the runs of its actions."""
    found: dict[str, tuple[list[str], str | None, list[str]]] = {}
    texts: dict[str, list[str]] = {name: [] for name in names}
    query = sa.select(pages.c.incident, pages.c.doc).where(pages.c.incident.in_(names))
    for name, doc in (await connection.execute(query)).all():
        texts[name].append(doc)
    query = sa.select(renderings.c.incident, renderings.c.doc).where(renderings.c.incident.in_(names))
    runbooks = {name: doc for name, doc in (await connection.execute(query)).all()}  # noqa: C416 - rows are no pairs
    runs: dict[str, list[str]] = {name: [] for name in names}
    query = sa.select(action_runs.c.incident, action_runs.c.doc).where(action_runs.c.incident.in_(names))
    for name, doc in (await connection.execute(query)).all():
        runs[name].append(doc)
    for name in names:
        found[name] = texts[name], runbooks.get(name), runs[name]
    return found


def _line(incident: str, of: Sequence[str], runbook: str | None, runs: Sequence[str]) -> str:
    """The texts as they are stored: each is JSON already."""
    acted = f',"actions":[{",".join(runs)}]' if runs else ""
    return f'{{"incident":{incident},"pages":[{",".join(of)}],"runbook":{runbook or "null"}{acted}}}'


def _append(target: Path, lines: Sequence[str]) -> None:
    """One more member of the gzip file, on disk when this returns. A member that was cut short by a crash or a full
    disk is taken away again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        size = os.fstat(descriptor).st_size
        try:
            file.write(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
            file.flush()
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise


def read(target: Path) -> list[dict[str, Any]]:
    """What a file of the archive holds."""
    with gzip.open(target, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
