from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.schema import Duration, Model, format_duration, parse_duration


class Thing(Model):
    wait: Duration = timedelta(minutes=5)
    value: float = 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ms", 0.001),
        ("1500ms", 1.5),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1w", 604800),
        ("1y", 31536000),
        ("1y2w3d4h5m6s7ms", 31536000 + 1209600 + 259200 + 14400 + 300 + 6 + 0.007),
    ],
)
def test_a_duration_is_read_as_prometheus_reads_it(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5m", "1.5h", "1m1h", "5M", "5m ", "1s1s", "PT5M", "1e3s"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="write for example 30s, 5m, 1h30m or 1w"):
        parse_duration(text)


def test_a_duration_longer_than_time_itself_is_a_mistake_of_the_user_not_a_crash():
    with pytest.raises(ValidationError, match="too long"):
        Thing.model_validate({"wait": "99999999999y"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(milliseconds=1), "1ms"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=24), "1d"),
        (timedelta(days=8), "1w1d"),
        (timedelta(days=365), "52w1d"),
        (timedelta(seconds=1, milliseconds=500), "1s500ms"),
    ],
)
def test_the_shortest_spelling(value, text):
    assert format_duration(value) == text


@given(st.integers(0, 10**12))  # up to 32 years
def test_what_is_written_is_read_back(milliseconds):
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value


def test_an_unknown_key_is_an_error():
    with pytest.raises(ValidationError, match="Extra inputs"):
        Thing.model_validate({"wiat": "5m"})


def test_a_model_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Thing().value = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_crosses_json(value):
    assert Thing.model_validate_json(Thing(value=value).model_dump_json()).value == value


def test_nan_crosses_json():
    assert math.isnan(Thing.model_validate_json(Thing(value=math.nan).model_dump_json()).value)


def test_a_duration_crosses_json_as_people_write_it():
    written = Thing(wait=timedelta(seconds=90)).model_dump_json()
    assert written == '{"wait":"1m30s","value":0.0}'
    assert Thing.model_validate_json(written).wait == timedelta(seconds=90)
