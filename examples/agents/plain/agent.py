"""An agent whose code counts for itself, with the helper that comes with agentpager (or a copy of that one file).

It answers refund requests: one model call to understand, one lookup in the CRM, one booking in the ledger.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

sys.path.insert(0, str(Path(__file__).parents[1]))
from switch import Switch, serve

from bot.instrument import AgentMetrics

switch = Switch(("tools", "schema", "auth", "denied", "timeouts", "loop", "stuck", "overrun", "cost", "audit"))
registry = CollectorRegistry()
metrics = AgentMetrics(
    tasks=["refund"],
    models=["gpt-5"],
    tools=["crm", "ledger"],
    actions=["write"],
    datasets=["orders"],
    info={"version": "1.4", "model": "gpt-5", "framework": "none"},
    registry=registry,
)


class CrmError(Exception):
    def __init__(self, status: int) -> None:
        self.status_code = status


def ask_model() -> None:
    with metrics.llm_call("gpt-5") as call:
        if switch.how == "timeouts":
            raise TimeoutError("the model did not answer")
        call.used(input=900, output=120, cost_usd=4.0 if switch.how == "cost" else 0.004)


def look_up() -> None:
    status = {"tools": 500, "schema": 422, "auth": 401, "denied": 403}.get(switch.how)
    with metrics.tool_call("crm"):
        if status:
            raise CrmError(status)
    metrics.data_read("orders", 1)


def book() -> None:
    with metrics.tool_call("ledger"):
        pass
    metrics.acted("write", audited=switch.how != "audit")


def work() -> None:
    """One case, from request to answer."""
    metrics.pending(0)
    metrics.handoff_queue("review", 0)
    metrics.checkpoint_saved()
    metrics.data_refreshed(dataset="orders")
    metrics.credential(time.time() + 90 * 86400, credential="crm-oauth")
    if switch.how == "stuck":
        if not _stuck:
            _stuck.append(metrics.run("refund"))
            _stuck[0].__enter__()
        return
    if switch.how == "loop":  # the run never ends, and asks the model again and again
        if not _stuck:
            _stuck.append(metrics.run("refund"))
            _stuck[0].__enter__()
        for _ in range(100):
            ask_model()
        return
    if _stuck:
        _stuck.pop().__exit__(None, None, None)
    with contextlib.suppress(CrmError, TimeoutError), metrics.run("refund"):
        ask_model()
        if switch.how == "overrun":
            metrics.context_truncated()
        look_up()
        book()


_stuck: list[contextlib.AbstractContextManager[object]] = []

if __name__ == "__main__":
    serve(switch, lambda: (generate_latest(registry), CONTENT_TYPE_LATEST), work, 9101)
