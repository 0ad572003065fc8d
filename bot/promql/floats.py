"""Floats as Prometheus writes them: shortest digits that read back the same, Go's spelling of the special values."""

from __future__ import annotations

import math
from decimal import Decimal


def format_value(value: float) -> str:
    """Go's strconv.FormatFloat(value, 'f', -1, 64): never an exponent."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def format_json(value: float) -> str:
    """The API's spelling: an exponent below 1e-6 and from 1e21 on."""
    size = abs(value)
    if not math.isfinite(value) or size == 0 or 1e-6 <= size < 1e21:
        return format_value(value)
    return _scientific(value)


def format_short(value: float) -> str:
    """Go's %v and %g: an exponent below 0.0001 and from a million on."""
    if not math.isfinite(value) or value == 0 or 1e-4 <= abs(value) < 1e6:
        return format_value(value)
    return _scientific(value)


def _scientific(value: float) -> str:
    digits, _, exponent = format(Decimal(repr(value)), "e").partition("e")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    power = int(exponent)
    return f"{digits}e{'-' if power < 0 else '+'}{abs(power):02d}"
