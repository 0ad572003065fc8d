"""The text of an answer to a query, as Prometheus writes it → series with their values."""

from __future__ import annotations

import json
from typing import Any

from bot.readiness.model import Answer


def understood(body: bytes | str) -> Answer:
    """A text instead says why there is no answer."""
    try:
        told: dict[str, Any] = json.loads(body)
        if told["status"] != "success":
            return str(told["error"])
        return [(dict(one["metric"]), float(one["value"][1])) for one in told["data"]["result"]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return "the answer cannot be read"
