"""Answers of another engine's query API as values of ours: the inverse of api.py.

Label sets come as text each time. Those of a question that is asked again and again mostly stay as they were, and then
the space is the same one, by which whoever asks knows its rows again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bot.errors import QueryError
from bot.promql.space import Space
from bot.promql.strings import Pool
from bot.promql.value import Matrix, Scalar, Series, String, Value, Vector

_REMEMBERED = 20_000  # questions
_MOST_TEXTS = 2_000_000  # of labels, before they are counted anew
_HISTOGRAMS = "the result has native histograms, which rules and checks cannot judge"


class Answers:
    """Reads the `data` of answers. Raises ValueError, KeyError or TypeError on what no engine says."""

    def __init__(self) -> None:
        self._pool = Pool()
        self._spaces: OrderedDict[str, tuple[list[dict[str, str]], Space]] = OrderedDict()

    def instant(self, question: str, data: Mapping[str, Any], t: float) -> Value:
        """`question` is whatever stays the same when the same is asked again."""
        kind, result = data["resultType"], data["result"]
        match kind:
            case "vector":
                return self._vector(question, result, t)
            case "scalar":
                return Scalar(_number(result[1]), t)
            case "string":
                return String(_text(result[1]), t)
            case _:
                raise QueryError(
                    f"the engine answers with a {str(kind)[:40]}, not with a vector or a number", "execution"
                )

    def _vector(self, question: str, result: Sequence[Mapping[str, Any]], t: float) -> Vector:
        if any("histogram" in one for one in result):
            raise QueryError(_HISTOGRAMS, "execution")
        labels = [one["metric"] for one in result]
        values = np.array([_number(one["value"][1]) for one in result], np.float64)
        known = self._spaces.get(question)
        if known is not None and known[0] == labels:
            self._spaces.move_to_end(question)
            return Vector(known[1], values, None, t)
        space = self._space(labels)
        self._spaces[question] = labels, space
        if len(self._spaces) > _REMEMBERED:
            self._spaces.popitem(last=False)
        return Vector(space, values, None, t)

    def _space(self, labels: list[dict[str, str]]) -> Space:
        for one in labels:
            for name, text in one.items():
                _text(name), _text(text)
        if len(self._pool) > _MOST_TEXTS:
            self._pool = Pool()
            self._spaces.clear()
        return Space.of(self._pool, labels)


def matrix(data: Mapping[str, Any]) -> Matrix:
    """Of a range query; raises as above."""
    if data["resultType"] != "matrix":
        raise QueryError(f"the engine answers with a {str(data['resultType'])[:40]}, not with a matrix", "execution")
    if any("histograms" in one for one in data["result"]):
        raise QueryError(_HISTOGRAMS, "execution")
    return Matrix([_series(one) for one in data["result"]])


def _series(one: Mapping[str, Any]) -> Series:
    times = np.array([float(t) for t, _ in one["values"]], np.float64)
    labels = {_text(name): _text(text) for name, text in one["metric"].items()}
    return Series(labels, times, np.array([_number(value) for _, value in one["values"]], np.float64))


def _number(text: Any) -> float:
    return float(_text(text))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
