"""Functions that turn every value into another, alone: mathematics, clamping, the calendar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bot.promql.block import Floats

Dates = NDArray[np.datetime64]

MATHS: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sgn": lambda values: np.where(values > 0, 1.0, np.where(values < 0, -1.0, values)),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
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


def calendar(name: str, values: Floats) -> Floats:
    return np.where(np.isfinite(values), CALENDAR[name](values), np.nan)
