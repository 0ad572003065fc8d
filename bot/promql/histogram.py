"""histogram_quantile and histogram_fraction over classic buckets, all histograms at once."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bot.promql.cells import Floats, Mask
from bot.promql.nodes import NAME
from bot.promql.notes import Notes
from bot.promql.space import Groups, Index
from bot.promql.value import Vector

# Neighbouring buckets this close are taken for equal: sums of rates differ in their last digits.
_SMALL_DELTA = 1e-12
_TINIEST = 2.2250738585072014e-308
# What Go reads as a number; Python would take spaces and underscores too.
_BOUND = re.compile(r"[+-]?(?:inf|infinity|nan|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class _Layout:
    """Rows that are buckets, sorted by histogram and upper bound."""

    rows: Index
    bounds: Floats
    groups: Groups


def histogram_quantile(q: float, vector: Vector, notes: Notes | None = None) -> Vector:
    if notes is not None and not 0 <= q <= 1:
        notes.bad_quantile(q)

    def quantiles(table: Floats, edges: Floats, depth: Index) -> Floats:
        if 0 <= q <= 1:
            bent = _make_monotonic(table)
            # A histogram that is too short, empty or not closed has no quantile that the mending could change.
            if notes is not None and bent is not None:
                at = np.arange(table.shape[1])
                if (bent & np.isposinf(edges[depth - 1, at]) & (table[depth - 1, at] != 0)).any():
                    notes.mended_histogram()
        return _quantile(q, table, edges, depth)

    return _each(vector, quantiles, notes)


def histogram_fraction(lower: float, upper: float, vector: Vector, notes: Notes | None = None) -> Vector:
    return _each(vector, lambda table, edges, depth: _fraction(lower, upper, table, edges, depth), notes)


Reckon = Callable[[Floats, Floats, Index], Floats]


def _each(vector: Vector, reckon: Reckon, notes: Notes | None) -> Vector:
    """One number per histogram of the vector."""
    layout = vector.space.derive("buckets", lambda: _layout(vector))
    if notes is not None:
        _note_bad_bounds(vector, layout, notes)
    rows, bounds = layout.rows, layout.bounds
    if vector.present is not None:
        seen = vector.present[rows]
        rows, bounds = rows[seen], bounds[seen]
    ids = layout.groups.ids[rows]
    out = np.full(layout.groups.count, np.nan)
    present: Mask = np.zeros(layout.groups.count, np.bool_)
    space = layout.groups.space
    if len(rows):
        present[ids] = True
        histograms, table, edges, depth = _table(ids, bounds, vector.values[rows])
        out[histograms] = reckon(table, edges, depth)
    return Vector(space.without_name(), out, None if present.all() else present, vector.t)


def _note_bad_bounds(vector: Vector, layout: _Layout, notes: Notes) -> None:
    bad = np.ones(vector.space.size, np.bool_)
    bad[layout.rows] = False
    for row in vector.rows[bad[vector.rows]].tolist():
        labels = vector.space.labels(row)
        notes.bad_bucket(labels.get(NAME, ""), labels.get("le", ""))


def _layout(vector: Vector) -> _Layout:
    space = vector.space
    groups = space.group(frozenset({"le"}), without=True, keep_name=True)
    codes = space.columns.get("le")
    bounds, good = np.full(space.size, np.nan), np.zeros(space.size, np.bool_)
    if codes is not None:
        distinct, inverse = np.unique(codes, return_inverse=True)
        found = [_bound(text) for text in space.pool.texts(distinct.tolist())]
        bounds = np.array(found, np.float64)[inverse]  # None becomes NaN
        good = np.array([bound is not None for bound in found])[inverse]
    rows = np.flatnonzero(good)
    # NaN is a bound to Prometheus. It comes last, so that such a histogram is not closed.
    rows = rows[np.lexsort((bounds[rows], groups.ids[rows]))]
    return _Layout(rows, bounds[rows], groups)


def _bound(text: str) -> float | None:
    try:
        return float(text) if _BOUND.fullmatch(text) else None
    except ValueError:
        return None


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


def _fraction(lower: float, upper: float, table: Floats, edges: Floats, depth: Index) -> Floats:
    width = table.shape[1]
    at, last = np.arange(width), depth - 1
    total = table[last, at]
    valid = np.isposinf(edges[last, at]) & (total != 0)
    if np.isnan(lower) or np.isnan(upper):
        return np.full(width, np.nan)
    if lower >= upper:
        share: Floats = np.zeros(width)
    else:
        share = (_rank(upper, table, edges, depth) - _rank(lower, table, edges, depth)) / total
    return np.where(valid, share, np.nan)


def _rank(value: float, table: Floats, edges: Floats, depth: Index) -> Floats:
    """How many observations lie below the value, evenly spread within a bucket."""
    width = table.shape[1]
    found, rank = np.full(width, np.nan), np.zeros(width)
    known: Mask = np.zeros(width, np.bool_)
    # Where the lowest bucket begins is not said: at zero, unless it ends there or below.
    below = np.where(edges[0] > 0, 0.0, -np.inf)
    for number, (count, edge) in enumerate(zip(table, edges, strict=True)):
        here = ~known & (number < depth)
        starts = here & (below >= value)
        inside = here & (below < value) & (edge > value)
        # A bucket without a lower bound has nothing to measure from.
        even = np.where(np.isneginf(below), count, rank + (count - rank) * (value - below) / (edge - below))
        found = np.where(starts, rank, np.where(inside, even, found))
        known |= starts | inside
        rank, below = np.where(number < depth, count, rank), np.where(number < depth, edge, below)
    total = table[depth - 1, np.arange(width)]
    return np.where(~known | (found > total), total, found)


def _make_monotonic(table: Floats) -> Mask | None:
    """Counts that fall from bucket to bucket, or rise by a rounding error only, become the count before them.

    Says which histograms fell by more than a rounding error; None when none did.
    """
    rise = np.diff(table, axis=0)
    if not ((rise < np.abs(table[1:]) * (10 * _SMALL_DELTA)) & (rise != 0)).any():
        return None
    fell: Mask = np.zeros(table.shape[1], np.bool_)
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
        down = current < previous
        fell |= down & ~near
        table[line] = np.where(near | down, previous, current)
        previous = np.where(np.isnan(current), previous, table[line])
    return fell if fell.any() else None
