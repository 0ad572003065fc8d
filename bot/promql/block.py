"""The samples of one metric name: a time-major ring in which every writer's scrape is one slot of its columns.

A position counts a writer's scrapes and lives in slot `position % slots`; all columns of a writer share its times.
A metric with many series has several blocks, so that whatever moves a block keeps nobody waiting for long.
Nothing here is locked or looks at labels beyond carrying their codes: that is the store's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.promql.cells import HOLE, NARROW_HOLE, Cells, Floats, Mask, fits, is_marker, narrowed, widened
from bot.promql.strings import Codes

Millis = NDArray[np.int64]
Positions = NDArray[np.int64]
Columns = NDArray[np.intp]

NEVER = np.iinfo(np.int64).min // 2
# A block with so many columns takes no more writers.
FULL = 4096
_FIRST_SLOTS = 8
# What two scrapes in a row say about the pace is believed up to here.
_GUESSED_SLOTS = 2048
_MANY_COLUMNS = 256
_uids = count(1)


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
        # Zeros cost no memory before something is written there, and are never read.
        self.values: Cells = np.zeros((slots, 0), np.float32)
        self.narrow = True  # four bytes a value
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
            self._widen(max(8, self.width // 4))
        column = self.width
        self.width += 1
        self.generation += 1
        self.home[column] = writer
        self.ids[column] = series
        self.bad_until[column] = self.cursor[writer] - 1
        self.values[: self.cursor[writer], column] = self.hole
        for name in codes:
            if name not in self.codes:
                self.codes[name] = np.zeros(self.values.shape[1], np.int32)
            self.codes[name][column] = codes[name]
        return column

    @property
    def hole(self) -> np.float32 | np.float64:
        hole: np.float32 | np.float64 = NARROW_HOLE if self.narrow else HOLE
        return hole

    def packed(self, values: Floats) -> Cells:
        """As they go into `values`, which gets wider first when it has to."""
        if not self.narrow:
            return values
        if fits(values).all():
            return narrowed(values)
        self.broaden()
        return values

    def broaden(self) -> None:
        """From now on any value fits."""
        values = np.zeros(self.values.shape)
        for slot in self._used():
            values[slot] = widened(self.values[slot])
        self.values, self.narrow = values, False

    def _used(self) -> list[int]:
        """Slots that somebody has written. Row by row is the quickest way to copy them: little memory is touched."""
        return np.flatnonzero((self.times > NEVER).any(axis=1)).tolist()

    def _widen(self, more: int) -> None:
        values = np.zeros((self.slots, self.width + more), self.values.dtype)
        for slot in self._used():
            values[slot, : self.width] = self.values[slot]
        self.values = values
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
            self.make_room(int(self.last[writer]), oldest)
            slot = position % self.slots
        elif position == 1:
            self.expect(t - int(self.last[writer]))
            slot = position % self.slots
        self.times[slot, writer] = t
        self.cursor[writer] = position + 1
        self.last[writer] = t
        return slot

    def write(self, writer: int, t: int, columns: Columns | slice, values: Cells, missing: Columns | None) -> None:
        """One scrape: `values`, which fit, on `columns`, holes on the writer's columns in `missing`."""
        slot = self.advance(writer, t)
        row = self.values[slot]
        row[columns] = values
        position = int(self.cursor[writer]) - 1
        if missing is not None:
            row[missing] = self.hole
            self.bad_until[missing] = position
        if self.reset_at is not None and position:
            dropped = values < self.values[(position - 1) % self.slots][columns]
            if np.count_nonzero(dropped):
                self.reset_at[_listed(columns)[dropped]] = position

    def note_markers(self, columns: Columns | slice, values: Cells) -> None:
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

    def expect(self, pace: int) -> None:
        """After two scrapes the pace is known, and next to nothing is there to be moved."""
        slots = min(self._needed(pace), _GUESSED_SLOTS)
        if slots > self.slots:
            self._deepen(slots)

    def make_room(self, newest: int, oldest: int) -> None:
        """A ring that is full of samples inside the retention: as many slots as its pace asks for."""
        needed = self._needed((newest - oldest) // max(1, self.slots - 1))
        self._deepen(min(max(self.slots + self.slots // 2, needed), 4 * self.slots))

    def _needed(self, pace: int) -> int:
        """With some for when scrapes come early."""
        slots = self.retention_ms // max(1, pace)
        return slots + min(slots // 64, 6) + 3

    def _deepen(self, slots: int) -> None:
        # Room for more columns is not taken along: most blocks have all theirs by now.
        values = np.zeros((slots, self.width), self.values.dtype)
        times = np.full((slots, self.writers), NEVER, np.int64)
        for ring in self._rings():
            source, target = ring.positions[:, None] % self.slots, ring.positions[:, None] % slots
            _copy(self.times, source, times, target, ring.writers)
            _copy(self.values, source, values, target, ring.columns)
        self.values, self.times, self.slots = values, times, slots

    def retain(self, retention_ms: int) -> None:
        """Another retention from now on, with room for it at once: one append writes to many blocks."""
        self.retention_ms = retention_ms
        writers = np.arange(self.writers)
        oldest = self.times[self.cursor[writers] % self.slots, writers]
        newest = self.last[writers]
        full = oldest > newest - retention_ms
        if full.any():
            quickest = int(np.argmin(np.where(full, newest - oldest, retention_ms)))
            self.make_room(int(newest[quickest]), int(oldest[quickest]))

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


def _copy(old: NDArray[Any], source: Positions, new: NDArray[Any], target: Positions, columns: Columns) -> None:
    """Many columns go row by row, which touches no memory but what it copies."""
    if len(columns) < _MANY_COLUMNS:
        new[target, columns] = old[source, columns]
        return
    part = sliced(columns)
    for before, after in zip(source[:, 0].tolist(), target[:, 0].tolist(), strict=True):
        new[after, part] = old[before, part]


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
            block.make_room(int(block.last[writers[number]]), oldest)
    second = np.flatnonzero(block.cursor[writers] == 1)
    if len(second):
        block.expect(int(times[second[0]] - block.last[writers[second[0]]]))
    position = block.cursor[writers]
    slots = position % block.slots
    if block.reset_at is not None:
        fell = (values < block.values[(position - 1) % block.slots, columns]) & (position > 0)
        block.reset_at[columns[fell]] = position[fell]
    block.times[slots, writers] = times
    block.values[slots, columns] = block.packed(values)
    block.cursor[writers] = position + 1
    block.last[writers] = times
    block.note_markers(columns, values)
    return newer


def _listed(columns: Columns | slice) -> Columns:
    return np.arange(columns.start, columns.stop) if isinstance(columns, slice) else columns


def sliced(numbers: Columns) -> Columns | slice:
    """A slice where the numbers run one after another: writing through it is several times faster."""
    first = int(numbers[0])
    if int(numbers[-1]) - first == len(numbers) - 1 and bool((np.diff(numbers) == 1).all()):
        return slice(first, first + len(numbers))
    return numbers


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
    fresh.narrow = block.narrow
    fresh.values = np.zeros((fresh.slots, len(keep)), block.values.dtype)
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
