"""Rule files as Prometheus writes them, as frozen objects. What makes a rule sensible is load.py's work."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, model_validator

from bot.schema import Duration, Model

Positive = Annotated[Duration, Field(gt=timedelta())]


class Rule(Model):
    """One entry under `rules:`: an alerting rule (`alert`) or a recording rule (`record`).

    `hold` is the file's `for`: how long the expression must be true before the alert fires.
    """

    record: str | None = None
    alert: str | None = None
    expr: str = Field(min_length=1)
    hold: Duration = Field(timedelta(), alias="for")
    keep_firing_for: Duration = timedelta()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_kind(self) -> Rule:
        if (self.record is None) == (self.alert is None):
            raise ValueError("a rule has exactly one of alert and record")
        return self

    @property
    def name(self) -> str:
        return self.alert or self.record or ""

    @property
    def is_alert(self) -> bool:
        return self.alert is not None


class Group(Model):
    """Rules evaluated together, in order. `file` is filled in after reading; `interval` None is the server's."""

    file: str = ""
    name: str = Field(min_length=1)
    interval: Positive | None = None
    limit: int = Field(0, ge=0)  # most alerts or series one rule may make; 0 is no limit
    query_offset: Duration = timedelta()
    labels: dict[str, str] = {}
    rules: tuple[Rule, ...] = ()

    @property
    def id(self) -> str:
        """The unit in which alerts are sent."""
        return f"{self.file};{self.name}"

    def labels_of(self, rule: Rule) -> dict[str, str]:
        """The rule's own labels win over the group's."""
        return {**self.labels, **rule.labels}


class RuleFile(Model):
    groups: tuple[Group, ...] = ()
