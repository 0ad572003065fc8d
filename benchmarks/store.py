"""Memory of the sample store: a process that keeps an hour of the fleet, beside what it took before the first sample.

    python -m benchmarks.store [--agents 1000] [--hours 1] [--interval 15]

About half a minute for the usual 100,000 series. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks.fleet import rules
from benchmarks.inside import ROUND_SECONDS, Inside, quiet
from benchmarks.processes import usage
from benchmarks.report import Report, add_option


async def run(agents: int, hours: float, interval: float) -> str:
    with tempfile.TemporaryDirectory() as directory:
        inside = Inside(Path(directory), agents)
        await inside.configure(rules(13, agents, ROUND_SECONDS))
        inside.keep_all(3600 * hours)
        before = usage(os.getpid()).rss
        inside.fill(3600 * hours, interval)
        now = usage(os.getpid())
    samples = inside.series * round(3600 * hours / interval)
    grown = (now.rss - before) * 1024
    columns = ("series", "samples", "before", "after", "peak", "a series", "a sample")
    head = f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|"
    mib = " | ".join(f"{kib / 1024:.0f} MiB" for kib in (before, now.rss, now.peak))
    return (
        f"{head}\n| {inside.series:,} | {samples:,} | {mib} | {grown / inside.series:.0f} B | {grown / samples:.1f} B |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of an hour of samples.")
    parser.add_argument("--agents", type=int, default=1000, help="of a hundred series each (default 1000)")
    parser.add_argument("--hours", type=float, default=1)
    parser.add_argument("--interval", type=float, default=15, help="seconds between scrapes (default 15)")
    add_option(parser)
    options = parser.parse_args()
    quiet()
    report = Report("store", options.agents * options.hours / options.interval * 15 / 1000 / 2)
    report.give_out(asyncio.run(run(options.agents, options.hours, options.interval)), options)


if __name__ == "__main__":
    main()
