"""The statements that are written out for one dialect, and how each one reads JSON.

A storm runs them ten thousand times, and SQLAlchemy takes as long over the parameters of a row as SQLite over the row.
SQLite gets a row at a time, PostgreSQL all of them as arrays in one statement: there each statement is a way to the
server and back, and a trigger that counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

Row = tuple[object, ...]
Query = TypeVar("Query", bound=sa.Select[Any])


class Statements(Protocol):
    """Rows of incidents and pages are those of `transaction.py`; the last column of a page's is its id."""

    place: sa.ColumnElement[int]  # of a page, in the order in which they were added

    async def save_incidents(self, connection: AsyncConnection, rows: Sequence[Row]) -> None: ...

    async def fall_behind(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Version, incident, revision: a message is behind while it shows an older revision than its incident has."""

    async def add_pages(self, connection: AsyncConnection, rows: Sequence[Row]) -> None: ...

    async def save_pages(self, connection: AsyncConnection, rows: Sequence[Row]) -> None: ...

    async def claim(self, connection: AsyncConnection, row: Row) -> bool:
        """Saves the page if it is still due."""

    async def save_hours(self, connection: AsyncConnection, rows: Sequence[Row]) -> None: ...

    async def forget_hours(self, connection: AsyncConnection, rows: Sequence[Row]) -> None: ...

    def text_of(self, doc: sa.ColumnElement[str], name: str) -> sa.ColumnElement[Any]:
        """The value of a key of the document."""

    def number_of(self, doc: sa.ColumnElement[str], name: str) -> sa.ColumnElement[Any]: ...

    def parts_of(self, doc: sa.ColumnElement[str], names: Sequence[str]) -> sa.ColumnElement[Any]:
        """The values of several keys as a JSON list."""

    def unsorted(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """To group by; keeps SQLite from going through a whole index only because it has this order."""

    def in_order(self, query: Query, *columns: sa.ColumnElement[Any]) -> Query:
        """Where the order is SQLite's own by the index that it uses, but any order elsewhere."""


class SqliteStatements:
    """Implements Statements."""

    place: sa.ColumnElement[int] = sa.literal_column("pages.rowid", sa.Integer)

    async def save_incidents(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_SAVE_INCIDENT, list(rows))

    async def fall_behind(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_FALL_BEHIND, list(rows))

    async def add_pages(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_ADD_PAGE, list(rows))

    async def save_pages(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_SAVE_PAGE, list(rows))

    async def claim(self, connection: AsyncConnection, row: Row) -> bool:
        return (await connection.exec_driver_sql(f"{_SAVE_PAGE} AND state = 'due'", row)).rowcount > 0

    async def save_hours(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_SAVE_HOUR, list(rows))

    async def forget_hours(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_FORGET_HOUR, list(rows))

    def text_of(self, doc: sa.ColumnElement[str], name: str) -> sa.ColumnElement[Any]:
        return sa.func.json_extract(doc, f"$.{name}")

    def number_of(self, doc: sa.ColumnElement[str], name: str) -> sa.ColumnElement[Any]:
        return sa.func.json_extract(doc, f"$.{name}")

    def parts_of(self, doc: sa.ColumnElement[str], names: Sequence[str]) -> sa.ColumnElement[Any]:
        return sa.func.json_extract(doc, *(f"$.{name}" for name in names))

    def unsorted(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column + ""

    def in_order(self, query: Query, *columns: sa.ColumnElement[Any]) -> Query:
        return query


class PostgresStatements:
    """Implements Statements."""

    place: sa.ColumnElement[int] = sa.literal_column("pages.place", sa.BigInteger)

    async def save_incidents(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        for lot in _without_repeats(rows, 0):
            await connection.exec_driver_sql(_SAVE_INCIDENTS, _columns(lot))

    async def fall_behind(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        for lot in _without_repeats(rows, 1):
            await connection.exec_driver_sql(_ALL_FALL_BEHIND, _columns(lot))

    async def add_pages(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_ADD_PAGES, _columns(rows))

    async def save_pages(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        for lot in _without_repeats(rows, -1):
            await connection.exec_driver_sql(_SAVE_PAGES, _columns(lot))

    async def claim(self, connection: AsyncConnection, row: Row) -> bool:
        saved = await connection.exec_driver_sql(f"{_SAVE_PAGES} AND pages.state = 'due'", _columns([row]))
        return saved.rowcount > 0

    async def save_hours(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_SAVE_HOURS, _columns(rows))

    async def forget_hours(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        await connection.exec_driver_sql(_FORGET_HOURS, _columns(rows))

    def text_of(self, doc: sa.ColumnElement[str], name: str) -> sa.ColumnElement[Any]:
        return sa.func.json_extract_path_text(sa.cast(doc, sa.JSON), name)

    def number_of(self, doc: sa.ColumnElement[str], name: str) -> sa.ColumnElement[Any]:
        return sa.cast(self.text_of(doc, name), sa.Double)

    def parts_of(self, doc: sa.ColumnElement[str], names: Sequence[str]) -> sa.ColumnElement[Any]:
        # As JSON, not as text: what holds an escaped NUL cannot become a text here.
        parts = (sa.func.json_extract_path(sa.cast(doc, sa.JSON), name) for name in names)
        return sa.cast(sa.func.json_build_array(*parts), sa.Text)

    def unsorted(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column

    def in_order(self, query: Query, *columns: sa.ColumnElement[Any]) -> Query:
        return query.order_by(*columns)


def _columns(rows: Sequence[Row]) -> tuple[object, ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))


def _without_repeats(rows: Sequence[Row], key: int) -> Iterator[Sequence[Row]]:
    """One statement must not change a row twice."""
    start, seen = 0, set[object]()
    for number, row in enumerate(rows):
        if row[key] in seen:
            yield rows[start:number]
            start, seen = number, set()
        seen.add(row[key])
    yield rows[start:]


_SAVE_INCIDENT = """
    INSERT INTO incidents (id, number, key, state, revision, next_at, opened_at, resolved_at, version, doc)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET number = excluded.number, key = excluded.key, state = excluded.state,
        revision = excluded.revision, next_at = excluded.next_at, opened_at = excluded.opened_at,
        resolved_at = excluded.resolved_at, version = excluded.version, doc = excluded.doc
"""
_FALL_BEHIND = """
    UPDATE pages SET behind = 1, version = ?
    WHERE incident = ? AND shown_revision < ? AND behind = 0
        AND state = 'sent' AND kind IN ('page', 'card', 'reminder', 'approval')
"""
_SAVE_HOUR = """
    INSERT INTO agent_hours (agent, hour, upto, doc) VALUES (?, ?, ?, ?)
    ON CONFLICT (agent, hour) DO UPDATE SET upto = excluded.upto, doc = excluded.doc
"""
_FORGET_HOUR = "DELETE FROM agent_hours WHERE agent = ? AND hour = ?"
_ADD_PAGE = """
    INSERT INTO pages (incident, kind, state, person, channel, lead, due_at, slack_channel, ts, shown_revision, version,
        doc, behind, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce((SELECT revision FROM incidents WHERE id = ?), 0) > ?, ?)
"""
_SAVE_PAGE = """
    UPDATE pages SET incident = ?, kind = ?, state = ?, person = ?, channel = ?, lead = ?, due_at = ?,
        slack_channel = ?, ts = ?, shown_revision = ?, version = ?, doc = ?,
        behind = coalesce((SELECT revision FROM incidents WHERE id = ?), 0) > ?
    WHERE id = ?
"""

_SAVE_INCIDENTS = """
    INSERT INTO incidents (id, number, key, state, revision, next_at, opened_at, resolved_at, version, doc)
    SELECT * FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[], %s::int[], %s::float8[], %s::float8[],
        %s::float8[], %s::bigint[], %s::text[])
    ON CONFLICT (id) DO UPDATE SET number = excluded.number, key = excluded.key, state = excluded.state,
        revision = excluded.revision, next_at = excluded.next_at, opened_at = excluded.opened_at,
        resolved_at = excluded.resolved_at, version = excluded.version, doc = excluded.doc
"""
_ALL_FALL_BEHIND = """
    UPDATE pages SET behind = 1, version = news.version
    FROM unnest(%s::bigint[], %s::text[], %s::int[]) AS news (version, incident, revision)
    WHERE pages.incident = news.incident AND shown_revision < news.revision AND behind = 0
        AND state = 'sent' AND kind IN ('page', 'card', 'reminder', 'approval')
"""
_SAVE_HOURS = """
    INSERT INTO agent_hours (agent, hour, upto, doc)
    SELECT * FROM unnest(%s::text[], %s::float8[], %s::float8[], %s::text[])
    ON CONFLICT (agent, hour) DO UPDATE SET upto = excluded.upto, doc = excluded.doc
"""
_FORGET_HOURS = """
    DELETE FROM agent_hours USING unnest(%s::text[], %s::float8[]) AS old (agent, hour)
    WHERE agent_hours.agent = old.agent AND agent_hours.hour = old.hour
"""
_PAGES = """
    unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::text[], %s::text[],
        %s::int[], %s::bigint[], %s::text[], %s::text[], %s::int[], %s::text[]) WITH ORDINALITY
        AS page (incident, kind, state, person, channel, lead, due_at, slack_channel, ts, shown_revision, version, doc,
            redrawn, shown, id, nth)
    LEFT JOIN incidents AS shows ON shows.id = page.redrawn
"""
_ADD_PAGES = f"""
    INSERT INTO pages (incident, kind, state, person, channel, lead, due_at, slack_channel, ts, shown_revision, version,
        doc, behind, id)
    SELECT page.incident, page.kind, page.state, page.person, page.channel, page.lead, page.due_at, page.slack_channel,
        page.ts, page.shown_revision, page.version, page.doc,
        CASE WHEN coalesce(shows.revision, 0) > page.shown THEN 1 ELSE 0 END, page.id
    FROM {_PAGES} ORDER BY page.nth
"""  # noqa: S608
_SAVE_PAGES = f"""
    UPDATE pages SET incident = page.incident, kind = page.kind, state = page.state, person = page.person,
        channel = page.channel, lead = page.lead, due_at = page.due_at, slack_channel = page.slack_channel,
        ts = page.ts, shown_revision = page.shown_revision, version = page.version, doc = page.doc,
        behind = CASE WHEN coalesce(shows.revision, 0) > page.shown THEN 1 ELSE 0 END
    FROM {_PAGES} WHERE pages.id = page.id
"""  # noqa: S608
