"""`agentpager override add|swap|list|end`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, person_option, print_table, server_option, show
from bot.cli.page import who

_from_option = click.option(
    "--from", "start", metavar="TIME", help="When it begins: 18:00, 2026-12-24T09:00; at once when not given."
)
_until_option = click.option(
    "--until", metavar="TIME", required=True, help="When it ends: 4h, 22:00, 2026-12-24T09:00; counted from its begin."
)
_why_option = click.option("--why", default="", help="Why, for those whom it concerns.")


@click.group("override")
def command() -> None:
    """Put somebody on call for a time, or trade turns, beside the on-call files."""


@command.command("add")
@click.argument("schedule")
@click.argument("whom")
@_from_option
@_until_option
@_why_option
@person_option
@server_option
@config_option
@output_option
def add(
    schedule: str,
    whom: str,
    start: str | None,
    until: str,
    why: str,
    person: str | None,
    config_path: Path,
    output: str,
) -> None:
    """Put the person WHOM on duty in SCHEDULE, or in the schedule of a team."""
    _make(config_path, schedule, [whom], start, until, why, person, output)


@command.command("swap")
@click.argument("schedule")
@click.argument("one")
@click.argument("other")
@_from_option
@_until_option
@_why_option
@person_option
@server_option
@config_option
@output_option
def swap(
    schedule: str,
    one: str,
    other: str,
    start: str | None,
    until: str,
    why: str,
    person: str | None,
    config_path: Path,
    output: str,
) -> None:
    """Let the people ONE and OTHER take each other's turns in SCHEDULE."""
    _make(config_path, schedule, [one, other], start, until, why, person, output)


@command.command("list")
@server_option
@config_option
@output_option
def listed(config_path: Path, output: str) -> None:
    """The overrides and swaps that count now or later, the first to begin first."""
    show(call(config_path, "GET", "/api/pager/overrides"), output, _table)


@command.command("end")
@click.argument("override")
@person_option
@server_option
@config_option
@output_option
def end(override: str, person: str | None, config_path: Path, output: str) -> None:
    """Take OVERRIDE (ROTA-3 or 3) back: the rota is as it was without it."""
    answer = call(config_path, "POST", f"/api/pager/overrides/{override}/end", who(person))
    show(answer, output, lambda done: click.echo(done["message"]))


def _make(
    config_path: Path,
    schedule: str,
    people: list[str],
    start: str | None,
    until: str,
    why: str,
    person: str | None,
    output: str,
) -> None:
    body: dict[str, Any] = {"schedule": schedule, "people": people, "until": until, "why": why, **who(person)}
    answer = call(config_path, "POST", "/api/pager/overrides", body | ({"from": start} if start else {}))
    show(answer, output, lambda done: click.echo(f"{done['override']['id']}: {done['message']}."))


def _table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["id"],
            row["kind"],
            row["schedule"],
            " and ".join(row["people"]),
            _at(row["from"]),
            _at(row["until"]),
            row["by"].removeprefix("person:").removeprefix("cli:"),
            row["why"],
        ]
        for row in rows
    ]
    print_table(["ID", "KIND", "SCHEDULE", "PEOPLE", "FROM", "UNTIL", "BY", "WHY"], cells, "no overrides and no swaps")


def _at(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
