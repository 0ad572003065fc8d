"""What a round costs as rules and series grow: processor time of the watcher's own code, and memory a series.

    python -m benchmarks.growth [--svg docs/images/growth.svg] [--into docs/performance.md]

About five minutes. Every number of series gets a process of its own, so that memory can be told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fleet import rules
from benchmarks.inside import ROUND_SECONDS, Inside, quiet
from benchmarks.plot import Line, Panel, svg
from benchmarks.processes import usage
from benchmarks.report import Report, add_option

FILL_SECONDS = 330.0
FLEETS = (10, 30, 100, 300, 1000, 3000)
WARM_ROUNDS = 6


@dataclass(frozen=True)
class Point:
    """Times in seconds of processor time, `first` with loading the rules. `grown` is memory in bytes, of the series and
    their samples alone."""

    series: int
    rules: int
    first: float
    median: float
    worst: float
    alerts: int
    grown: int


async def measure(agents: int, counts: list[int], rounds: int) -> list[Point]:
    """One fleet under more and more rules."""
    with tempfile.TemporaryDirectory() as directory:
        inside = Inside(Path(directory), agents)
        await inside.configure([])
        before = usage(os.getpid()).rss
        inside.fill(FILL_SECONDS)
        grown = (usage(os.getpid()).rss - before) * 1024
        series = inside.series
        found = []
        for count in counts:
            loading = await inside.configure(rules(count, agents, ROUND_SECONDS))
            took = [await inside.round() for _ in range(WARM_ROUNDS + rounds)]
            warm = took[WARM_ROUNDS:]
            times = loading + took[0], statistics.median(warm), max(warm)
            found.append(Point(series, count, *times, inside.alerts, grown))
        return found


def apart(agents: int, counts: list[int], rounds: int) -> list[Point]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.growth",
        "--apart",
        "--fleets",
        str(agents),
        "--rounds",
        str(rounds),
        "--rules",
    ]
    done = subprocess.run([*command, *map(str, counts)], stdout=subprocess.PIPE, check=True)
    return [Point(**point) for point in json.loads(done.stdout)]


def table(found: list[Point]) -> str:
    columns = ("series", "rules", "alerts", "round", "worst", "loading and first round", "a rule", "memory a series")
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for point in found:
        times = " | ".join(f"{1000 * seconds:.1f} ms" for seconds in (point.median, point.worst, point.first))
        each = f"{1e6 * point.median / point.rules:.0f} µs | {point.grown / point.series:.0f} B"
        lines.append(f"| {point.series:,} | {point.rules:,} | {point.alerts:,} | {times} | {each} |")
    return "\n".join(lines)


def drawing(by_rules: list[Point], by_series: list[Point]) -> str:
    many = f"{by_rules[0].series:,} series"
    return svg(
        [
            Panel(
                f"A round over {many}", "rules", "ms of processor time",
                [Line(many, [(point.rules, 1000 * point.median) for point in by_rules])],
            ),
            Panel(
                f"A round of {by_series[0].rules:,} rules", "series", "ms of processor time",
                [Line("", [(point.series, 1000 * point.median) for point in by_series])],
            ),
            Panel(
                "Memory of the series and their samples", "series", "MiB",
                [Line("", [(point.series, point.grown / 2**20) for point in by_series])],
            ),
        ]
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="What a round costs as rules and series grow.")
    parser.add_argument(
        "--fleets", type=int, nargs="+", default=FLEETS, help="numbers of agents, a hundred series each"
    )
    parser.add_argument("--rounds", type=int, default=7, help="to time at each point (default 7)")
    parser.add_argument("--svg", type=Path, help="draw the lines there")
    parser.add_argument("--apart", action="store_true", help="print the points of one fleet as JSON, nothing else")
    parser.add_argument("--rules", type=int, nargs="+", default=[10, 30, 100, 300, 1000], help="numbers of rules")
    add_option(parser)
    options = parser.parse_args()
    quiet()
    if options.apart:
        points = asyncio.run(measure(options.fleets[0], options.rules, options.rounds))
        print(json.dumps([asdict(point) for point in points]))
        return
    report = Report("growth", 5)
    most, fleets = max(options.rules), sorted(options.fleets)
    middle = fleets[-2 if len(fleets) > 1 else -1]
    by_rules = apart(middle, options.rules, options.rounds)
    same = [point for point in by_rules if point.rules == most]
    by_series = [*(apart(agents, [most], options.rounds)[0] for agents in fleets if agents != middle), *same]
    by_series.sort(key=lambda point: point.series)
    report.give_out(f"{table(by_rules)}\n\n{table(by_series)}", options)
    if options.svg:
        options.svg.write_text(drawing(by_rules, by_series))


if __name__ == "__main__":
    main()
