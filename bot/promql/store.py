"""The samples in memory: series by label set, blocks by metric name, retention, staleness.

Columnar: one append is one row of arrays per metric name, never a loop over samples. Reading is select.py's business.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bot.labels import Labels
from bot.promql.block import (
    FULL,
    NEVER,
    Block,
    Columns,
    Millis,
    compact,
    sliced,
    write_single,
)
from bot.promql.cells import STALE, Floats, Mask, fits, is_hole, is_marker, narrowed, shortened, widened
from bot.promql.nodes import NAME
from bot.promql.places import Places
from bot.promql.strings import Pool

Ids = NDArray[np.int64]
# Readers hold positions for the length of an evaluation; slots are not overwritten before this much later.
_SLACK_MS = 60_000
_PLANS = 8


@dataclass(frozen=True)
class Appended:
    """What became of an append. `unknown` above 0: some ids were forgotten since, ask `intern` again."""

    accepted: int
    rejected: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class _Step:
    """One block's part of a scrape: values[source] go to `columns`, `missing` are the writer's other columns."""

    block: Block
    writer: int
    columns: Columns | slice
    source: Columns | slice
    missing: Columns | None


@dataclass(frozen=True)
class _Plan:
    steps: tuple[_Step, ...]
    elsewhere: Columns
    unknown: int
    # Values that need not fit into four bytes, as their block has eight.
    wide: Mask


@dataclass
class _Writer:
    plans: dict[bytes, _Plan] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    epoch: int = -1


# A place is a block's number and a column in it, packed into one number: there is one for every series.
_COLUMN_BITS = 32
_COLUMN = (1 << _COLUMN_BITS) - 1


class SeriesStore:
    """`lock` guards every entry point; one is needed as soon as appends and evaluations run in different threads."""

    def __init__(self, retention_seconds: float, lock: AbstractContextManager[object] | None = None) -> None:
        self.lock: AbstractContextManager[object] = nullcontext() if lock is None else lock
        self.pool = Pool()
        self.blocks: dict[str, list[Block]] = {}
        # Counted up when ids were forgotten or wanted names changed: answers of `intern` may differ afterwards.
        self.epoch = 0
        self.rejected = 0
        self.appended = 0
        self.version = 0
        self._retention_ms = round(retention_seconds * 1000)
        self._needs: dict[str, int] | None = None
        self._wanted: Callable[[str], bool] | None = None
        self._next_id = 0
        self._id_of: dict[bytes, int] = {}
        self._unplaced: dict[int, bytes] = {}  # keys of series that have no column yet; of others, columns tell
        self._places = Places()
        self._by_uid: dict[int, Block] = {}
        self._versions: dict[str, int] = {}
        self._writers: dict[str, _Writer] = {}
        self._fresh: list[int] = []
        self._idle: list[int] = []
        self._evaluated_ms = NEVER
        self._newest_ms = NEVER
        self._forgotten_ms = NEVER
        self._counted_strings = 0

    def __len__(self) -> int:
        return len(self._places)

    @property
    def series_known(self) -> int:
        return len(self._id_of)

    @property
    def bytes_used(self) -> int:
        return sum(block.values.nbytes + block.times.nbytes for block in self._by_uid.values())

    # Series ------------------------------------------------------------

    def intern(self, labels: Labels) -> int:
        """The id of this label set, the same until it is forgotten; -1 when nobody wants its metric name."""
        with self.lock:
            if self._wanted is not None and not self._wanted(labels.get(NAME, "")):
                return -1
            code = self.pool.code
            packed = array("I")
            for name in sorted(labels):
                if value := labels[name]:  # an empty value is the same as no label
                    packed.append(code(name))
                    packed.append(code(value))
            key = packed.tobytes()
            found = self._id_of.get(key)
            if found is None:
                found = self._id_of[key] = self._next_id
                self._unplaced[found] = key
                self._fresh.append(found)
                self._next_id += 1
            return found

    def labels_of(self, series: int) -> dict[str, str]:
        """Raises KeyError when the id has been forgotten."""
        with self.lock:
            text = self.pool.text
            return {text(name): text(value) for name, value in self._codes(self._key(series))}

    def _key(self, series: int) -> bytes:
        """Raises KeyError when the id has been forgotten."""
        place = self._places.get(series)
        if place < 0:
            return self._unplaced[series]
        block, column = self._at(place)
        packed = array("I")
        for name in sorted(block.codes):
            if value := int(block.codes[name][column]):
                packed.append(self.pool.code(name))
                packed.append(value)
        return packed.tobytes()

    def _at(self, place: int) -> tuple[Block, int]:
        return self._by_uid[place >> _COLUMN_BITS], place & _COLUMN

    @staticmethod
    def _codes(key: bytes) -> list[tuple[int, int]]:
        packed = array("I", key)
        return list(zip(packed[::2], packed[1::2], strict=True))

    def keep(self, names: Collection[str] | Callable[[str], bool] | None) -> None:
        """Keeps only these metric names from now on, and drops the others' samples; None keeps everything."""
        with self.lock:
            wanted = names if names is None or callable(names) else frozenset(names).__contains__
            self._wanted = wanted
            self.epoch += 1
            if wanted is not None:
                for block in [block for block in self._by_uid.values() if not wanted(block.name)]:
                    self._drop_block(block)

    def set_retention(self, seconds: float, needs: Mapping[str, float] | None = None) -> None:
        """`needs` gives single metric names their own retention, so that one long window does not hold everything."""
        with self.lock:
            self._retention_ms = round(seconds * 1000)
            self._needs = None if needs is None else {name: round(value * 1000) for name, value in needs.items()}
            blocks = list(self._by_uid.values())
        for block in blocks:
            with self.lock:  # anew for each, so that an append waits for one at most
                block.retain(self._retention_of(block.name))

    def _retention_of(self, name: str) -> int:
        own = self._retention_ms if self._needs is None else self._needs.get(name, self._retention_ms)
        return own + _SLACK_MS

    # Writing ------------------------------------------------------------

    def append(self, writer: str, t: float, ids: Ids, values: Floats) -> Appended:
        """One scrape of one writer: all samples at one time. A series older than its newest sample is rejected."""
        ids, values = np.asarray(ids, np.int64), np.asarray(values, np.float64)
        t_ms = round(t * 1000)
        with self.lock:
            plan = self._plan(writer, ids)
            odd = np.count_nonzero(np.isnan(values)) > 0
            marked = odd and bool(is_marker(values).any())
            small = narrowed(values) if odd else shortened(values)
            fit = (fits(values) if odd else small == values) | plan.wide
            if np.count_nonzero(fit) < len(fit):
                self._make_fit(plan, fit)
            accepted = rejected = 0
            for step in plan.steps:
                block = step.block
                if block.last[step.writer] < t_ms:
                    cells = (small if block.narrow else values)[step.source]
                    block.write(step.writer, t_ms, step.columns, cells, step.missing)
                    if marked:
                        block.note_markers(step.columns, cells)
                    accepted += len(cells)
                else:
                    part = values[step.source]
                    done = self._fill(step, t_ms, part)
                    accepted += done
                    rejected += len(part) - done
                self._touch(step.block, t_ms)
            for rows in _one_each(ids[plan.elsewhere]) if len(plan.elsewhere) else ():
                index = plan.elsewhere[rows]
                done = self._append_own(ids[index], np.full(len(index), t_ms), values[index])
                accepted += done
                rejected += len(index) - done
            self._count(t_ms, accepted, rejected)
            return Appended(accepted, rejected, plan.unknown)

    @staticmethod
    def _make_fit(plan: _Plan, fit: Mask) -> None:
        """Widens the blocks of values that need it."""
        for step in plan.steps:
            if step.block.narrow and not fit[step.source].all():
                step.block.broaden()
            plan.wide[step.source] = not step.block.narrow

    def append_at(self, ids: Ids, times: Floats, values: Floats) -> Appended:
        """Samples that bring their own times, oldest first per series."""
        ids, values = np.asarray(ids, np.int64), np.asarray(values, np.float64)
        times_ms = np.round(np.asarray(times, np.float64) * 1000).astype(np.int64)
        with self.lock:
            known = np.fromiter((self._knows(series) for series in ids.tolist()), np.bool_, len(ids))
            unknown = int(np.count_nonzero(~known & (ids >= 0)))
            ids, values, times_ms = ids[known], values[known], times_ms[known]
            accepted = 0
            for rows in _one_each(ids):
                accepted += self._append_own(ids[rows], times_ms[rows], values[rows])
            rejected = len(ids) - accepted
            self._count(int(times_ms.max(initial=NEVER)), accepted, rejected)
        return Appended(accepted, rejected, unknown)

    def sample_at(self, series: int, t: float) -> float | None:
        """The sample or stale marker at exactly that time."""
        with self.lock:
            place = self._places.get(series)
            if place < 0:
                return None
            block, column = self._at(place)
            slots = np.flatnonzero(block.times[:, block.home[column]] == round(t * 1000))
            found = block.values[slots, column]
            found = widened(found[~is_hole(found)])
            return float(found[-1]) if len(found) else None

    def mark_stale(self, t: float, ids: Ids) -> None:
        """These series ended at time t. A series that has a sample at t, or a later one, is left alone."""
        t_ms = round(t * 1000)
        with self.lock:
            parts: dict[tuple[int, int], tuple[Block, list[int]]] = {}
            for series in np.asarray(ids, np.int64).tolist():
                place = self._places.get(series)
                if place >= 0:
                    block, column = self._at(place)
                    parts.setdefault((block.uid, int(block.home[column])), (block, []))[1].append(column)
            for (_, number), (block, columns) in parts.items():
                self._mark(block, number, t_ms, np.array(columns, np.intp))
                self._touch(block, t_ms)

    @staticmethod
    def _mark(block: Block, writer: int, t_ms: int, columns: Columns) -> None:
        if block.last[writer] > t_ms:
            return
        if block.last[writer] < t_ms:
            slot = block.advance(writer, t_ms)
            own = np.flatnonzero(block.home[: block.width] == writer)
            block.values[slot, own] = block.hole
            block.bad_until[own] = block.cursor[writer] - 1
        slot = int(block.cursor[writer] - 1) % block.slots
        free = columns[is_hole(block.values[slot, columns])]
        block.values[slot, free] = block.packed(np.full(len(free), STALE))
        block.bad_until[free] = block.cursor[writer] - 1

    def _fill(self, step: _Step, t_ms: int, values: Floats) -> int:
        """A second append at the writer's newest time fills the cells that are still empty."""
        block = step.block
        columns = np.arange(block.width)[step.columns]
        if block.last[step.writer] > t_ms:
            return self._append_own(block.ids[columns], np.full(len(columns), t_ms), values)
        slot = int(block.cursor[step.writer] - 1) % block.slots
        free = is_hole(block.values[slot, columns])
        block.values[slot, columns[free]] = block.packed(values[free])
        block.bad_until[columns[free]] = block.cursor[step.writer] - 1
        if block.reset_at is not None:
            # Which of them fell is not worth finding out: the slow path looks at every sample.
            block.reset_at[columns[free]] = block.cursor[step.writer] - 1
        return int(free.sum())

    def _touch(self, block: Block, t_ms: int) -> None:
        # Samples after the newest evaluation cannot change an answer that was given.
        if t_ms <= self._evaluated_ms:
            block.version += 1
            self._versions[block.name] += 1
            self.version += 1

    def _count(self, t_ms: int, accepted: int, rejected: int) -> None:
        self.appended += accepted
        self.rejected += rejected
        self._newest_ms = max(self._newest_ms, t_ms)
        if self._forgotten_ms == NEVER:
            self._forgotten_ms = self._newest_ms
        elif self._newest_ms - self._forgotten_ms > max(_SLACK_MS, self._retention_ms // 8):
            self._forget(None)

    # Where a series lives ------------------------------------------------------------

    def _plan(self, writer: str, ids: Ids) -> _Plan:
        known = self._writers.setdefault(writer, _Writer())
        if known.epoch != self.epoch:
            known.plans.clear()
            known.epoch = self.epoch
        key = ids.tobytes()
        plan = known.plans.get(key)
        if plan is None:
            if len(known.plans) >= _PLANS:
                known.plans.clear()
            columns = len(self._places)
            plan = self._make_plan(known, ids)
            if len(self._places) > columns:
                # Older plans do not know the new columns, so they could not leave holes there.
                known.plans.clear()
            known.plans[key] = plan
        return plan

    def _make_plan(self, known: _Writer, ids: Ids) -> _Plan:
        places = np.fromiter((self._places.get(series) for series in ids.tolist()), np.int64, len(ids))
        unknown = 0
        for index in np.flatnonzero(places < 0).tolist():
            series = int(ids[index])
            if self._knows(series):
                places[index] = self._settle(series, known)
            else:
                unknown += series >= 0
        if not self._unplaced:
            self._unplaced = {}  # an emptied dictionary keeps its room
        blocks, columns = places >> _COLUMN_BITS, places & _COLUMN
        here = np.flatnonzero(places >= 0)
        again = np.ones(len(here), np.bool_)
        again[np.unique(ids[here], return_index=True)[1]] = False
        steps, elsewhere = [], [here[again]]
        here = here[~again]
        for uid in np.unique(blocks[here]).tolist():
            block, rows = self._by_uid[uid], here[blocks[here] == uid]
            mine = block.home[columns[rows]] == known.numbers.get(uid, -1)
            elsewhere.append(rows[~mine])
            if mine.any():
                steps.append(self._step(known, block, columns[rows[mine]], rows[mine]))
        steps.sort(key=lambda step: step.source.start if isinstance(step.source, slice) else int(step.source[0]))
        beside = np.sort(np.concatenate(elsewhere))
        wide = np.ones(len(ids), np.bool_)
        for step in steps:
            wide[step.source] = not step.block.narrow
        return _Plan(tuple(steps), beside, unknown, wide)

    @staticmethod
    def _step(known: _Writer, block: Block, columns: Columns, source: Columns) -> _Step:
        number = known.numbers[block.uid]
        left = block.home[: block.width] == number
        left[columns] = False
        missing = np.flatnonzero(left)
        return _Step(block, number, sliced(columns), sliced(source), missing if len(missing) else None)

    def _knows(self, series: int) -> bool:
        return series in self._places or series in self._unplaced

    def _settle(self, series: int, known: _Writer | None) -> int:
        """A place for a series that has none; `known` None gives it times of its own."""
        codes = {self.pool.text(name): value for name, value in self._codes(self._unplaced.pop(series))}
        name = self.pool.text(codes.get(NAME, 0))
        block = self._open_block(name, known)
        if known is None:
            number = block.add_writer(single=True)
        else:
            number = known.numbers.get(block.uid, -1)
            if number < 0:
                number = known.numbers[block.uid] = block.add_writer()
        return self._place(series, block, block.add_column(number, series, codes))

    def _open_block(self, name: str, known: _Writer | None) -> Block:
        """Where this writer has its other columns, or else a block with room for more writers."""
        blocks = self.blocks.setdefault(name, [])
        for block in blocks:
            if known is not None and block.uid in known.numbers:
                return block
        for block in blocks:
            if block.width < FULL:
                return block
        block = Block(name, self._retention_of(name))
        blocks.append(block)
        self._by_uid[block.uid] = block
        self.version += 1
        block.version = self._versions[name] = self.version
        return block

    def _place(self, series: int, block: Block, column: int) -> int:
        place = block.uid << _COLUMN_BITS | column
        self._places.put(series, place)
        return place

    def _append_own(self, ids: Ids, times_ms: Millis, values: Floats) -> int:
        """A sample each for series that keep their own times; they move out of their writer's rows when needed."""
        parts: dict[int, tuple[Block, list[int], list[int]]] = {}
        for row, (series, t_ms) in enumerate(zip(ids.tolist(), times_ms.tolist(), strict=True)):
            place = self._places.get(series)
            block, column = self._at(self._settle(series, None) if place < 0 else place)
            if not block.single[block.home[column]]:
                if _newest_of(block, column) >= t_ms:
                    continue
                column = self._move_out(series, block, column)
            part = parts.setdefault(block.uid, (block, [], []))
            part[1].append(column)
            part[2].append(row)
        accepted = 0
        for block, columns, rows in parts.values():
            accepted += int(write_single(block, np.array(columns), times_ms[rows], values[rows]).sum())
            self._touch(block, int(times_ms[rows].min()))
        return accepted

    def _move_out(self, series: int, block: Block, old: int) -> int:
        """Copies the column to one with times of its own; no selector finds the old one any more."""
        home = int(block.home[old])
        positions = np.arange(max(0, int(block.cursor[home]) - block.slots), int(block.cursor[home]))
        times, values = (
            block.times[positions % block.slots, home],
            widened(block.values[positions % block.slots, old].copy()),
        )
        codes = {name: int(column[old]) for name, column in block.codes.items() if column[old]}
        # Its samples stay, for an evaluation that found the old column a moment ago.
        block.ids[old] = -1
        column = block.add_column(block.add_writer(single=True), series, codes)
        self._place(series, block, column)
        for row in np.flatnonzero(~is_hole(values) & (times > NEVER)).tolist():
            write_single(block, np.array([column]), times[row : row + 1], values[row : row + 1])
        # Every writer's plan may name the old column.
        for known in self._writers.values():
            known.plans.clear()
        return column

    # Reading ------------------------------------------------------------

    def evaluating(self, t_ms: int) -> None:
        """Tells that answers for this time are being worked out: later arrivals for it count as changes."""
        self._evaluated_ms = max(self._evaluated_ms, t_ms)

    def versions(self, names: Collection[str | None]) -> int:
        """Grows when samples that an answer was made of may have changed. None among the names means any metric."""
        if None in names:
            return self.version
        return sum(self._versions.get(name or "", 0) for name in names)

    def lacks(self, names: Collection[str | None]) -> bool:
        """True when there is no series of any of these metrics."""
        return self.blocks.keys().isdisjoint(names)

    # Forgetting ------------------------------------------------------------

    def forget(self, before: float | None = None) -> int:
        """Drops series whose newest sample is older than `before` (default: their retention); returns how many."""
        with self.lock:
            return self._forget(None if before is None else round(before * 1000))

    def _forget(self, before_ms: int | None) -> int:
        self._forgotten_ms = self._newest_ms
        gone = 0
        for block in list(self._by_uid.values()):
            edge = self._newest_ms - block.retention_ms if before_ms is None else before_ms
            dead = _dead_columns(block, edge)
            if len(dead) == block.width:
                gone += self._drop_block(block)
            elif before_ms is not None or len(dead) > max(16, block.width // 5):
                gone += self._drop_columns(block, dead)
        self._drop_unplaced()
        self._writers = {name: known for name, known in self._writers.items() if known.numbers}
        # Counting takes a while, so only after the pool has grown by half.
        if len(self.pool) > max(20_000, self._counted_strings + self._counted_strings // 2):
            if len(self.pool) > 3 * self._codes_in_use():
                self._new_pool()
            self._counted_strings = len(self.pool)
        return gone

    def _drop_block(self, block: Block) -> int:
        gone = [series for series in block.ids[: block.width].tolist() if series >= 0]
        self._release(gone)
        self._replace_block(block, [])
        self.version += 1
        self._versions[block.name] = self.version
        if block.name not in self.blocks:
            del self._versions[block.name]
        for known in self._writers.values():
            known.numbers.pop(block.uid, None)
        return len(gone)

    def _drop_columns(self, block: Block, dead: Columns) -> int:
        if not len(dead):
            return 0
        gone = [series for series in block.ids[dead].tolist() if series >= 0]
        self._release(gone)
        kept = np.setdiff1d(np.arange(block.width), dead)
        fresh = compact(block, kept)
        self._replace_block(block, [fresh])
        self.version += 1
        self._versions[block.name] += 1
        for column, series in enumerate(fresh.ids.tolist()):
            self._place(series, fresh, column)
        homes = np.unique(block.home[kept])
        renumbered = dict(zip(homes.tolist(), range(len(homes)), strict=True))
        for known in self._writers.values():
            number = renumbered.get(known.numbers.pop(block.uid, -1))
            if number is not None:
                known.numbers[fresh.uid] = number
            known.plans.clear()
        return len(gone)

    def _replace_block(self, block: Block, by: list[Block]) -> None:
        blocks = self.blocks[block.name]
        at = blocks.index(block)
        blocks[at : at + 1] = by
        if not blocks:
            del self.blocks[block.name]
        del self._by_uid[block.uid]
        self._by_uid.update((fresh.uid, fresh) for fresh in by)

    def _release(self, gone: list[int]) -> None:
        if not gone:
            return
        for series in gone:
            self._id_of.pop(self._key(series), None)
            self._places.drop(series)
            self._unplaced.pop(series, None)
        self.epoch += 1

    def _drop_unplaced(self) -> None:
        """Ids that were given out before the last forgetting and never written to since."""
        self._release([series for series in self._idle if series in self._unplaced])
        self._idle = [series for series in self._fresh if series in self._unplaced]
        self._fresh.clear()

    def _codes_in_use(self) -> int:
        used = {0}
        for key in self._id_of:
            used.update(array("I", key))
        return len(used)

    def _new_pool(self) -> None:
        """Numbers the strings still in use afresh; spaces that were handed out keep the old pool alive."""
        old, self.pool = self.pool, Pool()
        translated = np.zeros(len(old), np.int32)
        renamed: dict[bytes, int] = {}
        for key, series in self._id_of.items():
            packed = array("I", (self.pool.code(old.text(code)) for code in array("I", key)))
            translated[array("I", key)] = packed
            renamed[packed.tobytes()] = series
            if series in self._unplaced:
                self._unplaced[series] = packed.tobytes()
        self._id_of = renamed
        for block in self._by_uid.values():
            block.codes = {name: translated[codes] for name, codes in block.codes.items()}
            block.generation += 1


def _one_each(ids: Ids) -> list[Columns]:
    """Rows in turns that hold every id at most once, earlier rows first."""
    if len(np.unique(ids)) == len(ids):
        return [np.arange(len(ids))] if len(ids) else []
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(ids[order]) != 0])
    turn = np.empty(len(ids), np.intp)
    turn[order] = np.arange(len(ids)) - np.repeat(starts, np.diff(np.r_[starts, len(ids)]))
    return [np.flatnonzero(turn == number) for number in range(int(turn.max()) + 1)]


def _newest_of(block: Block, column: int) -> int:
    """The time of a series' newest sample or marker in its writer's rows."""
    home = int(block.home[column])
    for position in range(int(block.cursor[home]) - 1, max(-1, int(block.cursor[home]) - block.slots - 1), -1):
        slot = position % block.slots
        if not is_hole(block.values[slot, column : column + 1])[0]:
            return int(block.times[slot, home])
    return NEVER


def _dead_columns(block: Block, edge_ms: int) -> Columns:
    """Columns without a sample or marker after the edge."""
    home = block.home[: block.width]
    dead = block.last[home] <= edge_ms
    # A column that is a hole now may have a sample further back, up to the edge.
    newest = (block.cursor[home] - 1) % block.slots
    doubtful = np.flatnonzero(~dead & is_marker(block.values[newest, np.arange(block.width)]))
    if len(doubtful):
        alive = np.zeros(len(doubtful), np.bool_)
        for slot in range(block.slots):
            inside = block.times[slot, home[doubtful]] > edge_ms
            alive |= inside & ~is_marker(block.values[slot, doubtful])
        dead[doubtful] = ~alive
    return np.flatnonzero(dead | (block.ids[: block.width] < 0))
