"""Answers of both engines in one form, and when two of them are the same."""

from __future__ import annotations

import math
import re  # noqa: TID251 - fixed patterns
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

RELATIVE = 1e-9
Key = tuple[tuple[str, str], ...]
Points = list[tuple[int, float]]
_POSITION = re.compile(r" \(\d+:\d+\)$")
Allowance = Callable[[Key, int], float]


@dataclass(frozen=True)
class Answer:
    """`rows` in the order given; a failure has an `error`: Prometheus' errorType."""

    kind: str
    rows: list[tuple[Key, Points]] = field(default_factory=list)
    error: str = ""
    message: str = ""
    notes: frozenset[str] = frozenset()

    @property
    def by_labels(self) -> dict[Key, Points]:
        return dict(self.rows)

    @property
    def values(self) -> list[float]:
        return [value for _, points in self.rows for _, value in points]


def read(body: dict[str, Any]) -> Answer:
    notes = frozenset(text for name in ("warnings", "infos") for text in _remarks(body.get(name) or ()))
    if body["status"] != "success":
        return Answer("error", error=body["errorType"], message=body["error"], notes=notes)
    data = body["data"]
    kind, result = data["resultType"], data["result"]
    if kind == "string":
        return Answer("string", [((("", result[1]),), [])], notes=notes)
    if kind == "scalar":
        return Answer(kind, [((), [_point(result)])], notes=notes)
    rows = [
        (tuple(sorted(row["metric"].items())), [_point(pair) for pair in row.get("values") or [row["value"]]])
        for row in result
    ]
    return Answer(kind, rows, notes=notes)


def _remarks(texts: list[str]) -> list[str]:
    """Of more than ten only how many there are: which ten are shown is up to the order of a map."""
    return [text for text in texts if text.endswith("omitted")] or [_POSITION.sub("", text) for text in texts]


def _point(pair: list[Any]) -> tuple[int, float]:
    return round(float(pair[0]) * 1000), float(pair[1])


def close(one: float, other: float, allowed: float = 0.0) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or abs(one - other) <= max(RELATIVE * max(abs(one), abs(other)), allowed)


def same_shape(ours: Answer, theirs: Answer) -> bool:
    if (ours.kind, ours.error) != (theirs.kind, theirs.error):
        return False
    left, right = ours.by_labels, theirs.by_labels
    return left.keys() == right.keys() and all(
        [at for at, _ in left[key]] == [at for at, _ in right[key]] for key in left
    )


def same_values(ours: Answer, theirs: Answer, allowed: Allowance | None = None) -> bool:
    """Of two answers of the same shape."""
    left, right = ours.by_labels, theirs.by_labels
    return all(
        close(one, other, allowed(key, at) if allowed else 0.0)
        for key in left
        for (at, one), (_, other) in zip(left[key], right[key], strict=True)
    )


def same_order(ours: Answer, theirs: Answer) -> bool:
    """Values in the same order; whose equals come first is open."""
    return len(ours.values) == len(theirs.values) and all(map(close, ours.values, theirs.values))
