"""`agentpager slack …`."""

from __future__ import annotations

import click

from bot.cli.slack_manifest import command as manifest


@click.group("slack")
def command() -> None:
    """Things to set up on Slack's side."""


command.add_command(manifest, "manifest")
