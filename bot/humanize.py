"""Numbers, durations and instants as people read them, in Prometheus' own spelling. Shared by both template languages.

Source: Prometheus docs, "Template reference", and template/template.go for the exact digits.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024 = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def go_float(value: float, verb: str = "g", precision: int | None = None) -> str:
    """A float64 as Go's fmt prints it; without a precision the shortest digits that read back the same."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if precision is not None:
        return f"{value:.{precision}{verb}}"
    return _shortest(value)


def humanize(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return go_float(value, "g", 4)
    if abs(value) >= 1:
        return _scaled(value, 1000, _LARGE)
    return _scaled_up(value)


def humanize1024(value: float) -> str:
    if abs(value) <= 1 or not math.isfinite(value):
        return go_float(value, "g", 4)
    return _scaled(value, 1024, _LARGE_1024)


def humanize_duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return go_float(seconds, "g", 4)
    if seconds == 0:
        return go_float(seconds, "g", 4) + "s"
    if abs(seconds) < 1:
        return _scaled_up(seconds) + "s"
    sign = "-" if seconds < 0 else ""
    whole = min(int(abs(seconds)), 1 << 63)
    # What 64 bits cannot hold comes out as their lowest number, every part of it with a sign: so it does in Prometheus.
    low = "-" if whole == 1 << 63 else ""
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{sign}{low}{days}d {low}{hour}h {low}{minute}m {low}{second}s"
    if hours:
        return f"{sign}{hour}h {minute}m {second}s"
    if minutes:
        return f"{sign}{minute}m {second}s"
    return f"{sign}{go_float(abs(seconds), 'g', 4)}s"


def humanize_percentage(ratio: float) -> str:
    return go_float(ratio * 100, "g", 4) + "%"


def humanize_timestamp(seconds: float) -> str:
    """`2015-07-22 19:00:00 +0000 UTC`, to the millisecond. Raises ValueError where 64 bits of nanoseconds end."""
    if not math.isfinite(seconds):
        return go_float(seconds, "g", 4)
    nanoseconds = seconds * 1e9
    if abs(nanoseconds) >= 2**63:
        raise ValueError(
            f"{go_float(seconds)} cannot be represented as a nanoseconds timestamp since it overflows int64"
        )
    instant = _EPOCH + timedelta(milliseconds=int(int(nanoseconds) / 1_000_000))
    fraction = f".{instant.microsecond:06d}".rstrip("0") if instant.microsecond else ""
    return f"{instant:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def _scaled(value: float, step: int, prefixes: tuple[str, ...]) -> str:
    prefix = ""
    for candidate in prefixes:
        if abs(value) < step:
            break
        prefix = candidate
        value /= step
    return go_float(value, "g", 4) + prefix


def _scaled_up(value: float) -> str:
    prefix = ""
    for candidate in _SMALL:
        if abs(value) >= 1:
            break
        prefix = candidate
        value *= 1000
    return go_float(value, "g", 4) + prefix


def go_exponent(value: float) -> str:
    """Go's strconv 'e' with the shortest digits: `1.5e+00`."""
    if not math.isfinite(value):
        return go_float(value)
    sign, digits, point = _digits(value)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{point - 1:+03d}"


def _shortest(value: float) -> str:
    """Go's %v: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e6 on."""
    sign, digits, point = _digits(value)
    if point - 1 < -4 or point - 1 >= 6:
        return go_exponent(value)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if len(digits) <= point:
        return sign + digits.ljust(point, "0")
    return f"{sign}{digits[:point]}.{digits[point:]}"


def _digits(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits, and where the decimal point stands; zero is the digit 0 before the point."""
    text, _, power = repr(value).partition("e")
    sign = "-" if text.startswith("-") else ""
    whole, _, fraction = text.removeprefix("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return (sign, digits, point) if digits else (sign, "0", 1)
