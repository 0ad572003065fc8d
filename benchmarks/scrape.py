"""What scraping alone costs: ours beside Prometheus and VictoriaMetrics, all scraping the same fleet at the same time.

    python -m benchmarks.scrape [--agents 1000] [--interval 5] [--warm 60] [--seconds 120]

Four minutes for the usual 1,000 targets with 100,000 series.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.engines import Engine, FleetProcess, Prometheus, made, used
from benchmarks.inside import quiet
from benchmarks.processes import together, until, usage
from benchmarks.report import Report, add_option


@dataclass(frozen=True)
class Cost:
    engine: str
    version: str
    cores: float
    rss: float
    peak: float


async def run(
    directory: Path, only: list[str], agents: int, interval: float, warm: float, seconds: float
) -> list[Cost]:
    fleet = FleetProcess(directory, agents)
    await fleet.start()
    engines = made(only, directory, fleet.port)
    try:
        for engine in engines:
            await engine.start(fleet.targets, interval)
        for engine in engines:
            await until(partial(complete, engine, agents), f"{engine.name} scrapes all", 60 + 5 * interval)
        await asyncio.sleep(warm)
        before = {engine.name: used(engine) for engine in engines}
        await asyncio.sleep(seconds)
        return [cost(engine, (used(engine) - before[engine.name]) / seconds) for engine in engines]
    finally:
        for engine in engines:
            await engine.stop()
        await fleet.stop()


async def complete(engine: Engine, agents: int) -> bool:
    return await engine.targets_up() >= agents


def cost(engine: Engine, cores: float) -> Cost:
    now = [usage(pid) for pid in engine.processes]
    return Cost(engine.name, engine.version, cores, sum(u.rss for u in now) / 1024, sum(u.peak for u in now) / 1024)


def table(found: list[Cost]) -> str:
    lines = ["| | cores | of Prometheus' | RSS | peak |", "| --- " * 5 + "|"]
    reference = next((cost for cost in found if cost.engine == Prometheus.name), found[0])
    for cost in found:
        cells = f"{cost.cores:.3f} | {cost.cores / max(reference.cores, 1e-9):.2f}"
        lines.append(f"| {cost.engine} {cost.version} | {cells} | {cost.rss:.0f} MiB | {cost.peak:.0f} MiB |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="What scraping costs: ours, Prometheus, VictoriaMetrics.")
    parser.add_argument("--agents", type=int, default=1000, help="of a hundred series each (default 1000)")
    parser.add_argument("--interval", type=float, default=5, help="seconds between scrapes (default 5)")
    parser.add_argument("--warm", type=float, default=60, help="seconds before measuring (default 60)")
    parser.add_argument("--seconds", type=float, default=120, help="to measure (default 120)")
    parser.add_argument("--only", nargs="+", default=["prometheus", "victoria", "ours"], metavar="ENGINE")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    add_option(parser)
    options = parser.parse_args()
    quiet()
    report = Report("scrape", (options.warm + options.seconds + 20) / 60)
    with tempfile.TemporaryDirectory() as directory:
        asked = (options.only, options.agents, options.interval, options.warm, options.seconds)
        found = together(run(Path(directory), *asked))
    report.give_out(f"{options.agents * 100:,} series every {options.interval:g} s:\n\n{table(found)}", options)
    if options.json:
        options.json.write_text(json.dumps([asdict(cost) for cost in found], indent=1))


if __name__ == "__main__":
    main()
