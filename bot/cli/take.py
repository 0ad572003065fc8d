"""`agentpager take ID`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option


@click.command("take")
@click.argument("incident")
@click.option(
    "--as", "person", metavar="PERSON", help="Act for this person of oncall/; otherwise as the user of this machine."
)
@config_option
@output_option
def command(incident: str, person: str | None, config_path: Path, output: str) -> None:
    """Take INCIDENT over from whoever has it; they are told. Where nobody has it this is an ack."""
    act(config_path, "take", incident, person, output)
