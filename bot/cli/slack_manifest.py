"""`agentpager slack manifest`: the app to paste at api.slack.com/apps."""

from __future__ import annotations

import click

from bot.errors import UsageError


@click.command("manifest")
@click.option("--mode", type=click.Choice(["socket", "http"]), default="socket", show_default=True)
@click.option("--url", default="", help="HTTP mode: where Slack reaches this server, https://pager.example.com")
@click.option("--name", default="agentpager", show_default=True, help="The app's name in Slack.")
def command(mode: str, url: str, name: str) -> None:
    """Print the manifest of the Slack app: scopes, events, command.

    Socket Mode needs no public address. Paste the output at https://api.slack.com/apps (Create New App, From a
    manifest); docs/slack.md has the rest of the way.
    """
    from bot.slack.manifest import manifest

    if mode == "http" and not url:
        raise click.UsageError("--mode http needs --url https://… : where Slack is to send clicks and commands")
    if mode == "socket" and url:
        raise click.UsageError("--url is for --mode http; in Socket Mode the server calls Slack, not the reverse")
    if not 0 < len(name) <= 35 or "\n" in name:
        raise click.UsageError("--name: Slack takes 1 to 35 characters")
    try:
        click.echo(manifest("http" if mode == "http" else "socket", url, name), nl=False)
    except UsageError as error:
        raise click.UsageError(f"--url: {error}") from None
