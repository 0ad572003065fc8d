"""The base of every checked, frozen object that comes from a file or crosses the joint, and the types they share."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_UNITS = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


class Model(BaseModel):
    """Frozen; an unknown key is an error."""

    # NaN and Inf cross JSON as strings, otherwise they would arrive as null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


def parse_duration(text: str) -> timedelta:
    """Prometheus' durations: `90s`, `5m`, `1h30m`, `1w`, `0`. Raises ValueError with the way out."""
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f'"{text}" is not a duration; write for example 30s, 5m, 1h30m or 1w')
    numbers = match.groups()
    return timedelta(
        seconds=sum(int(number) * unit for number, unit in zip(numbers, _UNITS.values(), strict=True) if number)
    )


def format_duration(value: timedelta) -> str:
    """The shortest Prometheus spelling: `90s` becomes `1m30s`, nothing becomes `0s`."""
    milliseconds = round(value.total_seconds() * 1000)
    out = ""
    for unit, seconds in _UNITS.items():
        if unit == "y":
            continue
        count, milliseconds = divmod(milliseconds, round(seconds * 1000))
        if count:
            out += f"{count}{unit}"
    return out or "0s"


def _read_duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(format_duration, return_type=str)]
Channel = Annotated[str, Field(pattern=r"^(#[a-z0-9._-]{1,80}|[CG][A-Z0-9]{2,})$", examples=["#agent-pages"])]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+", examples=["https://pager.example.com"])]
