"""`agentpager release ID`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option


@click.command("release")
@click.argument("incident")
@click.option(
    "--as", "person", metavar="PERSON", help="Act for this person of oncall/; otherwise as the user of this machine."
)
@config_option
@output_option
def command(incident: str, person: str | None, config_path: Path, output: str) -> None:
    """Give INCIDENT back: it pages again from its first level."""
    act(config_path, "release", incident, person, output)
