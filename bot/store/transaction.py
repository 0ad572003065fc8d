"""What can be done inside one write transaction. Implements ports.Transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.audit.chain import GENESIS, link
from bot.audit.model import Entry
from bot.incidents.model import Incident
from bot.incidents.silences import Silence
from bot.paging.model import Page, PageState
from bot.runbooks.rendered import Rendered
from bot.store.tables import (
    audit,
    clicks,
    feeds,
    incidents,
    keys,
    pages,
    renderings,
    rule_states,
    silences,
    snapshots,
)


class Transaction:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def live_incidents(self) -> list[Incident]:
        """All that are not over: unresolved, or closed by hand and still watched."""
        live = sa.or_(incidents.c.state != "resolved", incidents.c.next_at.is_not(None))
        return await self._incidents(sa.select(incidents.c.doc).where(live).order_by(incidents.c.number))

    async def incident(self, incident_id: str) -> Incident | None:
        found = await self._incidents(sa.select(incidents.c.doc).where(incidents.c.id == incident_id))
        return found[0] if found else None

    async def unresolved_with(self, key: str) -> Incident | None:
        query = sa.select(incidents.c.doc).where(incidents.c.key == key, incidents.c.state != "resolved")
        found = await self._incidents(query)
        return found[0] if found else None

    async def _incidents(self, query: sa.Select[str]) -> list[Incident]:
        return [Incident.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]

    async def last_number(self) -> int:
        return await self._connection.scalar(sa.select(sa.func.max(incidents.c.number))) or 0

    async def save_incident(self, incident: Incident) -> None:
        row = {
            "id": incident.id,
            "number": int(incident.id.removeprefix("INC-")),
            "key": incident.key,
            "state": incident.state.value,
            "revision": incident.revision,
            "next_at": _seconds(incident.next_at),
            "opened_at": _seconds(incident.opened_at),
            "resolved_at": _seconds(incident.resolved_at),
            "version": await self._next_version(),
            "doc": incident.model_dump_json(),
        }
        await self._upsert(incidents, incidents.c.id, row)

    async def _next_version(self) -> int:
        return (await self._connection.scalar(sa.select(sa.func.max(incidents.c.version))) or 0) + 1

    async def add_pages(self, new: Sequence[Page]) -> None:
        for page in new:
            await self._connection.execute(pages.insert().values(_page_row(page)))

    async def save_page(self, page: Page) -> None:
        await self._connection.execute(pages.update().where(pages.c.id == page.id).values(_page_row(page)))

    async def page(self, page_id: str) -> Page | None:
        doc = await self._connection.scalar(sa.select(pages.c.doc).where(pages.c.id == page_id))
        return Page.model_validate_json(doc) if doc else None

    async def pages_of(self, incident_id: str) -> list[Page]:
        query = sa.select(pages.c.doc).where(pages.c.incident == incident_id)
        return [Page.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]

    async def claim(self, page: Page, now: datetime) -> Page | None:
        """`due` becomes `sending` and counts an attempt; None when somebody else was first."""
        claimed = page.model_copy(
            update={"state": PageState.SENDING, "attempt": page.attempt + 1, "claimed_at": now, "error": ""}
        )
        statement = pages.update().where(pages.c.id == page.id, pages.c.state == "due").values(_page_row(claimed))
        return claimed if (await self._connection.execute(statement)).rowcount == 1 else None

    async def append_audit(self, entries: Sequence[Entry]) -> None:
        query = sa.select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
        head = (await self._connection.execute(query)).first()
        sequence, previous = (head[0], head[1]) if head else (0, GENESIS)
        for entry in entries:
            sequence, previous = sequence + 1, link(previous, entry)
            row = {"sequence": sequence, "at": entry.at.timestamp(), "subject": entry.subject, "hash": previous}
            await self._connection.execute(audit.insert().values(row | {"doc": entry.model_dump_json()}))

    async def first_time(self, event_key: str, now: datetime) -> bool:
        """Records the key; False when it was recorded before."""
        if await self._connection.scalar(sa.select(clicks.c.key).where(clicks.c.key == event_key)) is not None:
            return False
        await self._connection.execute(clicks.insert().values(key=event_key, at=now.timestamp()))
        return True

    async def prove_writable(self) -> None:
        await self._upsert(clicks, clicks.c.key, {"key": "ping", "at": float(2**40)})

    async def forget_clicks(self, before: datetime) -> None:
        await self._connection.execute(clicks.delete().where(clicks.c.at < before.timestamp()))

    async def save_rule_state(self, group: str, evaluated_at: datetime, state: dict[str, Any]) -> None:
        row = {"group": group, "evaluated_at": evaluated_at.timestamp(), "state": json.dumps(state)}
        await self._upsert(rule_states, rule_states.c.group, row)

    async def save_rendering(self, incident_id: str, rendered: Rendered) -> None:
        row = {"incident": incident_id, "doc": rendered.model_dump_json()}
        await self._upsert(renderings, renderings.c.incident, row)

    async def silences(self, after: datetime) -> list[Silence]:
        """Those that end after this instant, the first made first."""
        query = sa.select(silences.c.doc).where(silences.c.ends_at > after.timestamp()).order_by(silences.c.number)
        return [Silence.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]

    async def silence(self, silence_id: str) -> Silence | None:
        doc = await self._connection.scalar(sa.select(silences.c.doc).where(silences.c.id == silence_id))
        return Silence.model_validate_json(doc) if doc else None

    async def last_silence(self) -> int:
        return await self._connection.scalar(sa.select(sa.func.max(silences.c.number))) or 0

    async def save_silence(self, silence: Silence) -> None:
        number = int(silence.id.removeprefix("SIL-"))
        row = {"id": silence.id, "number": number, "ends_at": silence.ends_at.timestamp()}
        await self._upsert(silences, silences.c.id, row | {"doc": silence.model_dump_json()})

    async def save_snapshot(self, snapshot_id: str, doc: str) -> None:
        """Keeps it unless it is there already."""
        if await self._connection.scalar(sa.select(snapshots.c.id).where(snapshots.c.id == snapshot_id)) is None:
            await self._connection.execute(snapshots.insert().values(id=snapshot_id, doc=doc))

    async def save_feed(self, url: str, doc: str) -> None:
        await self._upsert(feeds, feeds.c.url, {"url": url, "doc": doc})

    async def key(self, name: str, fresh: str) -> str:
        """The key of that name; `fresh` becomes it when there is none yet."""
        known = await self._connection.scalar(sa.select(keys.c.value).where(keys.c.name == name))
        if known is None:
            await self._connection.execute(keys.insert().values(name=name, value=fresh))
        return known or fresh

    async def _upsert(self, table: sa.Table, key: sa.Column[Any], row: dict[str, Any]) -> None:
        """Update, else insert: the same in every dialect, and safe because only one transaction writes at a time."""
        changed = await self._connection.execute(table.update().where(key == row[key.name]).values(row))
        if changed.rowcount == 0:
            await self._connection.execute(table.insert().values(row))


def _page_row(page: Page) -> dict[str, Any]:
    return {
        "id": page.id,
        "incident": page.incident,
        "kind": page.kind.value,
        "state": page.state.value,
        "person": page.person,
        "channel": page.channel,
        "lead": page.lead,
        "due_at": _seconds(page.due_at),
        "slack_channel": page.slack_channel,
        "ts": page.ts,
        "shown_revision": page.shown_revision,
        "doc": page.model_dump_json(),
    }


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
