"""`agentpager incidents`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, print_table, show


@click.command("incidents")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too, newest first.")
@config_option
@output_option
def command(everything: bool, config_path: Path, output: str) -> None:
    """List the incidents of a running server that are not resolved."""
    rows = call(config_path, "GET", "/api/pager/incidents", query={"state": "all" if everything else "open"})
    show(rows, output, _table)


def _table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["id"],
            row["state"],
            row["severity"],
            row["agent"] or "-",
            row["title"],
            row["owner"],
            row["acked_by"] or "-",
            _note(row),
        ]
        for row in rows
    ]
    print_table(["ID", "STATE", "SEVERITY", "AGENT", "TITLE", "OWNER", "ACKED BY", "NOTE"], cells, "no incidents")


def _note(row: dict[str, Any]) -> str:
    """Why it wakes nobody, and whether it comes and goes."""
    told = [one["why"] for one in row["suppressed"]] + (["flapping"] if row["flapping"] else [])
    return "; ".join(told) or "-"
