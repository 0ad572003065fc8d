"""`agentpager serve`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bot.cli.common import CONFIG_ERROR, config_option, stop


@click.command("serve")
@config_option
def command(config_path: Path) -> None:
    """Watch the agents and page their owners, until SIGINT or SIGTERM. SIGHUP reads the configuration again."""
    from bot.errors import ConfigError, UsageError

    try:
        asyncio.run(_serve(config_path))
    except ConfigError as error:
        stop(f"the configuration cannot be used:\n{error}", CONFIG_ERROR)
    except (UsageError, OSError) as error:
        stop(str(error), CONFIG_ERROR)


async def _serve(config_path: Path) -> None:
    """The watcher loads on another core while the pager loads here."""
    from bot import garbage, spawn

    watcher = await spawn.watcher(config_path)
    try:
        with garbage.let_lie():
            from bot import logs
            from bot.app import serve
        logs.set_up("pager")
        await serve(config_path, watcher)
    finally:
        if watcher.returncode is None:
            watcher.kill()
            await watcher.wait()
