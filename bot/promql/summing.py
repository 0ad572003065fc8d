"""Sums as Prometheus makes them: compensated (Kahan, Neumaier), in order, so that they agree in their last bit.

Loops run over samples of a series or members of a group, never over series or groups; a few columns need no loop at
all. Only columns with infinite sums go through the slower loops that follow every branch of the algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bot.promql.cells import Floats, Mask
from bot.promql.space import Index

# Groups longer than this are summed exactly, in no particular order: a loop over their members would take too long.
_DEEP = 500
# What a table of groups may waste on groups that are shorter than the longest.
_WASTE = 4
# Up to so many columns every step of a sum is kept; of more columns that would no longer fit into the cache.
_NARROW = 64


def running(values: Floats) -> tuple[Floats, Floats]:
    """Column sums of a 2-d array, and what rounding has lost of each; the loss is not valid where a sum is infinite."""
    width = values.shape[1]
    if width <= _NARROW and len(values):
        return _at_once(values)
    total, lost = np.zeros(width), np.zeros(width)
    # Knuth's two-sum has the same error term as Neumaier's branches, without a branch.
    after, back, rest = np.empty(width), np.empty(width), np.empty(width)
    for line in values:
        np.add(total, line, out=after)
        np.subtract(after, total, out=back)
        np.subtract(after, back, out=rest)
        np.subtract(total, rest, out=rest)
        np.subtract(line, back, out=back)
        np.add(rest, back, out=rest)
        np.add(lost, rest, out=lost)
        total, after = after, total
    return total, lost


def _at_once(values: Floats) -> tuple[Floats, Floats]:
    """The same additions in the same order, each step for all samples."""
    totals = np.zeros((len(values) + 1, values.shape[1]))
    totals[1:] = values
    np.add.accumulate(totals, axis=0, out=totals)
    before, after = totals[:-1], totals[1:]
    back = after - before
    rest = (before - (after - back)) + (values - back)
    return after[-1], np.add.accumulate(rest, axis=0)[-1]


def compensated(values: Floats) -> Floats:
    """Column sums of a 2-d array; cells that are no samples hold 0."""
    total, lost = running(values)
    out: Floats = np.where(np.isinf(total), total, total + lost)
    return out


def means(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Column means; column c has counts[c] samples, at the top, and 0 below."""
    total, lost = running(values)
    out: Floats = total / counts + lost / counts
    over = np.flatnonzero(np.isinf(total) | (np.isnan(total) & ~np.isnan(values).any(axis=0)))
    if len(over):
        out[over] = _gentle(values[:, over], counts[over])
    return out


def _gentle(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Means whose sums leave the range of floats: from there on the mean is corrected by each sample."""
    total = values[0].copy()
    lost, mean = np.zeros_like(total), np.zeros_like(total)
    switched: Mask = np.zeros(len(total), np.bool_)
    for number in range(1, len(values)):
        sample, alive = values[number], counts > number
        plain, plain_lost = _increment(sample, total, lost)
        over = np.isinf(plain)
        begins = alive & ~switched & over
        mean = np.where(begins, total / number, mean)
        base_lost = np.where(begins, lost / number, lost)
        adding = alive & ~switched & ~over
        switched |= begins
        share = number / (number + 1)
        gentle, gentle_lost = _increment(sample / (number + 1), share * mean, share * base_lost)
        correcting = alive & switched
        mean = np.where(correcting, gentle, mean)
        total = np.where(adding, plain, total)
        lost = np.where(correcting, gentle_lost, np.where(adding, plain_lost, lost))
    out: Floats = np.where(switched, mean + lost, total / counts + lost / counts)
    return out


def _increment(inc: Floats, total: Floats, lost: Floats) -> tuple[Floats, Floats]:
    after: Floats = total + inc
    error = np.where(np.abs(total) >= np.abs(inc), (total - after) + inc, (inc - after) + total)
    return after, np.where(np.isinf(after), 0.0, lost + error)


def variances(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Column variances of a window, mean and squares both compensated."""
    width = values.shape[1]
    mean, mean_lost, squares, squares_lost = (np.zeros(width) for _ in range(4))
    for number, sample in enumerate(values, 1):
        delta = sample - (mean + mean_lost)
        next_mean, next_lost = _increment(delta / number, mean, mean_lost)
        next_squares, next_rest = _increment(delta * (sample - (next_mean + next_lost)), squares, squares_lost)
        if (alive := counts >= number).all():
            mean, mean_lost, squares, squares_lost = next_mean, next_lost, next_squares, next_rest
        else:
            mean, mean_lost = np.where(alive, next_mean, mean), np.where(alive, next_lost, mean_lost)
            squares = np.where(alive, next_squares, squares)
            squares_lost = np.where(alive, next_rest, squares_lost)
    out: Floats = (squares + squares_lost) / counts
    return out


@dataclass(frozen=True, eq=False)
class Members:
    """Values by group: value k belongs to group ids[k] of `count`; groups keep the order of their members."""

    values: Floats
    ids: Index
    count: int

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        return np.bincount(self.ids, minlength=self.count)

    @cached_property
    def depth(self) -> int:
        return int(self.sizes.max(initial=0))

    @property
    def shallow(self) -> bool:
        """True when a loop over the members of the longest group is cheap."""
        return self.depth <= _DEEP and self.depth * self.count <= max(_WASTE * len(self.values), 10_000)

    @cached_property
    def order(self) -> Index | None:
        """Group by group; None when they stand like that already."""
        return None if (self.ids[1:] >= self.ids[:-1]).all() else np.argsort(self.ids, kind="stable")

    @cached_property
    def sorted(self) -> Floats:
        return self.values if self.order is None else self.values[self.order]

    @cached_property
    def table(self) -> Floats:
        """One column per group, its members from the top, 0 below."""
        ids = self.ids if self.order is None else self.ids[self.order]
        found = np.zeros((self.depth, self.count))
        found[np.arange(len(ids)) - (np.cumsum(self.sizes) - self.sizes)[ids], ids] = self.sorted
        return found


def by_group(members: Members) -> Floats:
    """The sum of every group."""
    if members.shallow:
        return compensated(members.table)
    total, lost = _split(members)
    return total + lost


def mean_by_group(members: Members) -> Floats:
    if members.shallow:
        return means(members.table, members.sizes)
    total, lost = _split(members)
    sizes = members.sizes
    mean: Floats = total / sizes + lost / sizes
    if np.isinf(total).any():
        # A sum beyond the largest float may still have a mean.
        gentle = np.bincount(members.ids, members.values / sizes[members.ids], members.count)
        mean = np.where(np.isinf(total), gentle, mean)
    return mean


def variance_by_group(members: Members) -> Floats:
    """Prometheus does not compensate here."""
    sizes = members.sizes
    if not members.shallow:
        off = members.values - mean_by_group(members)[members.ids]
        return np.bincount(members.ids, off * off, members.count) / sizes
    mean, squares = np.zeros(members.count), np.zeros(members.count)
    for number, sample in enumerate(members.table, 1):
        alive = sizes >= number
        delta = sample - mean
        mean = np.where(alive, mean + delta / number, mean)
        squares = np.where(alive, squares + delta * (sample - mean), squares)
    out: Floats = np.where(np.isfinite(mean), squares, np.nan) / sizes
    return out


def _split(members: Members) -> tuple[Floats, Floats]:
    """Sums of long groups, exact but for the last bits of the second part.

    Rump's splitting: high parts are multiples of one power of two per group, so that adding them up loses nothing.
    """
    values, ids, count = members.values, members.ids, members.count
    sizes = members.sizes
    filled = sizes > 0
    largest = np.zeros(count)
    starts = (np.cumsum(sizes) - sizes)[filled]
    largest[filled] = np.maximum.reduceat(np.abs(members.sorted), starts) if len(starts) else 0.0
    unit = np.exp2(np.ceil(np.log2(np.maximum(largest, 1e-290))) + np.ceil(np.log2(np.maximum(sizes, 1))) + 1)
    plain = ~np.isfinite(unit)
    unit[plain] = 0.0
    high = (values + unit[ids]) - unit[ids]
    total = np.bincount(ids, high, count).astype(np.float64)
    lost = np.bincount(ids, values - high, count).astype(np.float64)
    if plain.any():
        total[plain], lost[plain] = np.bincount(ids, values, count)[plain], 0.0
    rounded = total + lost
    return np.where(np.isfinite(rounded), total, np.bincount(ids, values, count)), np.where(
        np.isfinite(rounded), lost, 0.0
    )
