"""Series and label sets as promtool writes them; every mistake at its character."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bot.promql.cells import is_hole, is_marker
from bot.ruletests import notation
from bot.ruletests.notation import HistogramError, NotationError, parse_metric, parse_series

GAP, END = "gap", "end"


def values(text):
    """The values of a series, with gaps and ends by name."""
    found = np.array(parse_series(f"m {text}").values)
    kinds = np.where(is_hole(found), GAP, np.where(is_marker(found), END, ""))
    return [kind or value for kind, value in zip(kinds.tolist(), found.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   ", []),
        ("1 2.5 -3 +4 .5 6.", [1, 2.5, -3, 4, 0.5, 6]),
        ("1+2x3", [1, 3, 5, 7]),
        ("1-2x4", [1, -1, -3, -5, -7]),
        ("-2+4x3", [-2, 2, 6, 10]),
        ("1x4", [1, 1, 1, 1, 1]),
        ("7x0", [7]),
        ("0+0.1x3", [0, 0.1, 0.2, 0.1 + 0.1 + 0.1]),
        ("_", [GAP]),
        ("_x3", [GAP, GAP, GAP]),
        ("_x0 1", [1]),
        ("1 _x2 stale", [1, GAP, GAP, END]),
        ("Inf -Inf +inf -INF", [math.inf, -math.inf, math.inf, -math.inf]),
        ("1e3 1.5E-2 1e+2x1", [1000, 0.015, 100, 100]),
        ("1e3-1e2x2", [1000, 900, 800]),
        ("1_000", [1000]),
        ("010 08 0", [8, 8, 0]),
        ("0x10", [0] * 11),
        ("1  \t 2\n3", [1, 2, 3]),
        ("1 +2x1", [1, 2, 2]),
    ],
)
def test_values(text, expected):
    assert values(text) == expected


def test_nan_is_a_sample_and_neither_a_gap_nor_an_end():
    (first, second) = values("NaN nan")
    assert math.isnan(first)
    assert math.isnan(second)


def test_what_is_added_to_the_end_of_a_series_makes_plain_nan():
    found = values("stale+1x2")
    assert found[0] == END
    assert all(math.isnan(value) for value in found[1:])


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("abc", 0, 'expected a number, _ or "stale", not "abc"'),
        ("1 2y", 2, '"2y"'),
        ("1+2", 1, "expected x and a number after 1+2"),
        ("1+x3", 2, 'not "x3"'),
        ("1x", 2, "expected a whole number after x, not the end"),
        ("1x2.5", 2, "whole number"),
        ("1x-3", 2, "whole number"),
        ("3x2x", 3, 'expected a space before "x"'),
        ("_y", 1, 'expected a space before "y"'),
        ("- 2", 1, "a space"),
        ("0x1F", 2, "whole number"),
        ("1__0", 0, "1__0 is not a number"),
        ("stale1", 0, "stale1"),
        ("1x99999999999", 0, "more than 10000000 samples"),
    ],
)
def test_a_wrong_value_is_pointed_at(text, position, words):
    with pytest.raises(NotationError) as error:
        parse_series(f"m {text}")
    assert error.value.position == position + 2
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m", {"__name__": "m"}),
        ("job:x:rate5m", {"__name__": "job:x:rate5m"}),
        ("m{}", {"__name__": "m"}),
        ("m{a=\"b\",c='d',e=`\\f`}", {"__name__": "m", "a": "b", "c": "d", "e": "\\f"}),
        ('m { a = "b" , }', {"__name__": "m", "a": "b"}),
        ('{"a.b", "x.y"="z"}', {"__name__": "a.b", "x.y": "z"}),
        ('{__name__="m"}', {"__name__": "m"}),
        (r'm{a="q\"\\\n\t\u00e9\x41\101"}', {"__name__": "m", "a": 'q"\\\n\té' + "AA"}),
        ("", {}),
        ("{}", {}),
        ('{a=""}', {"a": ""}),
        ('m{a="",b="c"}', {"__name__": "m", "b": "c"}),
    ],
)
def test_label_sets(text, expected):
    assert parse_metric(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ('m{a="b"', 7, "expected , or } in the labels, not the end"),
        ('m{a="b" c="d"}', 8, 'not "c="d"}"'),
        ("m{a}", 3, "expected = after a"),
        ("m{a=b}", 4, "expected a value in quotes for a"),
        ('m{a="b",a="c"}', 8, 'label "a" is here twice'),
        ('m{"n"}', 2, "the metric name is here twice"),
        ('m{1="b"}', 2, "expected a label name"),
        ('m{a="b"} 1', 9, 'unexpected "1"'),
        (r'm{a="\q"}', 5, r"unknown escape \q"),
        (r'm{a="\xff"}', 4, "not valid UTF-8"),
        ("1", 0, 'unexpected "1"'),
    ],
)
def test_a_wrong_label_set_is_pointed_at(text, position, words):
    with pytest.raises(NotationError) as error:
        parse_metric(text)
    assert error.value.position == position
    assert words in str(error.value)


def test_a_series_takes_no_space_before_its_labels():
    with pytest.raises(NotationError):
        parse_series('m {a="b"} 1')


@pytest.mark.parametrize("text", ["{{schema:1 sum:3}}", "{{}}x3", "1 {{count:2}}+{{count:1}}x2"])
def test_a_native_histogram_is_refused_by_name_and_keeps_its_labels(text):
    with pytest.raises(HistogramError, match="native histograms are not supported") as error:
        parse_series(f'm{{a="b"}} {text}')
    assert error.value.labels == {"__name__": "m", "a": "b"}


def test_a_series_cannot_be_longer_than_memory(monkeypatch):
    monkeypatch.setattr(notation, "MAX_SAMPLES", 10)
    assert len(parse_series("m 1x9").values) == 10
    with pytest.raises(NotationError):
        parse_series("m 1x5 1x5")
