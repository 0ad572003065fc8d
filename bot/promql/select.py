"""From matchers to rows, and from rows to samples: the newest before a time, the ends of a window, a whole window.

Rows are found on arrays of label codes and remembered until a series joins or leaves the metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bot.labels import Matcher, Op
from bot.promql.block import Block, Columns, Millis, Positions
from bot.promql.cells import Floats, Mask, is_hole, is_marker, is_stale, widened
from bot.promql.nodes import NAME, Instant
from bot.promql.space import Space
from bot.promql.store import SeriesStore
from bot.promql.strings import Codes, Pool

# One gather stays within the processor's cache, and holds the store's lock only for milliseconds.
_CELLS = 500_000
# Rows in all remembered selections, about 30 bytes each.
_REMEMBERED = 10_000_000


@dataclass(frozen=True, eq=False)
class Part:
    """Columns of one block."""

    block: Block
    columns: Columns

    @cached_property
    def home(self) -> Columns:
        return self.block.home[self.columns]

    @cached_property
    def whole(self) -> slice | None:
        """A slice when the columns run one after another."""
        first, size = int(self.columns[0]), len(self.columns)
        if int(self.columns[-1]) - first == size - 1:
            return slice(first, first + size)
        return None


@dataclass(frozen=True, eq=False)
class Selection:
    """What a selector matches: the label space, and where its rows' samples are, part by part in row order."""

    space: Space
    parts: tuple[Part, ...]


class Selector:
    """Resolves selectors against one store, and remembers."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._known: dict[str, tuple[tuple[tuple[int, int], ...], Selection]] = {}
        self._rows = 0

    def select(self, node: Instant) -> Selection:
        key = node.key if not node.offset_ms and node.at is None else "".join(map(str, node.matchers))
        with self._store.lock:
            blocks = self._blocks(node)
            state = tuple((block.uid, block.generation) for block in blocks)
            known = self._known.get(key)
            if known is not None and known[0] == state:
                return known[1]
            selection = _select(self._store.pool, blocks, node.matchers)
            self._rows += selection.space.size + 100
            if self._rows > _REMEMBERED:
                self._known.clear()
                self._rows = 0
            self._known[key] = (state, selection)
            return selection

    def _blocks(self, node: Instant) -> list[Block]:
        if node.name is not None:
            found = list(self._store.blocks.get(node.name, ()))
        else:
            found = [block for blocks in self._store.blocks.values() for block in blocks]
        matchers = [matcher for matcher in node.matchers if matcher.name == NAME]
        if node.name is not None and len(matchers) == 1:
            return found
        return [block for block in found if all(matcher.matches_value(block.name) for matcher in matchers)]


def _select(pool: Pool, blocks: Sequence[Block], matchers: Sequence[Matcher]) -> Selection:
    parts = []
    for block in blocks:
        columns = _matching(pool, block, matchers)
        if len(columns):
            parts.append(Part(block, columns))
    size = sum(len(part.columns) for part in parts)
    names = {name for part in parts for name in part.block.codes}
    codes = {}
    for name in names:
        pieces = [_codes(part.block, name, part.columns) for part in parts]
        codes[name] = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    return Selection(Space(pool, size, codes), tuple(parts))


def _codes(block: Block, name: str, columns: Columns) -> Codes:
    codes = block.codes.get(name)
    return np.zeros(len(columns), np.int32) if codes is None else codes[columns]


def _matching(pool: Pool, block: Block, matchers: Sequence[Matcher]) -> Columns:
    mask: Mask = block.ids[: block.width] >= 0
    for matcher in matchers:
        if matcher.name == NAME:
            continue
        codes = block.codes.get(matcher.name)
        if codes is None:
            if not matcher.matches_value(""):
                return np.zeros(0, np.intp)
            continue
        mask = mask & _matches(pool, codes[: block.width], matcher)
    return np.flatnonzero(mask)


def _matches(pool: Pool, codes: Codes, matcher: Matcher) -> Mask:
    if matcher.op in {Op.EQUAL, Op.NOT_EQUAL}:
        equal: Mask = codes == pool.find(matcher.value)
        return equal if matcher.op is Op.EQUAL else ~equal
    # A pattern runs once per distinct value.
    distinct, inverse = np.unique(codes, return_inverse=True)
    good = np.fromiter((matcher.matches_value(text) for text in pool.texts(distinct.tolist())), np.bool_, len(distinct))
    return good[inverse]


# Spans: which positions of every writer lie in (start, end] ----------------------------------------


@dataclass(frozen=True, eq=False)
class Span:
    """Positions [low, high) per writer of one block."""

    low: Positions
    high: Positions


def span(block: Block, start_ms: int, end_ms: int) -> Span:
    times = block.times[:, : block.writers]
    cursor = block.cursor[: block.writers]
    if block.writers and int(block.last[: block.writers].max()) <= end_ms:
        high = cursor.copy()
        inside = np.count_nonzero(times > start_ms, axis=0)
    else:
        after = np.count_nonzero(times > end_ms, axis=0)
        high = cursor - after
        inside = np.count_nonzero(times > start_ms, axis=0) - after
    return Span(high - inside, high)


# Newest: the sample an instant selector sees ------------------------------------------------------------


def newest(part: Part, where: Span) -> tuple[Floats, Millis, Mask]:
    """Value, time and presence of the newest sample in the span; a stale marker there means absence."""
    block, columns, home = part.block, part.columns, part.home
    position = where.high[home] - 1
    low = where.low[home]
    values = _row(part, position)
    times = _times(block, position, home)
    present: Mask = position >= low
    if np.isnan(values).any():
        pending = np.flatnonzero(present & is_hole(values))
        while len(pending):
            position[pending] -= 1
            present[pending] = position[pending] >= low[pending]
            pending = pending[present[pending]]
            slots = position[pending] % block.slots
            values[pending] = widened(block.values[slots, columns[pending]])
            times[pending] = block.times[slots, home[pending]]
            pending = pending[is_hole(values[pending])]
        present &= ~is_stale(values)
    return values, times, present


def _row(part: Part, position: Positions) -> Floats:
    """Each column's cell at its own position; all in one slot is the usual case."""
    block = part.block
    slots = position % block.slots
    first = slots[0]
    if (slots == first).all():
        row = block.values[first]
        return widened(row[part.whole].copy() if part.whole is not None else row[part.columns])
    return widened(block.values[slots, part.columns])


def _times(block: Block, position: Positions, home: Columns) -> Millis:
    cells: Millis = block.times[position % block.slots, home]
    return cells


# Ends: all that rate() and its like need while nothing odd happened in the window --------


@dataclass(frozen=True, eq=False)
class Ends:
    """First and last sample of every row's window. Where `odd`, the window has to be read as a whole."""

    first: Floats
    last: Floats
    first_ms: Millis
    last_ms: Millis
    counts: Positions
    odd: Mask


def ends(part: Part, where: Span, *, counter: bool) -> Ends:
    block, home = part.block, part.home
    low, high = where.low[home], where.high[home]
    odd = block.bad_until[part.columns] >= low
    if counter:
        odd |= block.track_resets()[part.columns] > low
    return Ends(
        _row(part, low), _row(part, high - 1), _times(block, low, home), _times(block, high - 1, home), high - low, odd
    )


# Windows: every sample ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Window:
    """Samples of some rows, time-major: sample k of row r is values[k, r], and is one when k < counts[r].

    `times` has one column per row, or a single one when all rows share their times.
    """

    values: Floats
    times: Millis
    counts: Positions
    start_ms: int
    end_ms: int

    @cached_property
    def full(self) -> bool:
        return bool((self.counts == len(self.values)).all())

    @cached_property
    def inside(self) -> Mask:
        return np.arange(len(self.values))[:, None] < self.counts

    @cached_property
    def last_index(self) -> Positions:
        return np.maximum(self.counts - 1, 0)

    def time_at(self, index: Positions) -> Millis:
        """Each row's time of its sample `index`."""
        rows = np.zeros(len(index), np.intp) if self.times.shape[1] == 1 else np.arange(len(index))
        cells: Millis = self.times[index, rows]
        return cells

    def value_at(self, index: Positions) -> Floats:
        cells: Floats = self.values[index, np.arange(len(index))]
        return cells


def depth_of(part: Part, where: Span) -> int:
    used = where.high - where.low
    return int(used[part.home].max(initial=0))


def chunks(part: Part, where: Span) -> Iterator[slice]:
    """Slices of the part's rows small enough to gather at once."""
    step = max(1, _CELLS // max(1, depth_of(part, where)))
    for begin in range(0, len(part.columns), step):
        yield slice(begin, min(begin + step, len(part.columns)))


def window(part: Part, where: Span, rows: slice | Columns, start_ms: int, end_ms: int) -> Window:
    """The samples of these rows (numbers within the part); holes and markers are closed up."""
    block, columns, home = part.block, part.columns[rows], part.home[rows]
    low, counts = where.low[home], (where.high - where.low)[home]
    depth = int(counts.max(initial=0))
    if not depth:
        nothing = np.zeros((0, len(columns)))
        return Window(nothing, nothing.astype(np.int64), counts, start_ms, end_ms)
    aligned = bool((low == low[0]).all() and (counts == depth).all())
    if aligned:
        slots = (int(low[0]) + np.arange(depth)) % block.slots
        values = _rows(block, slots, columns)
        own = home if (home != home[0]).any() else home[:1]
        times = block.times[slots[:, None], own]
    else:
        slots = (low + np.arange(depth)[:, None]) % block.slots
        values = widened(block.values[slots, columns])
        times = block.times[slots, home]
    found = Window(values, times, counts, start_ms, end_ms)
    if (block.bad_until[columns] >= low).any():
        return closed_up(found, found.inside & ~is_marker(values))
    return found


def _rows(block: Block, slots: NDArray[np.int64], columns: Columns) -> Floats:
    first, last = int(slots[0]), int(slots[-1])
    rows = block.values[first : last + 1] if last >= first and len(slots) == last - first + 1 else block.values[slots]
    if int(columns[-1]) - int(columns[0]) == len(columns) - 1:
        part = rows[:, int(columns[0]) : int(columns[-1]) + 1]
        return widened(part) if block.narrow else np.ascontiguousarray(part)
    return widened(rows[:, columns])


def closed_up(gappy: Window, good: Mask) -> Window:
    """The same window without the cells that are not `good`."""
    if good.all():
        return gappy
    order = np.argsort(~good, axis=0, kind="stable")
    counts = np.count_nonzero(good, axis=0).astype(np.int64)
    depth = int(counts.max(initial=0))
    order = order[:depth]
    times = np.broadcast_to(gappy.times, gappy.values.shape)
    return Window(
        np.take_along_axis(gappy.values, order, 0),
        np.take_along_axis(times, order, 0),
        counts,
        gappy.start_ms,
        gappy.end_ms,
    )
