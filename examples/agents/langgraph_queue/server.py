"""A queue with two workers, exposing what a LangGraph server does: `lg_api_*`, with and without its internal metrics.

The names are those of langgraph-api 0.16; of them it exposes runs and their length only when it is started with
EXPOSE_INTERNAL_METRICS_PROMETHEUS=true.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

sys.path.insert(0, str(Path(__file__).parents[1]))
from switch import Switch, serve

WORKERS = 2
LABELS = {"project_id": "p-1", "revision_id": "7f3a2b"}

switch = Switch(("workers", "runs", "recursion"))
registry = CollectorRegistry()
queue: deque[float] = deque()  # when each waiting run came


def gauge(name: str) -> Gauge:
    return Gauge(name, name, list(LABELS), registry=registry).labels(**LABELS)


def counter(name: str) -> Counter:
    return Counter(name, name, list(LABELS), registry=registry).labels(**LABELS)


pending, running = gauge("lg_api_num_pending_runs"), gauge("lg_api_num_running_runs")
longest = gauge("lg_api_pending_runs_wait_time_max")
workers_max, workers_active = gauge("lg_api_workers_max"), gauge("lg_api_workers_active")
succeeded = counter("lg_api_run_success_counter")
failed = counter("lg_api_run_failed_after_retry_counter")
recursion = counter("lg_api_graph_recursion_limit_error_counter")
latency = Histogram(  # milliseconds, although the name does not say so
    "lg_api_run_execution_latency",
    "lg_api_run_execution_latency",
    list(LABELS),
    buckets=[100 * 2**n for n in range(14)],
    registry=registry,
).labels(**LABELS)


def work() -> None:
    """One run comes in, and each worker that is up takes one from the queue."""
    queue.append(time.time())
    up = 0 if switch.how == "workers" else WORKERS
    for _ in range(min(up, len(queue))):
        queue.popleft()
        if switch.how in {"runs", "recursion"}:
            failed.inc()
            recursion.inc(switch.how == "recursion")
        else:
            succeeded.inc()
            latency.observe(2500)
    pending.set(len(queue))
    running.set(min(up, 1))
    longest.set(time.time() - queue[0] if queue else 0)
    workers_max.set(WORKERS)
    workers_active.set(up)


if __name__ == "__main__":
    serve(switch, lambda: (generate_latest(registry), CONTENT_TYPE_LATEST), work, 9104)
