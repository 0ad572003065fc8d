"""`agentpager snooze ID`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option, person_option, server_option


@click.command("snooze")
@click.argument("incident")
@click.option("--until", metavar="TIME", help="09:00 is the next one, 2026-12-24T09:00 that day; UTC without --as.")
@click.option("--for", "lasts", metavar="DURATION", help="How long, for example 2h.")
@person_option
@server_option
@config_option
@output_option
def command(
    incident: str, until: str | None, lasts: str | None, person: str | None, config_path: Path, output: str
) -> None:
    """Have INCIDENT and hear nothing of it until a time, at most 7 days; something worse wakes at once."""
    if (until is None) == (lasts is None):
        raise click.UsageError("say until when: give --for 2h or --until 09:00, not both")
    more = {"until": until} if until is not None else {"for": lasts or ""}
    act(config_path, "snooze", incident, person, output, more)
