"""One simulated agent: runs arrive, call models and tools, and end; failures change what the calls do.

Pure: it is advanced with `step(now)` in Unix seconds and draws from its own seeded generator. Nothing here serves HTTP.
What goes on around the runs is in surroundings.py.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bot.demo.failures import Failure
from bot.demo.instruments import HANDOFF_REASONS, LAYER, Instruments
from bot.demo.roster import AgentSpec, Model, Tool
from bot.demo.surroundings import Credentials, Data, Evals, Records, Reviewers

LOOP_CALLS_PER_SECOND = 6.0
BURN_INPUT_FACTOR = 30  # the whole history is sent along with every call
BURN_ARRIVAL_FACTOR = 2.0
TRAFFIC_FACTOR = 8  # workers are added with it, so that money is all it costs
PROMPT_FACTOR = 4
SLOW_FACTOR = 4
CALLS_FACTOR = 9
SMALL_WINDOW = 0.9  # of what is sent on average
REPEATS = 6  # equal calls after which the agent's own breaker ends a run
REPEATING_SHARE = 0.25
RATE_LIMITED_SHARE = 0.35
SCHEMA_SHARE = 0.5  # of calls that ask for what has changed
FAILING_SHARE = {Failure.RUNS_FAIL: 0.97, Failure.RUNS_OFTEN_FAIL: 0.5, Failure.RUNS_LEAK: 0.16}
LONGEST_STEP_SECONDS = 60.0  # after a suspended laptop the simulation goes on from now instead of catching up
MOST_WAITING = 500

Kind = Literal["llm", "tool", "end", "stop"]


class ModelGateway(Protocol):
    """Passes model calls on: `ok`, `error`, `timeout` or `rate_limited`."""

    def complete(self, key: str, team: str, model: Model, sent: int, got: int) -> str: ...


@dataclass(eq=False)  # two runs that began at the same instant are two
class Run:
    task: str
    started: float
    looping: bool = False
    stuck: bool = False
    failed: bool = False
    llm_calls: int = 0
    tool_calls: int = 0


@dataclass(order=True)
class Moment:
    """Something a run does at an instant; `order` keeps equal instants in the order they were drawn."""

    at: float
    order: int
    kind: Kind = field(compare=False)
    run: Run = field(compare=False)


def poisson(mean: float, random: Random) -> int:
    """Knuth's method; means here are far below the 700 at which exp() would underflow."""
    limit, count, product = math.exp(-mean), 0, random.random()
    while product > limit:
        count += 1
        product *= random.random()
    return count


def day_shape(now: float) -> float:
    """Share of the busiest hour's load: 1.0 at 14:00 UTC, 0.6 at 02:00."""
    hours = now / 3600 % 24
    return 0.8 + 0.2 * math.cos((hours - 14) / 24 * 2 * math.pi)


class Exposed(Collector):
    """What `/metrics` shows: everything, or of a release whose exporter was forgotten only what it is."""

    def __init__(self, spec: AgentSpec, registry: CollectorRegistry) -> None:
        self.lost = False
        self._registry = registry
        self._bare = CollectorRegistry()
        info = Gauge("agent_info", "What runs here.", ["version", "model", "framework"], registry=self._bare)
        info.labels(f"{spec.version}-rc1", spec.model.name, spec.framework).set(1)

    def collect(self) -> Iterable[Metric]:
        return self._bare.collect() if self.lost else self._registry.collect()


class Simulation:
    """One process of one agent. A killed process is a Simulation thrown away; its successor counts from zero."""

    def __init__(self, spec: AgentSpec, seed: int, now: float, gateway: ModelGateway | None = None) -> None:
        self.spec = spec
        self.registry = CollectorRegistry()
        self.exposed = CollectorRegistry()
        self.failures: set[Failure] = set()
        self._gateway = gateway
        self._shown = Exposed(spec, self.registry)
        self.exposed.register(self._shown)
        self._random = Random(f"{spec.id}:{seed}")
        self._moments: list[Moment] = []
        self._order = 0
        self._waiting: deque[Run] = deque()
        self._running: list[Run] = []
        self._errors_in_a_row: dict[str, int] = {}
        self._now = now
        metrics = self._metrics = Instruments(spec, self.registry)
        self._credentials = Credentials(spec, metrics, now)
        self._data = Data(spec, metrics, self._random, now)
        self._reviewers = Reviewers(metrics)
        self._records = Records(metrics, now)
        self._evals = Evals(spec, metrics, Random(f"{spec.id}:{seed}:evals"), now)

    def fail(self, failure: Failure, now: float) -> None:
        """From now on the agent suffers from `failure`."""
        self.failures.add(failure)
        self._credentials.fail(failure, now)
        self._data.fail(failure, now)
        self._evals.fail(failure, self.failures, now)
        if failure is Failure.RUNAWAY_LOOP:
            self._loop_everything(now)
        elif failure is Failure.RUN_STUCK:
            self._running.append(Run(self.spec.tasks[0], now, stuck=True))
        elif failure is Failure.INSTRUMENTATION_LOST:
            self._shown.lost = True

    def mend(self, now: float) -> None:
        """Everything works again; runs caught in a loop are stopped by their step limit, those that hang by a human."""
        self.failures.clear()  # before runs end: those that begin in their places are healthy
        self._moments = [moment for moment in self._moments if not moment.run.looping]
        heapq.heapify(self._moments)
        for run in [run for run in self._running if run.looping or run.stuck]:
            if run.looping:
                self._metrics.limit_exceeded.labels("steps").inc()
            self._finish(run, "failure" if run.looping else "cancelled", now)
        self._shown.lost = False
        self._errors_in_a_row.clear()
        for tool in self.spec.tools:
            self._metrics.circuit.labels(tool.name).set(0)
        self._credentials.mend(now)
        self._data.mend(now)
        self._evals.mend(now)
        while self._waiting and len(self._running) < self.spec.workers:
            self._begin(self._waiting.popleft(), now)

    def step(self, now: float) -> None:
        """Brings the agent to `now`. Going back in time does nothing."""
        if now <= self._now:
            return
        if now - self._now > LONGEST_STEP_SECONDS:
            skipped = now - self._now - LONGEST_STEP_SECONDS
            self._shift(skipped)
        self._arrive(now)
        while self._moments and self._moments[0].at <= now:
            self._happen(heapq.heappop(self._moments))
        self._data.step(now, self.failures)
        self._evals.step(now, self.failures)
        self._reviewers.step(now, self.failures)
        self._records.step(now, self.failures)
        self._now = now
        self._set_gauges()

    def _shift(self, seconds: float) -> None:
        self._now += seconds
        for moment in self._moments:
            moment.at += seconds
        for run in (*self._running, *self._waiting):
            run.started += seconds

    def _arrive(self, now: float) -> None:
        factor = BURN_ARRIVAL_FACTOR if Failure.COST_BURN in self.failures else 1.0
        factor *= TRAFFIC_FACTOR if Failure.MORE_TRAFFIC in self.failures else 1
        mean = self.spec.runs_per_minute / 60 * (now - self._now) * day_shape(now) * factor
        for at in sorted(self._random.uniform(self._now, now) for _ in range(poisson(mean, self._random))):
            run = Run(self._random.choice(self.spec.tasks), at)
            if len(self._running) < self._workers:
                self._begin(run, at)
            elif len(self._waiting) < MOST_WAITING:
                self._waiting.append(run)

    @property
    def _workers(self) -> int:
        if Failure.WORKERS_LOST in self.failures:
            return 0
        return self.spec.workers * (TRAFFIC_FACTOR if Failure.MORE_TRAFFIC in self.failures else 1)

    def _begin(self, run: Run, at: float) -> None:
        run.started = at
        self._running.append(run)
        if Failure.RUNAWAY_LOOP in self.failures:
            self._loop(run, at)
            return
        length = self._random.lognormvariate(math.log(self.spec.seconds), 0.35)
        length *= SLOW_FACTOR if Failure.SLOW_RUNS in self.failures else 1
        if Failure.REPEATED_CALLS in self.failures and self._random.random() < REPEATING_SHARE:
            self._repeat(run, at, length)
            return
        calls = self.spec.llm_calls * (CALLS_FACTOR if Failure.MORE_CALLS in self.failures else 1)
        for kind, mean in (("llm", calls), ("tool", self.spec.tool_calls)):
            for _ in range(1 + poisson(mean - 1, self._random)):
                self._plan(at + self._random.uniform(0.02, 0.95) * length, "llm" if kind == "llm" else "tool", run)
        self._plan(at + length, "end", run)

    def _repeat(self, run: Run, at: float, length: float) -> None:
        """The same call again and again, until the agent's own breaker ends the run."""
        for number in range(REPEATS):
            moment = at + (number + 1) / (REPEATS + 1) * length
            self._plan(moment, "llm", run)
            self._plan(moment, "tool", run)
        self._plan(at + length, "stop", run)

    def _loop_everything(self, now: float) -> None:
        """The stop rule is gone: whatever is in flight never ends, and at least one run is."""
        if not self._running:
            self._running.append(Run(self.spec.tasks[0], now))
        self._moments = [moment for moment in self._moments if moment.kind not in {"end", "stop"}]
        heapq.heapify(self._moments)
        for run in self._running:
            self._loop(run, now)

    def _loop(self, run: Run, at: float) -> None:
        run.looping = True
        self._plan(at + self._random.expovariate(LOOP_CALLS_PER_SECOND), "llm", run)

    def _plan(self, at: float, kind: Kind, run: Run) -> None:
        self._order += 1
        heapq.heappush(self._moments, Moment(at, self._order, kind, run))

    def _happen(self, moment: Moment) -> None:
        run = moment.run
        if moment.kind == "llm":
            self._call_model(run)
            if run.looping:
                self._plan(moment.at + self._random.expovariate(LOOP_CALLS_PER_SECOND), "llm", run)
        elif moment.kind == "tool":
            self._call_tool(run)
        elif moment.kind == "stop":
            self._metrics.limit_exceeded.labels("repeat_action").inc()
            self._finish(run, "failure", moment.at)
        else:
            self._finish(run, self._outcome(run), moment.at)

    def _call_model(self, run: Run) -> None:
        model, metrics = self.spec.model, self._metrics
        run.llm_calls += 1
        sent, got = self._prompt()
        outcome = self._complete(sent, got)
        metrics.llm_calls.labels(model.name, outcome).inc()
        if self._gateway is not None and outcome == "error":
            run.failed = True
        if self._gateway is not None and outcome != "ok":
            return
        metrics.tokens.labels(model.name, "input").inc(sent)
        metrics.tokens.labels(model.name, "output").inc(got)
        if metrics.cost is not None:
            metrics.cost.labels(model.name).inc(model.dollars(sent, got))

    def _prompt(self) -> tuple[int, int]:
        """Tokens sent and got. What does not fit into the window is cut."""
        burning = Failure.COST_BURN in self.failures
        factor = BURN_INPUT_FACTOR if burning else PROMPT_FACTOR if Failure.LONG_PROMPTS in self.failures else 1
        sent = int(self.spec.input_tokens * self._random.uniform(0.7, 1.3)) * factor
        got = int(self.spec.output_tokens * self._random.uniform(0.5, 1.5)) * (3 if burning else 1)
        window = self.spec.context_tokens
        if Failure.CONTEXT_OVERRUN in self.failures:  # a release took a model with a small window
            window = int(self.spec.input_tokens * SMALL_WINDOW)
        if sent > window:
            self._metrics.truncations.inc()
        self._metrics.context_used.observe(min(sent / window, 1.0))
        return min(sent, window), got

    def _complete(self, sent: int, got: int) -> str:
        if self._gateway is not None:
            return self._gateway.complete(self.spec.id, self.spec.team, self.spec.model, sent, got)
        return "ok" if self._random.random() > 0.003 else self._random.choice(("timeout", "rate_limited"))

    @property
    def _failing_tool(self) -> Tool:
        return self.spec.tools[-1]

    def _call_tool(self, run: Run) -> None:
        tool = self._random.choice(self.spec.tools)
        run.tool_calls += 1
        outcome = self._tool_outcome(tool)
        self._metrics.tool_calls.labels(tool.name, LAYER, outcome).inc()
        if outcome == "ok":
            self._errors_in_a_row[tool.name] = 0
            if tool.writes:
                self._records.acted(self.failures, self._random)
            return
        run.failed = run.failed or outcome not in {"rate_limited", "denied"}
        if outcome in {"error", "timeout"}:
            self._metrics.tool_retries.labels(tool.name).inc()
            self._trip_breaker(tool)

    def _tool_outcome(self, tool: Tool) -> str:
        mine, failures = self._failing_tool, self.failures
        if Failure.CREDENTIAL_EXPIRED in failures and tool.credential == mine.credential:
            return "auth"
        if tool is mine and failures:
            outcome = self._trouble(tool)
            if outcome:
                return outcome
        return "ok" if self._random.random() > tool.error_rate else "error"

    def _trouble(self, tool: Tool) -> str:
        """How the failing tool answers; nothing when it answers as always."""
        drawn, failures = self._random.random(), self.failures
        if Failure.TOOL_DOWN in failures:
            if self._errors_in_a_row.get(tool.name, 0) >= 5 and drawn < 0.6:
                return "circuit_open"
            return "timeout" if self._random.random() < 0.3 else "error"
        if Failure.RATE_LIMITED in failures and drawn < RATE_LIMITED_SHARE:
            return "rate_limited"
        if Failure.SCHEMA_CHANGED in failures and drawn < SCHEMA_SHARE:
            return "schema"
        if Failure.PERMISSION_DENIED in failures:
            return "denied"
        if Failure.TOOL_UNSTEADY in failures:
            self._retry(tool)
        return ""

    def _retry(self, tool: Tool) -> None:
        """The first tries get no answer, the last one does; meanwhile the breaker lets single calls through."""
        self._metrics.tool_retries.labels(tool.name).inc(self._random.randint(1, 3))
        self._metrics.circuit.labels(tool.name).set(1)

    def _trip_breaker(self, tool: Tool) -> None:
        self._errors_in_a_row[tool.name] = self._errors_in_a_row.get(tool.name, 0) + 1
        if self._errors_in_a_row[tool.name] >= 5:
            self._metrics.circuit.labels(tool.name).set(2)

    def _outcome(self, run: Run) -> str:
        drawn = self._random.random()
        asks = Failure.HANDOFF_COLLAPSED not in self.failures
        if run.failed:
            return "handoff" if asks and drawn >= 0.85 else "failure"
        failing = max((FAILING_SHARE[one] for one in self.failures if one in FAILING_SHARE), default=0.0)
        if failing and self._random.random() < failing:
            return "failure"
        if drawn < self.spec.failure_rate:
            return "failure" if drawn < self.spec.failure_rate * 0.7 else "timeout"
        if Failure.REFUSES_EVERYTHING in self.failures:
            return "refused"
        if asks and drawn < self.spec.failure_rate + self.spec.handoff_rate:
            return "handoff"
        return "refused" if drawn > 0.995 else "success"

    def _finish(self, run: Run, outcome: str, at: float) -> None:
        metrics = self._metrics
        self._running.remove(run)
        metrics.runs.labels(run.task, outcome).inc()
        metrics.run_seconds.observe(at - run.started)
        metrics.run_llm_calls.observe(run.llm_calls)
        metrics.run_tool_calls.observe(run.tool_calls)
        if outcome == "success":
            metrics.last_success.labels(run.task).set(at)
        if outcome == "handoff":
            self._reviewers.take(self._random.choice(HANDOFF_REASONS), at)
        if self._random.random() < 0.05:
            metrics.feedback.labels("up" if outcome == "success" else "down").inc()
        if self._waiting and len(self._running) < self._workers:
            self._begin(self._waiting.popleft(), at)

    def _set_gauges(self) -> None:
        metrics = self._metrics
        metrics.in_progress.set(len(self._running))
        metrics.oldest_start.set(min((run.started for run in self._running), default=0))
        metrics.pending.set(len(self._waiting))
