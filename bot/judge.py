"""Asks a child process what nobody vouches for: a bomb in somebody's files, or a long computation, harms only that.

The child is bot/checker.py; this side stays out of what is asked.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bot.errors import RemoteError

SECONDS = 60.0


async def ask(question: dict[str, Any], seconds: float = SECONDS) -> Any:
    """The child's answer; `question["ask"]` names what is wanted. Raises RemoteError when there is none in time."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bot.checker", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(json.dumps(question).encode()), seconds)
    except TimeoutError:
        raise RemoteError(f"checking it takes longer than {seconds:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise RemoteError(f"the process that checked it ended with code {child.returncode}")
    return json.loads(output)
