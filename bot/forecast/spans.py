"""Sets of instants as spans of time: sorted, apart from each other, each from its start until just before its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]
Spans = list[Span]


def union(spans: Iterable[Span]) -> Spans:
    """Takes spans in any order, overlapping or not."""
    out: Spans = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        elif start < end:
            out.append((start, end))
    return out


def common(one: Sequence[Span], other: Sequence[Span]) -> Spans:
    """Instants in both."""
    out: Spans = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            out.append((start, end))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return out


def rest(whole: Sequence[Span], taken: Sequence[Span]) -> Spans:
    """Instants of `whole` that are not in `taken`."""
    out: Spans = []
    for start, end in whole:
        here = start
        for other_start, other_end in taken:
            if other_end <= here or other_start >= end:
                continue
            if other_start > here:
                out.append((here, other_start))
            here = max(here, other_end)
        if here < end:
            out.append((here, end))
    return out


def length(spans: Iterable[Span]) -> timedelta:
    return sum((end - start for start, end in spans), timedelta())
