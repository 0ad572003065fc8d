"""`agentpager demo`: everything at once on this machine, nothing to set up."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import CONFIG_ERROR, stop

if TYPE_CHECKING:
    from bot.demo.show import Options

DIED = 1


@click.command("demo")
@click.option(
    "--port", default=8080, show_default=True, help="Port of the page; another one is taken when it is in use."
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".agentpager-demo"),
    show_default=True,
    help="Where the demo's configuration, database and log go. Written anew at each start.",
)
@click.option(
    "--mode",
    type=click.Choice(["socket", "http"]),
    default="socket",
    show_default=True,
    help="How the workspace reaches the bot.",
)
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@click.option(
    "--only-agents",
    metavar="HOST",
    help="Only the agents and their model gateway, listening there, for a bot elsewhere.",
)
def command(port: int, directory: Path, mode: str, no_open: bool, only_agents: str | None) -> None:
    """Six simulated agents, a local Slack-like workspace and the bot. Runs until Ctrl-C."""
    from bot.demo.configuration import NotOursError
    from bot.demo.show import Options, ShowError, agents_alone
    from bot.errors import ConfigError

    if only_agents is not None:
        try:
            asyncio.run(agents_alone(only_agents, click.echo))
        except OSError as error:
            stop(str(error), CONFIG_ERROR)
        return
    options = Options(port, directory, "http" if mode == "http" else "socket")
    try:
        asyncio.run(_perform(options, open_browser=not no_open))
    except (NotOursError, ConfigError, OSError) as error:
        stop(str(error), CONFIG_ERROR)
    except ShowError as error:
        stop(str(error), DIED)


async def _perform(options: Options, *, open_browser: bool) -> None:
    from bot.demo.show import Show

    def ready(url: str) -> None:
        click.secho(f"\nOpen {url}", bold=True)
        click.echo("Break an agent on the right, act as any of the people at the top. Ctrl-C ends everything.\n")
        if open_browser and _has_screen():
            webbrowser.open(url)

    await Show(options, lambda line: click.echo(f"· {line}")).perform(ready)


def _has_screen() -> bool:
    """Without one, `webbrowser` may take over the terminal with a text browser."""
    if not sys.stdout.isatty():
        return False
    return sys.platform == "darwin" or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))
