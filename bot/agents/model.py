"""One agent as its owner describes it in `agents/*.yaml`."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from bot.schema import Channel, Model, Positive, Url

Share = Annotated[float, Field(gt=0, lt=1)]
Dollars = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Stage(StrEnum):
    """How far an agent has come. At `crawl` what is critical is a warning, and wakes as these do."""

    PILOT = "pilot"
    CRAWL = "crawl"
    WALK = "walk"
    RUN = "run"
    RETIRED = "retired"


class Layer(StrEnum):
    """Where a tool stands on the way from the agent to the world, the lowest last."""

    AGENT_ACTION = "agent_action"
    INVOCABLE_ACTION = "invocable_action"
    EXTERNAL_SERVICE = "external_service"


class LanguageModel(Model):
    """What the agent thinks with. An outage of the provider explains what happens to its agents."""

    provider: str
    name: str


ObjectiveName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class Latency(Model):
    """The share of runs that end within `threshold`; `severity` is that of its burn-rate alerts at the worst."""

    # As far as the histograms of durations reach: 0.1 s, doubled twelve times.
    threshold: Annotated[Positive, Field(ge=timedelta(seconds=0.1), le=timedelta(seconds=409.6))]
    target: Share
    severity: Literal["critical", "warning", "info"] = "warning"


class Objective(Model):
    """An objective of the agent's own: how many of `total` are good. Each is a counter, or a rate of five minutes."""

    good: str | None = None
    bad: str | None = None
    total: str
    target: Share
    title: str = ""
    severity: Literal["critical", "warning", "info"] = "warning"
    runbook: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Objective:
        if (self.good is None) == (self.bad is None):
            raise ValueError("an objective has exactly one of good and bad")
        return self


class Slo(Model):
    """The share of runs that do not end in failure or a timeout, over a sliding window; `latency` and `objectives` are
    further ones over the same."""

    target: Share
    window: Positive = timedelta(days=28)
    latency: Latency | None = None
    objectives: dict[ObjectiveName, Objective] = {}

    @field_validator("objectives")
    @classmethod
    def _named_anew(cls, objectives: dict[str, Objective]) -> dict[str, Objective]:
        for name in ("success", "latency"):
            if name in objectives:
                raise ValueError(f'"{name}" is what slo itself describes; choose another name')
        return objectives


class Limits(Model):
    """What stops a run: the agent's own limits, written down so that alerts can be held against them."""

    llm_calls: Count | None = None
    tool_calls: Count | None = None
    tokens: Count | None = None
    cost_usd: Dollars | None = None
    wall_clock: Positive | None = None


class Tool(Model):
    """`credential` is the name of the identity that its calls are made with, never the secret; `mocked` says that it is
    not the real one yet."""

    owner: str | None = None
    layer: Layer = Layer.EXTERNAL_SERVICE
    access: Literal["read", "write"] = "read"
    credential: str | None = None
    mocked: bool = False
    notes: str = ""  # contact, hours, quirks, known nulls


class Dataset(Model):
    """What the agent knows from. `missing` is what it does when a value is not there."""

    owner: str | None = None
    max_age: Positive | None = None
    missing: str = ""
    upstream: Url | None = None
    notes: str = ""


class EvalSuite(Model):
    """`floor` is the lowest mean score that is accepted; `max_age` is how old the last run may be."""

    floor: Share | None = None
    max_age: Positive | None = None


class Identity(Model):
    """As whom it acts, and what that identity may do."""

    principal: str
    scopes: Annotated[tuple[str, ...], Field(min_length=1)]


class KillSwitch(Model):
    """How anybody on call stops it, and when that was last tried."""

    how: str
    tested_on: date | None = None


class Waiver(Model):
    """A part of the readiness that somebody accepts as missing, until a day."""

    reason: str
    by: str
    until: date


class Agent(Model):
    id: str = ""
    title: str = ""
    description: str = ""
    owner: str
    deputy: str | None = None
    escalation: str | None = None
    channel: Channel | None = None
    stage: Stage = Stage.PILOT
    tier: Annotated[int, Field(ge=1, le=4)] | None = None
    model: LanguageModel | None = None
    slo: Slo | None = None
    latency_target: Positive | None = None
    max_gap: Positive | None = None
    budget_usd_day: Dollars | None = None
    cost_per_run_usd: Dollars | None = None
    runs_per_day: Count | None = None
    limits: Limits = Limits()
    tools: dict[str, Tool] = {}
    datasets: dict[str, Dataset] = {}
    evals: dict[str, EvalSuite] = {}
    pass8_target: Share | None = None
    acceptance: dict[str, str] = {}
    identity: Identity | None = None
    kill_switch: KillSwitch | None = None
    audit_sink: str = ""
    links: dict[str, Url] = {}
    review_on: date | None = None
    waivers: dict[str, Waiver] = {}

    @property
    def name(self) -> str:
        return self.title or self.id
