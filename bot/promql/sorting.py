"""sort_by_label: label values in the order people expect, numbers in them compared as numbers."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from functools import cmp_to_key
from itertools import zip_longest

import numpy as np

from bot.promql.value import Vector

_CHUNK = re.compile(r"[0-9]+|[^0-9]+")
_LONGEST_NUMBER = 18


def sort_by_label(vector: Vector, labels: list[str], *, descending: bool) -> Vector:
    """Rows in the order of these labels' values, then of all labels."""
    space = vector.space
    shown = {row: space.labels(row) for row in vector.rows.tolist()}
    ranks = {label: _ranked({found.get(label, "") for found in shown.values()}) for label in labels}

    def key(row: int) -> tuple[list[int], list[tuple[str, str]]]:
        found = shown[row]
        return [ranks[label][found.get(label, "")] for label in labels], sorted(found.items())

    order = np.array(sorted(shown, key=key, reverse=descending), np.intp)
    return Vector(space, vector.values, vector.present, vector.t, order)


def _ranked(values: set[str]) -> dict[str, int]:
    ordered = sorted(sorted(values), key=cmp_to_key(_compared))
    return {value: rank for rank, value in enumerate(ordered)}


def _compared(one: str, other: str) -> int:
    for mine, yours in zip_longest(_CHUNK.findall(one), _CHUNK.findall(other), fillvalue=""):
        if _is_number(mine) and _is_number(yours):
            if int(mine) != int(yours):
                return -1 if int(mine) < int(yours) else 1
        elif mine != yours:
            return -1 if mine < yours else 1
    return 0


def _is_number(chunk: str) -> bool:
    return chunk.isdecimal() and len(chunk) <= _LONGEST_NUMBER
