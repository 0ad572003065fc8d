"""Values as Prometheus' HTTP API spells them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bot.promql.api import instant_json, range_json
from bot.promql.engine import Engine
from bot.promql.floats import format_json, format_value
from bot.promql.parse import parse
from bot.promql.store import SeriesStore


@pytest.mark.parametrize(
    ("value", "plain", "json"),
    [
        (0.0, "0", "0"),
        (-0.0, "-0", "-0"),
        (1.0, "1", "1"),
        (0.1, "0.1", "0.1"),
        (1e20, "100000000000000000000", "100000000000000000000"),
        (1e21, "1000000000000000000000", "1e+21"),
        (1.5e22, "15000000000000000000000", "1.5e+22"),
        (1e-6, "0.000001", "0.000001"),
        (1.25e-7, "0.000000125", "1.25e-07"),
        (1e-100, "0." + "0" * 99 + "1", "1e-100"),
        (123456789.125, "123456789.125", "123456789.125"),
        (1 / 3, "0.3333333333333333", "0.3333333333333333"),
        (math.inf, "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf"),
        (math.nan, "NaN", "NaN"),
    ],
)
def test_floats(value, plain, json):
    assert (format_value(value), format_json(value)) == (plain, json)


def engine() -> Engine:
    store = SeriesStore(600)
    store.append("w", 10.5, np.array([store.intern({"__name__": "x", "a": "1"})]), np.array([2.0]))
    return Engine(store)


def test_a_vector():
    assert instant_json(engine().instant(parse("x"), 11.25)) == {
        "resultType": "vector",
        "result": [{"metric": {"__name__": "x", "a": "1"}, "value": [11.25, "2"]}],
    }


def test_a_scalar_and_a_string():
    assert instant_json(engine().instant(parse("1 / 0"), 11)) == {"resultType": "scalar", "result": [11, "+Inf"]}
    assert instant_json(engine().instant(parse('"a"'), 11)) == {"resultType": "string", "result": [11, "a"]}


def test_a_matrix():
    expected = {
        "resultType": "matrix",
        "result": [{"metric": {"__name__": "x", "a": "1"}, "values": [[11, "2"], [13, "2"]]}],
    }
    assert range_json(engine().range(parse("x"), 11, 14, 2)) == expected
    assert instant_json(engine().instant(parse("x[1m]"), 11))["result"][0]["values"] == [[10.5, "2"]]
