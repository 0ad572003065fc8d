"""What a night is: from 22:00 until 07:00 where the person who is woken lives. Reports and forecasts mean the same."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from bot.oncall.windows import Window

NIGHT = (Window(hours="22:00-07:00"),)


def is_night(local: datetime) -> bool:
    """Of a time on the person's own wall clock."""
    return not 7 <= local.hour < 22


def night_of(local: datetime) -> date:
    """The day on whose evening the night began."""
    return (local.replace(tzinfo=None) - timedelta(hours=12)).date()
