"""When pages are due after somebody has set the clock. Pure; incidents/deadlines.py says more."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.paging.model import Page

LONGEST = timedelta(hours=1)  # no page waits longer: rules of people and Slack's Retry-After stay far below


def moved(page: Page, jump: timedelta) -> Page:
    """The clock went on by `jump` while no time passed. For pages that are due, being sent or of unknown outcome."""
    names = ("due_at", "planned_at", "claimed_at")
    return page.model_copy(update={name: at + jump for name in names if (at := getattr(page, name)) is not None})


def bounded(page: Page, now: datetime) -> Page:
    """The same, due now if it would wait longer than any page does."""
    return page if page.due_at <= now + LONGEST else page.model_copy(update={"due_at": now})
