"""Functions that turn every value into another, alone: mathematics, clamping, the calendar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bot.promql import angles
from bot.promql.cells import Floats

# Beyond it a power is zero, one or infinite for nearly every base.
_LARGEST_EXPONENT = 2.0**12

Dates = NDArray[np.datetime64]

_LOG2_E, _LOG10_E = 1.44269504088896340735992468100189214, 0.434294481903251827651128918916605082
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Coefficients of the approximation in FreeBSD's e_log.c, which Go's logarithm is.
_ODD = (6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01)
_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)


def _log(values: Floats) -> Floats:
    """Go's natural logarithm, which differs from the C library's in the last bit now and then."""
    fraction, exponent = np.frexp(values)
    small = fraction < np.sqrt(2) / 2
    fraction, power = (
        np.where(small, fraction * 2, fraction),
        np.where(small, exponent - 1, exponent).astype(np.float64),
    )
    off = fraction - 1
    s = off / (2 + off)
    s2 = s * s
    s4 = s2 * s2
    odd = s2 * (_ODD[0] + s4 * (_ODD[1] + s4 * (_ODD[2] + s4 * _ODD[3])))
    even = s4 * (_EVEN[0] + s4 * (_EVEN[1] + s4 * _EVEN[2]))
    half = 0.5 * off * off
    found = power * _LN2_HIGH - ((half - (s * (half + (odd + even)) + power * _LN2_LOW)) - off)
    # Zero, negative, infinite and NaN are the library's.
    return np.where((values > 0) & np.isfinite(values), found, np.log(values))


def _log2(values: Floats) -> Floats:
    fraction, exponent = np.frexp(values)
    found = np.where(fraction == 0.5, exponent - 1.0, _log(fraction) * _LOG2_E + exponent)
    return np.where((values > 0) & np.isfinite(values), found, np.log2(values))


def power(base: Floats | np.float64, exponent: Floats | np.float64) -> Floats:
    """Go's power: whole exponents by repeated squaring, so that the last bit is the same."""
    found: Floats = np.power(base, exponent)
    base, exponent = np.broadcast_arrays(base, exponent)
    size = np.abs(exponent)
    # Go's exponential function cannot be had here, so powers by a fraction stay the library's.
    whole = (size == np.trunc(size)) & (size > 1) & (size < _LARGEST_EXPONENT) & np.isfinite(base) & (base != 0)
    if not whole.any():
        return found
    result, result_exponent = np.ones(base.shape), np.zeros(base.shape, np.int64)
    part, part_exponent = np.frexp(base)
    part_exponent = part_exponent.astype(np.int64)
    rest = np.where(whole, size, 0).astype(np.int64)
    while rest.any():
        odd = (rest & 1) == 1
        result, result_exponent = (
            np.where(odd, result * part, result),
            np.where(odd, result_exponent + part_exponent, result_exponent),
        )
        part, part_exponent = part * part, part_exponent << 1
        low = part < 0.5
        part, part_exponent = np.where(low, part + part, part), np.where(low, part_exponent - 1, part_exponent)
        rest >>= 1
    under = exponent < 0
    result = np.where(under, 1 / result, result)
    result_exponent = np.where(under, -result_exponent, result_exponent)
    exact = np.ldexp(result, np.clip(result_exponent, -5000, 5000).astype(np.int32))
    return np.where(whole, exact, found)


MATHS: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "ln": _log,
    "log2": _log2,
    "log10": lambda values: _log(values) * _LOG10_E,
    "sqrt": np.sqrt,
    "sgn": lambda values: np.where(values > 0, 1.0, np.where(values < 0, -1.0, values)),
    "sin": angles.sin,
    "cos": angles.cos,
    "tan": angles.tan,
    "asin": angles.asin,
    "acos": angles.acos,
    "atan": angles.atan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": lambda values: values * 180 / np.pi,
    "rad": lambda values: values * np.pi / 180,
}


def rounded(values: Floats, nearest: float) -> Floats:
    """Ties go up, as in Prometheus."""
    inverse = 1.0 / np.float64(nearest)
    out: Floats = np.floor(values * inverse + 0.5) / inverse
    return out


def clamped(values: Floats, low: float, high: float) -> Floats:
    return at_least(at_most(values, high), low)


def at_most(values: Floats, high: float) -> Floats:
    # NaN on either side wins, except over -Inf: Go's math.Min.
    return np.where(np.isneginf(values) | np.isneginf(high), -np.inf, np.minimum(values, high))


def at_least(values: Floats, low: float) -> Floats:
    return np.where(np.isposinf(values) | np.isposinf(low), np.inf, np.maximum(values, low))


def _days(values: Floats) -> tuple[Dates, Dates]:
    """Seconds since 1970 as whole days, and as days with the second kept."""
    seconds = np.where(np.isfinite(values), np.trunc(values), 0).astype(np.int64).astype("datetime64[s]")
    return seconds.astype("datetime64[D]"), seconds


def _month_of(values: Floats) -> Dates:
    return _days(values)[0].astype("datetime64[M]")


def _day_of_month(values: Floats) -> Floats:
    days = _days(values)[0]
    out: Floats = (days - days.astype("datetime64[M]")).astype(np.float64) + 1
    return out


def _days_in_month(values: Floats) -> Floats:
    month = _month_of(values)
    out: Floats = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.float64)
    return out


def _day_of_year(values: Floats) -> Floats:
    days = _days(values)[0]
    out: Floats = (days - days.astype("datetime64[Y]")).astype(np.float64) + 1
    return out


def _seconds(values: Floats) -> Floats:
    days, seconds = _days(values)
    out: Floats = (seconds - days).astype(np.float64)
    return out


CALENDAR: dict[str, Callable[[Floats], Floats]] = {
    "minute": lambda values: _seconds(values) % 3600 // 60,
    "hour": lambda values: _seconds(values) // 3600,
    # 1970-01-01 was a Thursday.
    "day_of_week": lambda values: (_days(values)[0].astype(np.float64) + 4) % 7,
    "day_of_month": _day_of_month,
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "month": lambda values: _month_of(values).astype(np.float64) % 12 + 1,
    "year": lambda values: _days(values)[0].astype("datetime64[Y]").astype(np.float64) + 1970,
}


# What Prometheus makes of NaN, infinities and instants beyond 64 bits: all of them become its earliest instant.
_NO_INSTANT = {
    "minute": 30, "hour": 15, "day_of_week": 0, "day_of_month": 4,
    "day_of_year": 339, "days_in_month": 31, "month": 12, "year": 292277026596,
}  # fmt: skip


def calendar(name: str, values: Floats) -> Floats:
    good = np.abs(values) < 2.0**63
    return np.where(good, CALENDAR[name](np.where(good, values, 0.0)), _NO_INSTANT[name])
