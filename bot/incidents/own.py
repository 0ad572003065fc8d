"""Alerts of agentpager about itself: what is wrong now, against what it has told before. Pure.

They take the same way as everybody's; only that nobody evaluates a rule for them. Several of one name are told apart by
their labels, not by their severity or owner: those may change while the thing itself goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.incidents.model import INTERNAL, Alert, AlertState, Severity
from bot.labels import fingerprint


@dataclass(frozen=True)
class OwnAlert:
    """`owner` is `team:<id>` or `person:<id>`; the fallback's when it is empty."""

    summary: str
    description: str
    severity: Severity = Severity.CRITICAL
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""


def nothing_held(_alert: Alert) -> bool:
    return False


def reported(
    name: str,
    told: Collection[OwnAlert],
    known: Sequence[Alert],
    fallback: str,
    now: datetime,
    held: Callable[[Alert], bool] = nothing_held,
) -> list[Alert]:
    """The alerts of `name` as they are to be: those told, and an end for each that was told before and is not now.
    `held` are those of which nothing is known this time: they stay."""
    before = {alert.fingerprint: alert for alert in known if alert.group == INTERNAL and alert.name == name}
    alerts = {alert.fingerprint: alert for alert in (_alert(name, one, fallback, now) for one in told)}
    firing = [
        alert.model_copy(update={"starts_at": before[mark].starts_at}) if mark in before else alert
        for mark, alert in alerts.items()
    ]
    gone = [alert for mark, alert in before.items() if mark not in alerts and not held(alert)]
    return firing + [alert.model_copy(update={"state": AlertState.RESOLVED, "ends_at": now}) for alert in gone]


def _alert(name: str, told: OwnAlert, fallback: str, now: datetime) -> Alert:
    labels = {"alertname": name, **told.labels}
    return Alert(
        fingerprint=fingerprint(labels),
        group=INTERNAL,
        state=AlertState.FIRING,
        labels=labels | {"severity": told.severity.value, "owner": told.owner or fallback},
        annotations={"summary": told.summary, "description": told.description},
        value=1.0,
        starts_at=now,
    )
