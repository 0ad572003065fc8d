"""Which series there are: by matchers and time, with their label names and values. Samples are looked at, not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bot.promql.block import Block
from bot.promql.cells import Mask
from bot.promql.nodes import NAME, Instant
from bot.promql.select import Part, Selector, chunks, newest, span, window
from bot.promql.space import Index, Space
from bot.promql.store import SeriesStore


@dataclass(frozen=True)
class Period:
    """Milliseconds, both ends included; None is open."""

    start_ms: int | None = None
    end_ms: int | None = None

    @property
    def open(self) -> bool:
        return self.start_ms is None and self.end_ms is None


@dataclass(frozen=True, eq=False)
class Found:
    """Rows of a space."""

    space: Space
    rows: Index


def series(selector: Selector, sets: Sequence[Instant], period: Period) -> Iterator[Found]:
    """The series of each set of matchers that have a sample in the period."""
    for node in sets:
        selection = selector.select(node)
        if period.open:
            yield Found(selection.space, np.arange(selection.space.size))
        else:
            alive = [_alive(part, period) for part in selection.parts]
            yield Found(selection.space, np.flatnonzero(np.concatenate(alive)) if alive else np.zeros(0, np.intp))


def everything(store: SeriesStore, period: Period) -> Iterator[Found]:
    """All series, metric by metric."""
    with store.lock:
        blocks = [block for blocks in store.blocks.values() for block in blocks]
    for block in blocks:
        part = Part(block, np.flatnonzero(block.ids[: block.width] >= 0))
        if not len(part.columns):
            continue
        columns = part.columns if period.open else part.columns[_alive(part, period)]
        yield Found(_space(store, block), columns)


def _space(store: SeriesStore, block: Block) -> Space:
    return Space(store.pool, block.width, {name: codes[: block.width] for name, codes in block.codes.items()})


def label_names(found: Iterator[Found]) -> list[str]:
    names: set[str] = set()
    for one in found:
        names.update(name for name, codes in one.space.columns.items() if name not in names and codes[one.rows].any())
    return sorted(names)


def label_values(found: Iterator[Found], name: str) -> list[str]:
    values: set[str] = set()
    for one in found:
        codes = one.space.columns.get(name)
        if codes is not None:
            values.update(one.space.pool.texts([code for code in np.unique(codes[one.rows]).tolist() if code]))
    return sorted(values)


def _alive(part: Part, period: Period) -> Mask:
    start_ms = _EARLIEST_MS if period.start_ms is None else period.start_ms
    end_ms = _LATEST_MS if period.end_ms is None else period.end_ms
    where = span(part.block, start_ms - 1, end_ms)
    _, _, alive = newest(part, where)
    alive = alive.copy()
    # Not seen at the end of the period: it may have ended within.
    doubtful = np.flatnonzero(~alive & (where.high > where.low)[part.home])
    if len(doubtful):
        rest = Part(part.block, part.columns[doubtful])
        for rows in chunks(rest, where):
            counts = window(rest, where, rows, start_ms - 1, end_ms).counts
            alive[doubtful[rows]] = counts > 0
    return alive


_EARLIEST_MS, _LATEST_MS = -(1 << 52), 1 << 52


@dataclass(frozen=True)
class Cardinality:
    """What the store holds, counted."""

    series: int
    pairs: int
    first_ms: int
    last_ms: int
    by_metric: list[tuple[str, int]]
    values_by_label: list[tuple[str, int]]
    bytes_by_label: list[tuple[str, int]]
    by_pair: list[tuple[str, int]]


def cardinality(store: SeriesStore, limit: int) -> Cardinality:
    """Counts of everything; the lists hold the `limit` largest."""
    metrics: dict[str, int] = {}
    pairs: dict[tuple[str, str], int] = {}
    first, last = _LATEST_MS, -_LATEST_MS
    for found in everything(store, Period()):
        for name, codes in found.space.columns.items():
            values, counts = np.unique(codes[found.rows], return_counts=True)
            texts = found.space.pool.texts(values.tolist())
            for value, count in zip(texts, counts.tolist(), strict=True):
                if value:
                    pairs[name, value] = pairs.get((name, value), 0) + count
                    if name == NAME:
                        metrics[value] = metrics.get(value, 0) + count
    with store.lock:
        for block in (block for blocks in store.blocks.values() for block in blocks):
            times = block.times[:, : block.writers]
            used = times[(times > -_LATEST_MS) & (times < _LATEST_MS)]
            if used.size:
                first, last = min(first, int(used.min())), max(last, int(used.max()))
    distinct: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for name, value in pairs:
        distinct[name] = distinct.get(name, 0) + 1
        sizes[name] = sizes.get(name, 0) + len(value.encode())
    return Cardinality(
        sum(metrics.values()),
        len(pairs),
        first,
        last,
        _largest(metrics, limit),
        _largest(distinct, limit),
        _largest(sizes, limit),
        _largest({f"{name}={value}": count for (name, value), count in pairs.items()}, limit),
    )


def _largest(counts: dict[str, int], limit: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
