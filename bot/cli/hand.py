"""`agentpager hand ID PERSON`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option, person_option, server_option


@click.command("hand")
@click.argument("incident")
@click.argument("to")
@person_option
@server_option
@config_option
@output_option
def command(incident: str, to: str, person: str | None, config_path: Path, output: str) -> None:
    """Give INCIDENT to the person TO, who is paged now; without an ack its ladder begins."""
    act(config_path, "hand", incident, person, output, {"to": to})
