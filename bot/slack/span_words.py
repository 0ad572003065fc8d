"""From when until when, as people write it: `18:00..22:00`, `from 18:00 to 22:00`, `4h`, `until 09:00`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.errors import UsageError
from bot.oncall.moments import moment

EXAMPLE = "18:00..22:00, from 18:00 to 22:00, 4h, until 09:00, or 2026-12-24..2026-12-27"


def span_of(words: Sequence[str], now: datetime, zone: str) -> tuple[datetime, datetime, list[str]]:
    """Begin, end and the words that are left. A time of day is the next one to come, the end's after the begin.
    Raises UsageError."""
    left = list(words)
    if not left:
        raise UsageError(f"say for how long: {EXAMPLE}")
    first = left[0].lower()
    if first == "from" and len(left) > 3 and left[2].lower() in {"to", "until", "till"}:
        start = moment(left[1], now, zone)
        return start, moment(left[3], start, zone), left[4:]
    if first in {"until", "till", "for"} and len(left) > 1:
        return now, moment(left[1], now, zone), left[2:]
    begin, dots, end = left[0].partition("..")
    if not dots:
        return now, moment(left[0], now, zone), left[1:]
    start = moment(begin, now, zone) if begin else now
    return start, moment(end, start, zone), left[1:]
