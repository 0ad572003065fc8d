"""Aggregations: sum by, topk, quantile and the rest, on group numbers worked out once per label space."""

from __future__ import annotations

import numpy as np

from bot.errors import QueryError
from bot.promql import summing
from bot.promql.block import Floats, Mask
from bot.promql.floats import format_value
from bot.promql.nodes import Aggregate
from bot.promql.over_time import quantile
from bot.promql.space import Groups, Index, Space
from bot.promql.summing import Members
from bot.promql.value import Vector


def aggregate(node: Aggregate, vector: Vector, param: float | str | None) -> Vector:
    """Raises QueryError on a parameter that makes no sense."""
    labels = frozenset(node.labels)
    if node.op == "count_values":
        return _count_values(vector, labels, without=node.without, label=str(param))
    groups = vector.space.group(labels, without=node.without)
    if node.op in {"topk", "bottomk"}:
        assert isinstance(param, float)
        return _top(vector, groups, param, largest=node.op == "topk")
    ids, values = _present(vector, groups)
    sizes = np.bincount(ids, minlength=groups.count)
    out = _reduced(node.op, values, ids, groups, sizes, param)
    return Vector(groups.space, out, None if (sizes > 0).all() else sizes > 0, vector.t)


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
    order = np.lexsort((np.where(np.isnan(values), -np.inf, values), ids))
    starts = np.cumsum(sizes) - sizes
    depth = int(sizes.max(initial=0))
    table = np.full((depth, len(sizes)), np.nan)
    table[np.arange(len(values)) - starts[ids[order]], ids[order]] = values[order]
    return quantile(q, table, sizes.astype(np.float64))


def _top(vector: Vector, groups: Groups, k: float, *, largest: bool) -> Vector:
    if np.isnan(k):
        raise QueryError("Parameter value is NaN", "execution")
    rows = vector.rows
    values, ids = vector.values[rows], groups.ids[rows]
    # NaN ranks last either way.
    rank = np.where(np.isnan(values), np.inf, -values if largest else values)
    order = np.lexsort((np.isnan(values), rank, ids))
    sizes = np.bincount(ids, minlength=groups.count)
    place = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[ids[order]]
    kept = rows[order[place < k]]
    present: Mask = np.zeros(vector.space.size, np.bool_)
    present[kept] = True
    return Vector(vector.space, vector.values, present, vector.t, kept)


def _count_values(vector: Vector, labels: frozenset[str], *, without: bool, label: str) -> Vector:
    if not label:
        raise QueryError(f'invalid label name "{label}" in count_values()', "execution")
    rows = vector.rows
    space = vector.space.take(rows)
    pool = space.pool
    distinct, inverse = np.unique(vector.values[rows], return_inverse=True)
    codes = pool.encode(format_value(value) for value in distinct.tolist())[inverse]
    marked = Space(pool, space.size, {**space.columns, label: codes})
    groups = marked.group(labels - {label} if without else labels | {label}, without=without)
    return Vector(groups.space, np.bincount(groups.ids, minlength=groups.count).astype(np.float64), None, vector.t)
