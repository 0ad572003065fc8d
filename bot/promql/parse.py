"""PromQL text becomes a checked `Expr`. The one door to promql_parser.

The guard runs first; afterwards anything this engine cannot answer is refused here, by name, never at run time.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

import promql_parser as pp

from bot.errors import QueryError, UnsupportedQueryError
from bot.labels import Matcher, Op
from bot.promql import durations, guard, nodes
from bot.promql.nodes import Anchor, At, Card, Instant, Kind, Matching, Node
from bot.promql.signatures import AGGREGATIONS, EXPERIMENTAL, FUNCTIONS

DEFAULT_STEP_MS = 60_000
# A chain of binary operators is walked in a loop; everything else costs Python frames.
MAX_DEPTH = 110
# Put into a selector of labels only so that the parser takes it, and taken out again.
_ANY_INFO = "__any_info__"
_LABEL_SELECTOR = re.compile(r"(,\s*)\{")


@dataclass(frozen=True)
class Selector:
    """One selector of an expression. `depth_seconds`: how far before the evaluation time it reads, lookback aside."""

    matchers: tuple[Matcher, ...]
    range_seconds: float
    offset_seconds: float
    under_absent: bool
    depth_seconds: float
    name: str | None
    node: Instant = field(repr=False, compare=False)


@dataclass(frozen=True)
class Expr:
    """A parsed expression. `text` is what was written, `canonical` is equal for equal meanings.

    `depth_seconds` is the deepest selector's; the lookback of instant selectors is the engine's and comes on top.
    """

    text: str
    canonical: str
    kind: Kind
    selectors: tuple[Selector, ...]
    depth_seconds: float
    node: Node = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.text


def parse(text: str, *, experimental: bool = False) -> Expr:
    """Raises QueryError on anything that is not PromQL, UnsupportedQueryError on what this engine does not answer.

    Functions that Prometheus calls experimental are answered with `experimental` only.
    """
    return _parse(text.strip() if isinstance(text, str) else text, experimental)


@lru_cache(maxsize=16_384)  # more than a large configuration has rules: what did not change is not parsed anew
def _parse(text: str, experimental: bool) -> Expr:
    plain = guard.checked(text)
    node = _shielded(plain, lambda: _read(plain, experimental))
    selectors = tuple(_selectors(node, 0, 0, under_absent=False))
    depth = max((selector.depth_seconds for selector in selectors), default=0.0)
    return Expr(text, node.key, nodes.kind_of(node), selectors, depth, node)


def _read(plain: str, experimental: bool) -> Node:
    settled, times = durations.settled(plain)
    return _Reader(experimental, times).convert(_parsed(settled), 0)


def _shielded(text: str, work: Callable[[], Node]) -> Node:
    try:
        return work()
    except QueryError:
        raise
    except (ValueError, OverflowError, RecursionError) as error:
        guard.refuse_unsupported(text)
        raise QueryError(f"parse error: {_one_line(error)}") from None
    except BaseException as error:  # a Rust panic arrives as BaseException; everything else goes on
        if type(error).__name__ != "PanicException":
            raise
        raise QueryError("parse error: a number or timestamp in the expression is out of range") from None


def _parsed(plain: str) -> Any:
    try:
        return pp.parse(plain)
    except ValueError as error:
        # The second argument of info() may match everything, which the parser does not know.
        if "info" not in plain or "non-empty matcher" not in str(error):
            raise
        return pp.parse(_LABEL_SELECTOR.sub(rf'\1{{{_ANY_INFO}!="",', plain))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


@dataclass(frozen=True)
class _Reader:
    """The parser's tree into ours."""

    experimental: bool
    # What `@ 0`, `@ 1` … stand for, when they do.
    times: tuple[int, ...]

    def need_setting(self, what: str) -> None:
        if not self.experimental:
            raise UnsupportedQueryError(f"{what} is experimental and needs the setting query.experimental_functions")

    def convert(self, raw: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise QueryError(f"expression is nested too deep: more than {MAX_DEPTH} levels")
        match raw:
            case pp.ParenExpr():
                return self.convert(raw.expr, depth + 1)
            case pp.NumberLiteral():
                return nodes.number(raw.val)
            case pp.StringLiteral():
                return nodes.text(raw.val)
            case pp.VectorSelector():
                return self.instant(raw)
            case pp.MatrixSelector():
                return nodes.range_of(self.instant(raw.vector_selector), _length(raw.range))
            case pp.SubqueryExpr():
                inner = self.convert(raw.expr, depth + 1)
                step = None if raw.step is None else _length(raw.step)
                return nodes.subquery(inner, _length(raw.range), step, _offset(raw.offset), self.at(raw.at))
            case pp.UnaryExpr():
                return nodes.negate(self.convert(raw.expr, depth + 1))
            case pp.Call():
                return self.call(raw, depth)
            case pp.AggregateExpr():
                return self.aggregate(raw, depth)
            case pp.BinaryExpr():
                return self.chain(raw, depth)
        raise UnsupportedQueryError(f"unsupported expression: {type(raw).__name__}")

    def chain(self, raw: Any, depth: int) -> Node:
        spine = []
        while isinstance(raw, pp.BinaryExpr):
            spine.append(raw)
            raw = raw.lhs
        node = self.convert(raw, depth + 1)
        for part in reversed(spine):
            modifier = part.modifier
            node = nodes.binary(
                str(part.op),
                node,
                self.convert(part.rhs, depth + 1),
                returns_bool=bool(modifier and modifier.return_bool),
                matching=self.matching(modifier),
            )
        return node

    def matching(self, modifier: Any) -> Matching:
        if modifier is None:
            return Matching()
        fill = modifier.fill_values
        left, right = (None, None) if fill is None else (fill.lhs, fill.rhs)
        if left is not None or right is not None:
            self.need_setting("fill()")
        card = Card.ONE_TO_ONE
        if modifier.card == pp.VectorMatchCardinality.ManyToOne:
            card = Card.MANY_TO_ONE
        elif modifier.card == pp.VectorMatchCardinality.OneToMany:
            card = Card.ONE_TO_MANY
        on, labels = False, tuple[str, ...]()
        if modifier.matching is not None:
            on = modifier.matching.type == pp.LabelModifierType.Include
            labels = tuple(sorted(set(modifier.matching.labels)))
        return Matching(card, on, labels, tuple(sorted(set(modifier.group_labels or ()))), left, right)

    def call(self, raw: Any, depth: int) -> Node:
        name = raw.func.name
        signature = FUNCTIONS.get(name)
        if signature is None:
            raise UnsupportedQueryError(f"unsupported function: {name}()")
        if name in EXPERIMENTAL:
            self.need_setting(f"{name}()")
        if name == "info":
            return self.info(raw, depth)
        args = tuple(self.convert(arg, depth + 1) for arg in raw.args)
        signature.check(name, args)
        return nodes.call(name, args, signature.returns)

    def info(self, raw: Any, depth: int) -> Node:
        """The second argument becomes the selector of the info series; it may stand for labels only."""
        if len(raw.args) > 1 and (not isinstance(raw.args[1], pp.VectorSelector) or raw.args[1].name is not None):
            raise QueryError("parse error: expected label selectors only, got vector selector instead")
        given = raw.args[1].matchers.matchers if len(raw.args) > 1 else []
        matchers = [Matcher(m.name, _op(m.op), m.value) for m in given if m.name != _ANY_INFO]
        named = [matcher.op for matcher in matchers if matcher.name == nodes.NAME]
        if not named:
            matchers.append(Matcher(nodes.NAME, Op.EQUAL, "target_info"))
        elif all(op in {Op.NOT_EQUAL, Op.NOT_REGEX} for op in named):
            matchers.append(Matcher(nodes.NAME, Op.REGEX, ".+_info"))
        return nodes.call("info", (self.convert(raw.args[0], depth + 1), nodes.instant(matchers)), "vector")

    def aggregate(self, raw: Any, depth: int) -> Node:
        op = str(raw.op)
        if op not in AGGREGATIONS:
            raise UnsupportedQueryError(f"unsupported aggregation: {op}()")
        if op in EXPERIMENTAL:
            self.need_setting(f"{op}()")
        param = None if raw.param is None else self.convert(raw.param, depth + 1)
        modifier = raw.modifier
        without = modifier is not None and modifier.type == pp.AggModifierType.Without
        labels = () if modifier is None else modifier.labels
        if "" in labels:
            raise QueryError('parse error: invalid label name for grouping: ""')
        return nodes.aggregate(op, self.convert(raw.expr, depth + 1), param, without=without, labels=labels)

    def instant(self, raw: Any) -> Instant:
        if raw.matchers.or_matchers:
            raise UnsupportedQueryError('unsupported: "or" between matchers; write two selectors joined by or')
        matchers = [Matcher(m.name, _op(m.op), m.value) for m in raw.matchers.matchers]
        if any(matcher.name == _ANY_INFO for matcher in matchers):
            raise QueryError("parse error: vector selector must contain at least one non-empty matcher")
        if raw.name is not None:
            matchers.append(Matcher(nodes.NAME, Op.EQUAL, raw.name))
        return nodes.instant(matchers, _offset(raw.offset), self.at(raw.at))

    def at(self, modifier: Any) -> At:
        if modifier is None:
            return None
        if modifier.type == pp.AtModifierType.Start:
            return Anchor.START
        if modifier.type == pp.AtModifierType.End:
            return Anchor.END
        seconds: float = modifier.at.timestamp()
        return self.times[round(seconds)] if self.times else round(seconds * 1000)


def _op(raw: Any) -> Op:
    # The parser's enum is not hashable, so no dict.
    if raw == pp.MatchOp.Equal:
        return Op.EQUAL
    if raw == pp.MatchOp.NotEqual:
        return Op.NOT_EQUAL
    return Op.REGEX if raw == pp.MatchOp.Re else Op.NOT_REGEX


def _ms(value: timedelta) -> int:
    if abs(value.total_seconds()) > durations.MAX_SECONDS:
        raise QueryError("parse error: duration out of range")
    return value // timedelta(milliseconds=1)


def _length(value: timedelta | None) -> int:
    if value is None or value <= timedelta():
        raise QueryError("parse error: duration must be greater than 0")
    return _ms(value)


def _offset(value: timedelta | None) -> int:
    return 0 if value is None else _ms(value)


def _selectors(node: Node, range_ms: int, above_ms: int, *, under_absent: bool) -> Iterator[Selector]:
    match node:
        case Instant():
            depth = above_ms + max(0, node.offset_ms) + max(range_ms, 0)
            yield Selector(
                node.matchers, range_ms / 1000, node.offset_ms / 1000, under_absent, depth / 1000, node.name, node
            )
        case nodes.Range():
            yield from _selectors(node.selector, node.range_ms, above_ms, under_absent=under_absent)
        case nodes.Subquery():
            above_ms += node.range_ms + max(0, node.offset_ms) + (node.step_ms or DEFAULT_STEP_MS)
            yield from _selectors(node.expr, 0, above_ms, under_absent=under_absent)
        case _:
            absent = isinstance(node, nodes.Call) and node.function in {"absent", "absent_over_time"}
            for child in _operands(node):
                yield from _selectors(child, 0, above_ms, under_absent=under_absent or absent)


def _operands(node: Node) -> list[Node]:
    """The children; of a chain of binary operators all operands, left to right, however long it is."""
    operands: list[Node] = []
    while isinstance(node, nodes.Binary):
        operands.append(node.rhs)
        node = node.lhs
    if operands:
        return [node, *reversed(operands)]
    return list(node.children())
