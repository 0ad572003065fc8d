"""`agentpager ack ID`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option


@click.command("ack")
@click.argument("incident")
@click.option(
    "--as", "person", metavar="PERSON", help="Act for this person of oncall/; otherwise as the user of this machine."
)
@config_option
@output_option
def command(incident: str, person: str | None, config_path: Path, output: str) -> None:
    """Take INCIDENT (INC-7, 7, or an agent with one open incident): its escalation stops."""
    act(config_path, "ack", incident, person, output)
