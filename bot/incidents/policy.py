"""What `incidents/*.yaml` says: which alerts belong together, what hides what, when nobody is to be woken, promised
times. The words are Alertmanager's where it has them (`group_by`, `group_wait`, `group_interval`, `inhibit_rules`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bot.incidents.model import Promise
from bot.incidents.silences import MatcherText
from bot.oncall.windows import Window, one_or_several
from bot.schema import Duration, Model, Positive, Zone

Matchers = Annotated[tuple[MatcherText, ...], BeforeValidator(one_or_several)]
LabelName = Annotated[str, Field(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$", examples=["agent"])]
GroupLabel = Annotated[str, Field(pattern=r"^([a-zA-Z_][a-zA-Z0-9_]*|\.\.\.)$", examples=["agent", "..."])]
NotNegative = Annotated[Duration, Field(ge=timedelta())]


class Grouping(Model):
    """Alerts with equal values of the `group_by` labels and the same owner are one incident.

    The first entry whose matchers all hold counts; `...` in `group_by` stands for all labels. `group_wait` holds the
    first page back so that more alerts can join; a critical alert ends that wait. `group_interval` is how often people
    are told of alerts that joined later; what a message shows is brought up to date at once.
    """

    matchers: Matchers = ()
    group_by: Annotated[tuple[GroupLabel, ...], BeforeValidator(one_or_several)] = ("agent", "cause")
    group_wait: NotNegative = timedelta()
    group_interval: Positive = timedelta(minutes=5)


class InhibitRule(Model):
    """While an alert fires that all `source_matchers` match, alerts that all `target_matchers` match wake nobody, if
    both have the same value of every label in `equal`. Nothing inhibits itself."""

    name: str = Field(min_length=1)
    source_matchers: Matchers = Field(min_length=1)
    target_matchers: Matchers = Field(min_length=1)
    equal: Annotated[tuple[LabelName, ...], BeforeValidator(one_or_several)] = ()


class MuteWindow(Model):
    """Alerts that match wake nobody while one of the windows is open. Without `severity` only warnings are muted."""

    id: str = ""
    matchers: Matchers = Field(min_length=1)
    during: tuple[Window, ...] = Field(min_length=1)
    timezone: Zone = "UTC"
    max_severity: Literal["critical", "warning", "info"] = "warning"
    reason: str = Field(min_length=1)


class Maintenance(Model):
    """Planned ahead: alerts that match wake nobody from `from` until `until`. Times without an offset are in
    `timezone`."""

    name: str = Field(min_length=1)
    matchers: Matchers = Field(min_length=1)
    start: datetime = Field(alias="from")
    until: datetime
    timezone: Zone = "UTC"
    max_severity: Literal["critical", "warning", "info"] = "critical"
    reason: str = Field(min_length=1)


class Flapping(Model):
    """An incident that opened again `reopens` times `within` that long flaps: it then ends only after `quiet`."""

    reopens: int = Field(3, ge=1, le=100)
    within: Positive = timedelta(hours=1)
    quiet: Positive = timedelta(minutes=15)


class IncidentRules(Model):
    """Everything that `incidents/*.yaml` says, merged over all files.

    An alert that comes back within `reopen_window` after its incident cleared opens that incident again.
    """

    grouping: tuple[Grouping, ...] = ()
    inhibit_rules: tuple[InhibitRule, ...] = ()
    mute_windows: dict[str, MuteWindow] = {}
    maintenance: tuple[Maintenance, ...] = ()
    flapping: Flapping = Flapping()
    reopen_window: NotNegative = timedelta(minutes=5)
    sla: dict[Literal["critical", "warning", "info"], Promise] = {}
