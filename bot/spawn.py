"""Starts the watcher's process. Imports next to nothing: both processes need a second to load, and do it side by side
when the command starts the watcher before it loads the pager."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

_LINE_LIMIT = 256 * 1024 * 1024


async def watcher() -> Process:
    """It ends when its input does, so one that nobody takes over is gone with whoever started it."""
    # -P: a folder named `bot` in the current directory is not ours.
    command = (sys.executable, "-P", "-m", "bot.watcher")
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LINE_LIMIT)
