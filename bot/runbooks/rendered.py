"""A runbook after rendering: plain values, nothing left to evaluate. Crosses from the watcher to the pager."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal

from bot.runbooks.model import Approve, StepKind
from bot.schema import Model

_REVIEW_EVERY = timedelta(days=90)  # of a runbook that was rendered before it said how often


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NO_DATA = "no_data"
    ERROR = "error"
    LATE = "late"


class CheckResult(Model):
    """`value` is the formatted number, `want` the expectation as people read it: `< 5 %`. `error`: why no value."""

    verdict: Verdict
    value: str = ""
    want: str = ""
    error: str = ""


class RenderedChoice(Model):
    """One way on from a decision. `goto` is the id of a step; `likely` says that its condition holds now."""

    label: str
    goto: str
    likely: bool = False


class RenderedCall(Model):
    """A request to a declared webhook, as it will be made: `body` is JSON text, empty for none."""

    webhook: str
    method: str
    path: str
    body: str = ""


class RenderedStep(Model):
    """`on_fail` and `verify` are ids of steps. A decision has `choices`, an action `call`, `undo` and `approve`, an
    escalation `to` and `after`, a hand-off `questions`. An action without `call` cannot be asked for: the runbook's
    `problem` says why. `timeout` is that of a check or an action."""

    number: int  # from 1, as shown to people
    id: str
    kind: StepKind
    title: str
    text: str = ""
    command: str = ""
    run_on: str = ""
    url: str = ""
    check: CheckResult | None = None
    on_fail: str = ""
    verify: str = ""
    choices: tuple[RenderedChoice, ...] = ()
    call: RenderedCall | None = None
    undo: RenderedCall | None = None
    approve: Approve | None = None
    to: str = ""
    after: timedelta | None = None
    questions: tuple[str, ...] = ()
    timeout: timedelta | None = None


class RenderedLink(Model):
    title: str
    url: str


class History(Model):
    """What the alert's expression was, without its comparison: evenly spaced points, the last one now; None where there
    was no value. `threshold` is what it was compared with, by `comparison`, where that is a number."""

    points: tuple[float | None, ...]
    step: timedelta
    threshold: float | None = None
    comparison: Literal["", ">", ">=", "<", "<=", "==", "!="] = ""


class Rendered(Model):
    """`problem` is set when there is no usable runbook or a template failed; the page then goes out plain and says so.

    All texts are raw: whoever shows them escapes them. `hidden` are the steps whose condition does not hold now: they
    are shown only where somebody has gone to one, or has marked it before.
    """

    runbook: str = ""
    title: str = ""
    summary: str = ""
    impact: str = ""
    owner: str = ""
    reviewed_on: date | None = None
    review_every: timedelta | None = None
    steps: tuple[RenderedStep, ...] = ()
    hidden: tuple[RenderedStep, ...] = ()
    links: tuple[RenderedLink, ...] = ()
    likely_step: int | None = None
    history: History | None = None
    problem: str = ""
    rendered_at: datetime

    def review_overdue(self, today: date) -> bool:
        if self.reviewed_on is None:
            return False
        return today - self.reviewed_on > (self.review_every or _REVIEW_EVERY)

    def review(self, today: date) -> str:
        """How old the last review is, and how often there was to be one where that is overdue; empty for none."""
        if self.reviewed_on is None:
            return ""
        days = (today - self.reviewed_on).days
        ago = f"reviewed {days} d ago" if days > 0 else "reviewed today"
        due = f", due every {(self.review_every or _REVIEW_EVERY).days} d"
        return ago + (due if self.review_overdue(today) else "")

    @property
    def late(self) -> bool:
        return any(step.check is not None and step.check.verdict is Verdict.LATE for step in self.steps)
