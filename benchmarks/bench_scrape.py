"""What one sample of a scraped page costs: first reading, unchanged layout, and prometheus_client's parser beside it.

    python benchmarks/bench_scrape.py --pages 200 --samples 100

Pages look like an agent's: two comment lines and a few labels per metric. Prints nanoseconds of CPU per sample, the
best of nine rounds, for reading alone and for reading and writing to the series store.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics.layout import Layout
from bot.metrics.naming import Naming
from bot.promql.store import SeriesStore
from bot.settings import ScrapeLimits


def page(samples: int, offset: float) -> bytes:
    """`offset` changes every value; 0 and 0 make equal pages."""
    lines: list[str] = []
    for number in range(samples):
        name = f"agent_tool_calls_{number // 25}_total"
        if number % 25 == 0:
            lines += [f"# HELP {name} Calls of tools by outcome.", f"# TYPE {name} counter"]
        lines.append(f'{name}{{agent="refund-agent",tool="lookup_{number % 25}",outcome="ok"}} {number * 1.5 + offset}')
    return ("\n".join(lines) + "\n").encode()


def best(work: Callable[[], object], samples: int) -> float:
    rounds = []
    for _ in range(9):
        begun = time.process_time()
        work()
        rounds.append(time.process_time() - begun)
    return min(rounds) / samples * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--samples", type=int, default=100)
    options = parser.parse_args()
    total = options.pages * options.samples
    bodies = [page(options.samples, offset) for offset in (1.0, 2.0)]
    store = SeriesStore(600)
    layouts = [
        Layout(Naming(labels={"job": "agents", "instance": f"h{n}:1"}, limits=ScrapeLimits()), store.intern)
        for n in range(options.pages)
    ]
    turn = 0

    def read_first() -> None:
        for layout in layouts:
            layout.forget()
            layout.read(bodies[0], "text/plain")

    def read_same() -> None:
        for layout in layouts:
            layout.read(bodies[0], "text/plain")

    def read_changed() -> None:
        nonlocal turn
        turn += 1
        for layout in layouts:
            layout.read(bodies[turn % 2], "text/plain")

    def read_and_write() -> None:
        nonlocal turn
        turn += 1
        for number, layout in enumerate(layouts):
            reading = layout.read(bodies[turn % 2], "text/plain")
            store.append(str(number), float(turn), reading.ids, reading.values)

    def peer() -> None:
        for _ in range(options.pages):
            np.array([s.value for family in text_string_to_metric_families(bodies[0].decode()) for s in family.samples])

    for name, work in [
        ("first reading, every line by its grammar", read_first),
        ("unchanged layout, no value changed", read_same),
        ("unchanged layout, every value changed", read_changed),
        ("the same, and written to the store", read_and_write),
        ("prometheus_client", peer),
    ]:
        print(f"{name:45} {best(work, total):10.0f} ns/sample")


if __name__ == "__main__":
    main()
