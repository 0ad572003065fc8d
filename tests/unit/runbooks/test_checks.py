import numpy as np
import pytest

from bot.errors import QueryError
from bot.promql.space import Space
from bot.promql.strings import Pool
from bot.promql.value import Matrix, Scalar, Vector
from bot.runbooks.checks import format_value, parse_expect, run_check
from bot.runbooks.rendered import Verdict


def vector(*values):
    rows = [{"i": str(index)} for index in range(len(values))]
    return Vector(Space.of(Pool(), rows), np.array(values, dtype=float), None, 0)


def check(expect, answer, unit="ratio", left=lambda: 1.0, timeout=5.0):
    def query(text):
        if isinstance(answer, Exception):
            raise answer
        return answer

    return run_check("q", parse_expect(expect), unit, timeout, query, left)


@pytest.mark.parametrize(
    ("expect", "answer", "verdict", "value"),
    [
        ("< 0.05", vector(0.04), Verdict.PASS, "4 %"),
        ("< 0.05", vector(0.05), Verdict.FAIL, "5 %"),
        ("<= 0.05", vector(0.05), Verdict.PASS, "5 %"),
        ("> 0.5", vector(0.5), Verdict.FAIL, "50 %"),
        (">= 0.5", vector(0.5), Verdict.PASS, "50 %"),
        ("== 1", vector(1), Verdict.PASS, "100 %"),
        ("!= 1", vector(1), Verdict.FAIL, "100 %"),
        ("< 0.05", Scalar(0.62, 0), Verdict.FAIL, "62 %"),
        ("< 0.05", vector(0.01, 0.62, 0.03), Verdict.FAIL, "62 %"),
        ("> 0.5", vector(0.9, 0.7), Verdict.PASS, "70 %"),
        ("< 0.05", vector(), Verdict.NO_DATA, ""),
        ("< 0.05", vector(float("nan")), Verdict.NO_DATA, ""),
        ("< 0.05", vector(float("nan"), 0.01), Verdict.PASS, "1 %"),
        ("< 0.05", vector(float("inf")), Verdict.FAIL, "+Inf"),
        ("< 0.05", Matrix([]), Verdict.ERROR, ""),
        ("< 0.05", QueryError("too many samples", "execution"), Verdict.ERROR, ""),
        ("< 0.05", QueryError("took too long", "timeout"), Verdict.LATE, ""),
        ("< 0.05", ZeroDivisionError("x"), Verdict.ERROR, ""),
    ],
)
def test_a_check_becomes_a_verdict_and_the_worst_value(expect, answer, verdict, value):
    outcome = check(expect, answer)
    assert (outcome.result.verdict, outcome.result.value, outcome.ok) == (verdict, value, verdict is Verdict.PASS)


def test_what_is_wanted_reads_in_the_same_unit():
    assert check("< 0.05", vector(0.1)).result.want == "< 5 %"


def test_an_error_says_why():
    assert check("< 1", QueryError("too many samples")).result.error == "too many samples"


def test_a_check_without_time_left_is_late_and_asks_nothing():
    outcome = run_check("q", parse_expect("< 1"), None, 5.0, lambda _: pytest.fail("asked"), lambda: 0.0)
    assert (outcome.result.verdict, outcome.result.want) == (Verdict.LATE, "< 1")


def test_a_check_that_takes_longer_than_its_own_timeout_is_late():
    times = iter([10.0, 7.5])
    result = check("< 1", vector(0.5), left=lambda: next(times), timeout=2.0).result
    assert (result.verdict, result.error) == (Verdict.LATE, "took 2.5 s, 2 s allowed")


@pytest.mark.parametrize("text", ["", "5", "< ", "<5%", "< five", "=> 5", "between 1 and 2", "< 1 2", "~ 5"])
def test_what_is_no_expectation(text):
    with pytest.raises(ValueError, match="write for example < 5"):
        parse_expect(text)


@pytest.mark.parametrize(
    ("text", "sign", "bound"),
    [("<5", "<", 5), (" >= 0.99 ", ">=", 0.99), ("== -1e3", "==", -1000), ("!= .5", "!=", 0.5)],
)
def test_what_is_an_expectation(text, sign, bound):
    assert (parse_expect(text).sign, parse_expect(text).bound) == (sign, bound)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234, "s", "1.23 s"),
        (0.0042, "s", "0.0042 s"),
        (125, "s", "2m 5s"),
        (-270, "s", "-4m 30s"),
        (350, "ms", "350 ms"),
        (2500, "ms", "2.5 s"),
        (0.6249, "ratio", "62.5 %"),
        (1, "ratio", "100 %"),
        (0, "ratio", "0 %"),
        (62.4, "percent", "62.4 %"),
        (14, "usd", "$14"),
        (14.5, "usd", "$14.50"),
        (3864.21, "usd", "$3,864"),
        (0.0042, "usd", "$0.0042"),
        (-2.5, "usd", "-$2.50"),
        (1536, "bytes", "1.5 KiB"),
        (5 * 2**20, "bytes", "5 MiB"),
        (12, "bytes", "12 B"),
        (12345, "count", "12.35k"),
        (3, "count", "3"),
        (0.5, "count", "0.5"),
        (1234.5, None, "1234"),
        (float("nan"), "s", "NaN"),
        (float("-inf"), "usd", "-Inf"),
        (1e300, "ratio", "1" + "0" * 302 + " %"),
    ],
)
def test_numbers_as_people_read_them(value, unit, text):
    shown = format_value(value, unit)
    assert shown == text or (value == 1e300 and len(shown) < 400)
