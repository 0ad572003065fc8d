"""Memory of the pager and its watcher, idle with the demo's six agents, and how long the command line takes to start.

    python -m benchmarks.memory [--seconds N] [--starts N]

Starts `agentpager demo --no-open` in a temporary directory, waits, and reads /proc. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.processes import Usage, children, usage

START_SECONDS = 90.0
STOP_SECONDS = 20.0


async def idle(directory: Path, seconds: float) -> list[tuple[Usage, Usage]]:
    """Pager and watcher, each at the beginning and the end of the time."""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", "--no-open", "--dir", str(directory / "demo"),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        await asyncio.wait_for(_opened(demo), START_SECONDS)
        (pager,) = children(demo.pid)
        (watcher,) = children(pager)
        before = usage(pager), usage(watcher)
        await asyncio.sleep(seconds)
        return list(zip(before, (usage(pager), usage(watcher)), strict=True))
    finally:
        demo.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(demo.wait(), STOP_SECONDS)
        except TimeoutError:
            demo.kill()


async def _opened(demo: asyncio.subprocess.Process) -> None:
    assert demo.stdout is not None
    while line := await demo.stdout.readline():
        if line.startswith(b"Open http"):
            return
    raise SystemExit("the demo did not start")


def start_seconds(command: tuple[str, ...], starts: int) -> list[float]:
    """Wall time of whole processes; the first, which fills the file cache, is left out."""
    found = []
    for _ in range(starts + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - began)
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory when idle, and start times.")
    parser.add_argument("--seconds", type=float, default=60, help="to idle before measuring (default 60)")
    parser.add_argument("--starts", type=int, default=5, help="starts of each command (default 5)")
    options = parser.parse_args()
    print(describe())
    print(f"running the demo for about {options.seconds + 10:g} s", file=sys.stderr)
    with tempfile.TemporaryDirectory() as directory:
        rows = asyncio.run(idle(Path(directory), options.seconds))
        print(f"\nidle for {options.seconds:g} s with the demo's six agents:\n")
        print("| process | RSS MiB | PSS MiB | peak RSS MiB | CPU % of a core | threads |")
        print("| --- | --- | --- | --- | --- | --- |")
        for before, now in rows:
            cpu = 100 * (now.cpu_seconds - before.cpu_seconds) / options.seconds
            command = now.command.replace(directory, "…")
            print(f"| `{command}` | {_mib(now.rss)} | {_mib(now.pss)} | {_mib(now.peak)} | {cpu:.1f} | {now.threads} |")
        both = [sum(getattr(now, what) for _, now in rows) for what in ("rss", "pss")]
        print(f"| both | {_mib(both[0])} | {_mib(both[1])} | | | |")
    print("\n| command | seconds, median | min | max |\n| --- | --- | --- | --- |")
    bot = (sys.executable, "-m", "bot")
    commands = {"python -c pass": (sys.executable, "-c", "pass"), "agentpager --help": (*bot, "--help")}
    commands |= {f"agentpager {name} --help": (*bot, name, "--help") for name in ("serve", "check")}
    for shown, command in commands.items():
        taken = start_seconds(command, options.starts)
        print(f"| `{shown}` | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} |")


def _mib(kib: int) -> str:
    return f"{kib / 1024:.0f}"


if __name__ == "__main__":
    main()
