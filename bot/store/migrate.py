"""Brings a database to the schema of this release. Alembic is imported only when this runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect

from bot.errors import UsageError

HEAD = "0006"  # the newest schema: a database that has it needs no Alembic
_BEFORE_POSTGRESQL = "0005"  # its history begins with the one after


def upgrade(connection: Connection) -> None:
    """Raises UsageError when a newer release wrote it."""
    from alembic import command
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    config = _config(connection)
    if connection.dialect.name == "postgresql" and not inspect(connection).has_table("alembic_version"):
        command.stamp(config, _BEFORE_POSTGRESQL)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        if not isinstance(error.__cause__, ResolutionError):
            raise
        raise UsageError(
            "the database was written by a newer release of agentpager, and there is no way back down; run that "
            "release, or restore a backup of before: agentpager db restore BACKUP"
        ) from None


def _config(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
