"""What an alert watches, taken out of its expression: `rate(x[5m]) > 0.05` watches `rate(x[5m])`, its limit is 0.05."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from bot.promql.nodes import Binary, Negate, Node, Number
from bot.promql.value import Matrix
from bot.runbooks.rendered import History

Comparison = Literal["", ">", ">=", "<", "<=", "==", "!="]

_TURNED: dict[str, Comparison] = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_SETS = {"and", "unless", "or"}
_FEWEST = 10  # points that a course has, with or without values


@dataclass(frozen=True)
class Observed:
    """`query` is PromQL; `threshold` is None where it is compared with something that is no plain number, or with
    nothing."""

    query: str
    comparison: Comparison = ""
    threshold: float | None = None


def observed(node: Node) -> Observed:
    """Of several conditions the first one counts, as people write the symptom before its circumstances."""
    while isinstance(node, Binary) and node.op in _SETS:
        node = node.lhs
    if not isinstance(node, Binary) or node.op not in _TURNED:
        return Observed(node.key)
    left, right = _constant(node.lhs), _constant(node.rhs)
    if left is not None and right is None:
        return Observed(node.rhs.key, _TURNED[node.op], left)
    comparison = _TURNED[_TURNED[node.op]]
    return Observed(node.lhs.key, comparison, right)


def _constant(node: Node) -> float | None:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Negate):
        inner = _constant(node.expr)
        return None if inner is None else -inner
    return None


def history(
    seen: Observed, matrix: Matrix, labels: Mapping[str, str], times: Sequence[float], step: timedelta
) -> History | None:
    """The one series of the answer that the alert with these labels is about, at each of `times` (unix seconds); None
    where there is none, or where more than one could be meant."""
    mine = [series for series in matrix.series if _about(series.labels, labels)]
    if not mine:
        return None
    most = max(len(series.labels) for series in mine)
    closest = [series for series in mine if len(series.labels) == most]
    if len(closest) != 1:
        return None
    known = dict(zip((round(float(at), 3) for at in closest[0].times), closest[0].values, strict=True))
    points = tuple(_finite(known.get(round(at, 3))) for at in times)
    first = next((index for index, point in enumerate(points) if point is not None), None)
    if first is None:
        return None
    begins = max(min(first, len(points) - _FEWEST), 0)  # before the agent was watched there is nothing to see
    return History(points=points[begins:], step=step, threshold=seen.threshold, comparison=seen.comparison)


def _about(series: Mapping[str, str], alert: Mapping[str, str]) -> bool:
    return all(alert.get(name) == value for name, value in series.items() if name != "__name__")


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
