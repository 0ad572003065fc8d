"""histogram_quantile over classic buckets, all histograms at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bot.promql.block import Floats, Mask
from bot.promql.space import Groups, Index
from bot.promql.value import Vector

# Neighbouring buckets this close are taken for equal: sums of rates differ in their last digits.
_SMALL_DELTA = 1e-12
_TINIEST = 2.2250738585072014e-308


@dataclass(frozen=True, eq=False)
class _Layout:
    """Rows that are buckets, sorted by histogram and upper bound."""

    rows: Index
    bounds: Floats
    groups: Groups


def histogram_quantile(q: float, vector: Vector) -> Vector:
    layout = vector.space.derive("buckets", lambda: _layout(vector))
    rows, bounds = layout.rows, layout.bounds
    if vector.present is not None:
        seen = vector.present[rows]
        rows, bounds = rows[seen], bounds[seen]
    ids = layout.groups.ids[rows]
    out = np.full(layout.groups.count, np.nan)
    present: Mask = np.zeros(layout.groups.count, np.bool_)
    if len(rows):
        present[ids] = True
        histograms, table, edges, depth = _table(ids, bounds, vector.values[rows])
        out[histograms] = _quantile(q, table, edges, depth)
    return Vector(layout.groups.space, out, None if present.all() else present, vector.t)


def _layout(vector: Vector) -> _Layout:
    space = vector.space
    groups = space.group(frozenset({"le"}), without=True)
    codes = space.columns.get("le")
    bounds = np.full(space.size, np.nan)
    if codes is not None:
        distinct, inverse = np.unique(codes, return_inverse=True)
        bounds = np.array([_bound(text) for text in space.pool.texts(distinct.tolist())])[inverse]
    rows = np.flatnonzero(~np.isnan(bounds))
    rows = rows[np.lexsort((bounds[rows], groups.ids[rows]))]
    return _Layout(rows, bounds[rows], groups)


def _bound(text: str) -> float:
    try:
        return float(text.replace("_", "?"))
    except ValueError:
        return np.nan


def _table(ids: Index, bounds: Floats, values: Floats) -> tuple[Index, Floats, Floats, Index]:
    """One line per bucket, one column per histogram; buckets of equal bound are added up."""
    starts = np.flatnonzero(np.r_[True, (np.diff(ids) != 0) | (np.diff(bounds) != 0)])
    counts, ids, bounds = np.add.reduceat(values, starts), ids[starts], bounds[starts]
    first = np.flatnonzero(np.r_[True, np.diff(ids) != 0])
    depth = np.diff(np.r_[first, len(ids)])
    column = np.repeat(np.arange(len(first)), depth)
    line = np.arange(len(ids)) - first[column]
    table = np.full((int(depth.max()), len(first)), np.nan)
    edges = np.full_like(table, np.inf)
    table[line, column], edges[line, column] = counts, bounds
    return ids[first], table, edges, depth


def _quantile(q: float, table: Floats, edges: Floats, depth: Index) -> Floats:
    width = table.shape[1]
    if np.isnan(q):
        return np.full(width, np.nan)
    if q < 0 or q > 1:
        return np.full(width, -np.inf if q < 0 else np.inf)
    at, last = np.arange(width), depth - 1
    _make_monotonic(table)
    total = table[last, at]
    rank = q * total
    # The bucket that holds the rank; cells past a histogram's last bucket never do.
    below = (table < rank) & (np.arange(len(table))[:, None] < last)
    bucket = np.count_nonzero(below, axis=0)
    end = edges[bucket, at]
    previous = np.maximum(bucket - 1, 0)
    inner = bucket > 0
    start = np.where(inner, edges[previous, at], 0.0)
    before = np.where(inner, table[previous, at], 0.0)
    out: Floats = start + (end - start) * ((rank - before) / (table[bucket, at] - before))
    out = np.where((bucket == 0) & (end <= 0), end, out)
    out = np.where(bucket == last, edges[np.maximum(last - 1, 0), at], out)
    closed = np.isposinf(edges[last, at])
    return np.where(closed & (depth >= 2) & (total != 0), out, np.nan)


def _make_monotonic(table: Floats) -> None:
    """Counts that fall from bucket to bucket, or rise by a rounding error only, become the count before them."""
    rise = np.diff(table, axis=0)
    if not ((rise < np.abs(table[1:]) * (10 * _SMALL_DELTA)) & (rise != 0)).any():
        return
    previous = table[0].copy()
    for line in range(1, len(table)):
        current = table[line]
        gap = np.abs(previous - current)
        size = np.abs(previous) + np.abs(current)
        near = np.where(
            (previous == 0) | (current == 0) | (size < _TINIEST),
            gap < _SMALL_DELTA * _TINIEST,
            gap / np.minimum(size, np.finfo(np.float64).max) < _SMALL_DELTA,
        )
        flat = near | (current < previous)
        table[line] = np.where(flat, previous, current)
        previous = np.where(np.isnan(current), previous, table[line])
