"""Which label sets have a live series that agrees with them: the same value under every name that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bot.promql.cells import Mask
from bot.promql.nodes import NAME
from bot.promql.space import Groups, Index, Space
from bot.promql.value import Vector

Sets = Sequence[Mapping[str, str]]


def agreeing(vector: Vector, sets: Sets) -> list[int]:
    """The positions of those that some row of the vector agrees with."""
    if not len(vector.rows):
        return []
    names = frozenset(vector.space.columns) - {NAME, "alertname"}
    alike: dict[tuple[str, ...], list[int]] = {}
    for position, labels in enumerate(sets):
        alike.setdefault(tuple(sorted(names & labels.keys())), []).append(position)
    found: list[int] = []
    for shared, positions in alike.items():
        found += _agreeing(vector, shared, sets, positions)
    return sorted(found)


def _agreeing(vector: Vector, shared: tuple[str, ...], sets: Sets, positions: list[int]) -> list[int]:
    """Those of `positions`, whose names in common with the rows are `shared`."""
    if not shared:
        return positions
    groups = vector.space.group(frozenset(shared), without=False)
    alive: Mask = np.zeros(groups.count, np.bool_)
    alive[groups.ids[vector.rows]] = True
    numbers = vector.space.derive(("numbers", shared), lambda: _numbers(groups, shared))
    find = vector.space.pool.find
    # A row without one of the labels agrees with every value of it; such rows are looked at one by one.
    loose = vector.space.derive(("loose", shared), lambda: _loose(groups.space, shared))
    loose = loose[alive[loose]] if len(loose) else loose
    found = []
    for position in positions:
        codes = tuple(find(sets[position][name]) for name in shared)
        number = numbers.get(codes)
        if (number is not None and alive[number]) or (len(loose) and _fits(groups.space, shared, codes, loose)):
            found.append(position)
    return found


def _numbers(groups: Groups, shared: tuple[str, ...]) -> dict[tuple[int, ...], int]:
    columns = [_column(groups.space, name).tolist() for name in shared]
    return {codes: number for number, codes in enumerate(zip(*columns, strict=True))}


def _column(space: Space, name: str) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    found = space.columns.get(name)
    return np.zeros(space.size, np.int32) if found is None else found


def _loose(space: Space, shared: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    lacking = np.zeros(space.size, np.bool_)
    for name in shared:
        lacking |= _column(space, name) == 0
    return np.flatnonzero(lacking)


def _fits(space: Space, shared: tuple[str, ...], codes: tuple[int, ...], rows: Index) -> bool:
    good = np.ones(len(rows), np.bool_)
    for name, code in zip(shared, codes, strict=True):
        column = _column(space, name)[rows]
        good &= (column == 0) | (column == code)
    return bool(good.any())
