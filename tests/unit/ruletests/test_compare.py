"""What a person is told about expected and got."""

from __future__ import annotations

import math

import pytest

from bot.ruletests.compare import alert_differences, order, same, same_value, sample_differences
from bot.ruletests.model import Sample


def sample(value, **labels):
    return Sample(labels, value)


def told(expected, got, *, fuzzy=False):
    return [f"{one.kind}: {one.text}" for one in sample_differences(expected, got, fuzzy=fuzzy)]


@pytest.mark.parametrize(
    ("one", "other", "exactly", "nearly"),
    [
        (1.0, 1.0, True, True),
        (0.0, -0.0, True, True),
        (math.nan, math.nan, True, True),
        (math.nan, 1.0, False, False),
        (math.inf, math.inf, True, True),
        (math.inf, -math.inf, False, False),
        (math.inf, 1e300, False, False),
        (1.0, 1.0000009, False, True),
        (1.0, 1.000002, False, False),
        (0.0, 1e-12, False, False),
        (3e20, 3.0000001e20, False, True),
    ],
)
def test_values(one, other, exactly, nearly):
    assert same_value(one, other, fuzzy=False) is exactly
    assert same_value(other, one, fuzzy=True) is nearly


def test_samples_are_sorted_by_their_labels():
    shuffled = [sample(1, b="1"), sample(2, a="2"), sample(3, a="1", b="1"), sample(4), sample(5, a="1")]
    assert [one.value for one in order(shuffled)] == [4, 5, 3, 2, 1]


def test_the_same_labels_twice_are_not_the_same_as_once():
    twice = [sample(1, a="b"), sample(1, a="b")]
    assert same(twice, twice, fuzzy=False)
    assert not same(twice, twice[:1], fuzzy=False)
    assert told(twice, twice[:1]) == ['missing: {a="b"} 1']


def test_a_value_that_differs_is_told_with_how_much():
    assert told([sample(8, a="b")], [sample(6, a="b")]) == [
        'value: {a="b"}: expected 8, got 6 (relative difference 0.25)'
    ]
    assert told([sample(8, a="b")], [sample(math.nan, a="b")]) == ['value: {a="b"}: expected 8, got NaN']


def test_what_is_missing_and_what_was_not_expected():
    expected = [sample(1, job="api", zone="x"), sample(2, job="web", zone="x")]
    got = [sample(1, job="api", zone="x"), sample(9, code="500", path="/")]
    assert told(expected, got) == ['missing: {job="web", zone="x"} 2', 'unexpected: {code="500", path="/"} 9']


def test_a_label_that_differs_is_named():
    assert told([sample(2, job="web", zone="x")], [sample(2, job="web", zone="y")]) == [
        'labels: {job="web", zone="x"}: zone expected "x", got "y"'
    ]
    assert told([sample(2, job="web")], [sample(3, job="web", pod="1")]) == [
        'labels: {job="web"}: pod expected none, got "1"; expected 2, got 3'
    ]


def test_an_annotation_that_differs_is_named():
    labels = {"alertname": "A", "job": "web"}
    found = alert_differences([(labels, {"s": "five", "gone": "x"})], [(labels, {"s": "six"})])
    assert [one.text for one in found] == [
        '{alertname="A", job="web"} gone: expected "x", got none',
        '{alertname="A", job="web"} s: expected "five", got "six"',
    ]


def test_alerts_missing_unexpected_and_with_another_label():
    def alert(**labels):
        return ({"alertname": "A", **labels}, {})

    found = alert_differences([alert(job="a"), alert(job="b")], [alert(job="a"), alert(job="c")])
    assert [(one.kind, one.text) for one in found] == [
        ("labels", '{alertname="A", job="b"}: job expected "b", got "c"')
    ]
    assert [(one.kind, one.text) for one in alert_differences([alert(job="a")], [])] == [
        ("missing", '{alertname="A", job="a"}')
    ]
    assert [(one.kind, one.text) for one in alert_differences([], [alert(job="a")])] == [
        ("unexpected", '{alertname="A", job="a"}')
    ]
