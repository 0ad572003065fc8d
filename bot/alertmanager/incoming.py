"""Alerts as Prometheus, vmalert, Grafana and amtool post them. Pure.

Shape and meaning: Alertmanager's API, version 2, `postableAlerts`. An alert is resolved by an `endsAt` that is past;
one without an end is over when it has not been posted again for the resolve timeout.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bot.errors import AgentpagerError
from bot.incidents.model import Alert, AlertState
from bot.labels import fingerprint

GROUP = "alertmanager"  # of everything that is posted
_ZERO_YEAR = 1  # Go's zero time stands for no time
_AT_MOST = 10_000
_VALUE = 1024  # characters of a label
_ANNOTATION = 4096


class PostedError(AgentpagerError):
    """What was posted is not what the API describes; says where."""


class _Posted(BaseModel):
    """Later versions may add keys."""

    model_config = ConfigDict(extra="ignore", strict=False)

    labels: Annotated[dict[str, str], Field(min_length=1)]
    annotations: dict[str, str] = {}
    startsAt: AwareDatetime | None = None  # noqa: N815 - its name there
    endsAt: AwareDatetime | None = None  # noqa: N815
    generatorURL: str = ""  # noqa: N815


_LIST = TypeAdapter(list[_Posted])


def read(body: Any, resolve_timeout: timedelta, now: datetime) -> list[Alert]:
    """Raises PostedError; then none of them counts."""
    if isinstance(body, list) and len(body) > _AT_MOST:
        raise PostedError(f"{len(body)} alerts in one request; {_AT_MOST} at most")
    try:
        posted = _LIST.validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PostedError(f"alert {place}: {first['msg']}" if place else "expected a list of alerts") from None
    return [_alert(one, number, resolve_timeout, now) for number, one in enumerate(posted)]


def _alert(posted: _Posted, number: int, resolve_timeout: timedelta, now: datetime) -> Alert:
    labels = {name: value for name, value in posted.labels.items() if value}
    if not labels:
        raise PostedError(f"alert {number}: at least one label pair required")
    for name, value in labels.items():
        if not (name.isidentifier() and name.isascii()):
            raise PostedError(f'alert {number}: "{name[:60]}" is no name of a label')
        if len(value) > _VALUE:
            raise PostedError(f'alert {number}: label "{name}" has {len(value)} characters; {_VALUE} at most')
    ends, starts = _instant(posted.endsAt), _instant(posted.startsAt)
    starts = starts or (min(ends, now) if ends else now)
    if ends is not None and ends < starts:
        raise PostedError(f"alert {number}: it ends before it starts")
    over = ends is not None and ends <= now
    return Alert(
        fingerprint=fingerprint(labels),
        group=GROUP,
        state=AlertState.RESOLVED if over else AlertState.FIRING,
        labels=labels,
        annotations={name: text[:_ANNOTATION] for name, text in posted.annotations.items()},
        value=1.0,
        starts_at=starts,
        ends_at=ends if over else None,
        expires_at=None if over else ends or now + resolve_timeout,
        generator_url=posted.generatorURL,
    )


def _instant(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at is not None and at.year > _ZERO_YEAR else None
