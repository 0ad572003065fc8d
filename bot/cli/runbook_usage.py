"""`agentpager runbook usage`: which runbooks are opened, drilled and reviewed, and what is wrong with them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bot.cli.common import CONFIG_ERROR, call, config_option, output_option, print_table, server_option, show, stop

_HEADINGS = ["RUNBOOK", "REVIEWED", "WOKE", "OPENED", "LAST USED", "LAST DRILLED"]


@click.command("usage")
@click.argument("runbook", required=False)
@click.option("--days", default=90, show_default=True, help="How far back to look.")
@server_option
@config_option
@output_option
def command(runbook: str | None, days: int, config_path: Path, output: str) -> None:
    """How runbooks age: reviews, use, drills, steps that everybody skips, and what people reported.

    Of RUNBOOK alone, or of all. Asks a running server. Reading a runbook in its thread is not counted: nobody can see
    that.
    """
    rows = call(config_path, "GET", "/api/pager/runbooks", query={"days": str(days)})
    if runbook is not None:
        rows = [row for row in rows if row["runbook"] == runbook]
        if not rows:
            stop(f'there is no runbook "{runbook}"; without a name all are listed', CONFIG_ERROR)
    show(rows, output, lambda told: _print(told, days))


def _print(rows: list[dict[str, Any]], days: int) -> None:
    from bot.records.usage import Usage

    print_table(_HEADINGS, [_row(row) for row in rows], "no runbooks")
    lines = [line for row in rows for line in _wrong(Usage.model_validate(row))]
    if lines:
        click.echo(f"\nTo mend, of the last {days} days:")
    for line in lines:
        click.echo(f"  {line}")


def _row(row: dict[str, Any]) -> list[str]:
    overdue = f" (overdue {row['overdue_days']} d)" if row["overdue_days"] else ""
    return [
        row["runbook"],
        f"{row['reviewed_on'] or 'never'}{overdue}",
        str(row["fired"]),
        str(row["opened"]),
        *(_day(row[key]) for key in ("last_used", "last_drilled")),
    ]


def _day(at: str | None) -> str:
    return datetime.fromisoformat(at).date().isoformat() if at else "-"


def _wrong(usage: Any) -> list[str]:
    from bot.records.usage import complaints

    return complaints([usage], [usage])
