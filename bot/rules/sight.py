"""Which alerts can see anything at all, given the metrics that are there, and what the blind ones lack.

Pure: rules and metric names in, reasons out. The question is whether an expression could give a result, not whether
it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from bot.errors import QueryError, UnsupportedQueryError
from bot.promql import nodes
from bot.promql.nodes import Node
from bot.promql.parse import parse
from bot.rules.model import Group

Seen = Mapping[str, Set[str]]  # metric → names of the labels that any of its series has

_BY_US = ("up", "ALERTS", "ALERTS_FOR_STATE", "scrape_", "agentpager_", "agent_registry_readiness")
# Without these a rule does not know whose series it reads. Others, such as error_type, may simply not have come yet.
_WHOSE = frozenset({"agent", "api_key_alias", "consumer"})


@dataclass(frozen=True, order=True)
class Lack:
    """A metric that is not there; with a `label`, one that is there, but never with this label."""

    metric: str
    label: str = ""

    def __str__(self) -> str:
        return f"{self.metric} with a label {self.label}" if self.label else self.metric


@dataclass(frozen=True)
class Sight:
    """What one alert sees. It is blind when it lacks anything."""

    alert: str
    severity: str
    lacks: tuple[Lack, ...] = ()


def sights(groups: Sequence[Group], seen: Seen) -> list[Sight]:
    """Every alert once, in the order of the files. An alert of several rules sees when one of them does."""
    reader = _Reader(seen, _recorded(groups))
    found: dict[str, Sight] = {}
    for group in groups:
        for rule in group.rules:
            node = _node(rule.expr) if rule.is_alert else None
            if node is None:
                continue
            lacks = tuple(sorted(reader.lacking(node, frozenset())))
            known = found.get(rule.name)
            if known is None or (known.lacks and not lacks):
                found[rule.name] = Sight(rule.name, group.labels_of(rule).get("severity", ""), lacks)
    return list(found.values())


def _recorded(groups: Iterable[Group]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for group in groups:
        for rule in group.rules:
            node = _node(rule.expr) if rule.record else None
            if node is not None and rule.record:
                found.setdefault(rule.record, []).append(node)
    return found


def _node(text: str) -> Node | None:
    """None when it does not parse, which the checks tell."""
    try:
        return parse(text).node
    except UnsupportedQueryError:
        pass
    except QueryError:
        return None
    try:
        return parse(text, experimental=True).node
    except QueryError:
        return None


@dataclass
class _Reader:
    seen: Seen
    recorded: Mapping[str, Sequence[Node]]
    _known: dict[str, frozenset[Lack]] = field(default_factory=dict)

    def lacking(self, node: Node, above: frozenset[str]) -> frozenset[Lack]:
        match node:
            case nodes.Instant():
                return self._of_selector(node, above)
            case nodes.Call(function="absent" | "absent_over_time"):
                return frozenset()
            case nodes.Binary():
                return self._of_binary(node, above)
            case _:
                return frozenset().union(*(self.lacking(child, above) for child in node.children()))

    def _of_binary(self, node: nodes.Binary, above: frozenset[str]) -> frozenset[Lack]:
        """A chain leans to the left and may be long: it is walked, not climbed."""
        chain = [node]
        while isinstance(chain[-1].lhs, nodes.Binary):
            chain.append(chain[-1].lhs)
        lacks = self.lacking(chain[-1].lhs, above)
        for one in reversed(chain):
            if one.op == "unless":
                continue
            if one.op == "or":
                # `or vector(0)` gives a number, but nothing to see.
                right = self.lacking(one.rhs, above) if one.rhs.names else lacks
                lacks = _better(lacks, right)
            else:
                lacks |= self.lacking(one.rhs, above)
        return lacks

    def _of_selector(self, node: nodes.Instant, above: frozenset[str]) -> frozenset[Lack]:
        name = node.name
        if name is None or name.startswith(_BY_US):
            return frozenset()
        if name in self.seen:
            asked = {m.name for m in node.matchers if m.name in _WHOSE and not m.matches_value("")}
            return frozenset(Lack(name, label) for label in asked - self.seen[name])
        if name in self.recorded and name not in above:
            return self._of_recorded(name, above | {name})
        return frozenset({Lack(name)})

    def _of_recorded(self, name: str, above: frozenset[str]) -> frozenset[Lack]:
        if name not in self._known:
            first, *others = (self.lacking(node, above) for node in self.recorded[name])
            for other in others:
                first = _better(first, other)
            self._known[name] = first
        return self._known[name]


def _better(left: frozenset[Lack], right: frozenset[Lack]) -> frozenset[Lack]:
    """Of two ways the one that is open, else the one where only a label lacks, else the one written first."""
    if not left or not right:
        return frozenset()
    labels_only = all(lack.label for lack in right) and not all(lack.label for lack in left)
    return right if labels_only else left
