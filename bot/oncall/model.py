"""People, teams, schedules and escalation policies as written in `oncall/*.yaml`."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, PlainSerializer, model_validator

from bot.labels import parse_matchers
from bot.oncall import turns
from bot.oncall.almanac import NOTHING, Almanac
from bot.oncall.turns import HANDOFF, Every, parse_handoff
from bot.oncall.windows import Window, one_or_several
from bot.schema import Channel, Duration, Model, Positive, Zone, known_zone

BLANK = "none"  # stands for nobody where a person is named


def _known_day(text: str) -> str:
    try:
        if len(text) == len("12-25"):
            date.fromisoformat(f"2024-{text}")  # a leap year: the 29th of February is a day
        elif len(text) != len("2026-12-25") or not date.fromisoformat(text):
            raise ValueError
    except ValueError:
        raise ValueError(f'"{text}" is not a day; write 2026-12-25, or 12-25 for every year') from None
    return text


Day = Annotated[str, AfterValidator(_known_day)]
Email = Annotated[str, Field(pattern=r"^[^\s@<>,;:\"]+@[^\s@<>,;:\"]+$", examples=["ana@example.com"])]
Target = Annotated[str, Field(pattern=r"^(person|team|schedule):[^\s:]+$", examples=["person:ana"])]
StepTarget = Annotated[
    str,
    Field(
        pattern=r"^((person|team|schedule|webhook):[^\s:]+|channel:(#[a-z0-9._-]{1,80}|[CG][A-Z0-9]{2,}))$",
        examples=["person:ana", '"channel:#payments"'],
    ),
]
Urgency = Literal["high", "low"]
ContactName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", examples=["telegram"])]
Waking = Literal["critical", "warning"]
Severities = Annotated[tuple[Waking, ...], BeforeValidator(one_or_several)]
PersonOrZone = Annotated[str, AfterValidator(lambda name: name if name == "person" else known_zone(name))]
Handoff = Annotated[str, Field(pattern=HANDOFF, examples=["Mon 09:00"])]
Turn = Annotated[InstanceOf[Every], BeforeValidator(turns.read_every), PlainSerializer(str, return_type=str)]


OwnerName = Annotated[
    str, Field(pattern=r"^((team|person):)?[^\s:]+$", examples=["team:platform"])
]  # a bare id means a team first, then a person
RouteName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", examples=["platform"])]
Role = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", examples=["sre"])]
UserGroup = Annotated[str, Field(pattern=r"^S[A-Z0-9]{2,}$", examples=["S0615G0KT"])]


class NotificationRule(Model):
    """One way to tell a person, and how long after the page begins."""

    by: Annotated[str, Field(pattern=r"^(slack|email|webhook:[a-z0-9][a-z0-9_-]{0,31})$", examples=["slack", "email"])]
    after: Annotated[Duration, Field(ge=timedelta(), le=timedelta(hours=1))] = timedelta()


class Person(Model):
    """`notification_rules` say by urgency how they are told; what is not written there is filled in when the files are
    read, see paging/notify.py. `contacts` are further addresses, for webhooks. `roles` are what runbooks may ask for
    when an action needs approval."""

    id: str = ""
    name: str
    slack: str = Field(pattern=r"^[UW][A-Z0-9]{2,}$", examples=["U02ABCDEF"])
    email: Email | None = None
    phone: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{5,14}$", examples=["+34600000000"])] | None = None
    contacts: dict[ContactName, str] = {}
    timezone: Zone = "UTC"
    notification_rules: dict[Urgency, Annotated[tuple[NotificationRule, ...], Field(min_length=1)]] = {}
    roles: tuple[Role, ...] = ()


class Team(Model):
    id: str = ""
    members: tuple[str, ...] = Field(min_length=1)
    lead: str | None = None
    channel: Channel | None = None
    escalation: str | None = None


class Layer(Model):
    """People take turns of `every`, handing over at `handoff` in the schedule's zone, the first from `start`; or the
    calendar file `ical` says who. It counts from `start` until `until`, and only within `restrictions`."""

    people: tuple[str, ...] = ()
    every: Turn = Every(timedelta(weeks=1))
    handoff: Handoff = "Mon 09:00"
    start: date | None = None
    until: date | None = None
    restrictions: tuple[Window, ...] = ()
    ical: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        if self.ical is not None:
            if self.people:
                raise ValueError("people come from ical or from people, not from both")
        elif not self.people or self.start is None:
            missing = "start" if self.people else "people"
            raise ValueError(f'missing key "{missing}"; a layer has people and start, or ical')
        if parse_handoff(self.handoff).monthly and not self.every.months:
            raise ValueError(f'hand-off "{self.handoff}" is for turns of months; write every: 1mo')
        return self


class Calendar(Model):
    """A named calendar of holidays: a list of days, an iCal file, the public ones of a country; all of them together.

    A day is `2026-12-25`, or `12-25` for every year.
    """

    id: str = ""
    dates: dict[Day, str] = {}
    ical: str | None = Field(None, min_length=1)
    country: str | None = Field(None, pattern=r"^[A-Z]{2}$", examples=["ES"])
    subdivision: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if not self.dates and self.ical is None and self.country is None:
            raise ValueError("a calendar has dates, ical or country")
        if self.subdivision is not None and self.country is None:
            raise ValueError("a subdivision is part of a country; give that too")
        return self


class Override(Model):
    """`person` replaces whoever the layers name; `none` leaves the time empty. Times without an offset are in the
    schedule's zone."""

    person: str
    start: datetime = Field(alias="from")
    until: datetime


class Swap(Model):
    """Two people take each other's turns for a time."""

    people: tuple[str, ...] = Field(min_length=2, max_length=2)
    start: datetime = Field(alias="from")
    until: datetime


class Schedule(Model):
    """`usergroup` is the user group in Slack that is to hold whoever is on duty."""

    id: str = ""
    timezone: Zone = "UTC"
    layers: tuple[Layer, ...] = Field(min_length=1)
    swaps: tuple[Swap, ...] = ()
    overrides: tuple[Override, ...] = ()
    usergroup: UserGroup | None = None


class Condition(Model):
    """When a step counts: for these severities, while one of `during` is open and none of `outside` is.

    Hours are those of whoever is asked: of a schedule in its zone, of people in theirs; `timezone` names another one,
    or `person` for each person's own.
    """

    severity: Severities = ()
    during: tuple[Window, ...] = ()
    outside: tuple[Window, ...] = ()
    timezone: PersonOrZone | None = None


class Step(Model):
    """Everybody behind `notify` at once. A step whose condition does not hold is passed over."""

    notify: tuple[StepTarget, ...] = Field(min_length=1)
    when: Condition | None = None
    wait: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=5)


class Policy(Model):
    """Steps in order, the whole ladder again `repeat` times, then the fallback, the owner's team and everybody, each
    `fallback_wait` after the last, for ever."""

    id: str = ""
    steps: tuple[Step, ...] = Field(min_length=1)
    repeat: int = Field(3, ge=0, le=20)
    ack_timeout: dict[Literal["critical", "warning"], Positive] = {}
    fallback_wait: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=15)


def _one_matcher(text: str) -> str:
    (matcher, *more) = parse_matchers(text)
    if more:
        raise ValueError(f'"{text}" holds several matchers; give each one by itself')
    return str(matcher)


MatcherText = Annotated[str, AfterValidator(_one_matcher), Field(examples=['team="payments"'])]


class Routing(Model):
    """Alerts that all `matchers` match, and for which nobody answers yet, are this owner's. No matchers match all."""

    matchers: Annotated[tuple[MatcherText, ...], BeforeValidator(one_or_several)] = ()
    owner: OwnerName


class Book(Model):
    """Everything that `oncall/*.yaml` says, merged over all files."""

    people: dict[str, Person] = {}
    teams: dict[str, Team] = {}
    schedules: dict[str, Schedule] = {}
    escalation_policies: dict[str, Policy] = {}
    holidays: dict[str, Calendar] = {}
    routes: dict[RouteName, OwnerName] = {}
    routing: tuple[Routing, ...] = ()
    fallback: Target
    almanac: InstanceOf[Almanac] = Field(NOTHING, exclude=True)
