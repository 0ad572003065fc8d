"""The expression tree, as frozen objects of our own: what the engine walks, what memos are keyed by.

Every node carries `key`, its canonical and fully parenthesised text: equal keys mean equal answers at equal times.
Times are integer milliseconds. Reading PromQL text is parse.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import ClassVar, Literal

from bot.labels import Matcher, Op, compile_regex

Kind = Literal["scalar", "vector", "matrix", "string"]
NAME = "__name__"
# Their answers depend on the time of evaluation, whatever their arguments.
_TELLS_TIME = frozenset({"time", "timestamp", "predict_linear", "info"})
# Functions that make nothing of nothing, and complain of none of their other arguments.
_PASSES_NOTHING_ON = frozenset(
    {
        "abs", "ceil", "clamp", "clamp_max", "clamp_min", "exp", "floor", "histogram_quantile", "ln", "log10", "log2",
        "round", "sgn", "sqrt",
        "changes", "delta", "deriv", "idelta", "increase", "irate", "predict_linear", "rate", "resets",
        "avg_over_time", "count_over_time", "first_over_time", "last_over_time", "max_over_time", "min_over_time",
        "present_over_time", "quantile_over_time", "stddev_over_time", "stdvar_over_time", "sum_over_time",
    }
)  # fmt: skip


class Anchor(StrEnum):
    """Where an `@` modifier pins the evaluation time when it is not a number."""

    START = "start()"
    END = "end()"


At = int | Anchor | None


@dataclass(frozen=True, eq=False)
class Node:
    key: str
    kind: ClassVar[Kind] = "vector"

    def children(self) -> tuple[Node, ...]:
        return ()

    @cached_property
    def names(self) -> frozenset[str | None]:
        """Metric names read below; None stands for a selector that does not pin the name."""
        return frozenset().union(*(child.names for child in self.children()))

    @cached_property
    def fixed(self) -> bool:
        """True when it is the same whatever the time of evaluation, for all selectors below are pinned by `@`."""
        return all(child.fixed for child in self.children())

    @cached_property
    def hollow(self) -> bool:
        """True when it is the empty vector, and nothing can be wrong with it, as long as there is no series of `names`.
        Rules for many stacks ask for much that is not there."""
        return False


@dataclass(frozen=True, eq=False)
class Number(Node):
    value: float
    kind: ClassVar[Kind] = "scalar"


@dataclass(frozen=True, eq=False)
class Text(Node):
    value: str
    kind: ClassVar[Kind] = "string"


@dataclass(frozen=True, eq=False)
class Instant(Node):
    """A vector selector. `name` is the metric name when an equality matcher pins it."""

    matchers: tuple[Matcher, ...]
    offset_ms: int
    at: At
    name: str | None = field(default=None)

    @cached_property
    def fixed(self) -> bool:
        return self.at is not None

    @cached_property
    def names(self) -> frozenset[str | None]:
        return frozenset({self.name})

    @cached_property
    def hollow(self) -> bool:
        return self.name is not None


@dataclass(frozen=True, eq=False)
class Range(Node):
    selector: Instant
    range_ms: int
    kind: ClassVar[Kind] = "matrix"

    def children(self) -> tuple[Node, ...]:
        return (self.selector,)

    @cached_property
    def hollow(self) -> bool:
        return self.selector.hollow


@dataclass(frozen=True, eq=False)
class Subquery(Node):
    expr: Node
    range_ms: int
    step_ms: int | None
    offset_ms: int
    at: At
    kind: ClassVar[Kind] = "matrix"

    def children(self) -> tuple[Node, ...]:
        return (self.expr,)

    @cached_property
    def fixed(self) -> bool:
        return self.at is not None


@dataclass(frozen=True, eq=False)
class Call(Node):
    function: str
    args: tuple[Node, ...]
    returns: Kind

    def children(self) -> tuple[Node, ...]:
        return self.args

    @cached_property
    def fixed(self) -> bool:
        tells_time = self.function in _TELLS_TIME or (not self.args and self.function != "pi")
        return not tells_time and super().fixed

    @cached_property
    def hollow(self) -> bool:
        vectors = [arg for arg in self.args if not isinstance(arg, Number | Text)]
        passes = self._sound_labels if self.function == "label_replace" else self.function in _PASSES_NOTHING_ON
        return passes and bool(vectors) and all(arg.hollow for arg in vectors)

    @property
    def _sound_labels(self) -> bool:
        """Nothing to complain of in what label_replace() is to do."""
        _, target, _, _, pattern = (arg.value if isinstance(arg, Text) else "" for arg in self.args)
        try:
            compile_regex(pattern)
        except ValueError:
            return False
        return bool(target)


@dataclass(frozen=True, eq=False)
class Aggregate(Node):
    op: str
    expr: Node
    param: Node | None
    without: bool
    labels: tuple[str, ...]

    def children(self) -> tuple[Node, ...]:
        return (self.expr,) if self.param is None else (self.param, self.expr)

    @cached_property
    def hollow(self) -> bool:
        return self.param is None and self.expr.hollow


class Card(StrEnum):
    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"


@dataclass(frozen=True)
class Matching:
    """How two vectors find each other. `on` False means ignoring the labels."""

    card: Card = Card.ONE_TO_ONE
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    # What stands in for a sample that the left or the right side does not have.
    fill_left: float | None = None
    fill_right: float | None = None

    def __str__(self) -> str:
        head = f" {'on' if self.on else 'ignoring'}({','.join(self.labels)})" if self.on or self.labels else ""
        fill = "".join(
            f" {name}({value!r})"
            for name, value in (("fill_left", self.fill_left), ("fill_right", self.fill_right))
            if value is not None
        )
        if self.card is Card.ONE_TO_ONE:
            return head + fill
        side = "group_left" if self.card is Card.MANY_TO_ONE else "group_right"
        return f"{head} {side}({','.join(self.include)}){fill}"


@dataclass(frozen=True, eq=False)
class Binary(Node):
    op: str
    lhs: Node
    rhs: Node
    returns_bool: bool
    matching: Matching
    returns: Kind

    def children(self) -> tuple[Node, ...]:
        return (self.lhs, self.rhs)

    @cached_property
    def hollow(self) -> bool:
        sides = [side for side in (self.lhs, self.rhs) if not isinstance(side, Number)]
        return bool(sides) and all(side.hollow for side in sides)


@dataclass(frozen=True, eq=False)
class Negate(Node):
    expr: Node
    returns: Kind

    def children(self) -> tuple[Node, ...]:
        return (self.expr,)

    @cached_property
    def hollow(self) -> bool:
        return self.expr.hollow


def kind_of(node: Node) -> Kind:
    if isinstance(node, Call | Binary | Negate):
        return node.returns
    return node.kind


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _modifiers(at: At, offset_ms: int) -> str:
    pinned = "" if at is None else f" @ {at}" if isinstance(at, Anchor) else f" @ {at / 1000:.3f}"
    return pinned + (f" offset {offset_ms}ms" if offset_ms else "")


def number(value: float) -> Number:
    return Number(repr(value), value)


def text(value: str) -> Text:
    return Text(quoted(value), value)


def instant(matchers: Iterable[Matcher], offset_ms: int = 0, at: At = None) -> Instant:
    # Of one name as they were written: what absent() makes of them depends on it.
    ordered = tuple(sorted(matchers, key=lambda matcher: matcher.name))
    name = next((m.value for m in ordered if m.name == NAME and m.op is Op.EQUAL), None)
    body = ",".join(f"{quoted(m.name)}{m.op}{quoted(m.value)}" for m in ordered)
    return Instant(f"{{{body}}}{_modifiers(at, offset_ms)}", ordered, offset_ms, at, name)


def range_of(selector: Instant, range_ms: int) -> Range:
    return Range(f"{selector.key}[{range_ms}ms]", selector, range_ms)


def subquery(expr: Node, range_ms: int, step_ms: int | None, offset_ms: int, at: At) -> Subquery:
    step = "" if step_ms is None else f"{step_ms}ms"
    key = f"({expr.key})[{range_ms}ms:{step}]{_modifiers(at, offset_ms)}"
    return Subquery(key, expr, range_ms, step_ms, offset_ms, at)


def call(function: str, args: tuple[Node, ...], returns: Kind) -> Call:
    return Call(f"{function}({','.join(arg.key for arg in args)})", function, args, returns)


def aggregate(op: str, expr: Node, param: Node | None, *, without: bool, labels: Iterable[str]) -> Aggregate:
    kept = tuple(sorted(set(labels)))
    clause = f"{'without' if without else 'by'}({','.join(map(quoted, kept))})"
    inner = expr.key if param is None else f"{param.key},{expr.key}"
    return Aggregate(f"{op} {clause}({inner})", op, expr, param, without, kept)


def binary(op: str, lhs: Node, rhs: Node, *, returns_bool: bool = False, matching: Matching | None = None) -> Binary:
    how = matching or Matching()
    returns: Kind = "scalar" if kind_of(lhs) == kind_of(rhs) == "scalar" else "vector"
    key = f"({lhs.key} {op}{' bool' if returns_bool else ''}{how} {rhs.key})"
    node = Binary(key, op, lhs, rhs, returns_bool, how, returns)
    # Asked for on the way up, so that a long chain never recurses.
    assert node.names is not None
    assert node.fixed is not None
    assert node.hollow is not None
    return node


def negate(expr: Node) -> Node:
    if isinstance(expr, Number):
        return number(-expr.value)
    return Negate(f"(-{expr.key})", expr, kind_of(expr))
