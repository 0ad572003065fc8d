"""The *_over_time family and its neighbours: one number per row from all samples of a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bot.errors import QueryError
from bot.promql.cells import Floats, Mask
from bot.promql.select import Window
from bot.promql.space import Index
from bot.promql.summing import compensated, means, variances

Answer = tuple[Floats, Mask]


def _some(seen: Window, least: int = 1) -> Mask:
    return seen.counts >= least


def _filled(seen: Window, filler: float) -> Floats:
    return seen.values if seen.full else np.where(seen.inside, seen.values, filler)


def sum_over_time(seen: Window) -> Answer:
    return compensated(_filled(seen, 0.0)), _some(seen)


def avg_over_time(seen: Window) -> Answer:
    if not len(seen.values):
        return np.zeros(len(seen.counts)), _some(seen)
    return means(_filled(seen, 0.0), seen.counts), _some(seen)


def min_over_time(seen: Window) -> Answer:
    return _extreme(np.fmin, seen)


def max_over_time(seen: Window) -> Answer:
    return _extreme(np.fmax, seen)


def _extreme(pick: np.ufunc, seen: Window) -> Answer:
    # fmin and fmax pass over NaN unless there is nothing else, as Prometheus does.
    if not len(seen.values):
        return np.zeros(len(seen.counts)), _some(seen)
    return pick.reduce(_filled(seen, np.nan), axis=0), _some(seen)


def count_over_time(seen: Window) -> Answer:
    return seen.counts.astype(np.float64), _some(seen)


def present_over_time(seen: Window) -> Answer:
    return np.ones(len(seen.counts)), _some(seen)


def last_over_time(seen: Window) -> Answer:
    if not len(seen.values):
        return np.zeros(len(seen.counts)), _some(seen)
    return seen.value_at(seen.last_index), _some(seen)


def first_over_time(seen: Window) -> Answer:
    return (seen.values[0] if len(seen.values) else np.zeros(len(seen.counts))), _some(seen)


def stdvar_over_time(seen: Window) -> Answer:
    return variances(seen.values, seen.counts), _some(seen)


def stddev_over_time(seen: Window) -> Answer:
    variance, present = stdvar_over_time(seen)
    return np.sqrt(variance), present


def changes(seen: Window) -> Answer:
    newer, older = seen.values[1:], seen.values[:-1]
    differs = (newer != older) & ~(np.isnan(newer) & np.isnan(older)) & seen.inside[1:]
    return differs.sum(axis=0).astype(np.float64), _some(seen)


def resets(seen: Window) -> Answer:
    fell = (seen.values[1:] < seen.values[:-1]) & seen.inside[1:]
    return fell.sum(axis=0).astype(np.float64), _some(seen)


def quantile_over_time(q: float, seen: Window) -> Answer:
    # NaN counts as the smallest value, below negative infinity; cells that are no samples go to the far end.
    odd = np.isnan(seen.values)
    ranked = np.where(odd, -np.inf, seen.values)
    order = np.argsort(np.where(seen.inside, ranked, np.inf), axis=0, kind="stable")
    if not seen.full or odd.any():
        # An infinite sample ties with the filler: samples first.
        order = np.lexsort((~odd, np.where(seen.inside, ranked, np.inf), ~seen.inside), axis=0)
    values = np.take_along_axis(seen.values, order, 0)
    return quantile(q, values, seen.counts), _some(seen)


def quantile(q: float, ranked: Floats, counts: NDArray[np.float64] | NDArray[np.int64]) -> Floats:
    """Prometheus' quantile of columns that are sorted, the first counts[c] cells of each being samples."""
    width = ranked.shape[1]
    if np.isnan(q):
        return np.full(width, np.nan)
    if q < 0 or q > 1:
        return np.full(width, -np.inf if q < 0 else np.inf)
    if not len(ranked):
        return np.full(width, np.nan)
    rank = q * (counts - 1)
    lower = np.maximum(0, np.floor(rank)).astype(np.intp)
    upper = np.minimum(np.maximum(counts - 1, 0), lower + 1).astype(np.intp)
    weight = rank - np.floor(rank)
    at = np.arange(width)
    low, high = ranked[lower, at], ranked[upper, at]
    # An infinite neighbour of weight nothing must not turn the answer into NaN.
    out: Floats = low * (1 - weight) + high * weight
    return out


def mad_over_time(seen: Window) -> Answer:
    median, present = quantile_over_time(0.5, seen)
    off = Window(np.abs(seen.values - median), seen.times, seen.counts, seen.start_ms, seen.end_ms)
    return quantile_over_time(0.5, off)[0], present


def ts_of_first_over_time(seen: Window) -> Answer:
    return _times(seen, np.zeros(len(seen.counts), np.intp)), _some(seen)


def ts_of_last_over_time(seen: Window) -> Answer:
    return _times(seen, seen.last_index), _some(seen)


def ts_of_min_over_time(seen: Window) -> Answer:
    return _times(seen, _newest_extreme(seen, np.less_equal)), _some(seen)


def ts_of_max_over_time(seen: Window) -> Answer:
    return _times(seen, _newest_extreme(seen, np.greater_equal)), _some(seen)


def _newest_extreme(seen: Window, beats: Callable[[Floats, Floats], Mask]) -> Index:
    """Where each row's extreme stands; of equal ones the newest, and NaN only where there is nothing else."""
    at = np.zeros(len(seen.counts), np.intp)
    if len(seen.values):
        best = seen.values[0]
        for number, sample in enumerate(seen.values):
            better = (beats(sample, best) | np.isnan(best)) & (seen.counts > number)
            best, at = np.where(better, sample, best), np.where(better, number, at)
    return at


def _times(seen: Window, index: Index) -> Floats:
    if not len(seen.values):
        return np.zeros(len(seen.counts))
    return seen.time_at(index) / 1000


def double_exponential_smoothing(seen: Window, smoothing: float, trend: float) -> Answer:
    if seen.counts.any():
        for name, factor in (("smoothing", smoothing), ("trend", trend)):
            if factor <= 0 or factor >= 1:
                short = {"smoothing": "sf", "trend": "tf"}[name]
                text = f"invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:f}"
                raise QueryError(text, "execution")
    if len(seen.values) < 2:
        return np.zeros(len(seen.counts)), _some(seen, 2)
    before, level = np.zeros(len(seen.counts)), seen.values[0]
    slope = seen.values[1] - seen.values[0]
    for number, sample in enumerate(seen.values[1:], 1):
        if number > 1:
            slope = trend * (level - before) + (1 - trend) * slope
        fresh = smoothing * sample + (1 - smoothing) * (level + slope)
        alive = seen.counts > number
        before, level = np.where(alive, level, before), np.where(alive, fresh, level)
    return level, _some(seen, 2)


def deriv(seen: Window) -> Answer:
    slope, _ = _regression(seen, None)
    return slope, _some(seen, 2)


def predict_linear(seen: Window, seconds: float, t_ms: int) -> Answer:
    slope, intercept = _regression(seen, t_ms)
    return slope * seconds + intercept, _some(seen, 2)


def _regression(seen: Window, origin_ms: int | None) -> tuple[Floats, Floats]:
    """Least squares; x counts seconds from the origin, or from each row's first sample."""
    width = len(seen.counts)
    if len(seen.values) < 2:
        return np.zeros(width), np.zeros(width)
    origin = seen.times[0] if origin_ms is None else origin_ms
    inside = seen.inside
    x = np.where(inside, (seen.times - origin) / 1000, 0.0)
    y = np.where(inside, seen.values, 0.0)
    n = seen.counts
    sum_x, sum_y = compensated(x), compensated(y)
    covariance = compensated(x * y) - sum_x * sum_y / n
    variance = compensated(x * x) - sum_x * sum_x / n
    slope = covariance / variance
    intercept = sum_y / n - slope * sum_x / n
    first = seen.values[0]
    constant = (np.where(inside, seen.values, first) == first).all(axis=0)
    flat = np.where(np.isinf(first), np.nan, 0.0)
    return np.where(constant, flat, slope), np.where(constant, np.where(np.isinf(first), np.nan, first), intercept)


KERNELS: dict[str, Callable[[Window], Answer]] = {
    kernel.__name__: kernel
    for kernel in (
        sum_over_time, avg_over_time, min_over_time, max_over_time, count_over_time, present_over_time,
        last_over_time, first_over_time, stdvar_over_time, stddev_over_time, changes, resets, deriv, mad_over_time,
        ts_of_first_over_time, ts_of_last_over_time, ts_of_min_over_time, ts_of_max_over_time,
    )
}  # fmt: skip
# The rows these return are the samples themselves, so the metric name stays.
KEEPS_NAME = frozenset({"last_over_time", "first_over_time"})
