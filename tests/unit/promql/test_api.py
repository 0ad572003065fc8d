"""Values as Prometheus' HTTP API spells them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from bot.promql.api import instant_json, instant_text, json_text, label_sets_text, number_texts, value_text
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
    assert instant_json(engine().range(parse("x"), 11, 14, 2)) == expected
    assert instant_json(engine().instant(parse("x[1m]"), 11))["result"][0]["values"] == [[10.5, "2"]]


FLOATS = [
    0.0, -0.0, 1.0, -1.5, 0.1, 1e-4, 9.9e-5, 1e-6, 1e-7, -1e-7, 1e15, 1e16, 1.5e16, 123456789012345680000.0, 1e20, 1e21,
    5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 1 / 3,
]  # fmt: skip


def test_many_numbers_are_written_as_one_is():
    assert number_texts(np.array(FLOATS)) == [format_json(value) for value in FLOATS]
    assert number_texts(np.zeros(0)) == []


def test_a_scalar_never_has_an_exponent():
    """As in Prometheus: samples do, scalars do not."""
    assert instant_json(engine().instant(parse("1e-7"), 11))["result"][1] == "0.0000001"
    assert instant_json(engine().instant(parse("vector(1e-7)"), 11))["result"][0]["value"][1] == "1e-07"


@pytest.mark.parametrize(
    ("t", "text"),
    [(0, "0"), (1.5, "1.500"), (1.0004, "1"), (1435781451.781, "1435781451.781"), (-1.25, "-1.250"), (0.001, "0.001")],
)
def test_instants(t, text):
    assert instant_text(t) == text


def test_labels_are_escaped_and_sorted():
    store = SeriesStore(600)
    odd = {"__name__": "x", "z": '"\\\n</script>', "a.b": "naïve \u2028"}
    ids = np.array([store.intern(odd), store.intern({"__name__": "x"})])
    store.append("w", 10.0, ids, np.array([1.0, 2.0]))
    value = Engine(store).instant(parse("x"), 10)
    rows = np.arange(2)
    assert list(label_sets_text(value.space, rows)) == [
        '{"__name__":"x","a.b":"naïve \u2028","z":"\\"\\\\\\n</script>"}',
        '{"__name__":"x"}',
    ]
    assert json.loads("".join(value_text(value)))["result"][0]["metric"] == odd


def test_a_limit_cuts_off_series():
    store = SeriesStore(600)
    ids = np.array([store.intern({"__name__": "x", "a": text}) for text in "123"])
    store.append("w", 10.0, ids, np.ones(3))
    for value in (Engine(store).instant(parse("x"), 10), Engine(store).range(parse("x"), 10, 20, 5)):
        assert len(json.loads("".join(value_text(value, 2)))["result"]) == 2


def test_plain_data_in_pieces():
    data = {"a": [1, {"b": None, "c": [True, "é"]}], "d": {}, "e": [], "f": 1.5}
    for depth in range(5):
        assert json.loads("".join(json_text(data, depth))) == data
