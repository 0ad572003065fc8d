"""A runbook after rendering: plain values, nothing left to evaluate. Crosses from the watcher to the pager."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from bot.schema import Model


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


class RenderedStep(Model):
    number: int  # from 1, as shown to people
    id: str
    kind: Literal["manual", "check", "command", "link"]
    title: str
    text: str = ""
    command: str = ""
    run_on: str = ""
    url: str = ""
    check: CheckResult | None = None


class RenderedLink(Model):
    title: str
    url: str


class Rendered(Model):
    """`problem` is set when there is no usable runbook or a template failed; the page then goes out plain and says so.

    All texts are raw: whoever shows them escapes them.
    """

    runbook: str = ""
    title: str = ""
    summary: str = ""
    impact: str = ""
    owner: str = ""
    reviewed_on: date | None = None
    steps: tuple[RenderedStep, ...] = ()
    links: tuple[RenderedLink, ...] = ()
    likely_step: int | None = None
    problem: str = ""
    rendered_at: datetime

    @property
    def late(self) -> bool:
        return any(step.check is not None and step.check.verdict is Verdict.LATE for step in self.steps)
