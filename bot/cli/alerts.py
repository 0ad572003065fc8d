"""`agentpager alerts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, print_table, show


@click.command("alerts")
@config_option
@output_option
def command(config_path: Path, output: str) -> None:
    """List the pending and firing alerts of a running server."""
    show(call(config_path, "GET", "/api/v1/alerts")["data"]["alerts"], output, _table)


def _table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["labels"].get("alertname", ""),
            row["state"],
            row["labels"].get("severity", ""),
            row["labels"].get("agent", "-"),
            str(row["value"]),
            row["activeAt"],
        ]
        for row in rows
    ]
    print_table(["ALERT", "STATE", "SEVERITY", "AGENT", "VALUE", "SINCE"], cells, "no alerts")
