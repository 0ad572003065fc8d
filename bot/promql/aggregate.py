"""Aggregations: sum by, topk, quantile and the rest, on group numbers worked out once per label space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bot.errors import QueryError
from bot.promql import summing
from bot.promql.cells import Floats, Mask
from bot.promql.floats import format_short, format_value
from bot.promql.hashing import xxh64
from bot.promql.nodes import Aggregate
from bot.promql.notes import Notes
from bot.promql.over_time import quantile
from bot.promql.space import Groups, Index, Space
from bot.promql.summing import Members
from bot.promql.value import Vector


def aggregate(node: Aggregate, vector: Vector, param: float | str | None, notes: Notes | None = None) -> Vector:
    """Raises QueryError on a parameter that makes no sense."""
    if param is None and not vector.space.size:
        return vector  # rules for many stacks ask for much that is not there
    labels = frozenset(node.labels)
    if node.op == "count_values":
        return _count_values(vector, labels, without=node.without, label=str(param))
    groups = vector.space.group(labels, without=node.without)
    match node.op, param:
        case "topk" | "bottomk", float():
            return _top(vector, groups, _whole(param), largest=node.op == "topk")
        case "limitk", float():
            return _first(vector, groups, _whole(param))
        case "limit_ratio", float():
            if notes is not None and abs(param) > 1:
                notes.bad_ratio_of(node, param, float(np.sign(param)))
            return _sampled(vector, param)
        case "quantile", float() if notes is not None and not 0 <= param <= 1:
            notes.bad_quantile_of(node, param)
    ids, values = _present(vector, groups)
    sizes = np.bincount(ids, minlength=groups.count)
    out = _reduced(node.op, values, ids, groups, sizes, param)
    return Vector(groups.space, out, None if (sizes > 0).all() else sizes > 0, vector.t)


def _whole(k: float) -> float:
    if np.isnan(k):
        raise QueryError("Parameter value is NaN", "execution")
    if abs(k) >= 2.0**63:
        raise QueryError(f"Scalar value {format_short(k)} {'over' if k > 0 else 'under'}flows int64", "execution")
    return float(np.trunc(k))


def _present(vector: Vector, groups: Groups) -> tuple[Index, Floats]:
    if vector.present is None:
        return groups.ids, vector.values
    return groups.ids[vector.present], vector.values[vector.present]


def _reduced(op: str, values: Floats, ids: Index, groups: Groups, sizes: Index, param: float | str | None) -> Floats:
    match op:
        case "sum":
            return summing.by_group(Members(values, ids, groups.count))
        case "count":
            return sizes.astype(np.float64)
        case "group":
            return np.ones(groups.count)
        case "avg":
            return summing.mean_by_group(Members(values, ids, groups.count))
        case "min" | "max":
            return _extreme(values, ids, groups.count, largest=op == "max")
        case "stddev" | "stdvar":
            variance = summing.variance_by_group(Members(values, ids, groups.count))
            return np.sqrt(variance) if op == "stddev" else variance
        case "quantile":
            assert isinstance(param, float)
            return _quantile(param, values, ids, sizes)
    raise QueryError(f"unsupported aggregation: {op}()")


def _extreme(values: Floats, ids: Index, count: int, *, largest: bool) -> Floats:
    out = np.full(count, np.nan)
    # fmax and fmin pass over NaN unless there is nothing else.
    (np.fmax if largest else np.fmin).at(out, ids, values)
    return out


def _quantile(q: float, values: Floats, ids: Index, sizes: Index) -> Floats:
    odd = np.isnan(values)
    order = np.lexsort((~odd, np.where(odd, -np.inf, values), ids))
    starts = np.cumsum(sizes) - sizes
    depth = int(sizes.max(initial=0))
    table = np.full((depth, len(sizes)), np.nan)
    table[np.arange(len(values)) - starts[ids[order]], ids[order]] = values[order]
    return quantile(q, table, sizes.astype(np.float64))


def _top(vector: Vector, groups: Groups, k: float, *, largest: bool) -> Vector:
    rows = vector.rows
    values, ids = vector.values[rows], groups.ids[rows]
    # NaN ranks last either way.
    rank = np.where(np.isnan(values), np.inf, -values if largest else values)
    order = np.lexsort((np.isnan(values), rank, ids))
    return _kept(vector, rows[order[_place(ids[order], groups) < k]])


def _first(vector: Vector, groups: Groups, k: float) -> Vector:
    """limitk: any k of each group, the same ones every time."""
    rows = vector.rows
    ids = groups.ids[rows]
    order = np.argsort(ids, kind="stable")
    return _kept(vector, rows[order[_place(ids[order], groups) < k]])


def _place(ids: Index, groups: Groups) -> Index:
    """The number of each row within its group, rows standing group by group."""
    sizes = np.bincount(ids, minlength=groups.count)
    place: Index = np.arange(len(ids)) - (np.cumsum(sizes) - sizes)[ids]
    return place


def _kept(vector: Vector, rows: Index) -> Vector:
    present: Mask = np.zeros(vector.space.size, np.bool_)
    present[rows] = True
    return Vector(vector.space, vector.values, present, vector.t, rows)


def _sampled(vector: Vector, ratio: float) -> Vector:
    """limit_ratio: a series is in or out by the hash of its labels, whatever else there is."""
    if not len(vector.rows):
        return vector
    if np.isnan(ratio):
        raise QueryError("Ratio value is NaN", "execution")
    capped = min(max(ratio, -1.0), 1.0)
    if capped == 0:
        return vector.where(np.zeros(vector.space.size, np.bool_))
    share = vector.space.derive("hash", lambda: np.array([_share(row) for row in _labels_of(vector.space)]))
    return vector.where(share < capped if capped > 0 else share >= 1 + capped)


def _labels_of(space: Space) -> Iterator[dict[str, str]]:
    return (space.labels(row) for row in range(space.size))


def _share(labels: dict[str, str]) -> float:
    """Prometheus' hash of a label set, as a share of all hashes: names and values with their lengths, by name."""
    packed = bytearray()
    for name, value in sorted((name.encode(), value.encode()) for name, value in labels.items()):
        for text in (name, value):
            packed += bytes([len(text)]) if len(text) < 255 else b"\xff" + len(text).to_bytes(3, "little")
            packed += text
    return xxh64(bytes(packed)) / float(2**64)


def _count_values(vector: Vector, labels: frozenset[str], *, without: bool, label: str) -> Vector:
    if not label:
        raise QueryError(f'invalid label name "{label}"', "execution")
    rows = vector.rows
    space = vector.space.take(rows)
    pool = space.pool
    # By their bits: a negative zero is written otherwise than zero.
    distinct, inverse = np.unique(vector.values[rows].view(np.int64), return_inverse=True)
    codes = pool.encode(format_value(value) for value in distinct.view(np.float64).tolist())[inverse]
    marked = Space(pool, space.size, {**space.columns, label: codes})
    groups = marked.group(labels if without else labels | {label}, without=without)
    return Vector(groups.space, np.bincount(groups.ids, minlength=groups.count).astype(np.float64), None, vector.t)
