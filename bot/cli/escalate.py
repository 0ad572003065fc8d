"""`agentpager escalate ID`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option


@click.command("escalate")
@click.argument("incident")
@click.option(
    "--as", "person", metavar="PERSON", help="Act for this person of oncall/; otherwise as the user of this machine."
)
@config_option
@output_option
def command(incident: str, person: str | None, config_path: Path, output: str) -> None:
    """Page the next level of INCIDENT now, even if somebody has it."""
    act(config_path, "escalate", incident, person, output)
