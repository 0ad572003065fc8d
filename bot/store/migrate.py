"""Brings a database to the schema of this release. Alembic is imported only when this runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(_config(connection), "head")


def _config(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
