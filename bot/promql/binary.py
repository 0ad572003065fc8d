"""Binary operators: arithmetic, comparison and set operators between scalars and vectors.

Which row meets which is a matter of labels alone, so it is worked out once per pair of spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from bot.errors import QueryError
from bot.promql.cells import Floats, Mask
from bot.promql.maths import power
from bot.promql.nodes import NAME, Binary, Card, Matching, quoted
from bot.promql.space import Index, Space, classes, concatenated
from bot.promql.strings import Pool
from bot.promql.value import Scalar, Vector

Operand = Floats | np.float64

_ARITHMETIC: dict[str, Callable[[Operand, Operand], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": power,
    "atan2": np.arctan2,
}
_COMPARISON: dict[str, Callable[[Operand, Operand], Mask]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
_SETS = frozenset({"and", "or", "unless"})


def combine(node: Binary, lhs: Scalar | Vector, rhs: Scalar | Vector) -> Scalar | Vector:
    """Raises QueryError when vectors do not match one-to-one, or one-to-many where asked."""
    if isinstance(lhs, Scalar):
        if isinstance(rhs, Scalar):
            return Scalar(_scalars(node.op, lhs.value, rhs.value), lhs.t)
        return _with_scalar(node, rhs, np.float64(lhs.value), rhs.values)
    if isinstance(rhs, Scalar):
        return _with_scalar(node, lhs, lhs.values, np.float64(rhs.value))
    if node.op in _SETS:
        return _set(node, lhs, rhs)
    return _matched(node, lhs, rhs)


def _scalars(op: str, left: float, right: float) -> float:
    if op in _COMPARISON:
        return float(_COMPARISON[op](np.float64(left), np.float64(right)))
    return float(_ARITHMETIC[op](np.float64(left), np.float64(right)))


def _with_scalar(node: Binary, vector: Vector, left: Operand, right: Operand) -> Vector:
    if node.op in _ARITHMETIC:
        return vector.at(vector.space.without_name(), _ARITHMETIC[node.op](left, right)).checked()
    holds = _COMPARISON[node.op](left, right)
    if node.returns_bool:
        return vector.at(vector.space.without_name(), holds.astype(np.float64)).checked()
    return vector.where(holds)


# Which rows meet ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Signatures:
    """Rows of both sides with equal match labels carry the same number, below `count`."""

    left: Index
    right: Index
    count: int


def _signatures(left: Space, right: Space, on: bool, labels: tuple[str, ...]) -> _Signatures:
    def build() -> _Signatures:
        names = [*left.columns, *(name for name in right.columns if name not in left.columns)]
        used = [name for name in names if (name in labels if on else name not in labels and name != NAME)]
        nothing_left, nothing_right = np.zeros(left.size, np.int32), np.zeros(right.size, np.int32)
        columns = [
            np.concatenate([left.columns.get(name, nothing_left), right.columns.get(name, nothing_right)])
            for name in used
        ]
        ids, total, _ = classes(columns, left.size + right.size)
        return _Signatures(ids[: left.size], ids[left.size :], total)

    return left.derive(("signatures", right.uid, on, labels), build)


def _set(node: Binary, lhs: Vector, rhs: Vector) -> Vector:
    if not rhs.space.size and node.op in {"or", "unless"}:
        return Vector(lhs.space, lhs.values, lhs.present, lhs.t)
    right_space = rhs.space.recoded(lhs.space.pool)
    if not lhs.space.size and node.op == "or":
        return Vector(right_space, rhs.values, rhs.present, lhs.t)
    how = node.matching
    signatures = _signatures(lhs.space, right_space, how.on, how.labels)
    if node.op == "or":
        return _union(lhs, rhs, right_space, signatures)
    there = np.zeros(signatures.count, np.bool_)
    there[signatures.right if rhs.present is None else signatures.right[rhs.present]] = True
    found = there[signatures.left]
    return lhs.where(found if node.op == "and" else ~found)


def _union(lhs: Vector, rhs: Vector, right_space: Space, signatures: _Signatures) -> Vector:
    there = np.zeros(signatures.count, np.bool_)
    there[signatures.left if lhs.present is None else signatures.left[lhs.present]] = True
    added = ~there[signatures.right]
    if rhs.present is not None:
        added &= rhs.present
    if not added.any():
        return Vector(lhs.space, lhs.values, lhs.present, lhs.t)
    left_present = np.ones(lhs.space.size, np.bool_) if lhs.present is None else lhs.present
    space = concatenated(lhs.space, right_space)
    joined = np.concatenate([lhs.values, rhs.values])
    return Vector(space, joined, np.concatenate([left_present, added]), lhs.t).checked()


# Operators between vectors ------------------------------------------------------------


def _matched(node: Binary, lhs: Vector, rhs: Vector) -> Vector:
    how = node.matching
    filled = how.fill_left is not None or how.fill_right is not None
    if (not len(lhs) or not len(rhs)) and not filled:
        # Nothing can meet, so nothing is ambiguous either.
        return lhs.where(np.zeros(lhs.space.size, np.bool_))
    right_space = rhs.space.recoded(lhs.space.pool)
    signatures = _signatures(lhs.space, right_space, how.on, how.labels)
    flipped = how.card is Card.ONE_TO_MANY
    many, one = (rhs, lhs) if flipped else (lhs, rhs)
    many_ids, one_ids = (signatures.right, signatures.left) if flipped else (signatures.left, signatures.right)
    partner = _partners(node, one, one_ids, signatures.count)[many_ids]
    met = partner >= 0
    if many.present is not None:
        met &= many.present
    other = one.values[np.where(met, partner, 0)] if one.space.size else np.zeros(many.space.size)
    stand_in = how.fill_left if flipped else how.fill_right
    if stand_in is not None:
        alone = ~met if many.present is None else many.present & ~met
        other, met = np.where(alone, stand_in, other), met | alone
    left, right = (other, many.values) if flipped else (many.values, other)
    values, held = _apply(node, left, right)
    # Whoever meets must be unambiguous, whether or not a comparison then drops it.
    if how.card is Card.ONE_TO_ONE:
        _refuse_many(many_ids[met])
    many_space, one_space = (right_space, lhs.space) if flipped else (lhs.space, right_space)
    space = _result_space(node, many_space, one_space, partner)
    answer = Vector(space, values, None if met.all() else met, lhs.t)
    if held is not None:
        answer = _unique(answer, how).where(held)
    if (how.fill_right if flipped else how.fill_left) is not None:
        answer = _joined(answer, _unmet(node, one, one_ids, many, many_ids, lhs.space.pool))
    return _unique(answer, how)


def _unmet(node: Binary, one: Vector, one_ids: Index, many: Vector, many_ids: Index, pool: Pool) -> Vector:
    """Rows of the "one" side that nobody met, computed with what stands in for the other side."""
    how = node.matching
    flipped = how.card is Card.ONE_TO_MANY
    taken = np.isin(one_ids, many_ids if many.present is None else many_ids[many.present])
    rows = np.flatnonzero(~taken if one.present is None else one.present & ~taken)
    mine = one.values[rows]
    stand_in = np.full(len(rows), how.fill_right if flipped else how.fill_left)
    values, kept = _apply(node, mine, stand_in) if flipped else _apply(node, stand_in, mine)
    wanted = {*how.labels, *how.include} if how.on else {*one.space.columns} - {*how.labels, NAME} | {*how.include}
    space = one.space.keep(frozenset(wanted)).take(rows).recoded(pool)
    return Vector(space, values, kept, one.t)


def _joined(first: Vector, second: Vector) -> Vector:
    if not second.space.size:
        return first
    present = [np.ones(v.space.size, np.bool_) if v.present is None else v.present for v in (first, second)]
    space = concatenated(first.space, second.space)
    return Vector(space, np.concatenate([first.values, second.values]), np.concatenate(present), first.t)


def _apply(node: Binary, left: Floats, right: Floats) -> tuple[Floats, Mask | None]:
    if node.op in _ARITHMETIC:
        return _ARITHMETIC[node.op](left, right), None
    holds = _COMPARISON[node.op](left, right)
    if node.returns_bool:
        return holds.astype(np.float64), None
    # The value that passes the filter is always the left operand's.
    return left, holds


def _partners(node: Binary, one: Vector, one_ids: Index, count: int) -> Index:
    """For every signature the row on the "one" side, or -1."""
    rows = one.rows if one.order is None else np.sort(one.rows)
    ids = one_ids[rows]
    partner = np.full(count, -1, np.intp)
    partner[ids] = rows
    if np.bincount(ids, minlength=1).max(initial=0) > 1:
        _, first = np.unique(ids, return_index=True)
        again = int(np.setdiff1d(np.arange(len(ids)), first)[0])
        pair = [int(rows[again]), int(rows[np.flatnonzero(ids == ids[again])[0]])]
        raise QueryError(_clash(node, one, pair), "execution")
    return partner


def _clash(node: Binary, one: Vector, rows: list[int]) -> str:
    side = "left" if node.matching.card is Card.ONE_TO_MANY else "right"
    first = one.space.labels(rows[0])
    how = node.matching
    group = {n: v for n, v in first.items() if (n in how.labels if how.on else n not in how.labels and n != NAME)}
    shown = ", ".join(_shown(one.space.labels(row)) for row in rows)
    return (
        f"found duplicate series for the match group {_shown(group)} on the {side} hand-side of the operation: "
        f"[{shown}];many-to-many matching not allowed: matching labels must be unique on one side"
    )


def _shown(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_name(name)}={quoted(value)}" for name, value in sorted(labels.items())) + "}"


def _name(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else quoted(name)


def _refuse_many(ids: Index) -> None:
    if len(ids) and int(np.bincount(ids).max()) > 1:
        raise QueryError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)", "execution"
        )


def _unique(vector: Vector, how: Matching) -> Vector:
    if how.card is Card.ONE_TO_ONE:
        return vector.checked()
    try:
        return vector.checked()
    except QueryError:
        raise QueryError(
            "multiple matches for labels: grouping labels must ensure unique matches", "execution"
        ) from None


def _result_space(node: Binary, many: Space, one: Space, partner: Index) -> Space:
    how = node.matching
    nameless = node.op in _ARITHMETIC or node.returns_bool
    base = many.without_name() if nameless else many
    if how.card is Card.ONE_TO_ONE:
        return base.keep(frozenset(how.labels)) if how.on else base.drop(frozenset(how.labels))
    if not how.include:
        return base
    # Which row lends its labels depends on who is present, so the partners are part of the key.
    key = ("included", one.uid, how.include, nameless, blake2b(partner.tobytes()).digest())
    return base.derive(key, lambda: _included(base, one, how.include, partner))


def _included(base: Space, one: Space, include: tuple[str, ...], partner: Index) -> Space:
    columns = dict(base.columns)
    for name in include:
        codes = one.columns.get(name)
        if codes is None:
            columns.pop(name, None)
        else:
            columns[name] = np.where(partner >= 0, codes[np.maximum(partner, 0)], 0).astype(np.int32)
    return Space(base.pool, base.size, columns)


def negated(value: Scalar | Vector) -> Scalar | Vector:
    if isinstance(value, Scalar):
        return Scalar(-value.value, value.t)
    return value.at(value.space.without_name(), -value.values).checked()
