"""A time as people write it at night, `2h`, `09:00` or `2026-12-24T09:00`, as an instant. Pure.

A time without a zone is meant where whoever writes it lives.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.errors import UsageError
from bot.schema import parse_duration

_EXAMPLES = "write for example 2h, 30m, 09:00, or 2026-12-24T09:00"


def moment(text: str, now: datetime, timezone: str = "UTC") -> datetime:
    """Raises UsageError. A time of day is the next one to come."""
    words = text.strip()
    zone = ZoneInfo(timezone)
    if (span := _span(words)) is not None:
        return now + span
    if (of_day := _time(words)) is not None:
        return _next(of_day, now, zone)
    try:
        at = datetime.fromisoformat(words.replace(" ", "T", 1))
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f'"{words}" is no time; {_EXAMPLES}' if words else f"say until when; {_EXAMPLES}") from None


def _span(text: str) -> timedelta | None:
    try:
        return parse_duration(text)
    except (ValueError, OverflowError):
        return None


def _time(text: str) -> time | None:
    hours, colon, minutes = text.partition(":")
    if not colon or not hours.isdecimal() or not minutes.isdecimal() or len(minutes) != 2:
        return None
    return time(int(hours), int(minutes)) if int(hours) < 24 and int(minutes) < 60 else None


def _next(of_day: time, now: datetime, zone: ZoneInfo) -> datetime:
    today = now.astimezone(zone).date()
    days = (datetime.combine(today + timedelta(days=ahead), of_day, zone).astimezone(UTC) for ahead in range(3))
    return next(at for at in days if at > now)
