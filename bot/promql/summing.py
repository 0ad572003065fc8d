"""Sums that survive cancellation.

Prometheus 3 corrects every sum (Kahan); here only the sums that need it are done again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bot.promql.block import Floats
from bot.promql.space import Index

# A plain sum is off by about n x 1e-16 x sum(|x|); past this ratio that could show in the tenth digit.
_CANCELS = 1e3


def compensated(values: Floats) -> Floats:
    """Column sums of a 2-d array."""
    total: Floats = values.sum(axis=0)
    size = np.abs(values).sum(axis=0)
    doubtful = np.flatnonzero((size > _CANCELS * np.abs(total)) & np.isfinite(size))
    for column in doubtful.tolist():
        total[column] = _exact(values[:, column])
    return total


def by_group(values: Floats, ids: Index, count: int) -> Floats:
    """Sum per group; `ids` says which group a value belongs to."""
    total: Floats = np.bincount(ids, values, count).astype(np.float64)
    size: Floats = np.bincount(ids, np.abs(values), count).astype(np.float64)
    doubtful = np.flatnonzero((size > _CANCELS * np.abs(total)) & np.isfinite(size))
    if len(doubtful):
        order = np.argsort(ids, kind="stable")
        begins, ends = np.searchsorted(ids[order], [doubtful, doubtful + 1])
        for group, begin, end in zip(doubtful.tolist(), begins.tolist(), ends.tolist(), strict=True):
            total[group] = _exact(values[order[begin:end]])
    return total


def _exact(values: NDArray[np.float64]) -> float:
    try:
        return math.fsum(values.tolist())
    except OverflowError:
        return float(values.sum())
