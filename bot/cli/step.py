"""`agentpager step ID [STEP STATE]`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from bot.cli.common import call, config_option, output_option, person_option, print_table, server_option, show

_STATES = ("done", "skipped", "failed", "undone", "wrong", "missing")


@click.command("step")
@click.argument("incident")
@click.argument("step", required=False)
@click.argument("state", required=False, type=click.Choice(_STATES))
@click.option("--text", default="", help="The answer of a decision or hand-off, or what is wrong or missing.")
@person_option
@server_option
@config_option
@output_option
def command(
    incident: str, step: str | None, state: str | None, text: str, person: str | None, config_path: Path, output: str
) -> None:
    """Say what became of STEP (its id or number) of INCIDENT's runbook; without a step, list them all.

    A done escalation pages whom it names; a done decision needs its answer, a hand-off what the next one has to know.
    """
    path = f"/api/pager/incidents/{quote(incident, safe='')}/steps"
    if step is None:
        show(call(config_path, "GET", path), output, _table)
        return
    if state is None:
        raise click.UsageError(f"say what became of step {step}: {', '.join(_STATES)}")
    body = {"person": person.removeprefix("person:")} if person else {"by": getpass.getuser()}
    answer = call(config_path, "POST", f"{path}/{quote(step, safe='')}", {**body, "state": state, "text": text})
    show(answer, output, lambda done: click.echo(done["message"]))


def _table(told: dict[str, Any]) -> None:
    counts = f"{told['done']}/{told['total']} done, {told['skipped']} skipped, {told['failed']} failed"
    click.echo(f"{told['title'] or told['runbook']}: {counts}; next: {told['next'] or '-'}")
    cells = [
        [str(one["number"]), one["id"], one["kind"], one["title"], _check(one), _mark(one["mark"])]
        for one in told["steps"]
    ]
    print_table(["NO", "ID", "KIND", "TITLE", "CHECK", "STATE"], cells, "no steps")


def _check(step: dict[str, Any]) -> str:
    check = step.get("check")
    if check is None:
        return "likely" if step["likely"] else "-"
    value = check.get("value") or check.get("error") or ""
    want = f"(want {check['want']})" if check.get("want") else ""
    return " ".join(filter(None, [check["verdict"].replace("_", " "), value, want]))


def _mark(mark: dict[str, Any] | None) -> str:
    if mark is None:
        return "-"
    text = f", {mark['text']}" if mark["text"] else ""
    return f"{mark['state']} by {mark['by']} {mark['at'][11:16]} UTC{text}"
