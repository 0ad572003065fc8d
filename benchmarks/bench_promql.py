"""Rounds of rules over many agents' series: time per round, memory, time per scrape.

    python benchmarks/bench_promql.py --agents 1000 --rules 100 --interval 5 --fill 340

A fifth of the rules looks at the whole fleet, the rest is pinned to one agent each. Every agent has 100 series. Prints
medians of processor time over the rounds, with samples of all agents arriving between two rounds.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import numpy as np

from bot.promql.engine import Engine
from bot.promql.parse import Expr, parse
from bot.promql.store import SeriesStore

BAD, ALL = 'agent_runs_total{SEL,outcome!="ok"}', "agent_runs_total{SEL}"


def bad_share(window: str) -> str:
    return f"sum by (agent) (rate({BAD}[{window}])) / sum by (agent) (rate({ALL}[{window}]))"


KINDS = [
    f"{bad_share('5m')} > 0.1",
    "histogram_quantile(0.99, sum by (agent, le) (rate(agent_tokens_bucket{SEL}[5m]))) > 40",
    "histogram_quantile(0.95, sum by (agent, le) (rate(agent_run_seconds_bucket{SEL}[10m]))) > 30",
    "sum by (agent) (increase(agent_cost_usd_total{SEL}[1h])) > 5",
    f"{bad_share('1h')} > 0.02 and {bad_share('5m')} > 0.02",
    "agent_queue_depth{SEL} > 90",
    "max_over_time(agent_queue_depth{SEL}[5m]) > 99",
    "time() - agent_last_success_timestamp_seconds{SEL} > 600",
    "avg by (agent) (avg_over_time(agent_memory_bytes{SEL}[5m])) > 9e8",
    'sum by (agent, tool) (rate(agent_tool_calls_total{SEL,outcome!="ok"}[5m])) > 5',
]


def series_of(agent: str) -> list[dict[str, str]]:
    """100 label sets, 28 of them token buckets."""
    out = [{"__name__": "up"}, {"__name__": "agent_queue_depth"}, {"__name__": "agent_memory_bytes"}]
    out += [{"__name__": "agent_last_success_timestamp_seconds"}]
    out += [{"__name__": "agent_runs_total", "outcome": o} for o in ("ok", "failure", "timeout", "handoff")]
    out += [{"__name__": "agent_cost_usd_total", "model": f"m{i}"} for i in range(4)]
    for kind in ("input", "output"):
        out += [
            {"__name__": "agent_tokens_bucket", "kind": kind, "le": str(le)}
            for le in [*(2**i for i in range(13)), "+Inf"]
        ]
    out += [{"__name__": "agent_run_seconds_bucket", "le": str(le)} for le in [*(i / 2 for i in range(1, 14)), "+Inf"]]
    tools = [{"tool": f"t{i}", "outcome": o} for i in range(15) for o in ("ok", "error", "timeout")]
    out += [{"__name__": "agent_tool_calls_total", **tool} for tool in tools][: 100 - len(out)]
    return [{**labels, "agent": agent, "instance": f"{agent}:9090", "job": "agents"} for labels in out]


def rules(count: int, agents: int) -> list[Expr]:
    out = []
    for index in range(count):
        template = KINDS[index % len(KINDS)]
        pinned = f'agent="agent-{(index * 7919) % agents}"'
        text = template.replace("SEL", "" if index % 5 == 0 else pinned)
        out.append(parse(text.replace("{,", "{").replace("{}", "")))
    return out


class Fleet:
    def __init__(self, store: SeriesStore, agents: int) -> None:
        self.store = store
        self.random = np.random.default_rng(1)
        self.ids = [np.array([store.intern(labels) for labels in series_of(f"agent-{n}")]) for n in range(agents)]
        counters = [labels["__name__"].endswith(("_total", "_bucket")) for labels in series_of("x")]
        self.counts = np.array(counters)
        self.values = [np.zeros(len(ids)) for ids in self.ids]

    def scrape(self, t: float) -> None:
        steps = self.random.random((len(self.ids), len(self.counts)))
        for number, (ids, values) in enumerate(zip(self.ids, self.values, strict=True)):
            values[self.counts] += np.floor(steps[number, self.counts] * 3)
            values[~self.counts] = steps[number, ~self.counts] * 100
            self.store.append(f"target-{number}", t + number / len(self.ids) / 2, ids, values)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--agents", type=int, default=1000)
    options.add_argument("--rules", type=int, default=100)
    options.add_argument("--interval", type=float, default=5)
    options.add_argument("--fill", type=float, default=340)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    store = SeriesStore(3900)
    fleet = Fleet(store, asked.agents)
    t, begin, scrapes = 1.7e9, time.process_time(), 0
    while t < 1.7e9 + asked.fill:
        fleet.scrape(t)
        t += asked.interval
        scrapes += 1
    per_scrape = (time.process_time() - begin) / scrapes
    engine, expressions = Engine(store), rules(asked.rules, asked.agents)
    took, results = [], 0
    for _ in range(asked.rounds + 1):
        fleet.scrape(t)
        begin = time.process_time()
        with engine.round(t + 1):
            results = sum(len(engine.instant(expr, t + 1)) for expr in expressions)  # type: ignore[arg-type]
        took.append(time.process_time() - begin)
        t += asked.interval
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"agents={asked.agents} series={len(store)} rules={asked.rules} slots={scrapes} results={results}\n"
        f"round: first {took[0] * 1000:.1f} ms, then median {statistics.median(took[1:]) * 1000:.1f} ms\n"
        f"append of all agents: {per_scrape * 1000:.1f} ms ({per_scrape / len(store) * 1e9:.0f} ns a sample, "
        f"making up the values included)\npeak memory {peak:.0f} MB, of it samples {store.bytes_used / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
