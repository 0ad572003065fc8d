"""What is going on, parsed and in memory: the incidents that are not over, and the pages that something is owed for.

The rows decide, not this copy. Each transaction that changes rows gives them a version of its own, so that whoever asks
first fetches what has been saved since the version it knows, by any process, and parses nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.model import Incident
from bot.paging.lanes import Groups, message_of
from bot.paging.model import Page, PageState
from bot.store.statements import Statements
from bot.store.tables import BEHIND, LIVE, WAITING, counters, incidents, pages

OWED = {PageState.DUE, PageState.SENDING, PageState.UNKNOWN}
_SPARE = 256  # incidents that are over, kept beyond those whose messages are still to be redrawn

VERSION = sa.select(counters.c.value).where(counters.c.name == "version")
_INCIDENT = sa.select(incidents.c.id, incidents.c.version, incidents.c.doc)
_PAGE = sa.select(pages.c.id, pages.c.version, pages.c.behind, pages.c.doc)
_Moved = tuple[Page, bool]  # a page, and whether its message is behind
_CHANGED_INCIDENTS = _INCIDENT.where(incidents.c.version > sa.bindparam("seen"))
_CHANGED_PAGES = _PAGE.where(pages.c.version > sa.bindparam("seen"))


@dataclass
class Saved:
    """What a transaction has saved, as objects: those that are committed need not be parsed again."""

    version: int = 0
    incidents: dict[str, Incident] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)


class Live:
    def __init__(self, statements: Statements) -> None:
        self._in_order = statements.in_order
        self._place = statements.place
        self.incidents: dict[str, Incident] = {}  # by number, unless `_unsorted`
        self._unsorted = False
        self._ended: dict[str, Incident] = {}
        self._prune_at = _SPARE
        self.owed = Groups(lambda page: page.channel)  # due, unknown, and being sent; by place
        self.stale = Groups(message_of)  # shown at an older revision than their incident has; by message
        self.sending: dict[str, Page] = {}
        self._seen: int | None = None
        self._forgotten = self._begun_anew = 0  # how often it was to forget everything, and how often it has
        self._committed: dict[int, Saved] = {}
        self._turn = asyncio.Lock()

    def known(self, incident_id: str) -> Incident | None:
        """As it is now, if it is one that is kept here."""
        return self.incidents.get(incident_id) or self._ended.get(incident_id)

    @property
    def waiting(self) -> Sequence[Page]:
        """Due, unknown, and being sent."""
        return list(self.owed)

    @property
    def behind(self) -> list[tuple[Page, Incident]]:
        """Messages that show an older revision than their incident has."""
        owed = ((page, self.known(page.incident or "")) for page in self.stale)
        return [(page, incident) for page, incident in owed if incident is not None]

    def forget(self, names: Sequence[str]) -> None:
        """Incidents that are over, and leave the database."""
        for name in names:
            self._ended.pop(name, None)

    @property
    def version(self) -> int:
        """That of the newest change it has."""
        return self._seen or 0

    def forget_all(self) -> None:
        """The rows may be others than those that were seen: the next one who asks reads everything. Whoever is reading
        just now asked before, and brings only what has changed."""
        self._forgotten += 1
        self._committed = {}

    def committed(self, saved: Saved) -> None:
        if saved.version:
            self._committed[saved.version] = saved

    async def catch_up(self, connection: AsyncConnection, version: int | None = None) -> None:
        """Brings it to what `connection` sees, which must have written nothing yet. `version` is the counter's, where
        that has been read already."""
        async with self._turn:
            if version is None:
                version = (await connection.execute(VERSION)).scalar_one()
            forgotten = self._forgotten
            seen = self._seen if forgotten == self._begun_anew else None
            if seen is not None and version <= seen:
                return
            changed, moved = await self._news(connection, seen)
            missing = await self._missing(connection, changed, moved)
            if forgotten != self._begun_anew:
                self._empty()
                self._begun_anew = forgotten
            self._apply(version, [*changed, *missing], moved)

    async def _news(self, connection: AsyncConnection, seen: int | None) -> tuple[list[Incident], list[_Moved]]:
        since = {"seen": seen}
        if seen is None:
            changed = (await connection.execute(_INCIDENT.where(LIVE))).all()
            waiting = (await connection.execute(self._arranged(_PAGE.where(WAITING), pages.c.due_at))).all()
            behind = self._arranged(_PAGE.where(BEHIND), pages.c.due_at)
            moved = [*waiting, *(await connection.execute(behind)).all()]
        else:
            changed = (await connection.execute(_CHANGED_INCIDENTS, since)).all()
            moved = [*(await connection.execute(self._arranged(_CHANGED_PAGES, pages.c.version), since)).all()]
        return [self._incident(*row) for row in changed], [self._page(*row) for row in moved]

    def _arranged(self, query: sa.Select[Any], column: sa.Column[Any]) -> sa.Select[Any]:
        return self._in_order(query, column, self._place)

    async def _missing(
        self, connection: AsyncConnection, changed: list[Incident], moved: list[_Moved]
    ) -> list[Incident]:
        """Incidents that are over and not known here, and that a message is to be redrawn for."""
        had = {incident.id for incident in changed}
        wanted = {page.incident for page, behind in moved if behind and page.incident is not None}
        names = [name for name in sorted(wanted - had) if self.known(name) is None]
        found: list[Incident] = []
        for start in range(0, len(names), 500):
            query = _INCIDENT.where(incidents.c.id.in_(names[start : start + 500]))
            found += [self._incident(*row) for row in (await connection.execute(query)).all()]
        return found

    def _apply(self, version: int, changed: list[Incident], moved: list[_Moved]) -> None:
        for incident in changed:
            self._keep(incident)
        for page, behind in moved:
            _hold(self.owed, page, held=page.state in OWED)
            if page.state is PageState.SENDING:
                self.sending[page.id] = page
            else:
                self.sending.pop(page.id, None)
            _hold(self.stale, page, held=behind)
        if self._unsorted:
            self.incidents = dict(sorted(self.incidents.items(), key=lambda item: number_of(item[1])))
            self._unsorted = False
        self._seen = version
        self._committed = {number: saved for number, saved in self._committed.items() if number > version}
        self._prune()

    def _empty(self) -> None:
        self.incidents, self._ended, self.sending = {}, {}, {}
        self.owed, self.stale = Groups(lambda page: page.channel), Groups(message_of)

    def _keep(self, incident: Incident) -> None:
        ours, other = (self._ended, self.incidents) if incident.over else (self.incidents, self._ended)
        other.pop(incident.id, None)
        self._unsorted = self._unsorted or (ours is self.incidents and incident.id not in ours)
        ours[incident.id] = incident

    def _prune(self) -> None:
        if len(self._ended) < self._prune_at:
            return
        wanted = {page.incident for page in self.stale}
        self._ended = {name: incident for name, incident in self._ended.items() if name in wanted}
        self._prune_at = 2 * len(self._ended) + _SPARE

    def _incident(self, incident_id: str, version: int, doc: str) -> Incident:
        saved = self._committed.get(version)
        known = saved.incidents.get(incident_id) if saved else None
        return known or Incident.model_validate_json(doc)

    def _page(self, page_id: str, version: int, behind: int, doc: str) -> _Moved:
        saved = self._committed.get(version)
        known = saved.pages.get(page_id) if saved else None
        return known or Page.model_validate_json(doc), bool(behind)


def number_of(incident: Incident) -> int:
    return int(incident.id.removeprefix("INC-"))


def _hold(where: Groups, page: Page, *, held: bool) -> None:
    if held:
        where.put(page)
    else:
        where.drop(page.id)
