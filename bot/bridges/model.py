"""What a bridge makes of a request, before it is an alert of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.errors import AgentpagerError

Body = Mapping[str, Any]


class PayloadError(AgentpagerError):
    """The request does not have the shape that the bridge reads; says what is missing."""


@dataclass(frozen=True)
class Told:
    """One alert as another system tells of it. `key` is what makes two requests speak of the same one; `agent` is the
    name there, not yet ours."""

    alertname: str
    key: str
    resolved: bool = False
    agent: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float = 1.0
    generator_url: str = ""


def text_of(body: Body, key: str) -> str:
    """Empty when it is not there or no text."""
    value = body.get(key)
    return value if isinstance(value, str) else ""


def number_of(body: Body, key: str) -> float | None:
    """None for what is none, and for what is larger than a number can be."""
    value = body.get(key)
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
