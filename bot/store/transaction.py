"""What can be done inside one write transaction. Implements ports.Transaction.

Many rows are one statement; every incident and page that is saved carries the version of the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.actions.model import Run
from bot.agents.evidence import Evidence
from bot.agents.record import Hour, Minute, fresh, hour_of
from bot.audit import through
from bot.audit.chain import GENESIS, link_text
from bot.audit.model import Entry
from bot.incidents.model import Incident
from bot.incidents.silences import Silence
from bot.oncall.changes import RotaChange
from bot.paging.model import Page, PageKind, PageState
from bot.runbooks.rendered import Rendered
from bot.store.live import OWED, Live, Saved, number_of
from bot.store.statements import Row, Statements
from bot.store.tables import (
    UNRESOLVED,
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

# Messages that show the incident, or a run of an action, as it is now.
_REDRAWN = {PageKind.PAGE, PageKind.CARD, PageKind.REMINDER, PageKind.APPROVAL}
_AT_ONCE = 500  # names in one query
_Save = Callable[[AsyncConnection, Sequence[Row]], Awaitable[None]]


class Transaction:
    """`version` is the one that `live` has caught up with: that of everything committed before."""

    def __init__(self, connection: AsyncConnection, live: Live, version: int, statements: Statements) -> None:
        self._connection = connection
        self._live = live
        self._version = version
        self._statements = statements
        self.saved = Saved()
        self.audited: list[Entry] = []

    async def live_incidents(self) -> list[Incident]:
        """All that are not over: unresolved, or closed by hand and still watched."""
        if not self.saved.incidents:
            return list(self._live.incidents.values())
        known = self._live.incidents | self.saved.incidents
        return sorted((incident for incident in known.values() if not incident.over), key=number_of)

    async def incident(self, incident_id: str) -> Incident | None:
        known = self.saved.incidents.get(incident_id) or self._live.known(incident_id)
        return known or await self._one(sa.select(incidents.c.doc).where(incidents.c.id == incident_id))

    async def unresolved_with(self, key: str) -> Incident | None:
        return await self._one(sa.select(incidents.c.doc).where(incidents.c.key == key, UNRESOLVED))

    async def cleared_since(self, since: datetime, keys: Collection[str]) -> list[Incident]:
        """Of these keys those that cleared by themselves after that instant, the last one of each."""
        query = sa.select(incidents.c.key, incidents.c.doc).where(
            incidents.c.resolved_at > since.timestamp(), incidents.c.state == "resolved"
        )
        # By number would be through all that ever were; those of one key end one after the other.
        rows = (await self._connection.execute(query.order_by(incidents.c.resolved_at))).all()
        last = {key: Incident.model_validate_json(doc) for key, doc in rows if key in keys}
        return [incident for incident in last.values() if incident.how_resolved == "cleared"]

    async def _one(self, query: sa.Select[str]) -> Incident | None:
        doc = await self._connection.scalar(query)
        return Incident.model_validate_json(doc) if doc else None

    async def last_number(self) -> int:
        return await self._connection.scalar(sa.select(sa.func.max(incidents.c.number))) or 0

    async def save_incident(self, incident: Incident) -> None:
        await self.save_incidents([incident])

    async def save_incidents(self, changed: Sequence[Incident]) -> None:
        """In this order: one that ends makes room for the next of its key."""
        if not changed:
            return
        version = await self._next_version()
        rows = [_incident_row(incident, version) for incident in changed]
        await self._statements.save_incidents(self._connection, rows)
        shown = [(version, one.id, one.revision) for one in changed if one.revision > 1]  # new: shown nowhere
        if shown:
            await self._statements.fall_behind(self._connection, shown)
        self.saved.incidents.update((incident.id, incident) for incident in changed)

    async def _next_version(self) -> int:
        if not self.saved.version:
            self.saved.version = self._version + 1
            raised = counters.update().where(counters.c.name == "version").values(value=self.saved.version)
            await self._connection.execute(raised)
        return self.saved.version

    async def add_pages(self, new: Sequence[Page]) -> None:
        await self._save_pages(self._statements.add_pages, new)

    async def save_page(self, page: Page) -> None:
        await self.save_pages([page])

    async def save_pages(self, changed: Sequence[Page]) -> None:
        await self._save_pages(self._statements.save_pages, changed)

    async def _save_pages(self, save: _Save, rows: Sequence[Page]) -> None:
        if not rows:
            return
        version = await self._next_version()
        await save(self._connection, [_page_row(page, version) for page in rows])
        self.saved.pages.update((page.id, page) for page in rows)

    async def page(self, page_id: str) -> Page | None:
        doc = await self._connection.scalar(sa.select(pages.c.doc).where(pages.c.id == page_id))
        return Page.model_validate_json(doc) if doc else None

    async def pages(self, page_ids: Sequence[str]) -> list[Page]:
        """Those that there are, in this order."""
        found: dict[str, Page] = {}
        for start in range(0, len(page_ids), _AT_ONCE):
            query = sa.select(pages.c.doc).where(pages.c.id.in_(page_ids[start : start + _AT_ONCE]))
            rows = [Page.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]
            found |= {page.id: page for page in rows}
        return [found[name] for name in page_ids if name in found]

    async def owed(self, page_ids: Sequence[str]) -> list[Page]:
        """Those of these pages that are due, unknown or being sent, as they are now."""
        known = (self.saved.pages.get(name) or self._live.owed.get(name) for name in page_ids)
        return [page for page in known if page is not None and page.state in OWED]

    async def all_owed(self) -> list[Page]:
        """Every page that is due, unknown or being sent, as it is now."""
        return await self.owed([page.id for page in self._live.waiting])

    async def owed_at(self, channel: str) -> list[Page]:
        """The same of everything that goes to this place."""
        return await self.owed([page.id for page in self._live.owed.of(channel)])

    async def pages_of(self, incident_id: str) -> list[Page]:
        return (await self.pages_of_each([incident_id])).get(incident_id, [])

    async def pages_of_each(self, incident_ids: Sequence[str]) -> dict[str, list[Page]]:
        """Pages by their incident; one that has none is left out."""
        found: dict[str, list[Page]] = {}
        for start in range(0, len(incident_ids), _AT_ONCE):
            query = sa.select(pages.c.doc).where(pages.c.incident.in_(incident_ids[start : start + _AT_ONCE]))
            query = self._statements.in_order(query, self._statements.place)
            for doc in (await self._connection.scalars(query)).all():
                page = Page.model_validate_json(doc)
                found.setdefault(page.incident or "", []).append(page)
        return found

    async def claim(self, page: Page, now: datetime) -> Page | None:
        """`due` becomes `sending` and counts an attempt; None when somebody else was first."""
        claimed = page.model_copy(
            update={"state": PageState.SENDING, "attempt": page.attempt + 1, "claimed_at": now, "error": ""}
        )
        row = _page_row(claimed, await self._next_version())
        if not await self._statements.claim(self._connection, row):
            return None
        self.saved.pages[claimed.id] = claimed
        return claimed

    async def remove_incidents(self, versions: Mapping[str, int]) -> list[str]:
        """With their pages and runbooks. Those that are not at this version any more stay; the others are named."""
        query = sa.select(incidents.c.id, incidents.c.version).where(incidents.c.id.in_(list(versions)))
        rows = (await self._connection.execute(query.order_by(incidents.c.number))).all()
        gone = [name for name, version in rows if versions[name] == version]
        for table in (pages, renderings, action_runs):
            await self._connection.execute(table.delete().where(table.c.incident.in_(gone)))
        await self._connection.execute(incidents.delete().where(incidents.c.id.in_(gone)))
        self._live.forget(gone)
        return gone

    async def remove_pages(self, page_ids: Sequence[str]) -> None:
        await self._connection.execute(pages.delete().where(pages.c.id.in_(page_ids)))

    async def append_audit(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        query = sa.select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
        head = (await self._connection.execute(query)).first()
        sequence, previous = (head[0], head[1]) if head else (0, GENESIS)
        rows, written = [], [through.told(entry) for entry in entries]
        self.audited += written
        for sequence, entry in enumerate(written, start=sequence + 1):  # noqa: B020 - it goes on from the head
            text = entry.model_dump_json()
            previous = link_text(previous, text)
            filed = {"sequence": sequence, "at": entry.at.timestamp(), "subject": entry.subject}
            rows.append(filed | {"doc": text, "hash": previous})
        await self._connection.execute(audit.insert(), rows)

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

    async def run(self, run_id: str) -> Run | None:
        doc = await self._connection.scalar(sa.select(action_runs.c.doc).where(action_runs.c.id == run_id))
        return Run.model_validate_json(doc) if doc else None

    async def runs_of(self, incident_id: str) -> list[Run]:
        """The first asked for first."""
        query = sa.select(action_runs.c.doc).where(action_runs.c.incident == incident_id)
        found = [Run.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]
        return sorted(found, key=lambda run: (run.asked_at, run.id))

    async def waiting_runs(self) -> list[Run]:
        """Those that are not over."""
        query = sa.select(action_runs.c.doc).where(action_runs.c.due_at.is_not(None))
        return [Run.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]

    async def save_run(self, run: Run) -> None:
        row = {"id": run.id, "incident": run.incident, "state": run.state.value, "doc": run.model_dump_json()}
        due_at = None if run.over else _seconds(run.due_at)
        await self._upsert(action_runs, action_runs.c.id, row | {"due_at": due_at})

    async def rota_changes(self, after: datetime) -> list[RotaChange]:
        """Those that end after this instant, the first made first."""
        query = sa.select(rota_changes.c.doc).where(rota_changes.c.until > after.timestamp())
        query = query.order_by(rota_changes.c.number)
        return [RotaChange.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]

    async def last_rota_change(self) -> int:
        return await self._connection.scalar(sa.select(sa.func.max(rota_changes.c.number))) or 0

    async def save_rota_change(self, change: RotaChange) -> None:
        number = int(change.id.removeprefix("ROTA-"))
        row = {"id": change.id, "number": number, "until": change.until.timestamp(), "doc": change.model_dump_json()}
        await self._upsert(rota_changes, rota_changes.c.id, row)

    async def add_evidence(self, shown: Evidence) -> None:
        row = {"kind": shown.kind, "agent": shown.agent, "at": shown.at.timestamp(), "doc": shown.model_dump_json()}
        await self._connection.execute(evidence.insert().values(row))

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

    async def replace_key(self, name: str, value: str) -> None:
        await self._upsert(keys, keys.c.name, {"name": name, "value": value})

    async def add_minute(self, minute: Minute) -> None:
        """To the hour of each agent; one that has counted this minute already stays as it is."""
        hour = hour_of(minute.at)
        known = await self._hours_of(list(minute.agents), hour)
        rows = []
        for agent, figures in minute.agents.items():
            before = known.get(agent) or fresh(agent, minute.at)
            after = before.plus(minute.at, figures)
            if after is not before:
                rows.append((agent, hour.timestamp(), after.upto.timestamp(), after.model_dump_json()))
        if rows:
            await self._statements.save_hours(self._connection, rows)

    async def _hours_of(self, agents: Sequence[str], hour: datetime) -> dict[str, Hour]:
        found: dict[str, Hour] = {}
        for start in range(0, len(agents), _AT_ONCE):
            mine = agent_hours.c.agent.in_(agents[start : start + _AT_ONCE])
            query = sa.select(agent_hours.c.doc).where(mine, agent_hours.c.hour == hour.timestamp())
            rows = [Hour.model_validate_json(doc) for doc in (await self._connection.scalars(query)).all()]
            found |= {row.agent: row for row in rows}
        return found

    async def forget_agent_hours(self, before: datetime, most: int = 1000) -> int:
        """The oldest of those that began before then, so many at the most: how many are gone."""
        old = sa.select(agent_hours.c.agent, agent_hours.c.hour).where(agent_hours.c.hour < before.timestamp())
        rows = (await self._connection.execute(old.order_by(agent_hours.c.hour).limit(most))).all()
        if rows:
            await self._statements.forget_hours(self._connection, [tuple(row) for row in rows])
        return len(rows)

    async def _upsert(self, table: sa.Table, key: sa.Column[Any], row: dict[str, Any]) -> None:
        """Update, else insert: the same in every dialect, and safe because only one transaction writes at a time."""
        changed = await self._connection.execute(table.update().where(key == row[key.name]).values(row))
        if changed.rowcount == 0:
            await self._connection.execute(table.insert().values(row))


def _incident_row(incident: Incident, version: int) -> tuple[object, ...]:
    return (
        incident.id,
        number_of(incident),
        incident.key,
        incident.state.value,
        incident.revision,
        _seconds(incident.next_at),
        _seconds(incident.opened_at),
        _seconds(incident.resolved_at),
        version,
        incident.model_dump_json(),
    )


def _page_row(page: Page, version: int) -> tuple[object, ...]:
    """The last one is the key of an update."""
    redrawn = page.state is PageState.SENT and page.kind in _REDRAWN
    return (
        page.incident,
        page.kind.value,
        page.state.value,
        page.person,
        page.channel,
        page.lead,
        _seconds(page.due_at),
        page.slack_channel,
        page.ts,
        page.shown_revision,
        version,
        page.model_dump_json(),
        page.incident if redrawn else None,
        page.shown_revision,
        page.id,
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
