"""Results as Prometheus' HTTP API spells them, in pieces of text, so that size and time are looked at on the way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import repeat
from operator import add
from typing import Any

import numpy as np

from bot.promql.floats import format_json, format_value
from bot.promql.space import Index, Space
from bot.promql.value import Floats, Matrix, Scalar, Series, String, Value, Vector

_SAMPLES_EACH = 1000
# Python writes an exponent outside of these, Prometheus does not always.
_SMALLEST_PLAIN, _LARGEST_PLAIN = 1e-4, 1e16


def instant_json(value: Value) -> dict[str, Any]:
    """The `data` object of /api/v1/query and query_range."""
    data: dict[str, Any] = json.loads("".join(value_text(value)))
    return data


def value_text(value: Value, limit: int = 0) -> Iterator[str]:
    """The `data` object of /api/v1/query and query_range; a `limit` above 0 cuts off further series."""
    match value:
        case Scalar():
            yield f'{{"resultType":"scalar","result":[{instant_text(value.t)},"{format_value(value.value)}"]}}'
        case String():
            yield f'{{"resultType":"string","result":[{instant_text(value.t)},{quoted(value.value)}]}}'
        case Vector():
            yield '{"resultType":"vector","result":['
            yield from _vector(value, value.rows[:limit] if limit else value.rows)
            yield "]}"
        case Matrix():
            yield '{"resultType":"matrix","result":['
            yield from _matrix(value.series[:limit] if limit else value.series)
            yield "]}"


def size_of(value: Value) -> int:
    """How many series a `limit` counts."""
    return len(value) if isinstance(value, Vector | Matrix) else 0


def label_sets_text(space: Space, rows: Index) -> Iterator[str]:
    """Each row's labels as a JSON object, sorted by name. A label's text is made once, not once a row."""
    columns: list[list[str]] = []
    for name, codes in space.columns.items():
        picked = codes[rows].tolist()
        start = f"{quoted(name)}:"
        texts = {code: start + quoted(space.pool.text(code)) if code else "" for code in set(picked)}
        columns.append([texts[code] for code in picked])
    if not columns:
        return repeat("{}", len(rows))
    return (f"{{{','.join(filter(None, parts))}}}" for parts in zip(*columns, strict=True))


def _vector(vector: Vector, rows: Index) -> Iterator[str]:
    end = f',"value":[{instant_text(vector.t)},"'
    comma = ""
    for begin in range(0, len(rows), _SAMPLES_EACH):
        some = rows[begin : begin + _SAMPLES_EACH]
        numbers = number_texts(vector.values[some])
        pairs = zip(label_sets_text(vector.space, some), numbers, strict=True)
        yield comma + ",".join([f'{{"metric":{labels}{end}{number}"]}}' for labels, number in pairs])
        comma = ","


def _matrix(matrix: Iterable[Series]) -> Iterator[str]:
    comma = ""
    known, heads = np.zeros(0), list[str]()
    for series in matrix:
        if not np.array_equal(series.times, known):  # most lines have the steps of the one before
            known = series.times
            heads = [f'[{instant_text(t)},"' for t in known.tolist()]
        points = '"],'.join(map(add, heads, number_texts(series.values)))
        end = '"]' if heads else ""
        yield f'{comma}{{"metric":{_labels(series.labels)},"values":[{points}{end}]}}'
        comma = ","


def number_texts(values: Floats) -> list[str]:
    """`format_json` of each."""
    texts = [text.removesuffix(".0") for text in map(repr, values.tolist())]
    size = np.abs(values)
    plain = ((size >= _SMALLEST_PLAIN) & (size < _LARGEST_PLAIN)) | (size == 0)
    for odd in np.flatnonzero(~plain).tolist():
        texts[odd] = format_json(float(values[odd]))
    return texts


def instant_text(t: float) -> str:
    """Seconds, to the millisecond; whole ones without a fraction."""
    milliseconds = round(t * 1000)
    seconds, rest = divmod(abs(milliseconds), 1000)
    sign = "-" if milliseconds < 0 else ""
    return f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}"


def json_text(data: Any, depth: int = 6) -> Iterator[str]:
    """JSON of plain data in small pieces, down to this depth: encoding it at once would hold up other threads."""
    if depth and isinstance(data, dict):
        yield "{"
        for number, (name, value) in enumerate(data.items()):
            yield f"{',' if number else ''}{quoted(name)}:"
            yield from json_text(value, depth - 1)
        yield "}"
    elif depth and isinstance(data, list):
        yield "["
        for number, value in enumerate(data):
            if number:
                yield ","
            yield from json_text(value, depth - 1)
        yield "]"
    else:
        yield json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _labels(labels: dict[str, str]) -> str:
    return json.dumps(labels, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
