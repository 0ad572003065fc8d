"""Ticking."""

from __future__ import annotations

from datetime import timedelta

from bot.scheduler import Ticker


async def test_one_that_was_never_started_can_be_stopped():
    """Who comes to lead may fail before it ticks; why must not be hidden by that."""
    ticker = Ticker()

    async def call() -> None: ...

    ticker.every(timedelta(seconds=1), "job", call)
    await ticker.stop()
