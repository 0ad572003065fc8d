"""A clock that only the test moves."""

from __future__ import annotations

from datetime import datetime, timedelta


class HandClock:
    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

    def advance(self, **span: float) -> None:
        self.time += timedelta(**span)
