"""The on-call books that running incidents started with, read from what the store keeps of them.

A reload never reads them: the book that counted until then is put by. After a start they are read from their text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from bot.config import read_book
from bot.errors import AgentpagerError
from bot.incidents.model import Incident
from bot.oncall.model import Book
from bot.sources import Sources
from bot.store.database import Database

log = structlog.get_logger()


class Books:
    """`known` are those that can be used, by their digest."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._lost: set[str] = set()
        self._doc: tuple[Sources, str, str] | None = None
        self.known: Mapping[str, Book] = {}

    def doc_of(self, sources: Sources, book_id: str) -> str:
        """The text to keep for the incidents that open with these files, made once; empty if they are not that book."""
        if self._doc is None or self._doc[0] is not sources:
            kept = sources.for_book()
            self._doc = (sources, kept.digest, kept.model_dump_json())
        return self._doc[2] if self._doc[1] == book_id else ""

    def put_by(self, book_id: str, book: Book) -> None:
        """This book counts no longer for what opens from now on."""
        self.known = {**self.known, book_id: book}

    def lacks(self, incidents: Iterable[Incident], current: str) -> bool:
        """Whether one began with a book that is not here: another replica has opened it with other files."""
        needed = {incident.book_id for incident in incidents} - {"", current}
        return bool(needed - self.known.keys() - self._lost)

    async def look(self, current: str) -> None:
        """Reads what a live incident needs and is not here, and forgets what none needs any more."""
        async with self._store.transaction() as tx:
            needed = {incident.book_id for incident in await tx.live_incidents()} - {"", current}
        missing = needed - self.known.keys() - self._lost
        read = {book_id: book for book_id in sorted(missing) if (book := await self._read(book_id)) is not None}
        self._lost |= missing - read.keys()
        # What was put by while we were reading stays.
        self.known = {book_id: book for book_id, book in {**self.known, **read}.items() if book_id in needed}

    async def _read(self, book_id: str) -> Book | None:
        doc = await self._store.snapshot(book_id)
        if doc is None:
            log.error("snapshot.lost", book=book_id, error="the database has none of this name")
            return None
        try:
            return await asyncio.to_thread(_parsed, doc)
        except (AgentpagerError, ValueError) as error:
            log.error("snapshot.lost", book=book_id, error=str(error))
            return None


def _parsed(doc: str) -> Book:
    return read_book(Sources.model_validate_json(doc))
