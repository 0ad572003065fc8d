"""`agentpager db upgrade|backup|restore|archive`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import CONFIG_ERROR, config_option, instant, read_config, stop

if TYPE_CHECKING:
    from bot.store.archive import Moved
    from bot.store.database import Database


@click.group("db")
def command() -> None:
    """The database: upgrade it, copy it, put a copy back, move out what is long over."""


@command.command("upgrade")
@config_option
def upgrade(config_path: Path) -> None:
    """Bring the database to the schema of this release. `serve` does it at start."""
    from bot.errors import UsageError

    store = _store(config_path)

    async def run() -> None:
        try:
            await store.open(lease_at=instant(None))
        finally:
            await store.close()

    try:
        asyncio.run(run())
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    click.echo("the database is up to date")


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def backup(file: Path, config_path: Path) -> None:
    """Copy the database to FILE, also while the server runs, and check the copy."""
    from bot.errors import UsageError
    from bot.store.files import backup

    path = _store(config_path).path
    try:
        size = backup(path, file)
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    click.echo(f"{file}: a sound copy of {path}, {size / 2**20:.1f} MiB")


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def restore(file: Path, config_path: Path) -> None:
    """Put a backup in the place of the database, which is kept beside it. The server must be stopped."""
    from bot.errors import UsageError
    from bot.store.files import restore

    store = _store(config_path)
    if not store.lock():
        stop(f"agentpager is using the database {store.path}; stop it first", CONFIG_ERROR)
    try:
        kept = restore(file, store.path, f"{instant(None):before-%Y%m%dT%H%M%SZ}")
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    finally:
        store.unlock()
    click.echo(f"{store.path} is now what {file} was" + (f"; the one before is {kept}" if kept else ""))


@command.command("archive")
@click.option("--before", metavar="DATE", required=True, help="Move what was over before this date or instant.")
@click.option("--to", "file", metavar="FILE", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="Where to: JSON lines, compressed; appended to when it is there.")  # fmt: skip
@config_option
def archive(before: str, file: Path, config_path: Path) -> None:
    """Move incidents that are over, with their pages, into a file. The server must be stopped; it does the same by
    itself, as store.retention says."""
    from bot.errors import UsageError

    store, limit = _store(config_path), instant(before)

    async def run() -> Moved:
        try:
            await store.open(lease_at=instant(None))
            return await _archive(store, limit, file)
        finally:
            await store.close()

    try:
        moved = asyncio.run(run())
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    click.echo(f"moved {moved.incidents} incidents and {moved.pages} pages to {file}")


async def _archive(store: Database, before: datetime, file: Path) -> Moved:
    import getpass

    from bot.store.archive import Archive

    keeping = asyncio.create_task(_keep(store))
    try:
        return await Archive(store).move(before, file, instant(None), f"cli:{getpass.getuser()}")
    finally:
        keeping.cancel()


async def _keep(store: Database) -> None:
    """No server may start meanwhile."""
    from bot.store.lease import RENEWED_EVERY

    while True:
        await asyncio.sleep(RENEWED_EVERY.total_seconds())
        await store.renew(instant(None))


def _store(config_path: Path) -> Database:
    from bot.store.database import Database

    config = read_config(config_path)
    return Database(config.settings.store.url, config.base_dir)
