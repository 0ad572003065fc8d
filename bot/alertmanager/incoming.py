"""Alerts as Prometheus, vmalert, Grafana and amtool post them. Pure.

Shape and meaning: Alertmanager's API, version 2, `postableAlerts`. An alert is resolved by an `endsAt` that is past;
one without an end is over when it has not been posted again for the resolve timeout.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern
from collections.abc import Sequence
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
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


class PostedError(AgentpagerError):
    """What was posted is not what the API describes; says where. `others` are the alerts that can be read."""

    def __init__(self, message: str, others: Sequence[Alert] = ()) -> None:
        self.others = others
        super().__init__(message)


class _Posted(BaseModel):
    """Later versions may add keys."""

    model_config = ConfigDict(extra="ignore", strict=False)

    labels: Annotated[dict[str, str], Field(min_length=1)]
    annotations: dict[str, str] = {}
    startsAt: AwareDatetime | None = None  # noqa: N815 - its name there
    endsAt: AwareDatetime | None = None  # noqa: N815
    generatorURL: str = ""  # noqa: N815


_ONE = TypeAdapter(_Posted)


def read(body: Any, resolve_timeout: timedelta, now: datetime) -> list[Alert]:
    """Raises PostedError. What cannot be read takes no other with it, as in Alertmanager: nobody sends them again."""
    if not isinstance(body, list):
        raise PostedError("expected a list of alerts")
    if len(body) > _AT_MOST:
        raise PostedError(f"{len(body)} alerts in one request; {_AT_MOST} at most")
    found, wrong = [], []
    for number, one in enumerate(body):
        try:
            found.append(_alert(_ONE.validate_python(one), number, resolve_timeout, now))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            wrong.append(f"alert {'.'.join(map(str, (number, *first['loc'])))}: {first['msg']}")
        except PostedError as error:
            wrong.append(str(error))
    if wrong:
        more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise PostedError(f"{wrong[0]}{more}", found)
    return found


def _alert(posted: _Posted, number: int, resolve_timeout: timedelta, now: datetime) -> Alert:
    given = {_text(name): _text(value) for name, value in posted.labels.items() if value}
    if not given:
        raise PostedError(f"alert {number}: at least one label pair required")
    labels = {_name(name): _short(value, _VALUE) for name, value in given.items()}
    ends, starts = _instant(posted.endsAt), _instant(posted.startsAt)
    if ends is not None and starts is not None and ends < starts:
        raise PostedError(f"alert {number}: it ends before it starts")
    starts = min(starts or ends or now, now)  # nothing goes on that has not begun
    over = ends is not None and ends <= now
    return Alert(
        fingerprint=fingerprint(given),
        group=GROUP,
        state=AlertState.RESOLVED if over else AlertState.FIRING,
        labels=labels,
        annotations={_text(name): _short(_text(text), _ANNOTATION) for name, text in posted.annotations.items()},
        value=1.0,
        starts_at=starts,
        ends_at=ends if over else None,
        expires_at=None if over else ends or now + resolve_timeout,
        generator_url=_text(posted.generatorURL),
    )


def _instant(at: datetime | None) -> datetime | None:
    if at is None or at.year <= _ZERO_YEAR:
        return None
    try:
        return at.astimezone(UTC)
    except OverflowError:  # the last hours of the last year, elsewhere
        return at.replace(tzinfo=UTC)


def _name(name: str) -> str:
    """Prometheus 3 knows names such as `service.name`; ours are those that every expression can name."""
    plain = _NOT_IN_A_NAME.sub("_", name)
    return plain if plain[:1].isalpha() or plain.startswith("_") else f"_{plain}"


def _text(text: str) -> str:
    """JSON may have half a character, which nothing can write down."""
    return text.encode(errors="replace").decode()


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
