"""`agentpager incidents`: the list, and what is told and written about one of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from bot.cli.common import act, call, config_option, output_option, person_option, print_table, server_option, show


@click.group("incidents", invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Resolved ones too, newest first.")
@server_option
@config_option
@output_option
@click.pass_context
def command(context: click.Context, everything: bool, config_path: Path, output: str) -> None:
    """List the incidents of a running server that are not resolved; or tell of one."""
    if context.invoked_subcommand is not None:  # a --config before the word counts for it too
        context.default_map = {context.invoked_subcommand: {"config_path": str(config_path)}}
    else:
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
    """Why it wakes nobody, whether it comes and goes, and what is promised or was not kept."""
    told = [one["why"] for one in row["suppressed"]] + (["flapping"] if row["flapping"] else [])
    return "; ".join([*told, *map(_promise, row["sla"])]) or "-"


def _promise(one: dict[str, Any]) -> str:
    """`ack promised by 02:15 UTC` while it runs, `ack promise broken` when it was not kept."""
    if one["state"] == "running" and one["due_at"]:
        return f"{one['what']} promised by {one['due_at'][11:16]} UTC"
    return f"{one['what']} promise {one['state']}"


@command.command("show")
@click.argument("incident")
@server_option
@config_option
@output_option
def tell(incident: str, config_path: Path, output: str) -> None:
    """Tell the story of INCIDENT: who did what, when, why, and which messages arrived."""
    from bot.records.narrow import lines
    from bot.records.timeline import Story

    told = call(config_path, "GET", f"/api/pager/incidents/{quote(incident, safe='')}/timeline")
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    show(told, output, lambda it: click.echo("\n".join(lines(Story.model_validate(it), width))))


@command.command("export")
@click.argument("incident")
@click.option("-o", "--output", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@server_option
@config_option
def export(incident: str, output: str, config_path: Path) -> None:
    """Print INCIDENT as the skeleton of a postmortem, or as JSON."""
    from bot.records.markdown import postmortem
    from bot.records.timeline import Story

    told = call(config_path, "GET", f"/api/pager/incidents/{quote(incident, safe='')}/timeline")
    show(told, output, lambda it: click.echo(postmortem(Story.model_validate(it)), nl=False))


@command.command("note")
@click.argument("incident")
@click.argument("text", nargs=-1, required=True)
@person_option
@server_option
@config_option
@output_option
def note(incident: str, text: tuple[str, ...], person: str | None, config_path: Path, output: str) -> None:
    """Write TEXT down about INCIDENT, at most 1,000 characters."""
    act(config_path, "note", incident, person, output, {"text": " ".join(text)})


@command.command("mark")
@click.argument("incident")
@click.argument("verdict", type=click.Choice(["right", "noise"]))
@person_option
@server_option
@config_option
@output_option
def mark(incident: str, verdict: str, person: str | None, config_path: Path, output: str) -> None:
    """Say whether it was right to wake somebody for INCIDENT."""
    act(config_path, "mark", incident, person, output, {"mark": verdict})
