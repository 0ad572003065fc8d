"""What a decision is: the incident as it is to be, whom to wake, what to say, and why. Nothing here acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from bot.agents.model import Agent
from bot.incidents.model import Event, Incident, Severity
from bot.incidents.policy import IncidentRules
from bot.incidents.silences import Silence
from bot.oncall.model import Book
from bot.oncall.owners import Reached
from bot.settings import Receiver

ACK_TIMEOUT = {Severity.CRITICAL: timedelta(hours=1), Severity.WARNING: timedelta(hours=4)}
ACK_GRACE = timedelta(minutes=5)  # time to answer "still on it?" before the incident opens again
SYSTEM = "agentpager"


class Say(StrEnum):
    """Messages that wake nobody; the words are those of paging.PageKind."""

    CARD = "card"
    RUNBOOK = "runbook"
    ESCALATED = "escalated"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    NEWS = "news"  # alerts that joined an incident of which people know already


@dataclass(frozen=True)
class World:
    """What decisions depend on besides the incident: the loaded configuration, and the silences of this instant.

    `book_id` is the digest of `book` and `book_doc` the text it was read from, to be kept for the incidents that open
    with it; `books` has the snapshots that running incidents keep, by their digest. `charts` says that pictures can be
    drawn and are wanted. `receivers` are other systems that are told of incidents.
    """

    agents: Mapping[str, Agent]
    book: Book
    channel: str
    rules: IncidentRules = field(default_factory=IncidentRules)
    silences: tuple[Silence, ...] = ()
    book_id: str = ""
    book_doc: str = ""
    books: Mapping[str, Book] = field(default_factory=dict)
    second_channel_after: timedelta = timedelta(seconds=30)
    charts: bool = False
    receivers: Mapping[str, Receiver] = field(default_factory=dict)


def book_of(incident: Incident, world: World) -> Book:
    """The schedules, teams, policies and calendars that the incident started with. Addresses are those of now: only
    who has left the book since is reached as it was written then."""
    kept = world.books.get(incident.book_id) if incident.book_id != world.book_id else None
    if kept is None:
        return world.book
    return kept.model_copy(update={"people": {**kept.people, **world.book.people}})


def snapshot_lost(incident: Incident, world: World) -> bool:
    """Whether what it started with cannot be read any more, so that the book of now stands in."""
    return incident.book_id not in {"", world.book_id} and incident.book_id not in world.books


@dataclass(frozen=True)
class Told:
    """A quiet message to one person: it wakes nobody and asks for nothing."""

    person: str
    text: str


@dataclass(frozen=True)
class Task:
    """Something to mend that cannot be mended now, posted to a channel where its owners read it."""

    channel: str
    text: str


@dataclass(frozen=True)
class Decision:
    """`channels` are paged as the people of `wake` are. `cancel` takes back every page of this incident that is
    not yet claimed. `tell` are quiet messages to single people, `tasks` to the owners of what is to be mended."""

    incident: Incident
    event: Event | None
    why: str
    actor: str = SYSTEM
    wake: tuple[Reached, ...] = ()
    say: tuple[Say, ...] = ()
    cancel: bool = False
    channels: tuple[str, ...] = ()
    tell: tuple[Told, ...] = ()
    tasks: tuple[Task, ...] = ()


def ack_timeout(incident: Incident) -> timedelta:
    default = ACK_TIMEOUT.get(incident.severity, ACK_TIMEOUT[Severity.WARNING])
    if not incident.severity.wakes:
        return default
    chosen = incident.policy.ack_timeout
    return chosen.get("critical" if incident.severity is Severity.CRITICAL else "warning", default)
