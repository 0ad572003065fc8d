"""The label sets of a vector, apart from its values: one column of codes per label name.

What depends on labels alone (groups, match maps, dropped names) is worked out once per space and kept with it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bot.promql.nodes import NAME
from bot.promql.strings import Codes, Pool

T = TypeVar("T")
Index = NDArray[np.intp]
_uids = count(1)
_KEPT = 64
# What says how a value was measured, and is no longer true once it was computed with.
_SCHEMA = frozenset({NAME, "__type__", "__unit__"})


class Space:
    """Frozen after construction. `columns` holds only labels that some row has."""

    def __init__(self, pool: Pool, size: int, columns: Mapping[str, Codes]) -> None:
        self.pool = pool
        self.size = size
        self.columns = {name: codes for name, codes in sorted(columns.items()) if codes.any()}
        self.uid = next(_uids)
        self._derived: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, pool: Pool, rows: Sequence[Mapping[str, str]]) -> Space:
        names = {name for row in rows for name in row}
        return cls(pool, len(rows), {name: pool.encode(row.get(name, "") for row in rows) for name in names})

    def derive(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, remembered under `key` as long as this space lives."""
        found = self._derived.get(key)
        if found is None:
            if len(self._derived) >= _KEPT:
                self._derived.clear()
            found = self._derived[key] = make()
        return found

    def labels(self, row: int) -> dict[str, str]:
        texts = self.pool.text
        return {name: texts(code) for name, codes in self.columns.items() if (code := codes[row])}

    @cached_property
    def has_duplicates(self) -> bool:
        return self.size > 1 and self.group(frozenset(), without=True, keep_name=True).count < self.size

    def without_name(self) -> Space:
        """Rows of computed values: without metric name, type and unit."""
        if _SCHEMA.isdisjoint(self.columns):
            return self
        return self.derive(NAME, lambda: self._dropped(_SCHEMA))

    def keep(self, names: frozenset[str]) -> Space:
        return self.derive(("keep", names), lambda: self._dropped(set(self.columns) - names))

    def drop(self, names: frozenset[str]) -> Space:
        return self.derive(("drop", names), lambda: self._dropped(names))

    def _dropped(self, names: Iterable[str]) -> Space:
        gone = set(names)
        return Space(self.pool, self.size, {name: codes for name, codes in self.columns.items() if name not in gone})

    def take(self, rows: Index) -> Space:
        return Space(self.pool, len(rows), {name: codes[rows] for name, codes in self.columns.items()})

    def group(self, labels: frozenset[str], *, without: bool, keep_name: bool = False) -> Groups:
        return self.derive(("group", labels, without, keep_name), lambda: self._group(labels, without, keep_name))

    def _group(self, labels: frozenset[str], without: bool, keep_name: bool) -> Groups:
        if without:
            names = [name for name in self.columns if name not in labels and (keep_name or name != NAME)]
        else:
            names = [name for name in self.columns if name in labels]
        ids, total, first = classes([self.columns[name] for name in names], self.size)
        columns = {name: self.columns[name][first] for name in names}
        return Groups(ids, total, Space(self.pool, total, columns))

    def recoded(self, pool: Pool) -> Space:
        """The same rows in another pool's codes; needed once after the store has started a new pool."""
        if pool is self.pool:
            return self
        return self.derive(("pool", id(pool)), lambda: self._recoded(pool))

    def _recoded(self, pool: Pool) -> Space:
        columns = {}
        for name, codes in self.columns.items():
            unique, inverse = np.unique(codes, return_inverse=True)
            columns[name] = pool.encode(self.pool.texts(unique.tolist()))[inverse]
        return Space(pool, self.size, columns)


@dataclass(frozen=True)
class Groups:
    """`ids[row]` is the group of a row, `space` has one row per group."""

    ids: Index
    count: int
    space: Space

    @cached_property
    def ordered(self) -> bool:
        """True when rows already stand group by group."""
        return bool((np.diff(self.ids) >= 0).all())


def classes(columns: Sequence[Codes], size: int) -> tuple[Index, int, Index]:
    """Equal rows get equal numbers, counted in order of first appearance: numbers, how many, first row of each."""
    if not columns or not size:
        ids = np.zeros(size, np.intp)
        return ids, min(size, 1), np.zeros(min(size, 1), np.intp)
    ids = columns[0].astype(np.int64)
    for codes in columns[1:]:
        _, ids = np.unique(ids, return_inverse=True)
        ids = ids.astype(np.int64) * (int(codes.max()) + 1) + codes
    _, first, ids = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    return rank[ids], len(order), first[order]


def concatenated(left: Space, right: Space) -> Space:
    """The rows of both, left first."""
    right = right.recoded(left.pool)

    def build() -> Space:
        nothing_left, nothing_right = np.zeros(left.size, np.int32), np.zeros(right.size, np.int32)
        names = {*left.columns, *right.columns}
        joined = {
            n: np.concatenate([left.columns.get(n, nothing_left), right.columns.get(n, nothing_right)]) for n in names
        }
        return Space(left.pool, left.size + right.size, joined)

    return left.derive(("concatenated", right.uid), build)
