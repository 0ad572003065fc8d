"""Many rules that differ in one pinned label only, such as agent="x", answered from one evaluation without the pin.

An expression qualifies when the pinned label stands in every selector and survives to the result, so that filtering
the wide answer by it gives the narrow one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bot.labels import Op
from bot.promql import nodes
from bot.promql.nodes import NAME, Aggregate, Binary, Call, Instant, Negate, Node, Range, Subquery

# Their answers have other labels than their argument, or an order.
_LOSES_LABELS = frozenset(
    {"absent", "absent_over_time", "vector", "sort", "sort_desc", "sort_by_label", "sort_by_label_desc", "info"}
)
_ORDERED = frozenset({"topk", "bottomk", "limitk"})


@dataclass(frozen=True)
class Wide:
    """`node` without the pin `label="value"`."""

    node: Node
    label: str
    value: str

    @cached_property
    def selectors(self) -> tuple[Instant, ...]:
        return tuple(selectors(self.node))


def widened(node: Node) -> tuple[Wide, ...]:
    """Every way to leave out one pin; nothing for expressions that are not all pinned alike."""
    pinned = selectors(node) if nodes.kind_of(node) == "vector" else []
    if not pinned:
        return ()
    found = []
    for matcher in pinned[0].matchers:
        if matcher.op is Op.EQUAL and matcher.value and matcher.name != NAME:
            wide = _without(node, matcher.name, matcher.value)
            if wide is not None:
                found.append(Wide(wide, matcher.name, matcher.value))
    return tuple(found)


def selectors(node: Node) -> list[Instant]:
    """All selectors below, left to right."""
    found: list[Instant] = []
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, Instant):
            found.append(node)
        pending.extend(reversed(node.children()))
    return found


def _without(node: Node, label: str, value: str) -> Node | None:
    if nodes.kind_of(node) in {"scalar", "string"}:
        return node
    match node:
        case Instant():
            return _selector(node, label, value)
        case Range():
            selector = _selector(node.selector, label, value)
            return None if selector is None else nodes.range_of(selector, node.range_ms)
        case Subquery():
            inner = _without(node.expr, label, value)
            if inner is None:
                return None
            return nodes.subquery(inner, node.range_ms, node.step_ms, node.offset_ms, node.at)
        case Negate():
            inner = _without(node.expr, label, value)
            return None if inner is None else nodes.negate(inner)
        case Call():
            return _call(node, label, value)
        case Aggregate():
            return _aggregate(node, label, value)
        case Binary():
            return _binary(node, label, value)
    return None


def _selector(node: Instant, label: str, value: str) -> Instant | None:
    on_label = [matcher for matcher in node.matchers if matcher.name == label]
    if node.name is None or len(on_label) != 1 or on_label[0].op is not Op.EQUAL or on_label[0].value != value:
        return None
    return nodes.instant((m for m in node.matchers if m.name != label), node.offset_ms, node.at)


def _call(node: Call, label: str, value: str) -> Node | None:
    texts = [arg.value for arg in node.args if isinstance(arg, nodes.Text)]
    if node.function in _LOSES_LABELS or not any(nodes.kind_of(arg) in {"vector", "matrix"} for arg in node.args):
        return None
    if node.function in {"label_replace", "label_join"} and texts[0] == label:
        return None
    if node.function == "histogram_quantile" and label == "le":
        return None
    args = tuple(_without(arg, label, value) for arg in node.args)
    if any(arg is None for arg in args):
        return None
    return nodes.call(node.function, tuple(arg for arg in args if arg is not None), node.returns)


def _aggregate(node: Aggregate, label: str, value: str) -> Node | None:
    survives = (label not in node.labels) if node.without else (label in node.labels)
    if not survives or node.op in _ORDERED:
        return None
    if isinstance(node.param, nodes.Text) and node.param.value == label:
        return None
    inner = _without(node.expr, label, value)
    if inner is None:
        return None
    return nodes.aggregate(node.op, inner, node.param, without=node.without, labels=node.labels)


def _binary(node: Binary, label: str, value: str) -> Node | None:
    # A chain of operators may be longer than the interpreter's stack: this looks at short ones only.
    if sum(1 for _ in _spine(node)) > 20:
        return None
    both = "scalar" not in {nodes.kind_of(node.lhs), nodes.kind_of(node.rhs)}
    how = node.matching
    if both and (((label in how.labels) is not how.on) or label in how.include):
        return None
    lhs, rhs = _without(node.lhs, label, value), _without(node.rhs, label, value)
    if lhs is None or rhs is None:
        return None
    return nodes.binary(node.op, lhs, rhs, returns_bool=node.returns_bool, matching=how)


def _spine(node: Node) -> list[Binary]:
    found = []
    while isinstance(node, Binary):
        found.append(node)
        node = node.lhs
    return found
