"""Times in expressions: timestamps before 1970, arithmetic in durations, and what is out of range."""

import pytest

from bot.errors import QueryError
from bot.promql import nodes
from bot.promql.parse import parse


def selector(text):
    return parse(text).selectors[0].node


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("x @ -5", -5000),
        ("x@-5", -5000),
        ("x @ - 5", -5000),
        ("x @ +5", 5000),
        ("x @\n-5", -5000),
        ("x @ # then -1\n -5", -5000),
        ("x @ -0.0015", -2),
        ("x @ -1.5e2", -150_000),
        ("x @ -.5", -500),
        ("x @ -5.", -5000),
        ("x @ -0x10", -16_000),
        ("x @ -010", -8000),
        ("x @ -1_000", -1_000_000),
        ("x @ -1h30m", -5_400_000),
        ("x @ -1s500ms", -1500),
        ("x @ 9e15", 9 * 10**18),
        ("x @ -9e15", -9 * 10**18),
        ("x @ -0", 0),
    ],
)
def test_a_timestamp_may_lie_anywhere_in_64_bits_of_milliseconds(text, ms):
    assert selector(text).at == ms


def test_every_timestamp_keeps_its_own_value_beside_a_negative_one():
    expr = parse("a @ 7 + b @ -7 + c @ start() + d @ 1.5 - e")
    assert [found.node.at for found in expr.selectors] == [7000, -7000, nodes.Anchor.START, 1500, None]


def test_negative_timestamps_of_ranges_and_subqueries():
    expr = parse("max_over_time(rate(x[5m] @ -60 offset -5m)[1h:1m] @ -3600 offset 1m)")
    (outer,) = expr.node.children()
    assert (outer.at, outer.offset_ms) == (-3_600_000, 60_000)
    (found,) = expr.selectors
    assert (found.node.at, found.node.offset_ms) == (-60_000, -300_000)


def test_what_looks_like_a_timestamp_in_strings_and_comments_is_left_alone():
    expr = parse('x{a="@ -5", b=`@ -6`, c=\'offset (1m)\', d="[1m*2]"} @ -7 # @ -8 [5m*2]')
    (found,) = expr.selectors
    assert found.node.at == -7000
    assert {m.name: m.value for m in found.matchers} == {
        "__name__": "x", "a": "@ -5", "b": "@ -6", "c": "offset (1m)", "d": "[1m*2]"
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["x @ NaN", "x @ Inf", "x @ -Inf", "x @ 1e20", "x @ -1e20", "x @ 1e400", "x @ -99999999999999999999"]
)
def test_a_timestamp_beyond_is_refused_by_value(text, capfd):
    with pytest.raises(QueryError, match="timestamp out of bounds for @ modifier"):
        parse(text)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("text", ["x @ --5", "x @ (-5)", "x @ -y", "x @", "x @ -", "x @ -5 @ -6", "x @ 5x", "-5 @ -5"])
def test_what_is_no_timestamp_is_refused(text, capfd):
    with pytest.raises(QueryError, match="parse error"):
        parse(text)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("duration", "ms"),
    [
        ("5m * 2", 600_000),
        ("5m*2", 600_000),
        ("(5+2) * 1m", 420_000),
        ("1h/2", 1_800_000),
        ("4h % 3h", 3_600_000),
        ("(2 ^ 3) * 1m", 480_000),
        ("2 ^ 3 ^ 2", 512_000),
        ("10 - 2 - 3", 5000),
        ("1 + 2 * 3", 7000),
        ("-2 ^ 2 + 5", 1000),
        ("-1m + 2m", 60_000),
        ("- -3", 3000),
        ("+3 * +2", 6000),
        ("1.5 * 1ms + 1", 1001),
        ("1e-3 + 0", 1),
        ("0x10 + 1_000", 1_016_000),
        ("min_of(1m, 30s)", 30_000),
        ("max_of(1m, min_of(3m, 2m)) + 1", 121_000),
        ("1m + # half\n 30s", 90_000),
        ("1_000", 1_000_000),
    ],
)
def test_arithmetic_in_a_range(duration, ms):
    (found,) = parse(f"rate(x[{duration}])").selectors
    assert found.range_seconds == ms / 1000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("x offset (1h / 2)", 1_800_000),
        ("x offset -(1h / 2)", -1_800_000),
        ("x offset (1m - 2m)", -60_000),
        ("x offset (-2 ^ 2)", -4000),
        ("x OFFSET (2)", 2000),
        ("x offset max_of(1, 2s)", 2000),
        ("x @ -5 offset (1 + 1)", 2000),
        ("x[1m] offset (1 + 1)", 2000),
    ],
)
def test_arithmetic_in_an_offset(text, ms):
    assert selector(text).offset_ms == ms


def test_without_brackets_only_the_first_number_is_the_offset():
    assert parse("x offset (1) + 2").canonical == parse("(x offset 1) + 2").canonical
    assert parse("x offset -(1) ^ 2").canonical == parse("(x offset -1) ^ 2").canonical
    assert parse("x offset (1) ^ 2 * 3").canonical == parse("(x offset 1) ^ 2 * 3").canonical


def test_arithmetic_in_both_parts_of_a_subquery():
    assert parse("sum_over_time(x[29s+1s:20*500ms])").canonical == parse("sum_over_time(x[30s:10s])").canonical
    assert parse("sum_over_time(x[29s+1s:])").canonical == parse("sum_over_time(x[30s:])").canonical


def test_a_metric_may_be_called_offset():
    assert parse("offset - (1 + 2)").canonical == parse('{"offset"} - (1 + 2)').canonical
    assert parse("sum by (offset) (offset)").canonical == parse('sum by (offset) ({"offset"})').canonical
    assert parse("x and offset + (y)").canonical == parse('x and ({"offset"} + y)').canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x[5m - 5m]", "duration must be greater than 0"),
        ("x[1m - 5m]", "duration must be greater than 0"),
        ("x[0]", "duration must be greater than 0"),
        ("x[1h:0s]", "duration must be greater than 0"),
        ("x[1h:2 - 2]", "duration must be greater than 0"),
        ("x[1m / 0]", "division by zero"),
        ("x[1m % 0]", "modulo by zero"),
        ("x[10 ^ 300]", "duration out of range"),
        ("x[10 ^ 400]", "duration out of range"),
        ("x[(-1) ^ 0.5]", "duration out of range"),
        ("x[1e300]", "duration out of range"),
        ("x[1e10]", "duration out of range"),
        ("x[300y]", "duration out of range"),
        ("x[1h:1e300]", "duration out of range"),
        ("x offset 300y", "duration out of range"),
        ("x offset -1e300", "duration out of range"),
        ("x offset Inf", "duration out of range"),
        ("x offset (1e300)", "duration out of range"),
        ("x offset 99999999999999999999", "duration out of range"),
        ("x[1m +]", "unexpected"),
        ("x[* 2]", "unexpected"),
        ("x[(1m]", "expected ')'"),
        ("x[1m) * 2]", "unexpected"),
        ("x[1m 2m + 1]", "unexpected '2m'"),
        ("x[y + 1m]", "unsupported in durations: y()"),
        ("x offset (1m", "expected ')'"),
        ("x[min_of(1m)]", "expected ','"),
        ("x[1q + 1]", "bad number or duration"),
    ],
)
def test_durations_without_a_value_are_refused(text, message, capfd):
    with pytest.raises(QueryError) as error:
        parse(text)
    assert message in str(error.value)
    assert capfd.readouterr().err == ""


def test_deep_arithmetic_ends_in_an_error_or_a_value():
    assert parse(f"rate(x[{'(' * 90}1m + 1m{')' * 90}])").selectors[0].range_seconds == 120.0
    assert parse(f"rate(x[1m + {'-' * 200}1m])").selectors[0].range_seconds == 120.0
