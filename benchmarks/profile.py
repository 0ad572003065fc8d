"""Where the processor time of a round goes, by part of the product.

    python -m benchmarks.profile [--agents 1000] [--rules 1000] [--rounds 10] [--files]

A timer stops the round every millisecond of processor time and looks at what is being executed.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import tempfile
from collections import Counter
from concurrent.futures import Executor, Future
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.fleet import rules
from benchmarks.inside import ROUND_SECONDS, Inside, quiet
from benchmarks.report import Report, add_option

EVERY_SECONDS = 0.001
WARM_ROUNDS = 6
# The innermost file of ours on the stack decides, save that all below a function of OUTER belongs to its part.
OUTER = {
    "rules/record.py:__call__": "writing series",
    "rules/evaluate.py:_evaluation": "the update for the pager",
    "rounds.py:_line": "the update for the pager",
}
PARTS = {
    "reading samples": ("promql/select.py", "promql/block.py", "promql/store.py"),
    "windows: rate, increase, *_over_time": ("promql/rate.py", "promql/over_time.py", "promql/summing.py"),
    "aggregations": ("promql/aggregate.py",),
    "operators and vector matching": ("promql/binary.py", "promql/signatures.py", "promql/maths.py"),
    "quantiles of histograms": ("promql/histogram.py",),
    "vectors and their label sets": ("promql/value.py", "promql/space.py", "promql/strings.py"),
    "shared parts, pinned rules, plans": ("promql/",),
    "templates": ("rules/template.py", "rules/gofuncs.py", "humanize.py", "templating.py"),
    "alert state": ("rules/", "incidents/", "labels.py"),
    "the update for the pager": ("joint.py",),
    "the round itself": ("rounds.py", "watcher.py"),
}


class Inline(Executor):
    """Runs what it is given at once, so that everything happens in the thread that the timer stops."""

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args, **options))
        except BaseException as error:  # noqa: BLE001 - as an executor does
            done.set_exception(error)
        return done


class Sampler:
    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self.places: Counter[str] = Counter()

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
            frame = frame.f_back
        ours = [place for place in stack if "/bot/" in place or "/benchmarks/inside" in place]
        self.parts[part_of(ours)] += 1
        self.places[ours[0].rpartition("/bot/")[2] if ours else "elsewhere"] += 1


def part_of(stack: list[str]) -> str:
    """Innermost first."""
    for place in stack:
        for name, part in OUTER.items():
            if place.endswith(name):
                return part
    for place in stack:
        for part, names in PARTS.items():
            if any(name in place for name in names):
                return part
    return "elsewhere"


async def run(agents: int, count: int, rounds: int, *, files: bool) -> str:
    with tempfile.TemporaryDirectory() as directory:
        inside = Inside(Path(directory), agents, Inline())
        await inside.configure(rules(count, agents, ROUND_SECONDS))
        inside.fill(330)
        for _ in range(WARM_ROUNDS):
            await inside.round()
        sampler = Sampler()
        took = [await inside.round(sampler) for _ in range(rounds)]
        return table(sampler, took, inside, count, files=files)


def table(sampler: Sampler, took: list[float], inside: Inside, count: int, *, files: bool) -> str:
    total = sum(sampler.parts.values()) or 1
    median = statistics.median(took)
    lines = [
        f"{inside.series:,} series, {count:,} rules, {inside.alerts:,} alerts: {1000 * median:.0f} ms a round.",
        "",
    ]
    lines += ["| part | share | ms |", "| --- | --- | --- |"]
    for part, found in sampler.parts.most_common():
        lines.append(f"| {part} | {100 * found / total:.0f} % | {1000 * median * found / total:.1f} |")
    if files:
        lines += ["", "| function | share |", "| --- | --- |"]
        lines += [f"| {place} | {100 * n / total:.1f} % |" for place, n in sampler.places.most_common(40)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Where the time of a round goes.")
    parser.add_argument("--agents", type=int, default=1000, help="of a hundred series each (default 1000)")
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--files", action="store_true", help="also by function")
    add_option(parser)
    options = parser.parse_args()
    quiet()
    report = Report("profile", 1)
    found = asyncio.run(run(options.agents, options.rules, options.rounds, files=options.files))
    report.give_out(found, options)


if __name__ == "__main__":
    main()
