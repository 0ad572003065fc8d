"""`agentpager audit verify|export|head|show`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bot.cli.audit_show import command as show
from bot.cli.common import CONFIG_ERROR, config_option, instant, read_config, stop

if TYPE_CHECKING:
    from bot.store.history import History

T = TypeVar("T")


@click.group("audit")
def command() -> None:
    """Who did what, when and why: rows that are only appended and hash-chained."""


command.add_command(show)


@command.command("verify")
@click.option(
    "--head", "head_text", metavar="SEQUENCE:HASH", help="A head printed earlier: its row must still be there."
)
@config_option
@click.pass_context
def verify(context: click.Context, head_text: str | None, config_path: Path) -> None:
    """Follow the chain from its first row. Exit code 1 names the first row that was changed, or says that the row of
    --head is gone."""
    from bot.audit.chain import parse_head

    try:
        remembered = parse_head(head_text) if head_text is not None else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    chain = _ask(config_path, lambda history: history.verified(remembered))
    if chain.broken is not None:
        click.echo(f"row {chain.broken} was changed, or one before it is missing")
        context.exit(1)
    click.echo(f"{chain.rows} rows, the chain is whole; head {chain.head or 'empty'}")
    if chain.missing is not None:
        click.echo(f"but row {chain.missing.sequence} is not the one of --head: rows were cut off or written anew")
        context.exit(1)


@command.command("head")
@config_option
def head(config_path: Path) -> None:
    """Print the newest row as SEQUENCE:HASH. Kept elsewhere, it proves later that nothing was cut off."""
    found = _ask(config_path, lambda history: history.audit_head())
    if found is None:
        stop("the audit log is empty", CONFIG_ERROR)
    click.echo(str(found))


@command.command("export")
@click.option("--subject", metavar="ID", help="Only rows about this incident and its pages, or about this page.")
@click.option("--from", "from_text", metavar="TIME", help="Only rows from then on.")
@click.option("--to", "to_text", metavar="TIME", help="Only rows before then.")
@click.option("-o", "--output", type=click.Choice(["json", "text"]), default="json", show_default=True)
@config_option
def export(subject: str | None, from_text: str | None, to_text: str | None, output: str, config_path: Path) -> None:
    """One row a line, oldest first."""
    since = instant(from_text) if from_text else None
    until = instant(to_text) if to_text else None

    async def write(history: History) -> None:
        async for sequence, doc, written in history.audit(subject, since, until):
            row = f'{{"sequence":{sequence},"hash":"{written}","entry":{doc}}}'
            click.echo(_text(doc) if output == "text" else row)

    _ask(config_path, write)


def _text(doc: str) -> str:
    """`2026-11-04 02:00:00 agentpager incident.fired INC-7: why (woken=ana)`."""
    from bot.audit.model import Entry
    from bot.records.timeline import plain

    entry = Entry.model_validate_json(doc)
    detail = ", ".join(f"{name}={value}" for name, value in entry.detail.items())
    why = f": {entry.why}" if entry.why else ""
    line = f"{_second(entry.at)} {entry.actor} {entry.action} {entry.subject}{why}"
    return plain(f"{line} ({detail})" if detail else line)


def _second(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _ask(config_path: Path, question: Callable[[History], Awaitable[T]]) -> T:
    from bot.errors import UsageError
    from bot.store.database import Database

    config = read_config(config_path)

    async def run() -> T:
        store = Database(config.settings.store.url.get_secret_value(), config.base_dir)
        try:
            await store.open()
            return await question(store.history)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except UsageError as error:
        stop(str(error), CONFIG_ERROR)
