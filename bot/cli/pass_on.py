"""`agentpager pass ID`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option


@click.command("pass")
@click.argument("incident")
@click.option(
    "--as", "person", metavar="PERSON", help="Act for this person of oncall/; otherwise as the user of this machine."
)
@config_option
@output_option
def command(incident: str, person: str | None, config_path: Path, output: str) -> None:
    """Say that you cannot take INCIDENT: the next level is paged now."""
    act(config_path, "decline", incident, person, output)
