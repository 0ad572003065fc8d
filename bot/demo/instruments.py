"""The `agent_*` metrics of one agent, registered with prometheus-client as an agent's own code would do it.

Every outcome exists at 0 from the start: a counter born above zero hides its first errors from rate().
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bot.demo.roster import AgentSpec

RUN_OUTCOMES = ("success", "failure", "timeout", "cancelled", "handoff", "refused")
LLM_OUTCOMES = ("ok", "error", "timeout", "rate_limited")
TOOL_OUTCOMES = ("ok", "error", "timeout", "rate_limited", "auth", "denied", "schema", "circuit_open")
RUN_LIMITS = ("steps", "tokens", "cost", "wall_clock", "repeat_action")
LAYER = "external_service"
DURATION_BUCKETS = tuple(0.1 * 2**power for power in range(13))
CALL_BUCKETS = tuple(float(2**power) for power in range(8))


@dataclass(frozen=True)
class Instruments:
    runs: Counter
    run_seconds: Histogram
    last_success: Gauge
    llm_calls: Counter
    tokens: Counter
    cost: Counter
    tool_calls: Counter
    in_progress: Gauge
    oldest_start: Gauge
    pending: Gauge
    run_llm_calls: Histogram
    run_tool_calls: Histogram
    limit_exceeded: Counter
    tool_retries: Counter
    circuit: Gauge
    credential_expiry: Gauge
    handoff_depth: Gauge
    handoff_oldest: Gauge
    data_refresh: Gauge
    data_records: Counter


def register(spec: AgentSpec, registry: CollectorRegistry) -> Instruments:
    """All metrics of one agent in its own registry."""
    instruments = Instruments(
        runs=Counter("agent_runs", "Runs ended.", ["task", "outcome"], registry=registry),
        run_seconds=Histogram(
            "agent_run_duration_seconds", "Length of ended runs.", buckets=DURATION_BUCKETS, registry=registry
        ),
        last_success=Gauge(
            "agent_last_success_timestamp_seconds", "When a run last met its goal.", ["task"], registry=registry
        ),
        llm_calls=Counter("agent_llm_calls", "Model calls, when made.", ["model", "outcome"], registry=registry),
        tokens=Counter("agent_tokens", "Billable tokens.", ["model", "direction"], registry=registry),
        cost=Counter("agent_cost_usd", "US dollars spent.", ["model"], registry=registry),
        tool_calls=Counter("agent_tool_calls", "Tool calls.", ["tool", "layer", "outcome"], registry=registry),
        in_progress=Gauge("agent_runs_in_progress", "Runs in flight.", registry=registry),
        oldest_start=Gauge(
            "agent_oldest_run_start_timestamp_seconds",
            "Start of the oldest run in flight, 0 when idle.",
            registry=registry,
        ),
        pending=Gauge("agent_pending_runs", "Runs waiting for a worker.", registry=registry),
        run_llm_calls=Histogram(
            "agent_run_llm_calls", "Model calls per ended run.", buckets=CALL_BUCKETS, registry=registry
        ),
        run_tool_calls=Histogram(
            "agent_run_tool_calls", "Tool calls per ended run.", buckets=CALL_BUCKETS, registry=registry
        ),
        limit_exceeded=Counter("agent_run_limit_exceeded", "Runs that a limit stopped.", ["limit"], registry=registry),
        tool_retries=Counter("agent_tool_retries", "Tool calls beyond the first try.", ["tool"], registry=registry),
        circuit=Gauge("agent_circuit_state", "0 closed, 1 half open, 2 open.", ["tool"], registry=registry),
        credential_expiry=Gauge(
            "agent_credential_expiry_timestamp_seconds", "When a credential expires.", ["credential"], registry=registry
        ),
        handoff_depth=Gauge("agent_handoff_queue_depth", "Cases waiting for a human.", ["queue"], registry=registry),
        handoff_oldest=Gauge(
            "agent_handoff_oldest_timestamp_seconds", "Oldest waiting case, 0 when none.", ["queue"], registry=registry
        ),
        data_refresh=Gauge(
            "agent_data_last_refresh_timestamp_seconds",
            "Newest data the agent may use.",
            ["dataset"],
            registry=registry,
        ),
        data_records=Counter("agent_data_records", "Records read.", ["dataset"], registry=registry),
    )
    info = Gauge("agent_info", "What runs here.", ["version", "model", "framework"], registry=registry)
    info.labels(spec.version, spec.model.name, spec.framework).set(1)
    _create_children(spec, instruments)
    return instruments


def _create_children(spec: AgentSpec, instruments: Instruments) -> None:
    for task in spec.tasks:
        for outcome in RUN_OUTCOMES:
            instruments.runs.labels(task, outcome)
    for outcome in LLM_OUTCOMES:
        instruments.llm_calls.labels(spec.model.name, outcome)
    for direction in ("input", "output"):
        instruments.tokens.labels(spec.model.name, direction)
    instruments.cost.labels(spec.model.name)
    for tool in spec.tools:
        for outcome in TOOL_OUTCOMES:
            instruments.tool_calls.labels(tool.name, LAYER, outcome)
        instruments.tool_retries.labels(tool.name)
        instruments.circuit.labels(tool.name)
    for limit in RUN_LIMITS:
        instruments.limit_exceeded.labels(limit)
    instruments.handoff_depth.labels("human-review")
    instruments.handoff_oldest.labels("human-review")
    instruments.data_records.labels(spec.dataset)
