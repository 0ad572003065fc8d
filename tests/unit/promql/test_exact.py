"""Results in their last bit. The expected values are what Prometheus 3.5 answers to the same samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.promql.summing import Members, by_group, compensated, mean_by_group, means, running, variance_by_group


def single(text: str, *series: list[float], step: float = 60) -> float:
    """The one value of `text` at the newest sample; series k is x{k="k"}."""
    store = SeriesStore(1e9)
    for number, values in enumerate(series):
        ids = np.array([store.intern({"__name__": "x", "k": str(number)})])
        for position, value in enumerate(values):
            store.append_at(ids, np.array([position * step]), np.array([value]))
    ((_, value),) = Engine(store).instant(parse(text), (len(series[0]) - 1) * step)
    return value


TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
RESETS = [0.1, 0.7, 0.2, 0.6, 0.3, 0.9, 0.1]


@pytest.mark.parametrize(
    ("text", "samples", "value"),
    [
        # Plainly added up, the first is 2.8000000000000003.
        ("sum_over_time(x[1h])", TENTHS, 2.8),
        ("avg_over_time(x[1h])", TENTHS, 3.9999999999999997e-01),
        ("stdvar_over_time(x[1h])", TENTHS, 3.9999999999999994e-02),
        ("stddev_over_time(x[1h])", TENTHS, 1.9999999999999998e-01),
        ("deriv(x[1h])", RESETS, 2.9761904761904765e-04),
        ("predict_linear(x[1h], 600)", RESETS, 6.464285714285715e-01),
        ("increase(x[7m])", RESETS, 2.3),
        ("rate(x[7m])", RESETS, 5.476190476190476e-03),
        ("delta(x[6m])", RESETS, -7.2e-01),
        ("quantile_over_time(0.35, x[1h])", RESETS, 2.0999999999999996e-01),
        ("double_exponential_smoothing(x[1h], 0.3, 0.7)", RESETS, 6.989293176999997e-01),
    ],
)
def test_the_last_bit(text, samples, value):
    assert single(text, samples) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x ^ 30", 17.449402268886445),
        ("x ^ -7", 0.5131581182307065),
        ("(-x) ^ 5", -1.6105100000000006),
        ("x ^ 4000", 3.72169374806132e165),
        ("x ^ 8000", math.inf),
        ("x ^ -8000", 0.0),
        ("(x * 0 + 0.7) ^ 2000", 1.57065220561795e-310),
        ("(x * 0 + 2) ^ -1070", 8e-323),
        ("ln(x * 7)", 2.0412203288596382),
        ("log2(x * 3)", 1.7224660244710912),
        ("log10(x * 0 + 1000)", 3.0),
        ("log10(x * 9)", 0.9956351945975499),
        ("ln(x * 0)", -math.inf),
        ("log10(x * Inf)", math.inf),
    ],
)
def test_logarithms_and_whole_powers(text, value):
    assert single(text, [1.1]) == value


@pytest.mark.parametrize(
    ("function", "angle", "value"),
    [
        ("sin", 0.3, 0.29552020666133955),
        ("sin", -0.9, -0.7833269096274834),
        ("sin", 2.0, 0.9092974268256816),
        ("sin", -7.5, -0.9379999767747389),
        ("sin", 100.0, -0.5063656411097588),
        ("sin", 100000000.0, 0.931639027109726),
        ("cos", 0.3, 0.955336489125606),
        ("cos", -0.9, 0.6216099682706645),
        ("cos", 2.0, -0.4161468365471424),
        ("cos", -7.5, 0.3466353178350258),
        ("cos", 100.0, 0.8623188722876839),
        ("cos", 100000000.0, -0.3633850893556905),
        ("tan", 0.3, 0.30933624960962325),
        ("tan", -0.9, -1.260158217550339),
        ("tan", 2.0, -2.185039863261519),
        ("tan", -7.5, -2.7060138667726905),
        ("tan", 100.0, -0.587213915156929),
        ("tan", 100000000.0, -2.5637789067283774),
        ("asin", 0.3, 0.3046926540153975),
        ("asin", -0.9, -1.1197695149986342),
        ("acos", 0.3, 1.266103672779499),
        ("acos", -0.9, 2.6905658417935308),
        ("atan", 0.3, 0.2914567944778671),
        ("atan", -0.9, -0.7328151017865066),
        ("atan", 2.0, 1.1071487177940904),
        ("atan", -7.5, -1.4382447944982226),
        ("atan", 100.0, 1.5607966601082313),
        ("atan", 100000000.0, 1.5707963167948966),
        ("atan", 10000000000.0, 1.5707963266948965),
    ],
)
def test_trigonometry(function, angle, value):
    assert single(f"{function}(x)", [angle]) == value


@pytest.mark.parametrize("function", ["sin", "cos", "tan", "asin", "acos", "atan"])
def test_trigonometry_of_what_is_no_angle(function):
    limit = math.pi / 2 if function == "atan" else math.nan
    assert single(f"{function}(x)", [math.inf]) == pytest.approx(limit, nan_ok=True)
    assert single(f"{function}(x)", [-math.inf]) == pytest.approx(-limit, nan_ok=True)
    assert math.isnan(single(f"{function}(x)", [math.nan]))


def test_odd_powers():
    assert single("x ^ 0", [math.nan]) == 1
    assert single("x ^ 2", [-math.inf]) == math.inf
    assert single("x ^ 3", [-math.inf]) == -math.inf
    assert single("x ^ -1", [0.0]) == math.inf
    assert math.isnan(single("x ^ 0.5", [-2.0]))
    assert math.isnan(single("log2(x)", [-2.0]))


def test_what_cancels_is_not_lost():
    assert single("sum_over_time(x[1h])", [1e100, 1.0, -1e100, 1.0]) == 2.0
    assert single("sum(x)", [1e100], [1.0], [-1e100], [1.0]) == 2.0
    assert single("avg(x)", [1e100], [1.0], [-1e100], [1.0]) == 0.5


@pytest.mark.parametrize("odd", [0.0, -0.0, math.inf, math.nan, 1e308])
def test_a_column_is_summed_the_same_beside_few_and_beside_many(odd):
    column = np.array([[-0.0], [0.1], [1e16], [0.3], [-1e16], [odd], [odd], [0.7]])
    with np.errstate(all="ignore"):
        few, many = running(column), running(np.tile(column, (1, 1000)))
    for alone, together in zip(few, many, strict=True):
        assert {alone.tobytes()} == {together[k : k + 1].tobytes() for k in range(1000)}


def test_a_mean_exists_where_the_sum_is_beyond_all_floats():
    assert single("avg_over_time(x[1h])", [1.5e308, 1.5e308, 1.5e308]) == 1.5e308
    assert single("avg(x)", [1.5e308], [-1.5e308], [1.5e308], [1.5e308]) == pytest.approx(0.75e308)
    assert single("sum_over_time(x[1h])", [1.5e308, 1.5e308]) == math.inf


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([math.inf, 1.0], math.inf),
        ([1.0, math.inf, -math.inf], math.nan),
        ([math.nan, 1.0], math.nan),
        ([-math.inf, 2.0, 3.0], -math.inf),
    ],
)
def test_means_of_what_is_not_finite(values, mean):
    for found in (single("avg_over_time(x[1h])", values), single("avg(x)", *[[value] for value in values])):
        assert found == mean or (math.isnan(found) and math.isnan(mean))


def test_long_groups_are_summed_to_the_last_bit_too():
    values = np.tile(np.array([0.1, 1e10, -1e10, 3.7e-9]), 1000)
    ids = np.arange(4000) % 2
    exact = [math.fsum(values[ids == group].tolist()) for group in (0, 1)]
    members = Members(values, ids, 2)
    assert not members.shallow
    assert by_group(members).tolist() == exact
    assert mean_by_group(members).tolist() == pytest.approx([total / 2000 for total in exact], rel=1e-15)
    assert variance_by_group(Members(np.full(4000, 0.1), ids, 2)).tolist() == [0.0, 0.0]


def test_long_groups_hold_what_is_not_finite():
    values = np.ones(3000)
    values[7], values[1500] = math.nan, math.inf
    with np.errstate(all="ignore"):
        found = by_group(Members(values, np.arange(3000) // 1000, 3))
    assert math.isnan(found[0])
    assert found.tolist()[1:] == [math.inf, 1000.0]


def test_columns_of_unequal_length():
    table = np.array([[1.0, 5.0], [2.0, 0.0], [3.0, 0.0]])
    assert compensated(table).tolist() == [6.0, 5.0]
    assert means(table, np.array([3, 1])).tolist() == [2.0, 5.0]
