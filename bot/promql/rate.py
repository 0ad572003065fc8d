"""rate, increase, delta, irate and idelta, with Prometheus 3's extrapolation to the edges of the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bot.promql.cells import Floats, Mask
from bot.promql.select import Ends, Part, Span, Window, chunks, depth_of, ends, window


@dataclass(frozen=True)
class Kind:
    """A counter may be reset, a rate is per second."""

    counter: bool
    per_second: bool


EXTRAPOLATED = {"rate": Kind(True, True), "increase": Kind(True, False), "delta": Kind(False, False)}
NEWEST_TWO = {"irate": Kind(True, True), "idelta": Kind(False, False)}


def over_part(kind: Kind, part: Part, where: Span, start_ms: int, end_ms: int) -> tuple[Floats, Mask]:
    """Looks at the two ends of every window only, and at whole windows where there was a reset or a gap."""
    if not depth_of(part, where):
        return np.zeros(len(part.columns)), np.zeros(len(part.columns), np.bool_)
    found = ends(part, where, counter=kind.counter)
    present: Mask = (found.counts >= 2) & ~found.odd
    values = _extrapolated(kind, found, found.last - found.first, start_ms, end_ms)
    odd = np.flatnonzero(found.odd & (found.counts > 0))
    if len(odd):
        inner = Part(part.block, part.columns[odd])
        for rows in chunks(inner, where):
            at = odd[rows]
            values[at], present[at] = over_window(kind, window(inner, where, rows, start_ms, end_ms))
    return values, present


def over_window(kind: Kind, seen: Window) -> tuple[Floats, Mask]:
    """The same from all samples of every window."""
    if not len(seen.values):
        return np.zeros(len(seen.counts)), np.zeros(len(seen.counts), np.bool_)
    last = seen.last_index
    rise = seen.value_at(last) - seen.values[0]
    if kind.counter and len(seen.values) > 1:
        fell = (seen.values[1:] < seen.values[:-1]) & seen.inside[1:]
        # One reset after the other: the order of additions shows in the last bit.
        for number in np.flatnonzero(fell.any(axis=1)).tolist():
            rise = rise + np.where(fell[number], seen.values[number], 0.0)
    width = len(seen.counts)
    first_ms = np.broadcast_to(seen.times[0], width)
    edges = Ends(
        seen.values[0], seen.values[0], first_ms, np.broadcast_to(seen.time_at(last), width), seen.counts, rise > 0
    )
    return _extrapolated(kind, edges, rise, seen.start_ms, seen.end_ms), seen.counts >= 2


def _extrapolated(kind: Kind, seen: Ends, rise: Floats, start_ms: int, end_ms: int) -> Floats:
    """Prometheus' extrapolatedRate: at most half a step beyond a sample, and never below zero for a counter."""
    sampled = (seen.last_ms - seen.first_ms) / 1000
    step = sampled / (seen.counts - 1)
    to_start = (seen.first_ms - start_ms) / 1000
    to_end = (end_ms - seen.last_ms) / 1000
    threshold = step * 1.1
    to_start = np.where(to_start >= threshold, step / 2, to_start)
    if kind.counter:
        to_zero = np.where((rise > 0) & (seen.first >= 0), sampled * (seen.first / rise), to_start)
        to_start = np.fmin(to_start, to_zero)
    to_end = np.where(to_end >= threshold, step / 2, to_end)
    factor = (sampled + to_start + to_end) / sampled
    if kind.per_second:
        factor = factor / ((end_ms - start_ms) / 1000)
    out: Floats = rise * factor
    return out


def newest_two(kind: Kind, seen: Window) -> tuple[Floats, Mask]:
    """irate and idelta: the last two samples decide."""
    if len(seen.values) < 2:
        return np.zeros(len(seen.counts)), np.zeros(len(seen.counts), np.bool_)
    last, previous = np.maximum(seen.counts - 1, 1), np.maximum(seen.counts - 2, 0)
    newer, older = seen.value_at(last), seen.value_at(previous)
    rise = newer - older
    if kind.counter:
        rise = np.where(newer < older, newer, rise)
    if kind.per_second:
        rise = rise / ((seen.time_at(last) - seen.time_at(previous)) / 1000)
    return rise, seen.counts >= 2
