"""Which row of a rule's result is which of its alerts or series, remembered as long as results keep their labels.

A place is a number that the rule gives out for a label set. Rows are recognised by their space, and in a new space by
the codes of their labels, so that labels are read as text only when a row has never been seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bot.errors import QueryError
from bot.promql.space import Index, Space
from bot.promql.strings import Pool
from bot.promql.value import Scalar, Value, Vector

Settle = Callable[[dict[str, str], float], int]

_NOTHING = np.zeros(0, np.intp)


class Places:
    """With `remember` False the rule is asked for every row every time."""

    def __init__(self, *, remember: bool = True) -> None:
        self._remember = remember
        self.forget()

    def forget(self) -> None:
        """The numbers of places have changed."""
        self._space: Space | None = None
        self._rows = _NOTHING
        self._places = _NOTHING
        self._of_row: dict[int, int] = {}
        self._of_codes: dict[bytes, int] = {}
        self._alphabet: tuple[Any, ...] = ()
        self._pool: Pool | None = None
        self._clash = not self._remember

    def take_over(self, other: Places) -> None:
        """What another one knows, whose places are the same."""
        self._space, self._rows, self._places = other._space, other._rows, other._places
        self._of_row, self._of_codes = other._of_row, other._of_codes
        self._alphabet, self._pool = other._alphabet, other._pool
        self._clash = not self._remember or other._clash

    def of(self, value: Value, settle: Settle) -> tuple[Index, np.ndarray[Any, np.dtype[np.float64]]] | None:
        """Places and values of the result's rows; None when two rows have the same place.

        `settle` is the rule's way to turn labels and a value into a place. It is not kept: a rule that is not used any
        more is free at once, without the garbage collector.
        """
        match value:
            case Scalar():
                return np.array([settle({}, value.value)]), np.array([value.value])
            case Vector():
                return self._of_vector(value, settle)
            case _:
                raise QueryError("rule result is not a vector or scalar", "execution")

    def _of_vector(self, vector: Vector, settle: Settle) -> tuple[Index, np.ndarray[Any, np.dtype[np.float64]]] | None:
        rows = vector.rows
        if not len(rows):
            return _NOTHING, np.zeros(0)
        values = vector.values[rows]
        if not self._clash:
            if vector.space is not self._space:
                self._enter(vector.space)
            elif len(rows) == len(self._rows) and np.array_equal(rows, self._rows):
                return self._places, values
            numbers = rows.tolist()
            new = [index for index, row in enumerate(numbers) if row not in self._of_row]
            if new:
                self._learn(vector.space, rows[new], values[new], settle)
        if self._clash:
            found = [settle(vector.space.labels(row), v) for row, v in zip(rows.tolist(), values.tolist(), strict=True)]
            return None if len(set(found)) < len(found) else (np.array(found, np.intp), values)
        of_row = self._of_row
        self._rows, self._places = rows, np.array([of_row[row] for row in numbers], np.intp)
        return self._places, values

    def _enter(self, space: Space) -> None:
        self._space, self._rows, self._places = space, _NOTHING, _NOTHING
        self._of_row = {}
        alphabet = (id(space.pool), *space.columns)
        if alphabet != self._alphabet:
            self._alphabet, self._pool = alphabet, space.pool  # the pool is held so that its id stays its own
            self._of_codes = {}

    def _learn(self, space: Space, rows: Index, values: np.ndarray[Any, np.dtype[np.float64]], settle: Settle) -> None:
        columns = [codes[rows] for codes in space.columns.values()]
        packed = np.stack(columns, axis=1).astype(np.int32).tobytes() if columns else b""
        width = 4 * len(columns)
        taken = set(self._of_codes.values())
        for number, row in enumerate(rows.tolist()):
            codes = packed[number * width : (number + 1) * width]
            place = self._of_codes.get(codes)
            if place is None:
                place = settle(space.labels(row), float(values[number]))
                if place in taken:
                    self._clash = True  # two label sets become one: which one it is has to be looked at each time
                taken.add(place)
                self._of_codes[codes] = place
            self._of_row[row] = place
        if not self._clash and len(set(self._of_row.values())) < len(self._of_row):
            self._clash = True
