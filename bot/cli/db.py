"""`agentpager db upgrade`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bot.cli.common import config_option, read_config


@click.group("db")
def command() -> None:
    """The database. `serve` upgrades it at start; this does it beforehand."""


@command.command("upgrade")
@config_option
def upgrade(config_path: Path) -> None:
    """Bring the database to the schema of this release."""
    from bot.store.database import Database

    config = read_config(config_path)
    store = Database(config.settings.store.url, config.base_dir)

    async def run() -> None:
        await store.open()
        await store.close()

    asyncio.run(run())
    click.echo("the database is up to date")
