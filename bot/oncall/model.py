"""People, teams, schedules and escalation policies as written in `oncall/*.yaml`."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from bot.schema import Channel, Duration, Model, Positive

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f'"{name}" is not a time zone; write for example Europe/Madrid or UTC') from None
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
Email = Annotated[str, Field(pattern=r"^[^\s@]+@[^\s@]+$", examples=["ana@example.com"])]
Target = Annotated[str, Field(pattern=r"^(person|team|schedule):[^\s:]+$", examples=["person:ana"])]
Handoff = Annotated[
    str, Field(pattern=r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):[0-5]\d$", examples=["Mon 09:00"])
]


class Person(Model):
    id: str = ""
    name: str
    slack: str = Field(pattern=r"^[UW][A-Z0-9]{2,}$", examples=["U02ABCDEF"])
    email: Email | None = None
    timezone: Zone = "UTC"


class Team(Model):
    id: str = ""
    members: tuple[str, ...] = Field(min_length=1)
    lead: str | None = None
    channel: Channel | None = None
    escalation: str | None = None


class Layer(Model):
    """People take turns of `every`, handing over at `handoff` in the schedule's zone, the first from `start`."""

    people: tuple[str, ...] = Field(min_length=1)
    every: Positive = timedelta(weeks=1)
    handoff: Handoff = "Mon 09:00"
    start: date


class Override(Model):
    """`person` replaces whoever the layers name. Times without an offset are in the schedule's zone."""

    person: str
    start: datetime = Field(alias="from")
    until: datetime


class Schedule(Model):
    id: str = ""
    timezone: Zone = "UTC"
    layers: tuple[Layer, ...] = Field(min_length=1)
    overrides: tuple[Override, ...] = ()


class Step(Model):
    notify: tuple[Target, ...] = Field(min_length=1)
    wait: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=5)


class Policy(Model):
    """Steps in order, the whole ladder again `repeat` times, then the fallback every `fallback_wait` for ever."""

    id: str = ""
    steps: tuple[Step, ...] = Field(min_length=1)
    repeat: int = Field(3, ge=0, le=20)
    ack_timeout: dict[Literal["critical", "warning"], Positive] = {}
    fallback_wait: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=15)


class Book(Model):
    """Everything that `oncall/*.yaml` says, merged over all files."""

    people: dict[str, Person] = {}
    teams: dict[str, Team] = {}
    schedules: dict[str, Schedule] = {}
    escalation_policies: dict[str, Policy] = {}
    fallback: Target
