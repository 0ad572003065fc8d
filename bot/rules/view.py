"""Rules and alerts as JSON, the same as Prometheus' /api/v1/rules and /api/v1/alerts.

One key is ours: `noData` is true on a firing alert that is held because its data vanished.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from bot.humanize import go_exponent
from bot.rules.alerting import AlertingRule
from bot.rules.evaluate import GroupState, RuleHealth
from bot.rules.load import Compiled
from bot.rules.state import Active, Phase

_NEVER = "0001-01-01T00:00:00Z"


def rules_json(groups: Iterable[GroupState], default_interval: timedelta) -> dict[str, Any]:
    return {"groups": [_group(state, default_interval) for state in groups]}


def alerts_json(groups: Iterable[GroupState]) -> dict[str, Any]:
    rules = [rule for state in groups for _, rule, _ in state.rules if rule is not None]
    return {"alerts": [alert for rule in rules for alert in _alerts(rule)]}


def _group(state: GroupState, default_interval: timedelta) -> dict[str, Any]:
    group = state.group
    return {
        "name": group.name,
        "file": group.file,
        "rules": [_rule(compiled, rule, health, state) for compiled, rule, health in state.rules],
        "interval": (group.interval or default_interval).total_seconds(),
        "limit": group.limit,
        "evaluationTime": 0,
        "lastEvaluation": _instant(state.evaluated_at),
    }


def _rule(compiled: Compiled, rule: AlertingRule | None, health: RuleHealth, state: GroupState) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": compiled.rule.name,
        "query": compiled.rule.expr,
        "labels": state.group.labels_of(compiled.rule),
        "health": "unknown" if health.evaluated_at is None else "err" if health.error else "ok",
        "evaluationTime": 0,
        "lastEvaluation": _instant(health.evaluated_at),
        "type": "recording" if rule is None else "alerting",
    }
    if health.error:
        shown["lastError"] = health.error
    if rule is not None:
        alerts = _alerts(rule)
        states = {alert["state"] for alert in alerts}
        shown |= {
            "state": next((name for name in ("firing", "pending") if name in states), "inactive"),
            "duration": compiled.rule.hold.total_seconds(),
            "keepFiringFor": compiled.rule.keep_firing_for.total_seconds(),
            "annotations": compiled.rule.annotations,
            "alerts": alerts,
        }
    return shown


def _alerts(rule: AlertingRule) -> list[dict[str, Any]]:
    return [_alert(rule, rule.active[key]) for key in sorted(rule.active, key=sorted)]


def _alert(rule: AlertingRule, active: Active) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "labels": active.labels,
        "annotations": rule.annotations_of(active),
        "state": "pending" if active.phase is Phase.PENDING else "firing",
        "activeAt": _instant(active.active_at),
        "value": go_exponent(active.value),
    }
    if active.keep_since is not None:
        shown["keepFiringSince"] = _instant(active.keep_since)
    if active.phase is Phase.NO_DATA:
        shown["noData"] = True
    return shown


def _instant(at: datetime | None) -> str:
    """RFC 3339 without trailing zeros."""
    if at is None:
        return _NEVER
    fraction = f".{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"
