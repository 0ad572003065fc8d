"""The base of every checked, frozen object that comes from a file or crosses the joint, and the types they share."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_UNITS = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_LONGEST = 100 * _UNITS["y"]  # longer ones would leave the calendar when added to an instant
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


class Model(BaseModel):
    """Frozen; an unknown key is an error."""

    # NaN and Inf cross JSON as strings, otherwise they would arrive as null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, in a fifth of the time: a storm makes a hundred thousand copies. None of ours is private."""
        if deep:
            return super().model_copy(update=update, deep=True)
        changes = dict(update or ())
        twin = type(self).__new__(type(self))
        object.__setattr__(twin, "__dict__", self.__dict__ | changes)
        object.__setattr__(twin, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changes.keys())
        object.__setattr__(twin, "__pydantic_extra__", None)
        object.__setattr__(twin, "__pydantic_private__", None)
        return twin


def parse_duration(text: str, longest_seconds: float = _LONGEST) -> timedelta:
    """Prometheus' durations: `90s`, `5m`, `1h30m`, `1w`, `0`. Raises ValueError with the way out."""
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f'"{text}" is not a duration; write for example 30s, 5m, 1h30m or 1w')
    numbers = match.groups()
    seconds = sum(int(number) * unit for number, unit in zip(numbers, _UNITS.values(), strict=True) if number)
    if seconds > longest_seconds:
        raise ValueError(f'"{text}" is too long; the longest duration is {longest_seconds / _UNITS["y"]:.0f}y')
    return timedelta(seconds=seconds)


@lru_cache(1024)
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


def parse_instant(text: str) -> float:
    """Unix seconds from seconds or RFC 3339, as Prometheus' API takes them. Raises ValueError with the way out."""
    for read in (float, lambda written: datetime.fromisoformat(written).timestamp()):
        try:
            return read(text)
        except (ValueError, OverflowError):
            continue
    raise ValueError(f'"{text}" is neither a number of seconds nor an RFC 3339 instant such as 2026-12-24T18:00:00Z')


def _read_duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(format_duration, return_type=str)]
Positive = Annotated[Duration, Field(gt=timedelta())]
Channel = Annotated[str, Field(pattern=r"^(#[a-z0-9._-]{1,80}|[CG][A-Z0-9]{2,})$", examples=["#agent-pages"])]


_URL = re.compile(r"https?://(?:[^\s/@]*@)?([^\s/@?#]+)(?:[/?#]\S*)?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def _check_address(address: str, lowest_port: int = 1) -> None:
    """`host` or `host:port`; a host that ends in a number is an IP address and has to be a whole one.

    Messages do not repeat the address: it may hold a password, and may come from the environment.
    """
    host, colon, port = ("", "", "") if address.endswith("]") else address.rpartition(":")
    if not colon:
        host, port = address, "80"
    if not port.isdecimal() or port != str(int(port)) or not lowest_port <= int(port) <= 65535:
        raise ValueError("the port must be a number between 1 and 65535")
    if _HOST.fullmatch(host) is None:
        raise ValueError("this is not the name or address of a host")
    if host.startswith("[") or host.rpartition(".")[2].isdecimal():
        try:
            ip_address(host.strip("[]"))
        except ValueError:
            raise ValueError("this is not a whole IP address") from None


def read_url(text: str) -> str:
    """The text itself. Raises ValueError with the way out, without repeating the address."""
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("this is not an address; write for example https://pager.example.com")
    _check_address(match[1])
    return text


def _read_listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("there is no port; write for example 127.0.0.1:9095")
    _check_address(f"{host or 'localhost'}:{port}", lowest_port=0)  # 0 takes any free port
    return text


Url = Annotated[str, AfterValidator(read_url)]
Listen = Annotated[str, AfterValidator(_read_listen)]


def known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f'"{name}" is not a time zone; write for example Europe/Madrid or UTC') from None
    return name


Zone = Annotated[str, AfterValidator(known_zone)]
