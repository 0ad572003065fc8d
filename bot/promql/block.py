"""The samples of one metric name: a time-major ring in which every writer's scrape is one slot of its columns.

A position counts a writer's scrapes and lives in slot `position % slots`; all columns of a writer share its times.
A cell without a sample is a HOLE, a series that ended has a STALE marker; both are NaNs known by their bits.
Nothing here is locked or looks at labels beyond carrying their codes: that is the store's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from bot.promql.strings import Codes

Floats = NDArray[np.float64]
Millis = NDArray[np.int64]
Positions = NDArray[np.int64]
Columns = NDArray[np.intp]
Mask = NDArray[np.bool_]

STALE_BITS = 0x7FF0000000000002
HOLE_BITS = 0x7FF0000000000003
STALE = np.array([STALE_BITS], np.uint64).view(np.float64)[0]
HOLE = np.array([HOLE_BITS], np.uint64).view(np.float64)[0]
NEVER = np.iinfo(np.int64).min // 2
_FIRST_SLOTS = 8
_uids = count(1)


def is_hole(values: Floats) -> Mask:
    out: Mask = values.view(np.uint64) == HOLE_BITS
    return out


def is_stale(values: Floats) -> Mask:
    out: Mask = values.view(np.uint64) == STALE_BITS
    return out


def is_marker(values: Floats) -> Mask:
    out: Mask = (values.view(np.uint64) & ~np.uint64(1)) == STALE_BITS
    return out


class Block:
    """See the module's docstring. `bad_until[c]`: no marker stands in column c after that position."""

    def __init__(self, name: str, retention_ms: int, slots: int = _FIRST_SLOTS) -> None:
        self.name = name
        self.uid = next(_uids)
        self.retention_ms = retention_ms
        self.slots = slots
        self.width = 0
        self.writers = 0
        # Counted up when a column is added, and when a sample at or before the newest evaluation arrives.
        self.generation = 0
        self.version = 0
        self.values: Floats = np.full((slots, 0), HOLE)
        self.times: Millis = np.full((slots, 0), NEVER, np.int64)
        self.cursor: Positions = np.zeros(0, np.int64)
        self.last: Millis = np.full(0, NEVER, np.int64)
        self.single: Mask = np.zeros(0, np.bool_)
        self.home: Columns = np.zeros(0, np.intp)
        self.ids: Positions = np.zeros(0, np.int64)
        self.bad_until: Positions = np.zeros(0, np.int64)
        self.reset_at: Positions | None = None
        self.codes: dict[str, Codes] = {}

    def add_writer(self, *, single: bool = False) -> int:
        """The number of a new writer of this block; a `single` one has one column, whose times are its own."""
        if self.writers == self.times.shape[1]:
            more = max(4, self.writers // 2)
            self.times = _wider(self.times, more, NEVER)
            self.cursor = _wider(self.cursor, more, 0)
            self.last = _wider(self.last, more, NEVER)
            self.single = _wider(self.single, more, fill=False)
        self.single[self.writers] = single
        self.writers += 1
        return self.writers - 1

    def add_column(self, writer: int, series: int, codes: Mapping[str, int]) -> int:
        """The number of a new column; its past is all holes."""
        if self.width == self.values.shape[1]:
            self._widen(max(8, self.width // 2))
        column = self.width
        self.width += 1
        self.generation += 1
        self.home[column] = writer
        self.ids[column] = series
        self.bad_until[column] = self.cursor[writer] - 1
        for name in codes:
            if name not in self.codes:
                self.codes[name] = np.zeros(self.values.shape[1], np.int32)
            self.codes[name][column] = codes[name]
        return column

    def _widen(self, more: int) -> None:
        self.values = _wider(self.values, more, HOLE)
        self.home = _wider(self.home, more, 0)
        self.ids = _wider(self.ids, more, -1)
        self.bad_until = _wider(self.bad_until, more, -1)
        if self.reset_at is not None:
            self.reset_at = _wider(self.reset_at, more, -1)
        self.codes = {name: _wider(codes, more, 0) for name, codes in self.codes.items()}

    def advance(self, writer: int, t: int) -> int:
        """Opens the writer's next slot at time t and returns it; the caller fills every column of the writer."""
        position = int(self.cursor[writer])
        slot = position % self.slots
        oldest = int(self.times[slot, writer])
        if oldest > t - self.retention_ms:
            self._deepen(int(self.last[writer]), oldest)
            slot = position % self.slots
        self.times[slot, writer] = t
        self.cursor[writer] = position + 1
        self.last[writer] = t
        return slot

    def write(self, writer: int, t: int, columns: Columns | slice, values: Floats, missing: Columns | None) -> None:
        """One scrape: `values` on `columns`, holes on the writer's columns in `missing`."""
        slot = self.advance(writer, t)
        row = self.values[slot]
        row[columns] = values
        position = int(self.cursor[writer]) - 1
        if missing is not None:
            row[missing] = HOLE
            self.bad_until[missing] = position
        if self.reset_at is not None and position:
            dropped = values < self.values[(position - 1) % self.slots][columns]
            if dropped.any():
                self.reset_at[_listed(columns)[dropped]] = position

    def note_markers(self, columns: Columns | slice, values: Floats) -> None:
        """Remembers where markers were among values just written."""
        marked = _listed(columns)[is_marker(values)]
        self.bad_until[marked] = self.cursor[self.home[marked]] - 1

    def track_resets(self) -> Positions:
        """From the first rate() on, remembers the position of every column's newest counter reset."""
        if self.reset_at is None:
            self.reset_at = np.full(self.values.shape[1], -1, np.int64)
            for ring in self._rings():
                samples = self.values[ring.positions[:, None] % self.slots, ring.columns]
                fell = samples[1:] < samples[:-1]
                newest = len(fell) - 1 - np.argmax(fell[::-1], axis=0) if len(fell) else 0
                self.reset_at[ring.columns] = np.where(fell.any(axis=0), ring.positions[0] + 1 + newest, -1)
        return self.reset_at

    def _deepen(self, newest: int, oldest: int) -> None:
        """More slots: as many as this writer's pace asks for, at most four times what there is."""
        pace = max(1, (newest - oldest) // max(1, self.slots - 1))
        slots = min(max(self.slots + self.slots // 2, self.retention_ms // pace + 3), 4 * self.slots)
        # Room for more columns is not taken along: most blocks have all theirs by now.
        values = np.full((slots, self.width), HOLE)
        times = np.full((slots, self.writers), NEVER, np.int64)
        for ring in self._rings():
            source, target = ring.positions[:, None] % self.slots, ring.positions[:, None] % slots
            times[target, ring.writers] = self.times[source, ring.writers]
            values[target, ring.columns] = self.values[source, ring.columns]
        self.values, self.times, self.slots = values, times, slots

    def _rings(self) -> Iterator[_Ring]:
        """Writers that stand at the same position together, with their columns."""
        cursor = self.cursor[: self.writers]
        order = np.argsort(cursor[self.home[: self.width]], kind="stable")
        cursors = cursor[self.home[: self.width]][order]
        for position in np.unique(cursor).tolist():
            begin, end = np.searchsorted(cursors, [position, position + 1])
            positions = np.arange(max(0, position - self.slots), position)
            if position:
                yield _Ring(positions, np.flatnonzero(cursor == position), order[begin:end])


@dataclass(frozen=True)
class _Ring:
    positions: Positions
    writers: Columns
    columns: Columns


def write_single(block: Block, columns: Columns, times: Millis, values: Floats) -> Mask:
    """One sample each for columns that share their writer with nobody; False where it would not be the newest."""
    writers = block.home[columns]
    newer: Mask = block.last[writers] < times
    columns, writers, times, values = columns[newer], writers[newer], times[newer], values[newer]
    full = block.times[block.cursor[writers] % block.slots, writers] > times - block.retention_ms
    for number in np.flatnonzero(full).tolist():
        # The first of them usually makes room for all.
        oldest = int(block.times[block.cursor[writers[number]] % block.slots, writers[number]])
        if oldest > times[number] - block.retention_ms:
            block._deepen(int(block.last[writers[number]]), oldest)
    position = block.cursor[writers]
    slots = position % block.slots
    if block.reset_at is not None:
        fell = (values < block.values[(position - 1) % block.slots, columns]) & (position > 0)
        block.reset_at[columns[fell]] = position[fell]
    block.times[slots, writers] = times
    block.values[slots, columns] = values
    block.cursor[writers] = position + 1
    block.last[writers] = times
    block.note_markers(columns, values)
    return newer


def _listed(columns: Columns | slice) -> Columns:
    return np.arange(columns.start, columns.stop) if isinstance(columns, slice) else columns


def _wider(array: NDArray, more: int, fill: float) -> NDArray:  # type: ignore[type-arg]
    shape = (*array.shape[:-1], more)
    return np.concatenate([array, np.full(shape, fill, array.dtype)], axis=-1)


def compact(block: Block, keep: Columns) -> Block:
    """A new block with only these columns and the writers they need. The old one stays readable for who holds it."""
    fresh = Block(block.name, block.retention_ms, _slots_needed(block))
    homes, home = np.unique(block.home[keep], return_inverse=True)
    fresh.writers, fresh.width = len(homes), len(keep)
    fresh.generation, fresh.version = block.generation + 1, block.version + 1
    fresh.cursor, fresh.last = block.cursor[homes].copy(), block.last[homes].copy()
    fresh.single = block.single[homes].copy()
    fresh.home, fresh.ids, fresh.bad_until = home.astype(np.intp), block.ids[keep].copy(), block.bad_until[keep].copy()
    fresh.reset_at = None if block.reset_at is None else block.reset_at[keep].copy()
    fresh.codes = {name: taken for name, codes in block.codes.items() if (taken := codes[keep]).any()}
    fresh.values = np.full((fresh.slots, len(keep)), HOLE)
    fresh.times = np.full((fresh.slots, len(homes)), NEVER, np.int64)
    for ring in fresh._rings():
        positions = ring.positions[-block.slots :, None]
        source, target = positions % block.slots, positions % fresh.slots
        fresh.times[target, ring.writers] = block.times[source, homes[ring.writers]]
        fresh.values[target, ring.columns] = block.values[source, keep[ring.columns]]
    return fresh


def _slots_needed(block: Block) -> int:
    """The slots that hold samples inside the retention of the busiest writer, with room for a few more."""
    if not block.writers:
        return _FIRST_SLOTS
    newest = int(block.last[: block.writers].max())
    inside = (block.times[:, : block.writers] > newest - block.retention_ms).sum(axis=0)
    return max(_FIRST_SLOTS, min(block.slots, int(inside.max()) + 3))
