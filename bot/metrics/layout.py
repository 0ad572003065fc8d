"""One target's bodies turned into columns for the store, remembering the last body's lines and the series they mean.

Most lines of a scrape equal the last scrape's; a changed one mostly differs only behind its prefix. So a body of
unchanged layout costs a list comparison and one float() per changed value; anything else is read by its grammar.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bot.metrics.exposition import (
    Dialect,
    ExpositionError,
    Page,
    SeriesLine,
    dialect_of,
    plain_numbers,
    read_page,
    read_sample,
    split_lines,
)
from bot.metrics.metadata import Family, families
from bot.metrics.naming import Naming, check_limits

Ids = NDArray[np.int64]
Values = NDArray[np.float64]
Intern = Callable[[Mapping[str, str]], int]


@dataclass(frozen=True, eq=False)
class Timed:
    """Samples that bring their own times, oldest first per series."""

    ids: Ids
    times: Values
    values: Values


@dataclass(frozen=True, eq=False)
class Reading:
    """One body, stored names resolved. `ids` and `values` are at the scrape's time.

    `ids` is the very same array as last time while the layout is unchanged.
    """

    ids: Ids
    values: Values
    scraped: int  # samples in the body
    kept: int  # samples left after dropping and adding up
    timed: Timed | None = None


@dataclass
class _Memory:
    """The last body read in full, line by line. `row` is where a line's value goes; -1 for comments."""

    dialect: Dialect
    lines: list[str]
    prefixes: list[str]
    rows: list[int]
    raw: Values
    target: NDArray[np.intp] | None  # which stored series a row adds to; None when rows and series are the same
    ids: Ids
    unwanted: int  # kept samples whose metric name the store does not want


@dataclass
class Layout:
    """Reads one target's bodies. Not shared between targets, and never called twice at a time."""

    naming: Naming
    intern: Intern
    families: tuple[Family, ...] = ()  # of the last body read in full
    _memory: _Memory | None = field(default=None, repr=False)

    def read(self, body: bytes, content_type: str) -> Reading:
        """Raises ExpositionError, and then the next body is read in full."""
        dialect = dialect_of(content_type)
        lines = split_lines(body, dialect, self.naming.limits)
        reading = self._unchanged(lines, dialect)
        if reading is None:
            self._memory = None
            reading = self._in_full(lines, dialect)
        return reading

    @property
    def remembers(self) -> bool:
        """The next body may turn out to be little work."""
        return self._memory is not None

    def forget(self) -> None:
        """The next body is read in full and its series are looked up again."""
        self._memory = None

    def _unchanged(self, lines: list[str], dialect: Dialect) -> Reading | None:
        memory = self._memory
        if memory is None or dialect is not memory.dialect or len(lines) != len(memory.lines):
            return None
        # Built-in functions over whole lists: this runs for every sample of every scrape.
        places = zip(lines, memory.lines, memory.prefixes, memory.rows, range(1, len(lines) + 1), strict=True)
        changed = [place for place in places if place[0] != place[1]]
        if changed:
            news, _, prefixes, rows, numbered = zip(*changed, strict=True)
            if min(rows) < 0 or not all(map(str.startswith, news, prefixes)):
                return None
            numbers = _floats(list(map(str.removeprefix, news, prefixes))) or self._one_by_one(news, numbered, dialect)
            if numbers is None:
                return None
            memory.raw[list(rows)] = numbers
        memory.lines = lines
        return _reading(memory)

    def _one_by_one(self, lines: Sequence[str], numbered: Sequence[int], dialect: Dialect) -> list[float] | None:
        """Known series with something behind the value, such as an exemplar. None when it is a time to honor."""
        samples = [read_sample(*line, dialect).sample for line in zip(lines, numbered, strict=True)]
        if self.naming.honor_timestamps and any(sample.timestamp is not None for sample in samples):
            return None
        return [sample.value for sample in samples]

    def _in_full(self, lines: list[str], dialect: Dialect) -> Reading:
        page = read_page(lines, dialect)
        self.families = families(page.types, page.helps, page.units)
        _refuse_duplicates(page.samples, self.naming.honor_timestamps)
        kept = [entry for entry in page.samples if self.naming.wanted(entry.sample, page)]
        if len(kept) > self.naming.limits.samples:
            raise ExpositionError(f"{len(kept)} samples, the limit is {self.naming.limits.samples}")
        timed = [entry for entry in kept if self.naming.honor_timestamps and entry.sample.timestamp is not None]
        plain = [entry for entry in kept if not self.naming.honor_timestamps or entry.sample.timestamp is None]
        stored, ids, target = self._series(plain)
        values = np.array([entry.sample.value for entry in stored], np.float64)
        if timed:
            unwanted = len(plain) - len(stored)
            return self._with_times(page, timed, ids, _added_up(values, target, len(ids)), unwanted)
        self._memory = _remember(lines, dialect, page, stored, values, target, ids, len(plain) - len(stored))
        return _reading(self._memory)

    def _series(self, entries: list[SeriesLine]) -> tuple[list[SeriesLine], Ids, NDArray[np.intp] | None]:
        """The entries the store wants, their ids in order of first appearance, and for each entry its id's place."""
        places: dict[int, int] = {}
        stored: list[SeriesLine] = []
        target: list[int] = []
        for entry in entries:
            series = self._id(entry)
            if series < 0:
                continue
            stored.append(entry)
            target.append(places.setdefault(series, len(places)))
            if len(places) < len(target) and self.naming.on_duplicate == "fail":
                raise ExpositionError(
                    f"with labels dropped, renamed or overridden, {_text(entry)} is there twice", entry.line
                )
        ids = np.fromiter(places, np.int64, len(places))
        return stored, ids, None if len(places) == len(target) else np.array(target, np.intp)

    def _id(self, entry: SeriesLine) -> int:
        """-1: the store keeps no metric of this name."""
        labels = self.naming.stored(entry.sample)
        check_limits(labels, self.naming.limits, entry.line)
        return self.intern(labels)

    def _with_times(self, page: Page, timed: list[SeriesLine], ids: Ids, values: Values, unwanted: int) -> Reading:
        """Samples that bring their own time are the exception and are not remembered."""
        sums: dict[tuple[int, float], float] = {}
        for entry in timed:
            timestamp = entry.sample.timestamp
            assert timestamp is not None
            key = (self._id(entry), timestamp)
            if key[0] < 0:
                unwanted += 1
                continue
            if key in sums and self.naming.on_duplicate == "fail":
                raise ExpositionError(
                    f"with labels dropped, renamed or overridden, {_text(entry)} is there twice", entry.line
                )
            sums[key] = sums.get(key, 0.0) + entry.sample.value
        order = sorted(sums)
        own = Timed(
            np.array([series for series, _ in order], np.int64),
            np.array([timestamp for _, timestamp in order], np.float64),
            np.array([sums[key] for key in order], np.float64),
        )
        return Reading(ids, values, len(page.samples), len(ids) + len(order) + unwanted, own)


def _floats(texts: list[str]) -> list[float] | None:
    try:
        return list(map(float, texts)) if plain_numbers(texts) else None
    except ValueError:
        return None


def _remember(
    lines: list[str],
    dialect: Dialect,
    page: Page,
    stored: list[SeriesLine],
    values: Values,
    target: NDArray[np.intp] | None,
    ids: Ids,
    unwanted: int,
) -> _Memory:
    """Samples that are not stored get rows of their own behind the stored ones: their values may change as well."""
    prefixes = [""] * len(lines)
    rows = [-1] * len(lines)
    kept = {entry.line for entry in stored}
    dropped = [entry for entry in page.samples if entry.line not in kept]
    for row, entry in enumerate([*stored, *dropped]):
        prefixes[entry.line - 1] = sys.intern(entry.prefix)  # a fleet of equal agents keeps one copy
        rows[entry.line - 1] = row
    raw = np.concatenate([values, np.zeros(len(dropped))])
    return _Memory(dialect, lines, prefixes, rows, raw, target, ids, unwanted)


def _reading(memory: _Memory) -> Reading:
    stored = len(memory.ids) if memory.target is None else len(memory.target)
    values = _added_up(memory.raw[:stored], memory.target, len(memory.ids))
    return Reading(memory.ids, values, len(memory.raw), len(memory.ids) + memory.unwanted)


def _added_up(values: Values, target: NDArray[np.intp] | None, count: int) -> Values:
    if target is None:
        return values.copy()
    sums = np.zeros(count)
    np.add.at(sums, target, values)
    return sums


def _refuse_duplicates(entries: Iterable[SeriesLine], honor_timestamps: bool) -> None:
    """The same series twice in one body, whatever is dropped later. Other times make other samples."""
    seen: set[tuple[object, ...]] = set()
    for entry in entries:
        sample = entry.sample
        key = (
            sample.name,
            sample.timestamp if honor_timestamps else None,
            frozenset((name, value) for name, value in sample.labels.items() if value),
        )
        if key in seen:
            raise ExpositionError(f"{_text(entry)} is there twice", entry.line)
        seen.add(key)


def _text(entry: SeriesLine) -> str:
    return entry.prefix.strip() if len(entry.prefix) <= 120 else f"{entry.prefix[:120]}…"
