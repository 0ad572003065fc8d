"""`agentpager resolve ID`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option


@click.command("resolve")
@click.argument("incident")
@click.option(
    "--as", "person", metavar="PERSON", help="Act for this person of oncall/; otherwise as the user of this machine."
)
@config_option
@output_option
def command(incident: str, person: str | None, config_path: Path, output: str) -> None:
    """Close INCIDENT. While its alerts still fire it is watched, and opens again after the ack timeout."""
    act(config_path, "resolve", incident, person, output)
