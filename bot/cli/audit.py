"""`agentpager audit verify|export`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bot.cli.common import config_option, read_config

if TYPE_CHECKING:
    from bot.store.database import Database

T = TypeVar("T")


@click.group("audit")
def command() -> None:
    """Who did what, when and why: rows that are only appended and hash-chained."""


@command.command("verify")
@config_option
@click.pass_context
def verify(context: click.Context, config_path: Path) -> None:
    """Follow the chain from its first row. Exit code 1 names the first row that was changed."""
    broken = _ask(config_path, lambda store: store.broken_audit_row())
    if broken is None:
        rows = _ask(config_path, lambda store: store.audit_rows())
        click.echo(f"{len(rows)} rows, the chain is whole; head {rows[-1][2] if rows else 'empty'}")
    else:
        click.echo(f"row {broken} was changed, or one before it is missing")
        context.exit(1)


@command.command("export")
@click.option("--subject", metavar="ID", help="Only rows about this incident or page.")
@config_option
def export(subject: str | None, config_path: Path) -> None:
    """One JSON object a line, oldest first."""
    for sequence, entry, written in _ask(config_path, lambda store: store.audit_rows()):
        if subject is None or entry.subject == subject:
            click.echo(f'{{"sequence":{sequence},"hash":"{written}","entry":{entry.model_dump_json()}}}')


def _ask(config_path: Path, question: Callable[[Database], Awaitable[T]]) -> T:
    from bot.store.database import Database

    config = read_config(config_path)
    store = Database(config.settings.store.url, config.base_dir)

    async def run() -> T:
        await store.open()
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(run())
