"""The joint between the two processes: what crosses it, as one JSON object a line. Knows no pipe and no clock.

The watcher sends `Update`, `Heartbeat` and `Reply`; the pager sends `Request`. Of each rule group's alerts, changes are
sent at once. About once a minute an update accounts for every alert of the group that is firing, held without data, or
was resolved not long ago, so that whatever was missed on the way is put right.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from bot.incidents.model import SEVERITY_RANK, Alert
from bot.schema import Model


class Update(Model):
    """`state` is what the watcher wants back after a restart, opaque to the pager; None when it has not changed.

    `still` holds the fingerprints of what goes on beside `alerts`, as it was told before: together they are all there
    is. None says that `alerts` is only what changed. `incarnation` is the one that the watcher was last told to be of:
    what it found for a replica that the others had given up does not count.
    """

    kind: Literal["update"] = "update"
    group: str
    evaluated_at: datetime
    alerts: tuple[Alert, ...]
    still: tuple[str, ...] | None = ()
    state: dict[str, Any] | None = None
    incarnation: int = 0

    def followed_by(self, newer: Update) -> Update:
        """Both as one, when neither has been worked in yet."""
        if self.incarnation != newer.incarnation:
            return newer
        alerts = {alert.fingerprint: alert for alert in (*self.alerts, *newer.alerts)}
        still = self.still
        if newer.still is not None:
            named = {*newer.still, *(alert.fingerprint for alert in newer.alerts)}
            alerts = {print_: alert for print_, alert in alerts.items() if print_ in named}
            still = newer.still
        state = self.state if newer.state is None else newer.state
        return newer.model_copy(update={"alerts": tuple(alerts.values()), "still": still, "state": state})

    def in_parts(self, first: int, rest: int) -> list[Update]:
        """Itself, or where it has more alerts than `first` several that say the same one after the other, the worst
        alerts first. Only the last one accounts for everything, and carries the state."""
        if len(self.alerts) <= first:
            return [self]
        worst_first = sorted(self.alerts, key=lambda alert: -SEVERITY_RANK[alert.severity])
        starts = [0, *range(first, len(worst_first), rest)]
        ends = [*starts[1:], len(worst_first)]
        cuts = [tuple(worst_first[start:end]) for start, end in zip(starts, ends, strict=True)]
        parts = [self.model_copy(update={"alerts": cut, "still": None, "state": None}) for cut in cuts]
        still = self.still
        if still is not None:
            still = (*still, *(alert.fingerprint for cut in cuts[:-1] for alert in cut))
        parts[-1] = parts[-1].model_copy(update={"still": still, "state": self.state})
        return parts


class Heartbeat(Model):
    """Sent every second from the watcher's loop; its absence means hung."""

    kind: Literal["heartbeat"] = "heartbeat"
    at: datetime
    ready: bool


class Request(Model):
    """`method` is one of prepare, configure, share, api, cancel, render, chart, release, metrics, minutes, drills,
    readiness."""

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
