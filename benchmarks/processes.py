"""Starting, watching and ending the processes that are measured. None outlives the benchmark, however that ends."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import ClientError, ClientSession

T = TypeVar("T")

READY_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Usage:
    """In KiB. PSS counts a page that two processes share half for each, so sums of it are true."""

    command: str
    rss: int
    pss: int
    peak: int
    cpu_seconds: float
    threads: int


def usage(pid: int) -> Usage:
    process = Path(f"/proc/{pid}")
    status = _fields((process / "status").read_text())
    rollup = _fields((process / "smaps_rollup").read_text().partition("\n")[2])
    words = (process / "cmdline").read_bytes().rstrip(b"\0").decode().split("\0")
    command = " ".join([Path(words[0]).name, *words[1:]])
    return Usage(command, status["VmRSS"], rollup["Pss"], status["VmHWM"], cpu_seconds(pid), status["Threads"])


def cpu_seconds(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    return _fields(Path(f"/proc/{pid}/status").read_text())["VmHWM"] / 1024


def forget_peak(pid: int) -> None:
    """The peak starts anew at what is held now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _fields(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()}


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def binary(name: str, variable: str) -> str:
    """The path of a program: what the environment variable names, else what is installed."""
    found = shutil.which(os.environ.get(variable) or name)
    if found is None:
        raise SystemExit(
            f"{name} is not installed (Debian: apt install {name}); or name another one by {variable}=PATH"
        )
    return found


async def spawn(command: tuple[str, ...], log: Path) -> asyncio.subprocess.Process:
    with log.open("wb") as file:
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=die_with_parent
        )


def die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def end(process: asyncio.subprocess.Process | None) -> None:
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 15)
    except TimeoutError:
        process.kill()
        await process.wait()


async def fetch(url: str) -> Any:
    """The JSON there, or None while nobody answers."""
    try:
        async with ClientSession() as session, session.get(url) as answer:
            return await answer.json(content_type=None)
    except (ClientError, OSError, ValueError):
        return None


async def text(url: str, method: str = "GET") -> str:
    """The body there, or nothing while nobody answers."""
    try:
        async with ClientSession() as session, session.request(method, url) as answer:
            return await answer.text() if answer.status == 200 else ""
    except (ClientError, OSError):
        return ""


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = READY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s in vain until {what}")
        await asyncio.sleep(0.2)


def together(main: Coroutine[Any, Any, T]) -> T:
    """Runs it so that a polite end, too, stops every process that it started."""

    async def inner() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await main

    return asyncio.run(inner())
