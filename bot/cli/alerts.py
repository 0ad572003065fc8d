"""`agentpager alerts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, print_table, server_option, show


@click.command("alerts")
@server_option
@config_option
@output_option
def command(config_path: Path, output: str) -> None:
    """List the pending and firing alerts of a running server, with their incident and what hides them."""
    alerts = call(config_path, "GET", "/api/v1/alerts")["data"]["alerts"]
    known = dict(_known(call(config_path, "GET", "/api/pager/incidents")))
    show([row | known.get(_name(row["labels"]), _NONE) for row in alerts], output, _table)


_NONE: dict[str, Any] = {"incident": None, "suppressed": []}


def _known(incidents: list[dict[str, Any]]) -> list[tuple[frozenset[tuple[str, str]], dict[str, Any]]]:
    return [
        (_name(alert["labels"]), {"incident": incident["id"], "suppressed": alert["suppressed"]})
        for incident in incidents
        for alert in incident["alerts"]
        if alert["state"] != "resolved"
    ]


def _name(labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def _table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["labels"].get("alertname", ""),
            row["state"],
            row["labels"].get("severity", ""),
            row["labels"].get("agent", "-"),
            str(row["value"]),
            row["activeAt"],
            row["incident"] or "-",
            "; ".join(one["why"] for one in row["suppressed"]) or "-",
        ]
        for row in rows
    ]
    print_table(["ALERT", "STATE", "SEVERITY", "AGENT", "VALUE", "SINCE", "INCIDENT", "HIDDEN BY"], cells, "no alerts")
