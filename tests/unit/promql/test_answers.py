"""Answers of other engines: values, labels, and what is no answer at all."""

from __future__ import annotations

import math

import pytest

from bot.errors import QueryError
from bot.promql.answers import Answers, matrix
from bot.promql.value import Scalar, String


def vector(*rows):
    return {"resultType": "vector", "result": [{"metric": labels, "value": [5, text]} for labels, text in rows]}


def test_values_and_labels_are_those_that_were_said():
    found = Answers().instant("x", vector(({"a": "1"}, "0.30000000000000004"), ({}, "+Inf"), ({"b": ""}, "-Inf")), 7.0)
    assert list(found) == [({"a": "1"}, 0.30000000000000004), ({}, math.inf), ({}, -math.inf)]
    assert found.t == 7.0
    ((_, value),) = Answers().instant("x", vector(({"a": "1"}, "NaN")), 7.0)
    assert math.isnan(value)


def test_a_number_and_a_text():
    assert Answers().instant("1", {"resultType": "scalar", "result": [5, "1e3"]}, 7.0) == Scalar(1000.0, 7.0)
    assert Answers().instant("'a'", {"resultType": "string", "result": [5, "a"]}, 7.0) == String("a", 7.0)


def test_the_same_label_sets_are_the_same_space_and_others_are_not():
    answers = Answers()
    first = answers.instant("x", vector(({"a": "1"}, "1"), ({"a": "2"}, "2")), 1.0)
    second = answers.instant("x", vector(({"a": "1"}, "3"), ({"a": "2"}, "4")), 2.0)
    assert second.space is first.space
    assert second.values.tolist() == [3, 4]
    third = answers.instant("x", vector(({"a": "2"}, "5")), 3.0)
    assert list(third) == [({"a": "2"}, 5.0)]


def test_a_matrix():
    data = {"resultType": "matrix", "result": [{"metric": {"a": "1"}, "values": [[1.5, "1"], [2, "NaN"]]}]}
    (series,) = matrix(data)
    assert (series.labels, series.times.tolist(), series.values[0]) == ({"a": "1"}, [1.5, 2.0], 1.0)
    assert math.isnan(series.values[1])


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"resultType": "vector"},
        {"resultType": "vector", "result": [{}]},
        {"resultType": "vector", "result": [{"metric": {"a": 1}, "value": [5, "1"]}]},
        {"resultType": "vector", "result": [{"metric": {"a": "1"}, "value": [5, 1]}]},
        {"resultType": "vector", "result": [{"metric": {"a": "1"}, "value": [5, "one"]}]},
        {"resultType": "vector", "result": [{"metric": None, "value": [5, "1"]}]},
        {"resultType": "scalar", "result": []},
    ],
)
def test_what_no_engine_says(data):
    with pytest.raises((KeyError, TypeError, ValueError, IndexError, AttributeError)):
        Answers().instant("x", data, 1.0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"resultType": "matrix", "result": []}, "answers with a matrix"),
        ({"resultType": "vector", "result": [{"metric": {}, "histogram": [5, {}]}]}, "native histograms"),
    ],
)
def test_what_rules_cannot_judge(data, why):
    with pytest.raises(QueryError, match=why):
        Answers().instant("x", data, 1.0)
