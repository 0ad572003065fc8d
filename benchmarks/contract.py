"""Series and memory of one agent at the bounds of the `agent_*` contract, with the whole shipped catalogue loaded.

    python -m benchmarks.contract [--agents 50] [--minutes 60] [--interval 15] [--into docs/performance.md]

An agent is `bot.instrument.AgentMetrics` with as many tasks, models, tools, datasets… as the contract allows. Its page
is read as a scrape reads it and written to the watcher's store at every interval. Each size has its own process.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.processes import usage
from benchmarks.report import Report, add_option
from bot.instrument import LAYERS, LIMITS, AgentMetrics
from bot.metrics.layout import Layout
from bot.metrics.naming import Naming
from bot.promql.store import SeriesStore
from bot.rules.load import builtin, read, required_metrics
from bot.runbooks.lint import queries
from bot.runbooks.model import Runbook
from bot.settings import Query, ScrapeLimits
from bot.yamldoc import parse

ROOT = Path(__file__).parents[1]
START = 1_795_000_000.0
TEXT = "text/plain; version=0.0.4"
# One less than the bound: "other" is there as well.
TASKS, MODELS, TOOLS, DATASETS, CREDENTIALS, QUEUES, SUITES = 19, 3, 29, 10, 10, 5, 5
CORE = (
    "agent_runs_total",
    "agent_run_duration_seconds",
    "agent_last_success_timestamp_seconds",
    "agent_llm_calls_total",
    "agent_tokens_total",
    "agent_cost_usd_total",
    "agent_tool_calls_total",
)


@dataclass(frozen=True)
class Size:
    title: str
    everything: bool
    layers: tuple[str, ...]


SIZES = (
    Size("core", everything=False, layers=LAYERS[:1]),
    Size("core, three layers a tool", everything=False, layers=LAYERS),
    Size("everything", everything=True, layers=LAYERS[:1]),
    Size("everything, three layers a tool", everything=True, layers=LAYERS),
)


def page(size: Size) -> bytes:
    """What the agent exposes, without `_created`, which is dropped at the scrape unless asked for."""
    registry = CollectorRegistry()
    metrics = AgentMetrics(
        _names("task", TASKS),
        _names("model", MODELS),
        _names("tool", TOOLS),
        layers=size.layers,
        datasets=_names("dataset", DATASETS),
        actions=("write", "external"),
        registry=registry,
    )
    for task in (*_names("task", TASKS), "other"):
        with metrics.run(task):
            pass
    for name in (*_names("tool", 9), "other"):
        metrics.circuit(0, tool=name)
    for number in range(CREDENTIALS):
        metrics.credential(START + 1e6, credential=f"credential-{number}")
    for name in _names("dataset", DATASETS):
        metrics.data_refreshed(START, dataset=name)
    for name in _names("queue", QUEUES):
        metrics.handoff_queue(name, 0)
    for name in _names("suite", SUITES):
        metrics.evaluated(name, 0.9, {1: 0.9, 8: 0.8})
    for limit in LIMITS:
        metrics.limit_exceeded(limit=limit)
    metrics.pending(0)
    metrics.checkpoint_saved(START)
    metrics.gauge("agent_info", 1, version="1", model="model-0", framework="own")
    lines = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    if not size.everything:
        lines = [line for line in lines if line.removeprefix("# TYPE ").removeprefix("# HELP ").startswith(CORE)]
    return ("\n".join(lines) + "\n").encode()


def _names(what: str, count: int) -> list[str]:
    return [f"{what}-{number}" for number in range(count)]


def catalogue() -> dict[str, float]:
    """Metric → seconds of it that the shipped rules and runbooks need."""
    groups = [group for path in sorted((ROOT / "alerts").glob("*.yaml")) for group in read(path.read_text(), path.name)]
    runbooks = [
        parse(path.read_text(), path.name).validate(Runbook) for path in sorted((ROOT / "runbooks").glob("*.yaml"))
    ]
    needs = required_metrics((*groups, *builtin()), queries(runbooks), history=Query().history)
    assert needs.names is not None
    return needs.names


@dataclass(frozen=True)
class Found:
    exposed: int
    read: int  # by a rule or a check of a runbook
    bytes_of_samples: float
    bytes_resident: float


def measure(size: Size, agents: int, minutes: float, interval: float, needs: dict[str, float]) -> Found:
    body = page(size)
    gc.collect()
    before = usage(os.getpid()).rss
    store = SeriesStore(600.0)
    store.set_retention(600.0, needs)
    rows = []
    for number in range(agents):
        labels = {
            "agent": f"agent-{number}",
            "env": "prod",
            "job": "agents",
            "instance": f"10.0.{number // 256}.{number % 256}:9",
        }
        layout = Layout(Naming(labels, ScrapeLimits()), store.intern)
        reading = layout.read(body, TEXT)
        rows.append((f"agent-{number}", layout, reading.ids, reading.values))
    random = np.random.default_rng(1)
    for turn in range(int(minutes * 60 / interval)):
        for name, _, ids, values in rows:
            store.append(name, START + turn * interval, ids, values + turn * random.integers(0, 3, len(values)))
    gc.collect()
    names = [line.partition("{")[0].split(" ")[0] for line in body.decode().splitlines() if not line.startswith("#")]
    used = (usage(os.getpid()).rss - before) * 1024
    return Found(len(names), sum(name in needs for name in names), store.bytes_used / agents, used / agents)


def table(found: Sequence[tuple[Size, Found]]) -> str:
    lines = [
        "| an agent with | series exposed | of them read by rules or runbooks | samples, KiB | memory, KiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for size, one in found:
        cells = (one.exposed, one.read, f"{one.bytes_of_samples / 1024:.0f}", f"{one.bytes_resident / 1024:.0f}")
        lines.append(f"| {size.title} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Series and memory of an agent at the contract's bounds.")
    parser.add_argument("--agents", type=int, default=50, help="to share what is there once (default 50)")
    parser.add_argument("--minutes", type=float, default=60, help="of samples (default 60)")
    parser.add_argument("--interval", type=float, default=15, help="seconds between scrapes (default 15)")
    add_option(parser)
    options = parser.parse_args()
    report = Report("contract", minutes=1)
    needs = catalogue()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as alone:
        asked = [
            alone.submit(measure, size, options.agents, options.minutes, options.interval, needs) for size in SIZES
        ]
        found = [(size, one.result()) for size, one in zip(SIZES, asked, strict=True)]
    report.give_out(table(found), options)


if __name__ == "__main__":
    main()
