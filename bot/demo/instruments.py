"""The `agent_*` metrics of one agent, registered with prometheus-client as an agent's own code would do it.

Every outcome exists at 0 from the start: a counter born above zero hides its first errors from rate().
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bot.demo.roster import AgentSpec

RUN_OUTCOMES = ("success", "failure", "timeout", "cancelled", "handoff", "refused")
LLM_OUTCOMES = ("ok", "error", "timeout", "rate_limited")
TOOL_OUTCOMES = ("ok", "error", "timeout", "rate_limited", "auth", "denied", "schema", "circuit_open")
RUN_LIMITS = ("steps", "tokens", "cost", "wall_clock", "repeat_action")
RECORD_FAULTS = ("missing", "null", "type", "range", "duplicate", "schema")
HANDOFF_REASONS = ("low_confidence", "policy", "other")
ACTION_KINDS = ("write", "external")
HANDOFF_QUEUE = "human-review"
LAYER = "external_service"
DURATION_BUCKETS = tuple(0.1 * 2**power for power in range(13))
CALL_BUCKETS = tuple(float(2**power) for power in range(8))
CONTEXT_BUCKETS = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


class Instruments:
    """All metrics of one agent in `registry`: the seven families of the core, and what an agent may add to them."""

    def __init__(self, spec: AgentSpec, registry: CollectorRegistry) -> None:
        self._registry = registry
        info = self._gauge("agent_info", "What runs here.", "version", "model", "framework")
        info.labels(spec.version, spec.model.name, spec.framework).set(1)
        self._of_runs(spec)
        self._of_calls(spec)
        self._of_loops()
        self._of_data(spec)
        self._of_people()
        self._of_quality()
        self._of_records()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self._registry)

    def _of_runs(self, spec: AgentSpec) -> None:
        self.runs = self._counter("agent_runs", "Runs ended.", "task", "outcome")
        for task in spec.tasks:
            for outcome in RUN_OUTCOMES:
                self.runs.labels(task, outcome)
        self.run_seconds = self._histogram("agent_run_duration_seconds", "Length of ended runs.", DURATION_BUCKETS)
        self.last_success = self._gauge("agent_last_success_timestamp_seconds", "When a run last met its goal.", "task")
        self.in_progress = self._gauge("agent_runs_in_progress", "Runs in flight.")
        self.oldest_start = self._gauge(
            "agent_oldest_run_start_timestamp_seconds", "Start of the oldest run in flight, 0 when idle."
        )
        self.pending = self._gauge("agent_pending_runs", "Runs waiting for a worker.")
        self.checkpoint = self._gauge(
            "agent_checkpoint_last_success_timestamp_seconds", "When the state was last saved."
        )

    def _of_calls(self, spec: AgentSpec) -> None:
        model = spec.model.name
        self.llm_calls = self._counter("agent_llm_calls", "Model calls, when made.", "model", "outcome")
        for outcome in LLM_OUTCOMES:
            self.llm_calls.labels(model, outcome)
        self.tokens = self._counter("agent_tokens", "Billable tokens.", "model", "direction")
        for direction in ("input", "output"):
            self.tokens.labels(model, direction)
        self.cost: Counter | None = None
        if not spec.priced_by_gateway:
            self.cost = self._counter("agent_cost_usd", "US dollars spent.", "model")
            self.cost.labels(model)
        self.tool_calls = self._counter("agent_tool_calls", "Tool calls.", "tool", "layer", "outcome")
        self.tool_retries = self._counter("agent_tool_retries", "Tool calls beyond the first try.", "tool")
        self.circuit = self._gauge("agent_circuit_state", "0 closed, 1 half open, 2 open.", "tool")
        self.credential_expiry = self._gauge(
            "agent_credential_expiry_timestamp_seconds", "When a credential expires.", "credential"
        )
        for tool in spec.tools:
            for outcome in TOOL_OUTCOMES:
                self.tool_calls.labels(tool.name, LAYER, outcome)
            self.tool_retries.labels(tool.name)
            self.circuit.labels(tool.name)

    def _of_loops(self) -> None:
        self.run_llm_calls = self._histogram("agent_run_llm_calls", "Model calls per ended run.", CALL_BUCKETS)
        self.run_tool_calls = self._histogram("agent_run_tool_calls", "Tool calls per ended run.", CALL_BUCKETS)
        self.limit_exceeded = self._counter("agent_run_limit_exceeded", "Runs that a limit stopped.", "limit")
        for limit in RUN_LIMITS:
            self.limit_exceeded.labels(limit)
        self.truncations = self._counter("agent_context_truncations", "Calls of which something was cut to fit.")
        self.context_used = self._histogram(
            "agent_context_used_ratio", "Share of the context window per call.", CONTEXT_BUCKETS
        )

    def _of_data(self, spec: AgentSpec) -> None:
        self.data_refresh = self._gauge(
            "agent_data_last_refresh_timestamp_seconds", "Newest data the agent may use.", "dataset"
        )
        self.data_records = self._counter("agent_data_records", "Records read.", "dataset")
        self.data_records.labels(spec.dataset)
        self.violations = self._counter("agent_data_contract_violations", "Bad records.", "dataset", "kind")
        for kind in RECORD_FAULTS:
            self.violations.labels(spec.dataset, kind)

    def _of_people(self) -> None:
        self.handoff_depth = self._gauge("agent_handoff_queue_depth", "Cases waiting for a human.", "queue")
        self.handoff_oldest = self._gauge(
            "agent_handoff_oldest_timestamp_seconds", "Oldest waiting case, 0 when none.", "queue"
        )
        self.handoff_depth.labels(HANDOFF_QUEUE)
        self.handoff_oldest.labels(HANDOFF_QUEUE)
        self.handoffs = self._counter("agent_handoffs", "Cases handed to a human.", "reason")
        for reason in HANDOFF_REASONS:
            self.handoffs.labels(reason)
        self.feedback = self._counter("agent_feedback", "Verdicts of users.", "rating")
        for rating in ("up", "down"):
            self.feedback.labels(rating)

    def _of_quality(self) -> None:
        self.eval_score = self._gauge("agent_eval_score", "Mean judged score of the last batch.", "suite")
        self.eval_at = self._gauge("agent_eval_last_run_timestamp_seconds", "When evals last ran.", "suite")
        self.eval_pass = self._gauge("agent_eval_pass_k", "Tasks of which k trials in a row pass.", "suite", "k")

    def _of_records(self) -> None:
        self.actions = self._counter("agent_actions", "Side effects done.", "kind")
        for kind in ACTION_KINDS:
            self.actions.labels(kind)
        self.audit_records = self._counter("agent_audit_records", "Audit records written.", "result")
        for result in ("ok", "failed"):
            self.audit_records.labels(result)
