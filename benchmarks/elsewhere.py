"""What it costs to ask an engine elsewhere: rounds of one group of alerting rules, all asked of Debian's Prometheus.

    python -m benchmarks.elsewhere --rules 1000 --concurrency 10

Prints, for the fastest of a few rounds, how long it took and the processor time of both sides for a thousand rules.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from benchmarks.processes import binary, cpu_seconds, end, fetch, spawn, until
from bot.metrics.prometheus import Engine
from bot.promql import engine as here
from bot.promql.store import SeriesStore
from bot.rounds import Rounds
from bot.rules.asked import Asked
from bot.rules.evaluate import GroupState, Surroundings
from bot.rules.load import read
from bot.rules.record import StoreRecorder
from bot.settings import Prometheus
from tests.ports import free_port

ROUNDS = 5
EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Round:
    seconds: float
    ours: float  # processor seconds
    theirs: float


def rules(count: int, agents: int) -> str:
    """Half of them fire; each of those is about one agent."""
    made = [
        {"alert": f"A{number}", "expr": f'rate(bench_runs_total{{agent="a{number % agents}"}}[1m]) * {number} >= 0'}
        if number % 2
        else {"alert": f"A{number}", "expr": f'bench_errors{{agent="a{number % agents}"}} > {5 + number}'}
        for number in range(count)
    ]
    return json.dumps({"groups": [{"name": "g", "interval": "1m", "rules": made}]})


async def measured(count: int, agents: int, concurrency: int, rounds: int = ROUNDS) -> list[Round]:
    with tempfile.TemporaryDirectory() as name:
        home, port, pages = Path(name), free_port(), free_port()
        runner = await _pages(pages, agents)
        scrape = [{"job_name": "a", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{pages}"]}]}]
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": scrape}
        (home / "p.yml").write_text(json.dumps(config))
        command = (
            binary("prometheus", "PROMETHEUS"),
            f"--config.file={home}/p.yml",
            f"--storage.tsdb.path={home}/d",
            f"--web.listen-address=127.0.0.1:{port}",
        )
        process = await spawn(command, home / "log")
        url = f"http://127.0.0.1:{port}"
        engine = Engine(Prometheus.model_validate({"url": url, "concurrency": concurrency, "timeout": "30s"}), home)
        try:
            await until(lambda: _there(url, agents), "samples for a rate")
            group = _rounds(engine, rules(count, agents))
            return [await _round(group, process.pid) for _ in range(rounds)]
        finally:
            await engine.close()
            await end(process)
            await runner.cleanup()


async def _pages(port: int, agents: int) -> web.AppRunner:
    async def metrics(_: web.Request) -> web.Response:
        lines = [
            f'bench_runs_total{{agent="a{n}"}} {time.time() % 1e6}\nbench_errors{{agent="a{n}"}} 9'
            for n in range(agents)
        ]
        return web.Response(text="\n".join(lines) + "\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def _there(url: str, agents: int) -> bool:
    found = await fetch(f"{url}/api/v1/query?query=count(rate(bench_runs_total[1m]))")
    result = (found or {}).get("data", {}).get("result", [])  # while it starts it says something else
    return [float(one["value"][1]) for one in result] == [agents]


def _rounds(engine: Engine, text: str) -> Rounds:
    async def send(_: bytes) -> None:
        """Nobody is told."""

    store = SeriesStore(600)
    rounds = Rounds(here.Engine(store), lambda: datetime.now(UTC), send)
    querier = Asked(here.Engine(store))
    rounds.groups = {
        "g": GroupState(read(text, "r.yaml")[0], querier, StoreRecorder(store), Surroundings(asked_every=EVERY))
    }
    rounds.elsewhere = engine
    rounds.follow({"g": EVERY.total_seconds()})
    return rounds


async def _round(rounds: Rounds, pid: int) -> Round:
    began, ours, theirs = time.perf_counter(), time.process_time(), cpu_seconds(pid)
    await rounds.regular("g")
    if errors := {health.error for _, _, health in rounds.groups["g"].rules} - {""}:
        raise SystemExit(f"rules failed: {sorted(errors)[:3]}")
    return Round(time.perf_counter() - began, time.process_time() - ours, cpu_seconds(pid) - theirs)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rules", type=int, default=1000)
    options.add_argument("--agents", type=int, default=100)
    options.add_argument("--concurrency", type=int, default=10)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    given = options.parse_args()
    found = asyncio.run(measured(given.rules, given.agents, given.concurrency, given.rounds))
    best = min(found, key=lambda one: one.seconds)
    each = 1000 / given.rules
    print(f"{given.rules} rules, {given.concurrency} at a time: {best.seconds:.2f} s a round")
    ours, theirs = min(one.ours for one in found) * each, min(one.theirs for one in found) * each
    print(f"processor time for 1,000 rules: {ours:.2f} s here, {theirs:.2f} s in Prometheus")


if __name__ == "__main__":
    main()
