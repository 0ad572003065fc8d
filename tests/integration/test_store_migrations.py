"""The schema grows while the release before is at work: what that one writes must be accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from bot.store import migrate

WHERE = str(Path(migrate.__file__).parent / "migrations")
VALUES: dict[type, Any] = {str: "x", int: 7, float: 7.0}
AUDIT = "audit"  # is only appended


def migrated(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", WHERE)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def tables(connection: sa.Connection) -> dict[str, sa.Table]:
    metadata = sa.MetaData()
    metadata.reflect(connection)
    return {name: table for name, table in metadata.tables.items() if name != "alembic_version"}


@pytest.fixture
def before_and_after(tmp_path):
    """The tables of the release before, and a connection to a database of this one."""
    revision = ScriptDirectory(WHERE).get_revision(migrate.HEAD)
    assert revision is not None
    older, newer = (sa.create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("older", "newer"))
    with older.begin() as connection:
        migrated(connection, str(revision.down_revision))
        before = tables(connection)
    with newer.begin() as connection:
        migrated(connection, str(revision.down_revision))
        migrated(connection, migrate.HEAD)
        yield before, connection


def test_a_writer_of_the_release_before_is_accepted(before_and_after):
    before, connection = before_and_after
    for table in before.values():
        row = {column.name: VALUES[column.type.python_type] for column in table.columns}
        connection.execute(table.insert().values(row))
        assert [dict(found) for found in connection.execute(sa.select(table).where(*key(table))).mappings()] == [row]
        if table.name != AUDIT:
            other = {name: value for name, value in row.items() if name not in table.primary_key.columns}
            assert connection.execute(table.update().where(*key(table)).values(other)).rowcount == 1
            assert connection.execute(table.delete().where(*key(table))).rowcount == 1


def key(table: sa.Table) -> list[sa.ColumnElement[bool]]:
    return [column == VALUES[column.type.python_type] for column in table.primary_key.columns]


def test_nothing_of_the_release_before_is_taken_away(before_and_after):
    before, connection = before_and_after
    after = tables(connection)
    for name, table in before.items():
        now = {column.name: column for column in after[name].columns}
        assert {column.name: str(column.type) for column in table.columns}.items() <= {
            column: str(found.type) for column, found in now.items()
        }.items()
        added = [column for column in now.values() if column.name not in table.columns]
        assert all(column.nullable or column.server_default is not None for column in added)
