"""An agent's health in the words that agentpager's alerts understand. Needs prometheus-client and nothing else:
import it as `bot.instrument`, or copy this file. docs/instrumentation.md says which alert each number feeds.

    metrics = AgentMetrics(tasks=["refund"], models=["gpt-5"], tools=["crm"])
    with metrics.run("refund") as run:
        with metrics.llm_call("gpt-5") as call:
            call.used(input=900, output=120, cost_usd=0.004)
        with metrics.tool_call("crm"):
            ...
        run.outcome = "handoff"  # whenever the goal was not met and no exception says so

Every outcome exists at 0 from the start: a counter born above zero hides its first errors. What was not declared counts
as "other". Safe for threads and asyncio. Several agents in one process: a registry and a port for each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partialmethod
from itertools import product

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

OTHER = "other"
RUN_OUTCOMES = ("success", "failure", "timeout", "cancelled", "handoff", "refused")
LLM_OUTCOMES = ("ok", "error", "timeout", "rate_limited")
TOOL_OUTCOMES = (*LLM_OUTCOMES, "auth", "denied", "schema", "circuit_open")
LAYERS = ("external_service", "invocable_action", "agent_action")
LIMITS = ("steps", "tokens", "cost", "wall_clock", "repeat_action", OTHER)
VIOLATIONS = ("missing", "null", "type", "range", "duplicate", "schema", OTHER)
BUCKETS = {
    "agent_run_duration_seconds": (*(0.1 * 2**n for n in range(14)), 1800.0, 3600.0),
    "agent_run_llm_calls": tuple(2.0**n for n in range(8)),
    "agent_run_tool_calls": tuple(2.0**n for n in range(8)),
    "agent_context_used_ratio": (0.5, 0.7, 0.8, 0.9, 0.95, 1.0),
}
MOST = 10  # label sets of a gauge, whose values cannot be declared beforehand
_STATUS = {401: "auth", 403: "denied", 408: "timeout", 422: "schema", 429: "rate_limited", 504: "timeout"}
_WORDS = {"timeout": "timeout", "cancelled": "timeout", "ratelimit": "rate_limited", "authentication": "auth"}
_WORDS |= {"unauthorized": "auth", "permission": "denied", "forbidden": "denied", "validation": "schema"}
_WORDS |= {"decode": "schema", "circuit": "circuit_open"}


@dataclass(eq=False)
class Run:
    outcome: str = "success"
    llm_calls: int = 0
    tool_calls: int = 0


@dataclass(eq=False)
class Call:
    """Set `outcome` or `layer` (the lowest that failed) where no exception tells them."""

    metrics: AgentMetrics
    model: str = OTHER
    outcome: str = "ok"
    layer: str = LAYERS[0]

    def used(self, *, input: int = 0, output: int = 0, cost_usd: float = 0.0) -> None:  # noqa: A002 - what it is called
        self.metrics.count("agent_tokens", input, model=self.model, direction="input")
        self.metrics.count("agent_tokens", output, model=self.model, direction="output")
        self.metrics.count("agent_cost_usd", cost_usd, model=self.model)


_current: ContextVar[Run | None] = ContextVar("agent_run", default=None)


def outcome_of(error: BaseException) -> str:
    """What an exception means for a call: by its HTTP status, else by the words of its name, else "error"."""
    places = (error, getattr(error, "response", None))
    told = [getattr(place, name, None) for place in places for name in ("status_code", "status", "code")]
    by_status = next((_STATUS[code] for code in told if isinstance(code, int) and code in _STATUS), "")
    name = type(error).__name__.lower()
    return by_status or next((outcome for word, outcome in _WORDS.items() if word in name), "error")


class AgentMetrics:
    def __init__(
        self,
        tasks: Iterable[str] = (),
        models: Iterable[str] = (),
        tools: Iterable[str] = (),
        *,
        layers: Iterable[str] = LAYERS[:1],  # all three for each tool are many series: name those that you tell apart
        datasets: Iterable[str] = (),
        actions: Iterable[str] = (),  # kinds of side effects that leave an audit record each: write, external
        info: Mapping[str, str] | None = None,  # version, model, framework
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._registry, self._lock, self._active = registry, threading.RLock(), dict[Run, float]()
        self._gauges, self._given = dict[str, Gauge](), dict[str, set[tuple[str, ...]]]()
        task, model, tool = ((*names, OTHER) for names in (tasks, models, tools))
        dataset, action = tuple(datasets), tuple(actions)
        self._labels: dict[str, dict[str, tuple[str, ...]]] = {
            "agent_runs": {"task": task, "outcome": RUN_OUTCOMES},
            "agent_llm_calls": {"model": model, "outcome": LLM_OUTCOMES},
            "agent_tokens": {"model": model, "direction": ("input", "output")},
            "agent_cost_usd": {"model": model},
            "agent_tool_calls": {"tool": tool, "layer": tuple(layers), "outcome": TOOL_OUTCOMES},
            "agent_tool_retries": {"tool": tool},
            "agent_run_limit_exceeded": {"limit": LIMITS},
            "agent_context_truncations": {},
            "agent_data_records": {"dataset": dataset},
            "agent_data_contract_violations": {"dataset": dataset, "kind": VIOLATIONS},
            "agent_actions": {"kind": action},
            "agent_audit_records": {"result": ("ok", "failed") if action else ()},
            "agent_feedback": {"rating": ("up", "down")},
        }
        self._counters = {name: Counter(name, name, list(of), registry=registry) for name, of in self._labels.items()}
        for name, of in self._labels.items():
            for values in product(*of.values()) if of else ():
                self._counters[name].labels(*values)
        self._histograms = {name: Histogram(name, name, buckets=of, registry=registry) for name, of in BUCKETS.items()}
        self._in_flight()
        if info:
            self.gauge("agent_info", 1, **info)

    @contextmanager
    def run(self, task: str = OTHER) -> Iterator[Run]:
        """An exception is a failure or a timeout, and goes on; what is cancelled from outside is cancelled."""
        run, outer, begun = Run(), _current.get(), time.monotonic()
        _current.set(run)
        self._in_flight(begins=run)
        try:
            yield run
        except BaseException as error:
            failed = "timeout" if outcome_of(error) == "timeout" else "failure"
            run.outcome = failed if isinstance(error, Exception) else "cancelled"
            raise
        finally:
            _current.set(outer)
            self._in_flight(ends=run)
            self.count("agent_runs", task=task, outcome=run.outcome)
            self.observe("agent_run_duration_seconds", time.monotonic() - begun)
            self.observe("agent_run_llm_calls", run.llm_calls)
            self.observe("agent_run_tool_calls", run.tool_calls)
            if run.outcome == "success":
                self.gauge("agent_last_success_timestamp_seconds", task=self._known("agent_runs", "task", task))

    def llm_call(self, model: str = OTHER) -> AbstractContextManager[Call]:
        return self._calling("llm_calls", Call(self, model), model=model)

    def tool_call(self, tool: str = OTHER) -> AbstractContextManager[Call]:
        return self._calling("tool_calls", Call(self), tool=tool)

    @contextmanager
    def _calling(self, what: str, call: Call, **labels: str) -> Iterator[Call]:
        if (run := _current.get()) is not None:
            with self._lock:
                setattr(run, what, getattr(run, what) + 1)
        try:
            yield call
        except BaseException as error:
            call.outcome = outcome_of(error)
            raise
        finally:
            self.count(f"agent_{what}", 1, outcome=call.outcome, layer=call.layer, **labels)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Adds to a counter, named without `_total`."""
        known = [self._known(name, label, labels[label]) for label in self._labels[name]]
        (self._counters[name].labels(*known) if known else self._counters[name]).inc(max(amount, 0))

    def observe(self, name: str, value: float) -> None:
        self._histograms[name].observe(value)

    def gauge(self, name: str, value: float | None = None, **labels: str) -> None:
        """Sets a gauge, to the time of now without a value. It appears then and not before: nothing is from 1970."""
        with self._lock:
            if name not in self._gauges:
                self._gauges[name] = Gauge(name, name, list(labels), registry=self._registry)
            given, values = self._given.setdefault(name, set()), tuple(labels.values())
            values = values if values in given or len(given) < MOST else (OTHER,) * len(values)
            given.add(values)
            (self._gauges[name].labels(*values) if labels else self._gauges[name]).set(
                time.time() if value is None else value
            )

    retried = partialmethod(count, "agent_tool_retries", 1)  # tool=
    limit_exceeded = partialmethod(count, "agent_run_limit_exceeded", 1)  # limit=
    context_truncated = partialmethod(count, "agent_context_truncations", 1)
    context_used = partialmethod(observe, "agent_context_used_ratio")  # 0.8
    pending = partialmethod(gauge, "agent_pending_runs")  # runs
    circuit = partialmethod(gauge, "agent_circuit_state")  # 0 closed, 1 half open, 2 open; tool=
    credential = partialmethod(gauge, "agent_credential_expiry_timestamp_seconds")  # unix seconds; credential=
    data_refreshed = partialmethod(gauge, "agent_data_last_refresh_timestamp_seconds")  # dataset=
    checkpoint_saved = partialmethod(gauge, "agent_checkpoint_last_success_timestamp_seconds")

    def data_read(self, dataset: str, records: int, **bad: int) -> None:
        """`bad`: how many of them break the data contract, by kind: missing, null, type, range, duplicate, schema."""
        self.count("agent_data_records", records, dataset=dataset)
        for kind, number in bad.items():
            self.count("agent_data_contract_violations", number, dataset=dataset, kind=kind)

    def handoff_queue(self, queue: str, depth: int, oldest: float = 0) -> None:
        """`oldest` is when the longest waiting case came, unix seconds; 0 when none waits."""
        self.gauge("agent_handoff_queue_depth", depth, queue=queue)
        self.gauge("agent_handoff_oldest_timestamp_seconds", oldest, queue=queue)

    def evaluated(self, suite: str, score: float, pass_k: Mapping[int, float] | None = None) -> None:
        self.gauge("agent_eval_score", score, suite=suite)
        self.gauge("agent_eval_last_run_timestamp_seconds", suite=suite)
        for k, value in (pass_k or {}).items():
            self.gauge("agent_eval_pass_k", value, suite=suite, k=str(k))

    def acted(self, kind: str, *, audited: bool) -> None:
        """A side effect, and whether its audit record was written."""
        self.count("agent_actions", kind=kind)
        self.count("agent_audit_records", result="ok" if audited else "failed")

    def _known(self, name: str, label: str, value: str) -> str:
        allowed = self._labels[name][label]
        if value in allowed:
            return value
        return OTHER if OTHER in allowed or not allowed else allowed[1 if label == "outcome" else 0]

    def _in_flight(self, begins: Run | None = None, ends: Run | None = None) -> None:
        with self._lock:
            self._active |= {begins: time.time()} if begins else {}
            self._active.pop(ends, 0) if ends else None
            self.gauge("agent_runs_in_progress", len(self._active))
            self.gauge("agent_oldest_run_start_timestamp_seconds", min(self._active.values(), default=0.0))
