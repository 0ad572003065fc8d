"""`agentpager action list|ask|undo|approve|refuse`."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bot.cli.common import (
    CONFIG_ERROR,
    call,
    config_option,
    output_option,
    person_option,
    print_table,
    server_option,
    show,
    stop,
)

_yes_option = click.option("--yes", is_flag=True, help="Do not ask before it is sent or asked for.")
_reason_option = click.option("--reason", default="", help="Why, for those who agree and for the record.")


@click.group("action")
def command() -> None:
    """Requests that runbooks make to declared webhooks: ask for one, agree to it, refuse it, take it back."""


@command.command("list")
@click.argument("incident")
@server_option
@config_option
@output_option
def listed(incident: str, config_path: Path, output: str) -> None:
    """What has been asked for on INCIDENT, and what became of it."""
    show(call(config_path, "GET", "/api/pager/actions", query={"incident": incident}), output, _table)


@command.command("ask")
@click.argument("incident")
@click.argument("step")
@_yes_option
@_reason_option
@person_option
@server_option
@config_option
@output_option
def ask(incident: str, step: str, yes: bool, reason: str, person: str | None, config_path: Path, output: str) -> None:
    """Show the request of STEP (its id or number) of INCIDENT's runbook, then ask for it."""
    _ask(config_path, {"incident": incident, "step": step} | _who(person), reason, output, yes=yes)


@command.command("undo")
@click.argument("incident")
@click.argument("step")
@_yes_option
@_reason_option
@person_option
@server_option
@config_option
@output_option
def undo(incident: str, step: str, yes: bool, reason: str, person: str | None, config_path: Path, output: str) -> None:
    """Show the request that takes STEP of INCIDENT's runbook back, then ask for it."""
    _ask(config_path, {"incident": incident, "step": step, "undo": True} | _who(person), reason, output, yes=yes)


@command.command("approve")
@click.argument("action")
@_yes_option
@person_option
@server_option
@config_option
@output_option
def approve(action: str, yes: bool, person: str | None, config_path: Path, output: str) -> None:
    """Show the request of ACTION (RUN-…, or an incident where only one waits), then agree to it."""
    run = _waiting(config_path, action)
    _sure([f"{run['title']} ({run['id']}, {run['incident']})", *_request(run["request"])], "Agree to it?", yes=yes)
    answer = call(config_path, "POST", f"/api/pager/actions/{run['id']}/approve", _who(person))
    show(answer, output, _told)


@command.command("refuse")
@click.argument("action")
@person_option
@server_option
@config_option
@output_option
def refuse(action: str, person: str | None, config_path: Path, output: str) -> None:
    """Refuse ACTION (RUN-…, or an incident where only one waits), or take back what you asked for."""
    run = _waiting(config_path, action)
    show(call(config_path, "POST", f"/api/pager/actions/{run['id']}/refuse", _who(person)), output, _told)


def _ask(config_path: Path, wish: dict[str, Any], reason: str, output: str, *, yes: bool) -> None:
    found = call(config_path, "POST", "/api/pager/actions/preview", wish)
    lines = [f"{'Undo: ' if found['undo'] else ''}{found['title']} ({found['incident']})", *_request(found["request"])]
    if found["problem"]:
        click.echo("\n".join(lines), err=True)
        stop(f"it cannot be asked for: {found['problem']}", CONFIG_ERROR)
    names = ", ".join(f"{name} ({why})" for name, why in found["may_agree"].items())
    lines.append(
        "Your word is enough: it is sent at once." if found["enough"] else f"{found['needs']} of {names} agree."
    )
    _sure(lines, "Send it?" if found["enough"] else "Ask them?", yes=yes)
    show(
        call(config_path, "POST", "/api/pager/actions", wish | {"token": found["token"], "reason": reason}),
        output,
        _told,
    )


def _sure(lines: list[str], question: str, *, yes: bool) -> None:
    """What is shown goes to standard error: standard output is for the answer."""
    if yes:
        return
    click.echo("\n".join(lines), err=True)
    if not sys.stdin.isatty():
        stop("nothing was done: without a terminal nobody can be asked; add --yes", CONFIG_ERROR)
    click.confirm(question, abort=True, err=True)


def _waiting(config_path: Path, name: str) -> dict[str, Any]:
    if name.upper().startswith("RUN-"):
        run: dict[str, Any] = call(config_path, "GET", f"/api/pager/actions/{name}")
        return run
    rows = call(config_path, "GET", "/api/pager/actions", query={"incident": name})
    waiting = [row for row in rows if row["state"] == "asked"]
    if len(waiting) != 1:
        names = ", ".join(f"{row['id']} ({row['title']})" for row in waiting)
        stop(f"several actions of {name} wait: {names}" if waiting else f"no action of {name} waits", CONFIG_ERROR)
    return dict(waiting[0])


def _request(request: dict[str, str]) -> list[str]:
    return [f"  {request['method']} {request['path']} of {request['webhook']}", f"  {request['body']}".rstrip()]


def _who(person: str | None) -> dict[str, str]:
    return {"person": person.removeprefix("person:")} if person else {"by": getpass.getuser()}


def _told(answer: dict[str, Any]) -> None:
    click.echo(answer["message"])


def _table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["id"],
            row["state"],
            ("undo: " if row["kind"] == "undo" else "") + row["step"],
            f"{datetime.fromisoformat(row['asked_at']):%Y-%m-%d %H:%M} UTC",
            row["asked_by"].removeprefix("person:"),
            ", ".join(one["by"].removeprefix("person:") for one in row["approvals"]),
            row["answer"][:120],
        ]
        for row in rows
    ]
    print_table(["ID", "STATE", "STEP", "ASKED", "BY", "AGREED", "ANSWER"], cells, "no actions")
