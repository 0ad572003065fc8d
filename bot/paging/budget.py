"""How many messages may wake one person before it is too many. Pure; counts only, drops nothing."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

MESSAGES = 2  # in one shift a person can follow up that many well
SHIFT = timedelta(hours=12)


class Budget:
    def __init__(self) -> None:
        self._sent: dict[str, deque[datetime]] = {}

    def exceeded(self, person: str, now: datetime) -> bool:
        """Counts one more; whether that was more than a shift should bring."""
        sent = self._sent.setdefault(person, deque())
        while sent and sent[0] <= now - SHIFT:
            sent.popleft()
        sent.append(now)
        return len(sent) > MESSAGES
