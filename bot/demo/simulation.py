"""One simulated agent: runs arrive, call models and tools, and end; failures change what the calls do.

Pure: it is advanced with `step(now)` in Unix seconds and draws from its own seeded generator. Nothing here serves HTTP.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from prometheus_client import CollectorRegistry

from bot.demo.instruments import LAYER, Instruments, register
from bot.demo.roster import AgentSpec, Failure, Tool

HANDOFF_QUEUE = "human-review"
CREDENTIAL_LIFE_SECONDS = 60 * 86_400
STALE_SECONDS = 26 * 3600  # a restored snapshot from yesterday
LOOP_CALLS_PER_SECOND = 6.0
BURN_INPUT_FACTOR = 30  # the whole history is sent along with every call
BURN_ARRIVAL_FACTOR = 2.0
LONGEST_STEP_SECONDS = 60.0  # after a suspended laptop the simulation goes on from now instead of catching up

Kind = Literal["llm", "tool", "end"]


@dataclass
class Run:
    task: str
    started: float
    looping: bool = False
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


class Simulation:
    """One process of one agent. A killed process is a Simulation thrown away; its successor counts from zero."""

    def __init__(self, spec: AgentSpec, seed: int, now: float) -> None:
        self.spec = spec
        self.registry = CollectorRegistry()
        self.failures: set[Failure] = set()
        self._metrics: Instruments = register(spec, self.registry)
        self._random = Random(f"{spec.id}:{seed}")
        self._moments: list[Moment] = []
        self._order = 0
        self._waiting: deque[Run] = deque()
        self._running: list[Run] = []
        self._handoffs: deque[float] = deque()
        self._errors_in_a_row: dict[str, int] = {}
        self._now = now
        self._next_refresh = now + spec.dataset_refresh_seconds
        self._start_up(now)

    def _start_up(self, now: float) -> None:
        for credential in {tool.credential for tool in self.spec.tools}:
            self._metrics.credential_expiry.labels(credential).set(now + CREDENTIAL_LIFE_SECONDS)
        self._metrics.data_refresh.labels(self.spec.dataset).set(now - self._random.uniform(0, 30))

    def fail(self, failure: Failure, now: float) -> None:
        """From now on the agent suffers from `failure`."""
        self.failures.add(failure)
        if failure is Failure.CREDENTIAL_EXPIRED:
            self._metrics.credential_expiry.labels(self._failing_tool.credential).set(now - 1)
        elif failure is Failure.DATA_STALE:
            self._metrics.data_refresh.labels(self.spec.dataset).set(now - STALE_SECONDS)
        elif failure is Failure.RUNAWAY_LOOP:
            self._loop_everything(now)

    def mend(self, now: float) -> None:
        """Everything works again; runs caught in a loop are stopped by their step limit."""
        if Failure.RUNAWAY_LOOP in self.failures:
            for run in [run for run in self._running if run.looping]:
                self._metrics.limit_exceeded.labels("steps").inc()
                self._finish(run, "failure", now)
            self._moments = [moment for moment in self._moments if not moment.run.looping]
            heapq.heapify(self._moments)
        self.failures.clear()
        self._errors_in_a_row.clear()
        for tool in self.spec.tools:
            self._metrics.circuit.labels(tool.name).set(0)
            self._metrics.credential_expiry.labels(tool.credential).set(now + CREDENTIAL_LIFE_SECONDS)
        self._metrics.data_refresh.labels(self.spec.dataset).set(now)
        self._next_refresh = now + self.spec.dataset_refresh_seconds

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
        self._refresh_data(now)
        self._work_off_handoffs(now)
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
        mean = self.spec.runs_per_minute / 60 * (now - self._now) * day_shape(now) * factor
        for at in sorted(self._random.uniform(self._now, now) for _ in range(poisson(mean, self._random))):
            run = Run(self._random.choice(self.spec.tasks), at)
            if len(self._running) < self.spec.workers:
                self._begin(run, at)
            elif len(self._waiting) < 500:
                self._waiting.append(run)

    def _begin(self, run: Run, at: float) -> None:
        run.started = at
        self._running.append(run)
        if Failure.RUNAWAY_LOOP in self.failures:
            self._loop(run, at)
            return
        length = self._random.lognormvariate(math.log(self.spec.seconds), 0.35)
        for kind, mean in (("llm", self.spec.llm_calls), ("tool", self.spec.tool_calls)):
            for _ in range(1 + poisson(mean - 1, self._random)):
                self._plan(at + self._random.uniform(0.02, 0.95) * length, "llm" if kind == "llm" else "tool", run)
        self._plan(at + length, "end", run)

    def _loop_everything(self, now: float) -> None:
        """The stop rule is gone: whatever is in flight never ends, and at least one run is."""
        if not self._running:
            self._running.append(Run(self.spec.tasks[0], now))
        self._moments = [moment for moment in self._moments if moment.kind != "end"]
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
        else:
            self._finish(run, self._outcome(run), moment.at)

    def _call_model(self, run: Run) -> None:
        model, metrics = self.spec.model, self._metrics
        run.llm_calls += 1
        outcome = "ok" if self._random.random() > 0.003 else self._random.choice(("timeout", "rate_limited"))
        metrics.llm_calls.labels(model.name, outcome).inc()
        burning = Failure.COST_BURN in self.failures
        sent = int(self.spec.input_tokens * self._random.uniform(0.7, 1.3)) * (BURN_INPUT_FACTOR if burning else 1)
        got = int(self.spec.output_tokens * self._random.uniform(0.5, 1.5)) * (3 if burning else 1)
        metrics.tokens.labels(model.name, "input").inc(sent)
        metrics.tokens.labels(model.name, "output").inc(got)
        dollars = (sent * model.input_usd_per_million + got * model.output_usd_per_million) / 1e6
        metrics.cost.labels(model.name).inc(dollars)

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
            return
        run.failed = run.failed or outcome != "rate_limited"
        if outcome in {"error", "timeout"}:
            self._metrics.tool_retries.labels(tool.name).inc()
            self._trip_breaker(tool)

    def _tool_outcome(self, tool: Tool) -> str:
        broken = tool is self._failing_tool
        if Failure.CREDENTIAL_EXPIRED in self.failures and tool.credential == self._failing_tool.credential:
            return "auth"
        if Failure.TOOL_DOWN in self.failures and broken:
            if self._errors_in_a_row.get(tool.name, 0) >= 5 and self._random.random() < 0.6:
                return "circuit_open"
            return "timeout" if self._random.random() < 0.3 else "error"
        return "ok" if self._random.random() > tool.error_rate else "error"

    def _trip_breaker(self, tool: Tool) -> None:
        self._errors_in_a_row[tool.name] = self._errors_in_a_row.get(tool.name, 0) + 1
        if self._errors_in_a_row[tool.name] >= 5:
            self._metrics.circuit.labels(tool.name).set(2)

    def _outcome(self, run: Run) -> str:
        drawn = self._random.random()
        if run.failed:
            return "failure" if drawn < 0.85 else "handoff"
        if drawn < self.spec.failure_rate:
            return "failure" if drawn < self.spec.failure_rate * 0.7 else "timeout"
        if drawn < self.spec.failure_rate + self.spec.handoff_rate:
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
            self._handoffs.append(at)
        if self._waiting:
            self._begin(self._waiting.popleft(), at)

    def _refresh_data(self, now: float) -> None:
        if now < self._next_refresh:
            return
        self._next_refresh = now + self.spec.dataset_refresh_seconds
        if Failure.DATA_STALE not in self.failures:
            self._metrics.data_refresh.labels(self.spec.dataset).set(now)
            self._metrics.data_records.labels(self.spec.dataset).inc(self._random.randint(50, 400))

    def _work_off_handoffs(self, now: float) -> None:
        """Reviewers take a case within five minutes."""
        while self._handoffs and now - self._handoffs[0] > 300:
            self._handoffs.popleft()

    def _set_gauges(self) -> None:
        metrics = self._metrics
        metrics.in_progress.set(len(self._running))
        metrics.oldest_start.set(min((run.started for run in self._running), default=0))
        metrics.pending.set(len(self._waiting))
        metrics.handoff_depth.labels(HANDOFF_QUEUE).set(len(self._handoffs))
        metrics.handoff_oldest.labels(HANDOFF_QUEUE).set(self._handoffs[0] if self._handoffs else 0)
