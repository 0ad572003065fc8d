"""Rules and alerts as JSON, the same as Prometheus' /api/v1/rules and /api/v1/alerts.

One key is ours: `noData` is true on a firing alert that is held because its data vanished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.humanize import go_exponent
from bot.labels import Labels, Matcher, matches_all
from bot.rules.alerting import AlertingRule
from bot.rules.evaluate import GroupState, RuleHealth
from bot.rules.load import Compiled
from bot.rules.model import Group, Rule
from bot.rules.state import Active, Phase

_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Wanted:
    """Which rules to show; what is empty asks for nothing in particular. `kind` is "", "alert" or "record"."""

    names: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    matcher_sets: tuple[tuple[Matcher, ...], ...] = ()
    kind: str = ""
    alerts: bool = True

    def group(self, group: Group) -> bool:
        return (not self.groups or group.name in self.groups) and (not self.files or group.file in self.files)

    def rule(self, rule: Rule, labels: Labels) -> bool:
        if self.names and rule.name not in self.names:
            return False
        if self.kind and (self.kind == "alert") != rule.is_alert:
            return False
        return not self.matcher_sets or any(matches_all(one, labels) for one in self.matcher_sets)


def rules_json(groups: Iterable[GroupState], default_interval: timedelta, wanted: Wanted = Wanted()) -> dict[str, Any]:
    """Groups of which no rule is wanted are left out, as in Prometheus."""
    shown = [_group(state, default_interval, wanted) for state in groups if wanted.group(state.group)]
    return {"groups": [group for group in shown if group["rules"]]}


def first_page(rules: dict[str, Any], size: int, token: str) -> dict[str, Any]:
    """The first `size` groups from the one that `token` names, and the token of the next. Raises ValueError."""
    groups = rules["groups"]
    tokens = [_token(group) for group in groups]
    if token and token not in tokens:
        raise ValueError(f"invalid group_next_token '{token}'. were rule groups changed?")
    start = tokens.index(token) if token else 0
    page = {"groups": groups[start : start + size]}
    if start + size < len(groups):
        page["groupNextToken"] = tokens[start + size]
    return page


def _token(group: dict[str, Any]) -> str:
    # As Prometheus makes them; nothing secret.
    return hashlib.sha1(f"{group['file']};{group['name']}".encode(), usedforsecurity=False).hexdigest()


def alerts_json(groups: Iterable[GroupState]) -> dict[str, Any]:
    rules = [rule for state in groups for _, rule, _ in state.rules if rule is not None]
    return {"alerts": [alert for rule in rules for alert in _alerts(rule)]}


def _group(state: GroupState, default_interval: timedelta, wanted: Wanted) -> dict[str, Any]:
    group = state.group
    return {
        "name": group.name,
        "file": group.file,
        "rules": [
            _rule(compiled, rule, health, state, alerts=wanted.alerts)
            for compiled, rule, health in state.rules
            if wanted.rule(compiled.rule, group.labels_of(compiled.rule))
        ],
        "interval": (group.interval or default_interval).total_seconds(),
        "limit": group.limit,
        "evaluationTime": state.seconds,
        "lastEvaluation": shown_instant(state.evaluated_at),
    }


def _rule(
    compiled: Compiled, rule: AlertingRule | None, health: RuleHealth, state: GroupState, *, alerts: bool
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": compiled.rule.name,
        "query": compiled.rule.expr,
        "labels": state.group.labels_of(compiled.rule),
        "health": "unknown" if health.evaluated_at is None else "err" if health.error else "ok",
        "evaluationTime": health.seconds,
        "lastEvaluation": shown_instant(health.evaluated_at),
        "type": "recording" if rule is None else "alerting",
    }
    if health.error:
        shown["lastError"] = health.error
    if rule is not None:
        states = {_state(active) for active in rule.active.values()}
        shown |= {
            "state": next((name for name in ("firing", "pending") if name in states), "inactive"),
            "duration": compiled.rule.hold.total_seconds(),
            "keepFiringFor": compiled.rule.keep_firing_for.total_seconds(),
            "annotations": compiled.rule.annotations,
            "alerts": _alerts(rule) if alerts else None,
        }
    return shown


def _alerts(rule: AlertingRule) -> list[dict[str, Any]]:
    return [_alert(rule, rule.active[key]) for key in sorted(rule.active, key=sorted)]


def _alert(rule: AlertingRule, active: Active) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "labels": active.labels,
        "annotations": rule.annotations_of(active),
        "state": _state(active),
        "activeAt": shown_instant(active.active_at),
        "value": go_exponent(active.value),
    }
    if active.keep_since is not None:
        shown["keepFiringSince"] = shown_instant(active.keep_since)
    if active.phase is Phase.NO_DATA:
        shown["noData"] = True
    return shown


def _state(active: Active) -> str:
    return "pending" if active.phase is Phase.PENDING else "firing"


def shown_instant(at: datetime | None) -> str:
    """RFC 3339 without trailing zeros."""
    if at is None:
        return _NEVER
    fraction = f".{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"
