"""`agentpager db upgrade|backup|restore|copy|archive`."""

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
    from bot.store.transfer import Moved as Copied


@click.group("db")
def command() -> None:
    """The database: upgrade it, back it up, restore it, copy it to another kind, move out what is long over."""


@command.command("upgrade")
@config_option
def upgrade(config_path: Path) -> None:
    """Bring the database to the schema of this release. `serve` does it at start. A file must not be in use; on
    PostgreSQL replicas of the release before work on."""
    from bot.errors import UsageError

    async def run() -> None:
        store = _store(config_path)
        try:
            await store.open(lease_at=instant(None) if store.alone else None)
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
    """Copy the database to FILE, also while the server runs, and check the copy. It is a file of SQLite, of
    PostgreSQL too."""
    from bot.errors import UsageError
    from bot.store import files, transfer

    try:
        store = _store(config_path)
        size = files.backup(store.path, file) if store.alone else transfer.backup(_url(config_path), file)
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    click.echo(f"{file}: a sound copy of {store.name}, {size / 2**20:.1f} MiB")


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def restore(file: Path, config_path: Path) -> None:
    """Put a backup in the place of the database, which is kept beside it; on PostgreSQL into an empty database. The
    server must be stopped."""
    from bot.errors import UsageError
    from bot.store import files, transfer

    try:
        store = _store(config_path)
        if not store.alone:
            _tell(transfer.restore(file, _url(config_path)), store.name)
            return
        if not store.lock():
            stop(f"agentpager is using the database {store.path}; stop it first", CONFIG_ERROR)
        try:
            kept = files.restore(file, store.path, f"{instant(None):before-%Y%m%dT%H%M%SZ}")
        finally:
            store.unlock()
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    click.echo(f"{store.path} is now what {file} was" + (f"; the one before is {kept}" if kept else ""))


@command.command("copy")
@click.option("--from", "source", metavar="URL", help="What to copy; by default what store.url says.")
@click.option("--to", "target", metavar="URL", required=True, help="Where to: an empty database, or a new file.")
@config_option
def copy(source: str | None, target: str, config_path: Path) -> None:
    """Copy everything from one database to another: from SQLite to PostgreSQL, and back. Each row is read back and
    compared, the audit log's chain is followed. No server may be using either."""
    from bot.errors import UsageError
    from bot.store import transfer
    from bot.store.troubles import without_password

    try:
        moved = transfer.copy(source or _url(config_path), target)
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    _tell(moved, without_password(target))


def _tell(moved: Copied, name: str) -> None:
    click.echo("\n".join(f"{table:<14}{rows:>10}" for table, rows in moved.rows.items() if rows))
    click.echo(f"{name} has {sum(moved.rows.values())} rows, each read back and compared")
    if moved.broken is None:
        click.echo("the chain of its audit log is whole")
    else:
        click.echo(f"row {moved.broken} of the audit log was changed before: it is as it was in the source")


def _url(config_path: Path) -> str:
    """As `store.url`, with the path of a file from the folder of the configuration on."""
    config = read_config(config_path)
    url: str = config.settings.store.url.get_secret_value()
    if not url.startswith("sqlite"):
        return url
    return f"sqlite:///{_store(config_path).path.resolve()}"


@command.command("archive")
@click.option("--before", metavar="DATE", required=True, help="Move what was over before this date or instant.")
@click.option("--to", "file", metavar="FILE", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="Where to: JSON lines, compressed; appended to when it is there.")  # fmt: skip
@config_option
def archive(before: str, file: Path, config_path: Path) -> None:
    """Move incidents that are over, with their pages, into a file. The server must be stopped, but on PostgreSQL; it
    does the same by itself, as store.retention says."""
    from bot.errors import UsageError

    limit = instant(before)

    async def run() -> Moved:
        store = _store(config_path)
        try:
            await store.open(lease_at=instant(None) if store.alone else None)
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
    """No server may start meanwhile on a file."""
    from bot.store.lease import RENEWED_EVERY

    while store.alone:
        await asyncio.sleep(RENEWED_EVERY.total_seconds())
        await store.renew(instant(None))


def _store(config_path: Path) -> Database:
    from bot.store.database import Database

    config = read_config(config_path)
    return Database(config.settings.store.url.get_secret_value(), config.base_dir)
