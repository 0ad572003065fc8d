"""Rounds of rules over a scraped fleet: ours beside Prometheus and VictoriaMetrics with vmalert.

    python -m benchmarks.rules [--agents 1000] [--rules 1000 100] [--quick] [--into docs/performance.md]

All engines scrape the same fleet all the time. Then each in turn is given the rules, and its rounds are timed while the
others only go on scraping. Each says by its own metric how long a round took; processor time is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.engines import Alerts, Engine, FleetProcess, Ours, Prometheus, made, used
from benchmarks.fleet import LONGEST_HOLD, rules
from benchmarks.inside import quiet
from benchmarks.processes import forget_peak, peak_mib, together
from benchmarks.report import Report, add_option

POLL_SECONDS = 0.5
WARM_ROUNDS = LONGEST_HOLD + 2
IDLE_SECONDS = 60.0  # of the fill, to see what scraping alone costs


@dataclass(frozen=True)
class Plan:
    agents: int
    rules: tuple[int, ...]
    scrape: float
    interval: float
    fill: float
    rounds: int
    distinct: bool
    only: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it will take at most, if no round overruns its interval."""
        each = (WARM_ROUNDS + self.rounds + 1) * self.interval + 10
        return 30 + self.fill + len(self.only) * len(self.rules) * each


QUICK: dict[str, Any] = {"agents": 100, "rules": (1000,), "scrape": 1.0, "interval": 10.0, "fill": 90.0, "rounds": 4}
FULL: dict[str, Any] = {
    "agents": 1000,
    "rules": (1000, 100),
    "scrape": 5.0,
    "interval": 30.0,
    "fill": 345.0,
    "rounds": 5,
}


@dataclass(frozen=True)
class Result:
    """Times in seconds, memory in MiB; `cores` with the rules, `idle_cores` while only scraping, `between_cores` for
    looks between rounds, which are in `cores` and not in `cpu_a_round`."""

    engine: str
    version: str
    rules: int
    series: int
    rounds: tuple[float, ...]
    cores: float
    idle_cores: float
    cpu_a_round: float
    between_cores: float
    peak: float
    alerts: int
    same_as_prometheus: bool | None = None
    first_seconds: float | None = None
    longest_pause: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


async def run(plan: Plan, directory: Path) -> list[Result]:
    fleet = FleetProcess(directory, plan.agents)
    await fleet.start()
    engines = made(plan.only, directory, fleet.port)
    found: list[Result] = []
    try:
        for engine in engines:
            await engine.start(fleet.targets, plan.scrape)
        idle = await filled(plan, engines)
        for count in plan.rules:
            measured = [await measure(plan, engine, count, idle[engine.name]) for engine in engines]
            found += compared(measured)
    finally:
        for engine in engines:
            await engine.stop()
        await fleet.stop()
    return found


async def filled(plan: Plan, engines: list[Engine]) -> dict[str, float]:
    """Waits until the windows hold samples. Cores that each engine takes for scraping, at the end of that time."""
    begun = time.monotonic()
    idle = min(IDLE_SECONDS, plan.fill / 2)
    await asyncio.sleep(max(0.0, plan.fill - idle))
    for engine in engines:
        while (up := await engine.targets_up()) < plan.agents:
            if time.monotonic() - begun > 2 * plan.fill + 60:
                raise SystemExit(f"{engine.name} scrapes only {up} of {plan.agents} targets")
            await asyncio.sleep(1)
    before = {engine.name: used(engine) for engine in engines}
    await asyncio.sleep(idle)
    return {engine.name: (used(engine) - before[engine.name]) / idle for engine in engines}


async def measure(plan: Plan, engine: Engine, count: int, idle_cores: float) -> tuple[Result, Alerts]:
    print(f"{count} rules on {engine.name}", file=sys.stderr)
    for pid in engine.processes:
        forget_peak(pid)
    await engine.load(rules(count, plan.agents, plan.interval, distinct=plan.distinct), plan.interval)
    first_seconds = engine.first_seconds if isinstance(engine, Ours) else None
    for _ in range(WARM_ROUNDS):
        await next_round(plan, engine)
    begun, cpu, evaluated = time.monotonic(), used(engine), rule_seconds(engine)
    took = [await next_round(plan, engine) for _ in range(plan.rounds)]
    passed, cpu = time.monotonic() - begun, used(engine) - cpu
    between = max(0.0, rule_seconds(engine) - evaluated - sum(took)) if isinstance(engine, Ours) else 0.0
    alerts = await engine.alerts()
    result = Result(
        engine=engine.name,
        version=engine.version,
        rules=count,
        series=plan.agents * 100,
        rounds=tuple(took),
        cores=cpu / passed,
        idle_cores=idle_cores,
        cpu_a_round=max(0.0, cpu - idle_cores * passed - between) / plan.rounds,
        between_cores=between / passed,
        peak=sum(peak_mib(pid) for pid in engine.processes),
        alerts=len(alerts),
        first_seconds=first_seconds,
        longest_pause=engine.longest_pause if isinstance(engine, Ours) else None,
    )
    await engine.unload()
    return result, alerts


def rule_seconds(engine: Engine) -> float:
    return engine.rule_seconds if isinstance(engine, Ours) else 0.0


async def next_round(plan: Plan, engine: Engine) -> float:
    """Seconds that it took, as soon as it is over."""
    deadline = time.monotonic() + max(120.0, 20 * plan.interval)
    before, _ = await engine.last_round()
    while time.monotonic() < deadline:
        mark, seconds = await engine.last_round()
        if mark != before and mark:
            return seconds
        await asyncio.sleep(POLL_SECONDS)
    raise SystemExit(f"waited in vain for {engine.name} to evaluate its rules")


def compared(measured: list[tuple[Result, Alerts]]) -> list[Result]:
    reference = next((alerts for result, alerts in measured if result.engine == Prometheus.name), None)
    if reference is None:
        return [result for result, _ in measured]
    for result, alerts in measured:
        show_difference(result.engine, alerts, reference)
    return [replace(result, same_as_prometheus=alerts == reference) for result, alerts in measured]


def show_difference(name: str, alerts: Alerts, reference: Alerts) -> None:
    for what, some in (("only", alerts - reference), ("not", reference - alerts)):
        for labels, state in list(some)[:3]:
            print(f"{what} at {name}: {state} {dict(sorted(labels))} and {len(some) - 1} others", file=sys.stderr)


def table(found: list[Result]) -> str:
    columns = ("rules × series", "", "round, median (min–max)", "×", "CPU a round", "×", "cores (only scraping)")
    lines = [f"| {' | '.join(columns)} | peak RSS | alerts |", "| --- " * 9 + "|"]
    for result in found:
        reference = next((r for r in found if r.engine == Prometheus.name and r.rules == result.rules), None)
        same = {None: "", True: "", False: " (not the same)"}[result.same_as_prometheus]
        cells = [
            f"{result.rules:,} × {result.series:,}",
            f"{result.engine} {result.version}".strip(),
            f"{result.median:.3f} s ({min(result.rounds):.3f}–{max(result.rounds):.3f})",
            ratio(reference, result, "median"),
            f"{result.cpu_a_round:.3f} s",
            ratio(reference, result, "cpu_a_round"),
            f"{result.cores:.2f} ({result.idle_cores:.2f})",
            f"{result.peak:.0f} MiB",
            f"{result.alerts:,}{same}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for result in found:
        if result.first_seconds is not None:
            told = [f"{result.first_seconds:.2f} s from reload to first update"]
            told += [f"longest pause of its loop {1000 * (result.longest_pause or 0):.0f} ms"]
            told += [f"looks between rounds {result.between_cores:.2f} cores"]
            lines.append(f"\n{result.engine}, {result.rules:,} rules: {', '.join(told)}.")
    return "\n".join(lines)


def ratio(reference: Result | None, result: Result, what: str) -> str:
    if reference is None or not getattr(result, what):
        return ""
    return f"{getattr(reference, what) / getattr(result, what):.1f}"


def parsed() -> tuple[Plan, argparse.Namespace]:
    parser = argparse.ArgumentParser(description="Rounds of rules: ours, Prometheus, VictoriaMetrics with vmalert.")
    parser.add_argument("--quick", action="store_true", help="10,000 series and 1,000 rules, in about six minutes")
    parser.add_argument("--agents", type=int, help="of a hundred series each (default 1000)")
    parser.add_argument("--rules", type=int, nargs="+", help="one measurement for each number (default 1000 100)")
    parser.add_argument("--scrape", type=float, help="seconds between scrapes (default 5)")
    parser.add_argument("--interval", type=float, help="seconds between rounds (default 30)")
    parser.add_argument("--fill", type=float, help="seconds of scraping before the first measurement (default 345)")
    parser.add_argument("--rounds", type=int, help="to time of each (default 5)")
    parser.add_argument("--distinct", action="store_true", help="no two rules share a window, so none shares any work")
    parser.add_argument("--only", nargs="+", default=["prometheus", "victoria", "ours"], metavar="ENGINE")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--keep", type=Path, help="put configurations and logs there and leave them")
    add_option(parser)
    options = parser.parse_args()
    chosen = QUICK if options.quick else FULL
    values = {name: usual if (given := getattr(options, name)) is None else given for name, usual in chosen.items()}
    plan = Plan(**values | {"rules": tuple(values["rules"])}, distinct=options.distinct, only=tuple(options.only))
    return plan, options


def main() -> None:
    plan, options = parsed()
    quiet()
    report = Report("rules", plan.seconds / 60)
    with tempfile.TemporaryDirectory() as scratch:
        directory = (options.keep or Path(scratch)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        found = together(run(plan, directory))
    report.give_out(table(found), options)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in found], indent=1))


if __name__ == "__main__":
    main()
