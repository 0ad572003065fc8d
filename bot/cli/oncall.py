"""`agentpager oncall`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bot.cli.common import config_option, output_option, print_table, read_config, show


@click.command("oncall")
@click.option(
    "--at",
    "at_text",
    metavar="TIME",
    help="An instant, for example 2026-12-24T18:00:00+01:00. UTC if it has no offset.",
)
@config_option
@output_option
def command(at_text: str | None, config_path: Path, output: str) -> None:
    """Who is on duty in each schedule. Needs the configuration, no running server."""
    from bot.commands import roster
    from bot.scheduler import SystemClock

    at = _instant(at_text) if at_text else SystemClock().now()
    show(roster(read_config(config_path).book, at), output, _table)


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f'"{text}" is not an instant; write for example 2026-12-24T18:00:00Z') from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _table(answer: dict[str, Any]) -> None:
    cells = [
        [row["schedule"], ", ".join(row["people"]) or "nobody", row["until"] or "further notice"]
        for row in answer["schedules"]
    ]
    print_table(["SCHEDULE", "ON DUTY", "UNTIL"], cells, "no schedules")
