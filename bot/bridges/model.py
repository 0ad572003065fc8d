"""What a bridge makes of a request, before it is an alert of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.errors import AgentpagerError

Body = Mapping[str, Any]
T = TypeVar("T")


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


class PayloadError(AgentpagerError):
    """The request, or some of it, does not have the shape that the bridge reads; says what is missing. `taken` is what
    could be read all the same."""

    def __init__(self, message: str, taken: Sequence[Told] = ()) -> None:
        super().__init__(message)
        self.taken = taken


def each_of(entries: Iterable[T], read: Callable[[T], Told]) -> list[Told]:
    """One that cannot be read takes no other with it. Raises PayloadError with the others."""
    found: list[Told] = []
    wrong: list[str] = []
    for number, entry in enumerate(entries):
        try:
            found.append(read(entry))
        except PayloadError as error:
            wrong.append(f"alert {number}: {error}")
    if wrong:
        more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise PayloadError(f"{wrong[0]}{more}", found)
    return found
