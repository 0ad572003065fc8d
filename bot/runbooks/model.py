"""One runbook as written in `runbooks/*.yaml`. What makes it sensible is lint.py's work."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.schema import Duration, Model

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")]
Unit = Literal["s", "ms", "ratio", "percent", "usd", "bytes", "count"]
StepKind = Literal["manual", "check", "command", "link", "decision", "action", "escalate", "handoff"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Choice(Model):
    """One way on from a decision: shown as likely while `when` holds."""

    label: str = Field(min_length=1)
    goto: str
    when: str = ""


class Call(Model):
    """A request to a webhook that the configuration declares under `actions`. Texts in `body` are templates."""

    webhook: str
    path: str = Field(pattern=r"^/")
    method: Method = "POST"
    body: dict[str, Any] = {}


class Undo(Model):
    """What takes an action back, by the same webhook."""

    path: str = Field(pattern=r"^/")
    method: Method = "POST"
    body: dict[str, Any] = {}


class Approve(Model):
    """`by`: `oncall` (who is paged for the incident, or has it), `owner`, `person:x`, `team:x`, `role:x`. `min` of them
    have to agree within `ttl`; `self` says whether the one who asks may be one of them."""

    by: tuple[str, ...] = ("oncall",)
    min: int = Field(1, ge=1, le=5)
    self: bool = True
    ttl: Annotated[Duration, Field(gt=timedelta())] = timedelta(minutes=15)


class Step(Model):
    """`text` is the command of a command step; `on_fail` the step to go to, `verify` the check to look at again.
    `ask` is the question of a decision, or what a hand-off has to say. An escalation goes `to` a level
    (`level:2`), a person or a team, when nothing has helped `after` so long."""

    id: Id
    kind: StepKind
    title: str = Field(min_length=1)
    text: str = ""
    when: str = ""
    query: str = ""
    expect: str = ""
    unit: Unit | None = None
    on_fail: str | None = None
    verify: str | None = None
    run_on: str = ""
    url: str = ""
    timeout: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=5)
    ask: str | tuple[str, ...] = ""
    choose: tuple[Choice, ...] = ()
    call: Call | None = None
    approve: Approve | None = None
    undo: Undo | None = None
    to: str = ""
    after: Annotated[Duration, Field(gt=timedelta())] | None = None


class Link(Model):
    title: str = Field(min_length=1)
    url: str = Field(min_length=1)


class Runbook(Model):
    """`id` is the file's name. Every text is a template (bot/templating.py)."""

    format: Literal["runbook/v1"] = Field(alias="schema")
    id: Id
    title: str = Field(min_length=1)
    owner: str | None = None
    applies_to: tuple[str, ...] = ()  # matchers; one line is all of them, several lines are alternatives
    reviewed_on: date | None = None
    review_every: Annotated[Duration, Field(gt=timedelta())] = timedelta(days=90)
    severity_hint: dict[Literal["critical", "warning", "info"], str] = {}
    summary: str = ""
    impact: str = ""
    steps: tuple[Step, ...] = Field(min_length=1, max_length=30)
    links: tuple[Link, ...] = Field((), max_length=20)

    def step(self, step_id: str) -> tuple[int, Step] | None:
        """(number from 1, step)."""
        return next(((number, step) for number, step in enumerate(self.steps, 1) if step.id == step_id), None)
