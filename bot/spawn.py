"""Starts the watcher's process. Imports next to nothing: both processes need a second to load, and do it side by side
when the command starts the watcher before it loads the pager."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

_LINE_LIMIT = 256 * 1024 * 1024
_PATIENCE = 10.0


async def watcher(config_path: Path | None = None) -> Process:
    """It ends when its input does, so one that nobody takes over is gone with whoever started it. With a path it reads
    the configuration beforehand, in case the one that it will be given is the same."""
    # -P: a folder named `bot` in the current directory is not ours.
    command = (sys.executable, "-P", "-m", "bot.watcher")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LINE_LIMIT)
    if config_path is not None and process.stdin is not None:
        request = {"kind": "request", "id": 0, "method": "prepare", "params": {"path": str(config_path)}}
        process.stdin.write(json.dumps(request).encode() + b"\n")
    return process


async def vouches(process: Process | None, digest: str) -> bool:
    """Whether the watcher has read the configuration of that digest beforehand and found no mistake in it. To be asked
    before anybody else reads what it says."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while process is not None and process.stdout is not None and (line := await process.stdout.readline()):
                message = json.loads(line)
                if message["kind"] == "reply":
                    return bool(message["result"]["sound"] == digest)
    except (TimeoutError, ValueError, KeyError, TypeError):
        pass  # it says something else, or nothing: the pager looks itself
    return False
