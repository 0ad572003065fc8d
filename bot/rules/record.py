"""What rules write back: series that stay the same from round to round, so that only their values have to move.

The rules make `Lines` once and hand them over each round with new values; whoever stores them may remember where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import pack
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from bot.errors import QueryError
from bot.labels import Labels
from bot.promql.floats import format_short
from bot.promql.store import SeriesStore

Sample = tuple[Labels, float]
Floats = NDArray[np.float64]
_TWICE = "duplicate sample for timestamp {}; overrides not allowed: existing {}, new value {}"
_UNKNOWN = -2  # never asked the store; -1 is its answer for what nobody wants


class Recorder(Protocol):
    """Takes series into the store. `stale` are series that end here.

    Raises QueryError after everything is done if a series has another sample at that time already.
    """

    def __call__(self, t: float, samples: Sequence[Sample], stale: Sequence[Labels]) -> None: ...


class Line:
    """One series that a rule writes; `id` is the store's."""

    __slots__ = ("id", "labels")

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels
        self.id = _UNKNOWN


class Lines:
    """The series that one rule writes at a time, as long as they are the same ones. Compared by identity."""

    def __init__(self, writer: str, lines: Sequence[Line]) -> None:
        self.writer = writer
        self.lines = lines
        self.ids: NDArray[np.int64] | None = None
        self.epoch = -1

    def all_labels(self) -> list[Labels]:
        return [line.labels for line in self.lines]

    def without(self, others: Lines) -> list[Labels]:
        """The labels of what is here and not among the others."""
        if self is others:
            return []
        there = set(others.lines)
        return [line.labels for line in self.lines if line not in there]


NO_LINES = Lines("", ())


class Samples(Sequence[Sample]):
    """Lines with a value each, as a sequence of (labels, value)."""

    def __init__(self, lines: Lines, values: Floats) -> None:
        self.lines = lines
        self.values = values

    def __len__(self) -> int:
        return len(self.lines.lines)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return list(self)[index]
        return self.lines.lines[index].labels, float(self.values[index])

    def __iter__(self) -> Iterator[Sample]:
        for line, value in zip(self.lines.lines, self.values.tolist(), strict=True):
            yield line.labels, value


class StoreRecorder:
    """Writes into the store: one append for what is one rule's, and series are looked up once."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store

    def __call__(self, t: float, samples: Sequence[Sample], stale: Sequence[Labels]) -> None:
        refused = False
        if isinstance(samples, Samples):
            refused = self._append(t, samples)
        elif samples:
            ids = np.array([self._store.intern(labels) for labels, _ in samples], np.int64)
            values = np.array([value for _, value in samples], np.float64)
            self._store.append_at(ids, np.full(len(ids), t), values)
        if stale:
            self._store.mark_stale(t, np.array([self._store.intern(labels) for labels in stale], np.int64))
        if refused:
            self._complain(t, samples)

    def _complain(self, t: float, samples: Sequence[Sample]) -> None:
        """A sample that is there already is none to complain about when it has the same value."""
        for labels, value in samples:
            there = self._store.sample_at(self._store.intern(labels), t)
            if there is not None and pack("d", there) != pack("d", value):
                raise QueryError(_TWICE.format(round(t * 1000), format_short(there), format_short(value)), "execution")

    def _append(self, t: float, samples: Samples) -> bool:
        """Whether some were not taken."""
        lines = samples.lines
        if lines.ids is None or lines.epoch != self._store.epoch:
            self._look_up(lines, known=lines.ids is None)
        assert lines.ids is not None
        done = self._store.append(lines.writer, t, lines.ids, samples.values)
        if done.unknown:
            self._look_up(lines, known=False)
            done = self._store.append(lines.writer, t, lines.ids, samples.values)
        return done.rejected > 0

    def _look_up(self, lines: Lines, *, known: bool) -> None:
        """With `known`, only the ids that the store has not given yet."""
        lines.epoch = self._store.epoch
        for line in lines.lines:
            if not known or line.id < 0:
                line.id = self._store.intern(line.labels)
        lines.ids = np.array([line.id for line in lines.lines], np.int64)
