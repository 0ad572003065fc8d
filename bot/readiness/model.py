"""What is known of an agent's readiness: proofs from the files, facts of a running server, and the verdict of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import AwareDatetime

from bot.agents.model import Stage, Waiver
from bot.agents.readiness import Domain, Signal, Status
from bot.labels import Labels
from bot.schema import Model


class Proof(Model):
    """`hint` is the way out. With `known` False nobody could be asked just now: what was known before still stands."""

    status: Status
    evidence: str
    hint: str = ""
    known: bool = True


class Watch(Model):
    """An alert that would notice, and the series it would notice it by."""

    alert: str
    metrics: tuple[str, ...]


class Dossier(Model):
    """What the files show of one agent. `owners` and `deputies` are people."""

    agent: str
    proofs: dict[Domain, Proof]
    watches: dict[Signal, tuple[Watch, ...]]
    owners: tuple[str, ...]
    deputies: tuple[str, ...]


class TrackRecord(Model):
    """What it did in the last `days`, as far back as anything is known: since `since`. What nothing says is None.
    `pass8` is by suite."""

    days: int
    since: AwareDatetime | None = None
    runs: float | None = None
    success: float | None = None
    cost_usd: float | None = None
    cost_per_run_usd: float | None = None
    pass8: dict[str, float] = {}
    incidents: int | None = None
    woke: int | None = None
    pages: int | None = None
    night_pages: int | None = None
    ack_seconds: float | None = None
    resolve_seconds: float | None = None


class Drill(Model):
    """The last drill, and the last one that was passed."""

    at: AwareDatetime
    passed: bool
    summary: str
    passed_at: AwareDatetime | None = None


class Facts(Model):
    """What only a running server knows of one agent. `watched_since` is when it began to look; `unreachable` are people
    whom no page would reach, with the reason."""

    watched_since: AwareDatetime
    record: TrackRecord | None = None
    drill: Drill | None = None
    unreachable: dict[str, str] = {}


Answer = list[tuple[Labels, float]] | str  # a text says why there is none


@dataclass(frozen=True)
class Live:
    """A running server's answers to the questions of live.py, and its facts by agent."""

    at: datetime
    answers: Mapping[str, Answer]
    facts: Mapping[str, Facts] = field(default_factory=dict)
    _sets: dict[str, frozenset[str] | None] = field(default_factory=dict, compare=False, repr=False)

    def agents(self, question: str) -> frozenset[str] | None:
        """Of which agents the answer has anything; None when there is no answer."""
        if question not in self._sets:
            answer = self.answers.get(question)
            told = None if answer is None or isinstance(answer, str) else answer
            self._sets[question] = None if told is None else frozenset(labels.get("agent", "") for labels, _ in told)
        return self._sets[question]


class Judged(Model):
    domain: Domain
    status: Status
    evidence: str
    hint: str
    required: bool
    waiver: Waiver | None = None  # one that counts


class Verdict(Model):
    """`stage` is the one it is judged for, `claimed_stage` the one that its file says. `blocking` are the domains that
    stand against it; it is ready without any."""

    agent: str
    title: str
    stage: Stage
    claimed_stage: Stage
    ready: bool
    blocking: tuple[Domain, ...]
    domains: tuple[Judged, ...]
    facts: Facts | None = None
