"""Texts as Go and Prometheus print them: label sets, durations, floats with an exponent."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Mapping
from datetime import timedelta

from bot.humanize import go_exponent
from bot.rules.gofuncs import go_quote

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_DAY = 86_400_000
# Years and weeks only where they leave no rest: 90d reads better than 12w6d.
_UNITS = (("y", 365 * _DAY, True), ("w", 7 * _DAY, True), ("d", _DAY, False), ("h", 3_600_000, False))
_SMALL = (("m", 60_000, False), ("s", 1000, False), ("ms", 1, False))


def labels_text(labels: Mapping[str, str]) -> str:
    parts = [
        f"{name if _LABEL.fullmatch(name) else go_quote(name)}={go_quote(labels[name])}" for name in sorted(labels)
    ]
    return "{" + ", ".join(parts) + "}"


def value_text(value: float) -> str:
    """Every digit it takes to read the same float back, as `2.9999999999999996E+00`."""
    return go_exponent(value).replace("e", "E")


def millis(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def prometheus_duration(span: timedelta) -> str:
    """As Prometheus writes a duration: 90s is 1m30s, 14 days are 2w."""
    rest, out = millis(span), ""
    for unit, size, exact in (*_UNITS, *_SMALL):
        count, left = divmod(rest, size)
        if count and not (exact and left):
            out += f"{count}{unit}"
            rest = left
    return out or "0s"


def go_duration(span: timedelta) -> str:
    """As Go writes one: 5m0s, 1h0m0s, 1.5s, 250ms."""
    total = millis(span)
    if total < 1000:
        return f"{total}ms" if total else "0s"
    seconds, fraction = divmod(total, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    tail = f"{second}" + (f".{fraction:03d}".rstrip("0") if fraction else "") + "s"
    if hours:
        return f"{hours}h{minute}m{tail}"
    return f"{minute}m{tail}" if minute else tail
