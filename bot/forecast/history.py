"""A history of alerts to try rotas with: one that was recorded, or one that is drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.errors import UsageError
from bot.labels import Labels

_LASTS = timedelta(minutes=30)


@dataclass(frozen=True)
class Firing:
    """One alert from its start to its end; `end` is None when it is not known."""

    start: datetime
    end: datetime | None
    labels: Labels


def drawn(
    agents: Iterable[str], per_hour: float, start: datetime, end: datetime, draw: Callable[[], float],
    *, critical: float = 1 / 3, lasts: timedelta = _LASTS,
) -> Iterator[Firing]:  # fmt: skip
    """Alerts of each agent at the same rate at every hour, each about as long as `lasts`.

    `draw` gives numbers from 0 up to 1; the same numbers give the same history.
    """
    for agent in agents:
        now = start + timedelta(hours=_wait(draw, 1 / per_hour))
        while now < end:
            severity = "critical" if draw() < critical else "warning"
            over = now + timedelta(seconds=max(1, round(_wait(draw, lasts.total_seconds()))))
            yield Firing(now, over, {"alertname": "Simulated", "agent": agent, "severity": severity})
            now += timedelta(hours=_wait(draw, 1 / per_hour))


def _wait(draw: Callable[[], float], mean: float) -> float:
    """Between events that know nothing of each other."""
    return -math.log(1 - draw()) * mean


def recorded(text: str, file: str) -> Sequence[Firing]:
    """One JSON object a line: `{"starts_at", "ends_at", "labels"}`, instants in RFC 3339. Raises UsageError with the
    line of the first one that is none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            labels = {str(key): str(value) for key, value in row["labels"].items()}
            ends = row.get("ends_at")
            found.append(Firing(_instant(row["starts_at"]), _instant(ends) if ends else None, labels))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f'"{error.args[0]}" is missing' if isinstance(error, KeyError) else str(error)
            expected = '{"starts_at": "2026-11-02T09:00:00Z", "ends_at": null, "labels": {"alertname": "X"}}'
            raise UsageError(f"{file}:{number}: {reason}; a line looks like {expected}") from None
        if (last := found[-1]).end is not None and last.end <= last.start:
            raise UsageError(f"{file}:{number}: ends_at is not after starts_at")
    return found


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
