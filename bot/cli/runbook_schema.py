"""`agentpager runbook schema`."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema (draft-07) of runbook/v1, for editors.

    `runbook new` puts it beside the runbooks, and names it in the first line of each file.
    """
    from bot.authoring.schema import schema_text

    click.echo(schema_text(), nl=False)
