"""`agentpager runbook …`: for those who write runbooks. Each command is a module, imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "lint": "runbook_lint",
    "preview": "runbook_preview",
    "test": "runbook_test",
    "new": "runbook_new",
    "import": "runbook_import",
    "schema": "runbook_schema",
    "usage": "runbook_usage",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"bot.cli.{_COMMANDS[cmd_name]}").command
        return command


@click.group("runbook", cls=_Lazy)
def command() -> None:
    """Write runbooks: begin one, see it as Slack will show it, find what it lacks."""
