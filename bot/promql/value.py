"""What an evaluation returns: scalar, string, vector, and the matrix of a range evaluation. `numbers` are what a check
of a runbook compares; None where there are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bot.errors import QueryError
from bot.promql.space import Index, Space

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Millis = NDArray[np.int64]


@dataclass(frozen=True)
class Scalar:
    value: float
    t: float

    @property
    def numbers(self) -> list[float]:
        return [self.value]


@dataclass(frozen=True)
class String:
    value: str
    t: float
    numbers: ClassVar[None] = None


@dataclass(frozen=True, eq=False)
class Vector:
    """Values on the rows of a space. `present` None means every row has one; `order` is set by sort() and topk()."""

    space: Space
    values: Floats
    present: Mask | None
    t: float
    order: Index | None = None

    @cached_property
    def rows(self) -> Index:
        """The rows that have a value, in output order."""
        if self.order is not None:
            return self.order
        return np.arange(self.space.size) if self.present is None else np.flatnonzero(self.present)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def numbers(self) -> list[float]:
        return [number for _, number in self.samples]

    @cached_property
    def samples(self) -> list[tuple[dict[str, str], float]]:
        values = self.values[self.rows].tolist()
        return [(self.space.labels(row), value) for row, value in zip(self.rows.tolist(), values, strict=True)]

    def __iter__(self) -> Iterator[tuple[dict[str, str], float]]:
        return iter(self.samples)

    def at(self, space: Space, values: Floats) -> Vector:
        """The same rows with other values and labels."""
        return Vector(space, values, self.present, self.t)

    def where(self, mask: Mask, values: Floats | None = None) -> Vector:
        """Only the rows where `mask` holds."""
        kept = mask if self.present is None else self.present & mask
        return Vector(self.space, self.values if values is None else values, kept, self.t)

    def checked(self) -> Vector:
        """Itself; raises QueryError when two rows carry the same labels."""
        if self.space.has_duplicates:
            rows = self.rows
            groups = self.space.group(frozenset(), without=True, keep_name=True)
            if len(np.unique(groups.ids[rows])) < len(rows):
                raise QueryError("vector cannot contain metrics with the same labelset", "execution")
        return self


@dataclass(frozen=True)
class Series:
    """One line of a matrix; times are unix seconds."""

    labels: dict[str, str]
    times: Floats
    values: Floats


@dataclass(frozen=True)
class Matrix:
    series: list[Series]
    numbers: ClassVar[None] = None

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)


Value = Scalar | String | Vector | Matrix
