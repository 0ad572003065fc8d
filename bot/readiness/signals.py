"""Which alerts would notice that an agent fails, is slow, is dear or answers badly: told from the series they read,
through recording rules, or from their annotation `covers`.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bot.agents.readiness import COVERS, Signal
from bot.errors import QueryError
from bot.labels import Labels
from bot.promql.parse import Expr, Selector, parse
from bot.readiness.model import Watch
from bot.rules.model import Group, Rule

_SPLIT = re.compile(r"[^a-z0-9]+")
_WORDS: dict[Signal, frozenset[str]] = {
    Signal.ERRORS: frozenset(
        ("error", "errors", "bad", "failed", "failure", "failures", "failing", "success", "exceptions")
    ),
    Signal.LATENCY: frozenset(("latency", "duration", "ttft")),
    Signal.COST: frozenset(("cost", "costs", "spend", "usd", "dollars")),
    Signal.QUALITY: frozenset(("eval", "evals", "evaluation", "quality", "score", "feedback")),
}
# Whose label says that something went wrong.
_VERDICTS = frozenset(("outcome", "status", "status_code", "error_type", "exception_class", "exception_status", "code"))
# Of parts of an agent, or of what it works with: they say nothing of whether it does what it is for.
_PARTS = frozenset(("tool", "tools", "mcp", "data", "guardrail", "audit", "checkpoint", "handoff", "handoffs", "rule"))
_REGISTRY = "agent_registry_"
_CANONICAL = "agent:"  # says what it is: agent:runs counts failed runs too, and is no signal of errors


@dataclass(frozen=True)
class Noticing:
    """An alerting rule that covers a signal. `labels` are those whose value is fixed; `agents` is the only agents it
    can be of, None for any."""

    rule: Rule
    labels: Labels
    signals: Mapping[Signal, tuple[str, ...]]  # the series that each is noticed by
    agents: frozenset[str] | None = None

    def concerns(self, agent: str) -> bool:
        return self.agents is None or agent in self.agents


def noticing(groups: Sequence[Group], agents: Collection[str]) -> list[Noticing]:
    """The alerting rules that cover anything, in the order of the files. Those that wake nobody are none."""
    recorded = {rule.record: expr for group in groups for rule in group.rules if rule.record and (expr := _read(rule))}
    reader = _Reader(recorded)
    found = []
    for group in groups:
        for rule in group.rules:
            expr = _read(rule) if rule.is_alert else None
            labels = {name: value for name, value in group.labels_of(rule).items() if "{{" not in value}
            if (
                expr is not None
                and labels.get("severity") not in {"none", "info"}
                and (signals := reader.signals(rule, expr))
            ):
                found.append(Noticing(rule, labels, signals, _only(labels, expr, agents)))
    return found


def watches(rules: Sequence[Noticing], agent: str) -> dict[Signal, tuple[Watch, ...]]:
    mine = [one for one in rules if one.concerns(agent)]
    return {
        signal: tuple(Watch(alert=one.rule.name, metrics=one.signals[signal]) for one in mine if signal in one.signals)
        for signal in Signal
    }


def _read(rule: Rule) -> Expr | None:
    try:
        return parse(rule.expr, experimental=True)
    except QueryError:
        return None


def _only(labels: Labels, expr: Expr, agents: Collection[str]) -> frozenset[str] | None:
    """A rule for some agents names them by its label or in its selectors."""
    if "agent" in labels:
        return frozenset((labels["agent"],))
    named = [tuple(m for m in one.matchers if m.name == "agent" and m.value) for one in expr.selectors]
    fitting = frozenset(
        agent for agent in agents if any(ms and all(m.matches_value(agent) for m in ms) for ms in named)
    )
    return fitting if any(named) and len(fitting) < len(agents) else None


class _Reader:
    """`recorded` are the recording rules by the names they write."""

    def __init__(self, recorded: Mapping[str, Expr]) -> None:
        self._recorded = recorded
        self._below: dict[str, frozenset[Signal]] = {}
        self._registry: dict[str, bool] = {}

    def signals(self, rule: Rule, expr: Expr) -> dict[Signal, tuple[str, ...]]:
        told = frozenset(_SPLIT.split(rule.annotations.get(COVERS, "").lower()))
        by_name: dict[Signal, dict[str, None]] = {}
        for selector in expr.selectors:
            name = selector.name
            if name is None or self._is_registry(name):
                continue
            said = [signal for signal in Signal if signal.value in told]
            for signal in said or self._of_selector(selector):
                by_name.setdefault(signal, {})[name] = None
        return {signal: tuple(names) for signal, names in by_name.items()}

    def _of_selector(self, selector: Selector) -> frozenset[Signal]:
        name = selector.name or ""
        words = frozenset(_SPLIT.split(name.lower()))
        if words & _PARTS:
            return frozenset()
        found = {signal for signal in Signal if words & _WORDS[signal]}
        if "count" in words:  # of a histogram of durations: how many there were, not how long they took
            found.discard(Signal.LATENCY)
        if any(matcher.name in _VERDICTS for matcher in selector.matchers):
            found.add(Signal.ERRORS)
        return frozenset(found) or self._recorded_from(name)

    def _recorded_from(self, name: str) -> frozenset[Signal]:
        if name not in self._below:
            self._below[name] = frozenset()  # a rule that reads what it writes adds nothing
            through = name in self._recorded and not name.startswith(_CANONICAL)
            below = self._recorded[name].selectors if through else ()
            self._below[name] = frozenset(signal for one in below for signal in self._of_selector(one))
        return self._below[name]

    def _is_registry(self, name: str) -> bool:
        """What the files say is no observation, under whatever name it is recorded."""
        if name not in self._registry:
            self._registry[name] = name.startswith(_REGISTRY)
            below = [one.name or "" for one in self._recorded[name].selectors] if name in self._recorded else []
            if below:
                self._registry[name] = all(self._is_registry(one) for one in below)
        return self._registry[name]
