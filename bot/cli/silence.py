"""`agentpager silence add|list|expire`."""

from __future__ import annotations

import getpass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, instant, output_option, person_option, print_table, server_option, show


@click.group("silence")
def command() -> None:
    """Keep alerts from waking anybody for a while, with a reason and an end."""


@command.command("add")
@click.argument("matchers", nargs=-1, required=True)
@click.option("--for", "lasts", metavar="DURATION", help="How long, for example 2h.")
@click.option("--until", metavar="INSTANT", help="When it ends, for example 2026-12-24T18:00:00Z.")
@click.option("--starts", metavar="INSTANT", help="When it begins; at once when not given.")
@click.option("--reason", required=True, help="Why, for those who read it tonight.")
@click.option(
    "--max-severity",
    type=click.Choice(["critical", "warning", "info"]),
    help="The highest severity it hides; when not given, the highest of what matches now, at least warning.",
)
@click.option("--until-resolved", is_flag=True, help="End it early, once nothing that matches fires any more.")
@click.option("--preview", is_flag=True, help="Only show what it would hide.")
@person_option
@server_option
@config_option
@output_option
def add(
    matchers: tuple[str, ...],
    lasts: str | None,
    until: str | None,
    starts: str | None,
    reason: str,
    max_severity: str | None,
    until_resolved: bool,
    preview: bool,
    person: str | None,
    config_path: Path,
    output: str,
) -> None:
    """Silence what all MATCHERS match, written as for Alertmanager: agent="refund-agent" alertname=~"Tool.*"."""
    if (lasts is None) == (until is None):
        raise click.UsageError("a silence has an end: give --for 2h or --until INSTANT, not both")
    body: dict[str, Any] = {"matchers": list(matchers), "reason": reason, "until_resolved": until_resolved}
    body |= {"for": lasts} if lasts else {"ends_at": instant(until).isoformat()}
    body |= {"starts_at": instant(starts).isoformat()} if starts else {}
    body |= {"max_severity": max_severity} if max_severity else {}
    path = "/api/pager/silences/preview" if preview else "/api/pager/silences"
    answer = call(config_path, "POST", path, body | _who(person))
    show(answer, output, _told_of_preview if preview else _told)


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that ended in the last seven days too.")
@server_option
@config_option
@output_option
def listed(everything: bool, config_path: Path, output: str) -> None:
    """The silences that are active or will be, the first to end first."""
    rows = call(config_path, "GET", "/api/pager/silences", query={"state": "all" if everything else "open"})
    show(rows, output, _table)


@command.command("expire")
@click.argument("silence")
@person_option
@server_option
@config_option
@output_option
def expire(silence: str, person: str | None, config_path: Path, output: str) -> None:
    """End SILENCE (SIL-3 or 3) now: what it hid and still fires wakes its owner."""
    answer = call(config_path, "POST", f"/api/pager/silences/{silence}/expire", _who(person))
    show(answer, output, lambda done: click.echo(f"{done['silence']['id']} has ended."))


def _who(person: str | None) -> dict[str, str]:
    return {"person": person.removeprefix("person:")} if person else {"by": getpass.getuser()}


def _told(answer: dict[str, Any]) -> None:
    silence = answer["silence"]
    click.echo(f"{silence['id']} silences {' '.join(silence['matchers'])} until {_at(silence['ends_at'])}.")
    _hidden(answer, "hides")


def _told_of_preview(answer: dict[str, Any]) -> None:
    silence = answer["silence"]
    click.echo(f"Would silence {' '.join(silence['matchers'])} until {_at(silence['ends_at'])}. Nothing is changed.")
    _hidden(answer, "would hide")


def _hidden(answer: dict[str, Any], verb: str) -> None:
    silence = answer["silence"]
    rows = answer["hides"]
    click.echo(f"It {verb} {len(rows)} of the alerts that fire now, up to {silence['max_severity']}.")
    for row in rows[:20]:
        click.echo(f"  {row['incident']} {row['alert']} ({row['severity']})")
    if len(rows) > 20:
        click.echo(f"  +{len(rows) - 20} more")
    for row in answer["too_severe"]:
        click.echo(
            f"  still wakes: {row['incident']} {row['alert']} is {row['severity']}; "
            f"hide it too with --max-severity {row['severity']}"
        )


def _table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["id"],
            row["state"],
            " ".join(row["matchers"]),
            _at(row["ends_at"]) + (" or resolved" if row["until_resolved"] else ""),
            row["max_severity"],
            row["created_by"].removeprefix("person:"),
            row["reason"],
        ]
        for row in rows
    ]
    print_table(["ID", "STATE", "MATCHERS", "UNTIL", "UP TO", "BY", "REASON"], cells, "no silences")


def _at(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
