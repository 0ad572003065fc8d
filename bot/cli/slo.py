"""`agentpager slo …`."""

from __future__ import annotations

import click

from bot.cli.slo_rules import command as rules


@click.group("slo")
def command() -> None:
    """Error budgets of agents."""


command.add_command(rules)
