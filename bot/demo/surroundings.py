"""What stands around an agent's runs: jobs that load its data, judge its answers, save its state and renew its
credentials, people who review what it hands over, and the audit trail of what it does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from math import comb
from random import Random

from bot.demo.failures import Failure
from bot.demo.instruments import HANDOFF_QUEUE, Instruments
from bot.demo.roster import AgentSpec

CREDENTIAL_LIFE_SECONDS = 60 * 86_400
SHORT_LIFE_SECONDS = 3 * 86_400  # of a credential that nobody has renewed in time
STALE_SECONDS = 26 * 3600  # a restored snapshot from yesterday
RESULTS_SECONDS = 40 * 3600  # how old the results are that a dead eval job has left
REVIEW_SECONDS = 150  # in which reviewers take a case
CHECKPOINT_SECONDS = 30
BROKEN_RECORDS = 0.05
TRIALS = 8


class Data:
    """Loads the dataset at its cadence."""

    def __init__(self, spec: AgentSpec, metrics: Instruments, random: Random, now: float) -> None:
        self._spec, self._metrics, self._random = spec, metrics, random
        self._next = now + spec.dataset_refresh_seconds
        self._loaded(now - random.uniform(0, 30))

    def fail(self, failure: Failure, now: float) -> None:
        if failure is Failure.DATA_STALE:
            self._loaded(now - STALE_SECONDS)

    def mend(self, now: float) -> None:
        self._loaded(now)
        self._next = now + self._spec.dataset_refresh_seconds

    def step(self, now: float, failures: Collection[Failure]) -> None:
        if now < self._next:
            return
        self._next = now + self._spec.dataset_refresh_seconds
        if Failure.DATA_STALE in failures:
            return
        self._loaded(now)
        count = self._random.randint(50, 400)
        self._metrics.data_records.labels(self._spec.dataset).inc(count)
        if Failure.DATA_BROKEN in failures:
            self._metrics.violations.labels(self._spec.dataset, "null").inc(round(count * BROKEN_RECORDS))

    def _loaded(self, at: float) -> None:
        self._metrics.data_refresh.labels(self._spec.dataset).set(at)


class Evals:
    """Tries each task of the suite eight times and has a judge give marks; then publishes the results."""

    def __init__(self, spec: AgentSpec, metrics: Instruments, random: Random, now: float) -> None:
        self._spec, self._metrics, self._random = spec, metrics, random
        self._next = now + random.uniform(0, spec.eval_seconds)
        self._publish(self._next - spec.eval_seconds, ())

    def fail(self, failure: Failure, failures: Collection[Failure], now: float) -> None:
        """Whoever has changed the agent has its evals run, and sees nothing wrong."""
        if failure is Failure.EVALS_STOPPED:
            self._metrics.eval_at.labels(self._spec.suite).set(now - RESULTS_SECONDS)
        elif failure in {Failure.FLAKY_TASKS, Failure.QUALITY_DRIFT}:
            self._publish(now, failures)

    def mend(self, now: float) -> None:
        self._publish(now, ())
        self._next = now + self._spec.eval_seconds

    def step(self, now: float, failures: Collection[Failure]) -> None:
        if now < self._next or Failure.EVALS_STOPPED in failures:
            return
        self._next = now + self._spec.eval_seconds
        self._publish(now, failures)

    def _publish(self, at: float, failures: Collection[Failure]) -> None:
        suite, passed = self._spec.suite, [self._trials(task, failures) for task in range(self._spec.eval_tasks)]
        for k in (1, TRIALS):
            share = sum(comb(count, k) for count in passed) / (len(passed) * comb(TRIALS, k))
            self._metrics.eval_pass.labels(suite, str(k)).set(share)
        mean = 0.74 if Failure.QUALITY_DRIFT in failures else 0.92
        marks = [min(1.0, self._random.gauss(mean, 0.04)) for _ in passed]
        self._metrics.eval_score.labels(suite).set(sum(marks) / len(marks))
        self._metrics.eval_at.labels(suite).set(at)

    def _trials(self, task: int, failures: Collection[Failure]) -> int:
        """Every second task depends on the weather when tasks flicker."""
        share = 0.7 if Failure.FLAKY_TASKS in failures and task % 2 else 0.998
        return sum(self._random.random() < share for _ in range(TRIALS))


class Reviewers:
    """Take what the agent hands over, each case within minutes."""

    def __init__(self, metrics: Instruments) -> None:
        self._metrics = metrics
        self._cases: deque[float] = deque()

    def take(self, reason: str, at: float) -> None:
        self._cases.append(at)
        self._metrics.handoffs.labels(reason).inc()

    def step(self, now: float, failures: Collection[Failure]) -> None:
        while self._cases and now - self._cases[0] > REVIEW_SECONDS and Failure.REVIEWERS_GONE not in failures:
            self._cases.popleft()
        self._metrics.handoff_depth.labels(HANDOFF_QUEUE).set(len(self._cases))
        self._metrics.handoff_oldest.labels(HANDOFF_QUEUE).set(self._cases[0] if self._cases else 0)


class Credentials:
    """Renewed long before they expire."""

    def __init__(self, spec: AgentSpec, metrics: Instruments, now: float) -> None:
        self._spec, self._metrics = spec, metrics
        self.mend(now)

    def fail(self, failure: Failure, now: float) -> None:
        mine = self._metrics.credential_expiry.labels(self._spec.tools[-1].credential)
        if failure is Failure.CREDENTIAL_EXPIRED:
            mine.set(now - 1)
        elif failure is Failure.CREDENTIAL_EXPIRING:
            mine.set(now + SHORT_LIFE_SECONDS)

    def mend(self, now: float) -> None:
        for tool in self._spec.tools:
            self._metrics.credential_expiry.labels(tool.credential).set(now + CREDENTIAL_LIFE_SECONDS)


class Records:
    """The audit trail of what the agent changes, and its saved state."""

    def __init__(self, metrics: Instruments, now: float) -> None:
        self._metrics = metrics
        self._saved = now
        metrics.checkpoint.set(now)

    def acted(self, failures: Collection[Failure], random: Random) -> None:
        """One side effect; every second record of it gets lost while the trail has gaps."""
        self._metrics.actions.labels("external").inc()
        lost = Failure.AUDIT_GAP in failures and random.random() < 0.5
        self._metrics.audit_records.labels("failed" if lost else "ok").inc()

    def step(self, now: float, failures: Collection[Failure]) -> None:
        if now - self._saved >= CHECKPOINT_SECONDS and Failure.CHECKPOINTS_LOST not in failures:
            self._saved = now
            self._metrics.checkpoint.set(now)
