"""The joint between the two processes: what crosses it, as one JSON object a line. Knows no pipe and no clock.

The watcher sends `Update`, `Heartbeat` and `Reply`; the pager sends `Request`. Alerts are sent level-triggered: each
update holds every alert of one rule group that is firing, held without data, or has just been resolved.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from bot.incidents.model import Alert
from bot.schema import Model


class Update(Model):
    """`state` is what the watcher wants back after a restart, opaque to the pager; None when it has not changed."""

    kind: Literal["update"] = "update"
    group: str
    evaluated_at: datetime
    alerts: tuple[Alert, ...]
    state: dict[str, Any] | None = None


class Heartbeat(Model):
    """Sent every second from the watcher's loop; its absence means hung."""

    kind: Literal["heartbeat"] = "heartbeat"
    at: datetime
    ready: bool


class Request(Model):
    """`method` is one of configure, api, cancel, render, release, metrics."""

    kind: Literal["request"] = "request"
    id: int
    method: str
    params: dict[str, Any] = {}


class Reply(Model):
    """Exactly one of `result` and `error` is meant; `error_kind` tells a bad query from a fault.

    `size` bytes of body follow the line as they are: a large answer is handed on without being read.
    """

    kind: Literal["reply"] = "reply"
    id: int
    result: Any = None
    error: str | None = None
    error_kind: str = ""
    size: int | None = None


Message = Annotated[Update | Heartbeat | Request | Reply, Field(discriminator="kind")]
_adapter: TypeAdapter[Message] = TypeAdapter(Message)


def encode(message: Update | Heartbeat | Request | Reply) -> bytes:
    return message.model_dump_json().encode() + b"\n"


def decode(line: bytes) -> Update | Heartbeat | Request | Reply:
    """Raises pydantic.ValidationError on anything else."""
    return _adapter.validate_json(line)
