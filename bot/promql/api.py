"""Results as Prometheus' HTTP API spells them."""

from __future__ import annotations

from typing import Any

from bot.promql.floats import format_json
from bot.promql.value import Matrix, Scalar, String, Value, Vector


def instant_json(value: Value) -> dict[str, Any]:
    """The `data` object of /api/v1/query."""
    match value:
        case Scalar():
            return {"resultType": "scalar", "result": [_time(value.t), format_json(value.value)]}
        case String():
            return {"resultType": "string", "result": [_time(value.t), value.value]}
        case Matrix():
            return range_json(value)
        case Vector():
            t = _time(value.t)
            result = [{"metric": labels, "value": [t, format_json(number)]} for labels, number in value.samples]
            return {"resultType": "vector", "result": result}


def range_json(matrix: Matrix) -> dict[str, Any]:
    """The `data` object of /api/v1/query_range."""
    result = [
        {
            "metric": series.labels,
            "values": [
                [_time(t), format_json(value)]
                for t, value in zip(series.times.tolist(), series.values.tolist(), strict=True)
            ],
        }
        for series in matrix
    ]
    return {"resultType": "matrix", "result": result}


def _time(t: float) -> int | float:
    """Seconds, to the millisecond; whole ones without a fraction."""
    rounded = round(t, 3)
    return int(rounded) if rounded == int(rounded) else rounded
