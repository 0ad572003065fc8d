"""`agentpager page TARGET [WHY]` and `agentpager test-page [TARGET]`."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, person_option, server_option, show

_LOOK_SECONDS = 1.0
_NOT_PASSED = 1


@click.command("page")
@click.argument("target")
@click.argument("why", nargs=-1)
@person_option
@server_option
@config_option
@output_option
def page(target: str, why: tuple[str, ...], person: str | None, config_path: Path, output: str) -> None:
    """Wake whoever answers for TARGET now: an agent, a team or a person, also as agent:…, team:…, person:….

    Opens an incident that nothing hides. Its levels are paged until somebody has it; it ends when somebody closes it.
    """
    body = {"target": target, "why": " ".join(why), **who(person)}
    answer = call(config_path, "POST", "/api/pager/pages", body)
    show(answer, output, lambda done: click.echo(done["message"]))


@click.command("test-page")
@click.argument("target", required=False)
@click.option("--wait", is_flag=True, help="Wait until it is over, at most ten minutes; exit code 1: not passed.")
@person_option
@server_option
@config_option
@output_option
@click.pass_context
def test_page(
    context: click.Context, target: str | None, wait: bool, person: str | None, config_path: Path, output: str
) -> None:
    """Try by a running server whether a page reaches TARGET: a person, or a team or agent for who is on call.

    It is marked as a test, takes the way of a real page, and ends when it is acknowledged. Nobody else is woken.
    """
    if target is None and person is None:
        raise click.UsageError("say whose page to try: a person, a team or an agent")
    answer = call(config_path, "POST", "/api/pager/tests", {"target": target or "me", **who(person)})
    if not wait:
        show(answer, output, lambda done: click.echo(done["message"]))
        return
    if output == "text":
        click.echo(answer["message"])
    over = _over(config_path, answer["incident"]["id"])
    show(over, output, lambda done: click.echo(f"{done['id']}: {done['result'] or 'closed by hand'}"))
    context.exit(0 if str(over["result"]).startswith("passed") else _NOT_PASSED)


def _over(config_path: Path, incident: str) -> Any:
    while True:
        found = call(config_path, "GET", f"/api/pager/incidents/{incident}")
        if found["state"] == "resolved":
            return found
        time.sleep(_LOOK_SECONDS)


def who(person: str | None) -> dict[str, str]:
    return {"person": person.removeprefix("person:")} if person else {"by": getpass.getuser()}
