"""Inhibition: while the alert that is the cause fires, those that only follow from it wake nobody. Pure.

The meaning is Alertmanager's (its documentation, "inhibit_rule"): a label that is missing equals an empty one; an
alert that matches both sides of a rule is not inhibited by alerts of which the same is true, itself included; a source
that is itself silenced or inhibited still inhibits. One thing is added: alerts that inhibit each other in a circle do
not all fall silent, the worst of them keeps waking somebody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from bot.agents.model import Agent
from bot.incidents.matching import Index
from bot.incidents.model import Alert, Suppression, SuppressionKind, worst_first
from bot.incidents.policy import InhibitRule
from bot.incidents.registered import NOBODY, Agents, any_of, seen
from bot.labels import Labels

_REMEMBERED = 50_000  # alerts whose sides are kept; then the memory starts anew
_Group = tuple[int, tuple[str, ...]]  # number of the rule, and the values of its equal labels


@dataclass(frozen=True)
class _Sides:
    """On which side of which groups an alert stands."""

    source: tuple[_Group, ...] = ()
    target: tuple[_Group, ...] = ()


_NEITHER = _Sides()


class Inhibition:
    """The rules of a configuration, their matchers compiled once, with a memory of what each alert is to them."""

    def __init__(self, rules: Sequence[InhibitRule]) -> None:
        self._rules = rules
        self._sources = Index([rule.source_matchers for rule in rules])
        self._targets = Index([rule.target_matchers for rule in rules])
        self._of_registry = any_of(name for rule in rules for name in rule.equal)
        self._known: dict[str, tuple[dict[str, str], Agent | None, _Sides]] = {}

    def concerns(self, alerts: Iterable[Alert], agents: Agents = NOBODY) -> bool:
        """Whether one of them stands on a side of a rule."""
        return bool(self._rules) and any(self._sides(alert, agents) is not _NEITHER for alert in alerts)

    def inhibited(self, alerts: Iterable[Alert], agents: Agents = NOBODY) -> dict[str, tuple[Suppression, ...]]:
        """Fingerprint to what inhibits it, of alerts that have not ended."""
        if not self._rules:
            return {}
        sides = {alert.fingerprint: (alert, self._sides(alert, agents)) for alert in alerts}
        sources = _Sources()
        for alert, side in sides.values():
            sources.add(alert, side)
        found: dict[str, dict[_Group, Alert]] = {}
        for fingerprint, (_, side) in sides.items():
            groups = {group: by for group in side.target if (by := sources.against(side, group)) is not None}
            if groups:
                found[fingerprint] = groups
        for fingerprint in _circles(sides, found):
            del found[fingerprint]
        return {fingerprint: self._reasons(groups) for fingerprint, groups in found.items()}

    def _sides(self, alert: Alert, agents: Agents) -> _Sides:
        agent = agents.get(alert.labels.get("agent", ""))
        known = self._known.get(alert.fingerprint)
        if known is not None and known[1] is agent and (known[0] is alert.labels or known[0] == alert.labels):
            return known[2]
        source, target = self._sources.matching(alert.labels, agents), self._targets.matching(alert.labels, agents)
        labels = seen(alert.labels, agents) if self._of_registry else alert.labels
        sides = _Sides(self._groups(source, labels), self._groups(target, labels)) if source or target else _NEITHER
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[alert.fingerprint] = (alert.labels, agent, sides)
        return sides

    def _groups(self, numbers: Iterable[int], labels: Labels) -> tuple[_Group, ...]:
        return tuple((one, tuple(labels.get(name, "") for name in self._rules[one].equal)) for one in numbers)

    def _reasons(self, groups: dict[_Group, Alert]) -> tuple[Suppression, ...]:
        return tuple(
            _reason(self._rules[number].name, source.name, source.labels.get("agent", ""))
            for (number, _), source in groups.items()
        )


@lru_cache(maxsize=8)
def inhibition_of(rules: tuple[InhibitRule, ...]) -> Inhibition:
    return Inhibition(rules)


@dataclass
class _Sources:
    """The worst alert that inhibits each group: of all, and of those that are not on the target's side too."""

    every: dict[_Group, Alert] = field(default_factory=dict)
    alone: dict[_Group, Alert] = field(default_factory=dict)

    def add(self, alert: Alert, side: _Sides) -> None:
        for group in side.source:
            for worst in (self.every,) if group in side.target else (self.every, self.alone):
                known = worst.get(group)
                worst[group] = alert if known is None else min(known, alert, key=worst_first)

    def against(self, side: _Sides, group: _Group) -> Alert | None:
        """The alert by which one that stands on this side is inhibited."""
        return (self.alone if group in side.source else self.every).get(group)


def _circles(sides: dict[str, tuple[Alert, _Sides]], found: dict[str, dict[_Group, Alert]]) -> Collection[str]:
    """Of alerts that are inhibited only by one another: those that must go on waking somebody."""
    if not any(by.fingerprint in found for groups in found.values() for by in groups.values()):
        return ()
    targets: dict[_Group, list[str]] = {}
    for fingerprint, groups in found.items():
        for group in groups:
            targets.setdefault(group, []).append(fingerprint)
    grounded: set[str] = set()
    freed: list[str] = []

    def ground(fingerprint: str) -> None:
        waiting = [fingerprint]
        while waiting:
            here = waiting.pop()
            if here in grounded:
                continue
            grounded.add(here)
            side = sides[here][1]
            for group in side.source:
                both = group in side.target
                waiting += [one for one in targets.get(group, ()) if not (both and group in sides[one][1].source)]

    for fingerprint in sides:
        if fingerprint not in found:
            ground(fingerprint)
    for fingerprint in sorted(found, key=lambda name: worst_first(sides[name][0])):
        if fingerprint not in grounded:
            freed.append(fingerprint)
            ground(fingerprint)
    return freed


@lru_cache(maxsize=4096)
def _reason(rule: str, source: str, agent: str) -> Suppression:
    of = f" of {agent}" if agent else ""
    why = f'{source}{of} fires, which explains it (inhibit rule "{rule}")'
    return Suppression(kind=SuppressionKind.INHIBITION, by=rule, why=why)
