"""Parameters of the query API; texts and readings are those of Prometheus 3.5's web/api/v1."""

from __future__ import annotations

import pytest

from bot.errors import QueryError
from bot.promql.parameters import BEGINNING, END, Form, duration_of, go_quoted, seconds_of, selector_of, unescaped


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1435781451.781", 1435781451.781),
        ("-1.5", -1.5),
        ("+5", 5.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:00:00.250Z", 0.25),
        ("1969-12-31T23:59:59Z", -1.0),
    ],
)
def test_instants(text, seconds):
    assert seconds_of(text) == seconds


def test_the_bounds_of_everything_are_before_and_after_every_sample():
    assert seconds_of(BEGINNING) < -1e11
    assert seconds_of(END) > 1e11


@pytest.mark.parametrize(
    "text",
    ["", "x", " 1", "1 ", "1_000", "١", "2026-12-24", "2026-12-24T18:00:00", "2026-12-24 18:00:00Z",
     "2026-13-01T00:00:00Z", "NaN", "Inf", "1h"],
)  # fmt: skip
def test_anything_else_is_no_instant(text):
    with pytest.raises(ValueError, match="to a valid timestamp"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15", 15.0), ("0.25", 0.25), ("-1", -1.0), ("1m30s", 90.0), ("500ms", 0.5), ("1w", 604800.0), ("0", 0.0)],
)
def test_durations(text, seconds):
    assert duration_of(text) == seconds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'cannot parse "" to a valid duration'),
        ("5x", 'cannot parse "5x" to a valid duration'),
        ("1e30", 'cannot parse "1e30" to a valid duration. It overflows int64'),
        ("Inf", 'cannot parse "Inf" to a valid duration. It overflows int64'),
    ],
)
def test_anything_else_is_no_duration(text, why):
    with pytest.raises(ValueError) as caught:
        duration_of(text)
    assert str(caught.value) == why


def form(**fields: str) -> Form:
    return Form(list(fields.items()))


def refusal(ask) -> str:
    with pytest.raises(QueryError) as caught:
        ask()
    assert caught.value.kind == "bad_data"
    return str(caught.value)


def test_a_mistake_names_the_parameter_and_the_value():
    assert refusal(lambda: form().instant("start")) == 'invalid parameter "start": cannot parse "" to a valid timestamp'
    assert (
        refusal(lambda: form(time='a"b').optional_instant("time"))
        == r"""invalid parameter "time": invalid time value for 'time': cannot parse "a\"b" to a valid timestamp"""
    )
    assert (
        refusal(lambda: form(step="x").duration("step"))
        == 'invalid parameter "step": cannot parse "x" to a valid duration'
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", 'strconv.Atoi: parsing "x": invalid syntax'),
        ("1.5", 'strconv.Atoi: parsing "1.5": invalid syntax'),
        ("9223372036854775808", 'strconv.Atoi: parsing "9223372036854775808": value out of range'),
        ("9" * 5000, f'strconv.Atoi: parsing "{"9" * 5000}": value out of range'),
        ("-1", "limit must be non-negative"),
    ],
)
def test_limits_that_are_none(text, why):
    assert refusal(lambda: form(limit=text).limit()) == f'invalid parameter "limit": {why}'


def test_limits():
    assert (form().limit(), form(limit="").limit(), form(limit="0").limit(), form(limit="+7").limit()) == (0, 0, 0, 7)
    assert (form().count("limit"), form(limit="3").count("limit")) == (-1, 3)
    assert refusal(lambda: form(limit="x").count("limit")) == "limit must be a number"
    assert refusal(lambda: form(limit="0").count("limit", smallest=1)) == "limit must be a positive number"


def test_yes_and_no():
    assert [form(a=text).yes("a") for text in ("true", "TRUE", "1", "t", "false", "0", "")] == [True] * 4 + [False] * 3
    why = 'invalid parameter "a": error converting a: strconv.ParseBool: parsing "maybe": invalid syntax'
    assert refusal(lambda: form(a="maybe").yes("a")) == why


def test_the_first_of_a_repeated_field_counts_and_match_keeps_all():
    repeated = Form([("time", "1"), ("time", "2"), ("match[]", "up"), ("match[]", '{job="a"}')])
    assert repeated.first("time") == "1"
    assert [str(one.matchers[0]) for one in repeated.matcher_sets()] == ['__name__="up"', 'job="a"']


@pytest.mark.parametrize("text", ["{}", '{a=""}', '{a=~".*"}'])
def test_a_selector_of_everything_is_refused(text):
    assert refusal(Form([("match[]", text)]).matcher_sets) == "match[] must contain at least one non-empty matcher"


@pytest.mark.parametrize("text", ["up[5m]", "up offset 5m", "up @ 5", "sum(up)", "(up)", "1", "up + up"])
def test_only_a_plain_selector_is_a_selector(text):
    assert "is not a selector" in refusal(lambda: selector_of(text))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("job", "job"),
        ("U__the_2e_label", "the.label"),
        ("U__a__b", "a_b"),
        ("U__na_ef_ve", "naïve"),
        ("U___1f600_", "\U0001f600"),
        ("U__", ""),
        # What is no escape leaves the name as it is.
        ("U__the_zz_", "U__the_zz_"),
        ("U__a_2e", "U__a_2e"),
        ("U__a_", "U__a_"),
        ("U__a_d800_", "U__a_d800_"),
        ("U__a_1234567_", "U__a_1234567_"),
    ],
)
def test_label_names_in_a_path(name, label):
    assert unescaped(name) == label


def test_quoting_as_go_does():
    assert go_quoted('a"b\\c\n\té\x01\x7f') == '"a\\"b\\\\c\\n\\té\\x01\\x7f"'
