"""The `agent_*` contract as data: each family's type, labels and bounds, what it means and the line that feeds it.

docs/instrumentation.md shows it, lint and doctor judge by it; bot/instrument.py stands alone and is tested against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RUN_OUTCOMES = ("success", "failure", "timeout", "cancelled", "handoff", "refused")
LLM_OUTCOMES = ("ok", "error", "timeout", "rate_limited")
TOOL_OUTCOMES = (*LLM_OUTCOMES, "auth", "denied", "schema", "circuit_open")
LAYERS = ("agent_action", "invocable_action", "external_service")
LIMITS = ("steps", "tokens", "cost", "wall_clock", "repeat_action")
VIOLATIONS = ("missing", "null", "type", "range", "duplicate", "schema")

# A label's values: all there are, or how many there may be.
Values = tuple[str, ...] | int


@dataclass(frozen=True)
class Family:
    """`name` is that of the samples, `_total` included. `line` is what to write with bot.instrument. `complete` are the
    labels of which every value must be there from the start. `reach`: the least that the last finite bucket may be."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    meaning: str
    line: str
    labels: Mapping[str, Values] = field(default_factory=dict)
    core: bool = False
    complete: tuple[str, ...] = ()
    reach: float = 0.0
    zero: bool = True  # of a time: whether 0 says "none"


_RUN = 'with metrics.run("refund") as run: …'
_LLM = 'with metrics.llm_call("gpt-5") as call: …'
_TOOL = 'with metrics.tool_call("crm"): …'
_USED = "call.used(input=900, output=120, cost_usd=0.004)"

_ALL = (
    Family(
        "agent_runs_total",
        "counter",
        "Runs that ended. Success: the goal was met, not just no exception. Failure and timeout are bad.",
        _RUN,
        {"task": 20, "outcome": RUN_OUTCOMES},
        core=True,
        complete=("outcome",),
    ),
    Family("agent_run_duration_seconds", "histogram", "How long they took.", _RUN, core=True, reach=409.6),
    Family(
        "agent_last_success_timestamp_seconds",
        "gauge",
        "When a run last met its goal; not there before the first.",
        _RUN,
        {"task": 20},
        core=True,
        zero=False,
    ),
    Family(
        "agent_llm_calls_total",
        "counter",
        "Model calls, counted as they are made and not when the run ends: a loop shows while it runs.",
        _LLM,
        {"model": 4, "outcome": LLM_OUTCOMES},
        core=True,
        complete=("outcome",),
    ),
    Family(
        "agent_tokens_total",
        "counter",
        "Billable tokens.",
        _USED,
        {"model": 4, "direction": ("input", "output")},
        core=True,
        complete=("direction",),
    ),
    Family(
        "agent_cost_usd_total",
        "counter",
        "US dollars, paid tools included. Left out where the gateway prices the calls.",
        _USED,
        {"model": 4},
        core=True,
    ),
    Family(
        "agent_tool_calls_total",
        "counter",
        "Tool calls, each under one layer: the lowest that failed, else external_service.",
        _TOOL,
        {"tool": 30, "layer": LAYERS, "outcome": TOOL_OUTCOMES},
        core=True,
        complete=("outcome",),
    ),
    Family("agent_info", "gauge", "1; what runs here, to tell deploys apart.", 'AgentMetrics(info={"version": "1.4"})'),
    Family("agent_runs_in_progress", "gauge", "Runs in flight.", _RUN),
    Family("agent_oldest_run_start_timestamp_seconds", "gauge", "Start of the oldest in flight, 0 when idle.", _RUN),
    Family("agent_pending_runs", "gauge", "Runs that wait to start.", "metrics.pending(len(queue))"),
    Family("agent_run_llm_calls", "histogram", "Model calls of an ended run.", _LLM, reach=128),
    Family("agent_run_tool_calls", "histogram", "Tool calls of an ended run.", _TOOL, reach=128),
    Family(
        "agent_run_limit_exceeded_total",
        "counter",
        "Runs that a limit stopped.",
        'metrics.limit_exceeded(limit="steps")',
        {"limit": LIMITS},
        complete=("limit",),
    ),
    Family(
        "agent_context_truncations_total",
        "counter",
        "Contexts of which anything was left out to fit the window.",
        "metrics.context_truncated()",
    ),
    Family(
        "agent_context_used_ratio",
        "histogram",
        "Share of the window that a call used.",
        "metrics.context_used(used / window)",
        reach=1,
    ),
    Family(
        "agent_tool_retries_total",
        "counter",
        "Tries of a tool beyond the first.",
        'metrics.retried(tool="crm")',
        {"tool": 30},
    ),
    Family(
        "agent_circuit_state",
        "gauge",
        "A tool's circuit breaker: 0 closed, 1 half open, 2 open.",
        'metrics.circuit(2, tool="crm")',
        {"tool": 30},
    ),
    Family(
        "agent_credential_expiry_timestamp_seconds",
        "gauge",
        "When a credential expires. The label is its name, never its value.",
        'metrics.credential(expires, credential="crm-oauth")',
        {"credential": 10},
        zero=False,
    ),
    Family(
        "agent_handoff_queue_depth",
        "gauge",
        "Cases that wait for a human.",
        'metrics.handoff_queue("review", depth, oldest)',
        {"queue": 5},
    ),
    Family(
        "agent_handoff_oldest_timestamp_seconds",
        "gauge",
        "When the longest waiting case came, 0 when none waits.",
        'metrics.handoff_queue("review", depth, oldest)',
        {"queue": 5},
    ),
    Family(
        "agent_eval_score",
        "gauge",
        "Mean score of the last batch of evaluations, 0 to 1.",
        'metrics.evaluated("nightly", score, {1: pass1, 8: pass8})',
        {"suite": 5},
    ),
    Family(
        "agent_eval_last_run_timestamp_seconds",
        "gauge",
        "When that was.",
        'metrics.evaluated("nightly", score, {1: pass1, 8: pass8})',
        {"suite": 5},
        zero=False,
    ),
    Family(
        "agent_eval_pass_k",
        "gauge",
        "Share of tasks of which k tries in a row succeed: the mean of C(c,k)/C(n,k) over n tries each, n at least k.",
        'metrics.evaluated("nightly", score, {1: pass1, 8: pass8})',
        {"suite": 5, "k": ("1", "8")},
    ),
    Family(
        "agent_feedback_total",
        "counter",
        "What users say.",
        'metrics.count("agent_feedback", rating="up")',
        {"rating": ("up", "down")},
        complete=("rating",),
    ),
    Family(
        "agent_data_last_refresh_timestamp_seconds",
        "gauge",
        "Age of the newest data that the agent may use.",
        'metrics.data_refreshed(dataset="orders")',
        {"dataset": 10},
        zero=False,
    ),
    Family(
        "agent_data_records_total",
        "counter",
        "Records read.",
        'metrics.data_read("orders", 100, null=2)',
        {"dataset": 10},
    ),
    Family(
        "agent_data_contract_violations_total",
        "counter",
        "Those of them that break the data contract.",
        'metrics.data_read("orders", 100, null=2)',
        {"dataset": 10, "kind": VIOLATIONS},
        complete=("kind",),
    ),
    Family(
        "agent_actions_total",
        "counter",
        "Side effects done.",
        'metrics.acted("write", audited=True)',
        {"kind": ("write", "external")},
    ),
    Family(
        "agent_audit_records_total",
        "counter",
        "Audit records written; as many as actions.",
        'metrics.acted("write", audited=True)',
        {"result": ("ok", "failed")},
        complete=("result",),
    ),
    Family(
        "agent_checkpoint_last_success_timestamp_seconds",
        "gauge",
        "When the state was last saved durably.",
        "metrics.checkpoint_saved()",
        zero=False,
    ),
)
CONTRACT: Mapping[str, Family] = {family.name: family for family in _ALL}

_HISTOGRAM = ("_bucket", "_count", "_sum")


def family_of(sample: str) -> Family | None:
    """The family that a sample of this name belongs to."""
    for suffix in ("", *_HISTOGRAM):
        found = CONTRACT.get(sample.removesuffix(suffix)) if sample.endswith(suffix) else None
        if found is not None and (not suffix or found.type == "histogram"):
            return found
    return None
