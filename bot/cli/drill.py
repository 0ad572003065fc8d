"""`agentpager drill AGENT`: a marked page by the whole way of a real one, and how long everything took."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, person_option, print_table, server_option, show
from bot.cli.page import who

_LOOK_SECONDS = 1.0
_NOT_PASSED = 1
_LEGS = {
    "fired": "the rule fired",
    "routed": "owner and person found",
    "sent": "page sent",
    "delivered": "page delivered",
    "acked": "acknowledged",
    "first step": "first step of the runbook",
}


@click.command("drill")
@click.argument("agent", required=False)
@click.option("--wait", is_flag=True, help="Wait until it is over and tell the times; exit code 1: not passed.")
@click.option("--ladder", is_flag=True, help="Wake the next levels too, each after its wait, while nobody answers.")
@click.option("--runbook", metavar="ID", default="", help="Page with this runbook instead of the one for drills.")
@click.option("--list", "listing", is_flag=True, help="What drills have shown so far, of AGENT or of all.")
@person_option
@server_option
@config_option
@output_option
@click.pass_context
def command(
    context: click.Context,
    agent: str | None,
    wait: bool,
    ladder: bool,
    runbook: str,
    listing: bool,
    person: str | None,
    config_path: Path,
    output: str,
) -> None:
    """Try the whole way of a page for AGENT: rule, owner, Slack, ack, first step of the runbook.

    Whoever is on call for it is paged by a message that begins with DRILL. It ends by itself; nobody else is woken, and
    no report counts it. What it has shown is kept as evidence.
    """
    if listing:
        rows = call(config_path, "GET", "/api/pager/drills", query={"agent": agent} if agent else None)
        show(rows, output, _print_all)
        return
    if agent is None:
        raise click.UsageError("name the agent whose page to try; --list shows what drills have shown")
    body = {"ladder": ladder, "runbook": runbook, **who(person)}
    answer = call(config_path, "POST", f"/api/pager/agents/{agent}/drill", body)
    if not wait:
        show(answer, output, lambda done: click.echo(done["message"]))
        return
    if output == "text":
        click.echo(answer["message"])
    over = _over(config_path, answer["drill"]["id"])
    show(over, output, _print)
    context.exit(0 if over["state"] == "passed" else _NOT_PASSED)


def _over(config_path: Path, drill: str) -> Any:
    while True:
        found = call(config_path, "GET", f"/api/pager/drills/{drill}")
        if found["state"] != "running":
            return found
        time.sleep(_LOOK_SECONDS)


def _print(drill: dict[str, Any]) -> None:
    click.echo(f"{drill['id']} of {drill['agent']}: {drill['summary']}\n")
    rows = []
    for leg, told in _LEGS.items():
        at = drill["legs"].get(leg)
        took = f"{drill['seconds'][leg]:.1f} s" if at else "-"
        rows.append([told, took, at[11:19] if at else "never"])
    print_table(["LEG", "AFTER", "AT (UTC)"], rows, "")


def _print_all(drills: list[dict[str, Any]]) -> None:
    rows = [
        [
            one["id"],
            one["agent"],
            one["state"],
            str(one["ended_at"] or one["asked_at"])[:16].replace("T", " "),
            one["person"] or "-",
            one["summary"],
        ]
        for one in drills
    ]
    print_table(["DRILL", "AGENT", "STATE", "WHEN (UTC)", "BY", "WHAT IT HAS SHOWN"], rows, "there has been no drill")
