"""An expression's tree as PromQL that every engine reads, those too that know no quoted names and no newer spellings.

`Node.key` is for comparing; this is for sending.
"""

from __future__ import annotations

import re  # noqa: TID251 - a fixed pattern
from collections.abc import Iterable, Sequence

from bot.promql.nodes import (
    Aggregate,
    At,
    Binary,
    Call,
    Instant,
    Negate,
    Node,
    Number,
    Range,
    Subquery,
    Text,
    quoted,
)

_PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def written(node: Node) -> str:
    match node:
        case Instant():
            return selector(node)
        case Range():
            inner = node.selector
            return f"{{{_matchers(inner)}}}[{node.range_ms}ms]{_modifiers(inner.at, inner.offset_ms)}"
        case Subquery():
            step = "" if node.step_ms is None else f"{node.step_ms}ms"
            return f"({written(node.expr)})[{node.range_ms}ms:{step}]{_modifiers(node.at, node.offset_ms)}"
        case Call():
            return f"{node.function}({', '.join(map(written, node.args))})"
        case Aggregate():
            return _aggregate(node)
        case Binary():
            return _chain(node)
        case Negate():
            return f"(-{written(node.expr)})"
        case Number() | Text():
            return node.key
    raise TypeError(f"{type(node).__name__} has no text")


def selector(node: Instant, pins: Iterable[str] = ()) -> str:
    """`pins` are further matchers, written already."""
    return f"{{{_matchers(node, pins)}}}{_modifiers(node.at, node.offset_ms)}"


def name(text: str) -> str:
    """Of a label."""
    return text if _PLAIN_NAME.fullmatch(text) else quoted(text)


def names(texts: Sequence[str]) -> str:
    return ", ".join(map(name, texts))


def _matchers(node: Instant, pins: Iterable[str] = ()) -> str:
    return ",".join([*(f"{name(one.name)}{one.op}{quoted(one.value)}" for one in node.matchers), *pins])


def _modifiers(at: At, offset_ms: int) -> str:
    pinned = "" if at is None else f" @ {at / 1000:.3f}" if isinstance(at, int) else f" @ {at}"
    return pinned + (f" offset {offset_ms}ms" if offset_ms else "")


def _aggregate(node: Aggregate) -> str:
    clause = f"{'without' if node.without else 'by'} ({names(node.labels)})"
    inner = written(node.expr) if node.param is None else f"{written(node.param)}, {written(node.expr)}"
    return f"{node.op} {clause} ({inner})"


def _chain(node: Binary) -> str:
    """A chain leans to the left and may be long: it is walked, not climbed."""
    parts = [node]
    while isinstance(parts[-1].lhs, Binary):
        parts.append(parts[-1].lhs)
    text = written(parts[-1].lhs)
    for part in reversed(parts):
        boolean = " bool" if part.returns_bool else ""
        text = f"({text} {part.op}{boolean}{part.matching} {written(part.rhs)})"
    return text
