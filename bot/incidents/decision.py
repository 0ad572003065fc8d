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


@dataclass(frozen=True)
class World:
    """What decisions depend on besides the incident: the loaded configuration, and the silences of this instant.

    `book_id` is the digest of `book`; `books` has the snapshots that running incidents keep, by their digest.
    """

    agents: Mapping[str, Agent]
    book: Book
    channel: str
    rules: IncidentRules = field(default_factory=IncidentRules)
    silences: tuple[Silence, ...] = ()
    book_id: str = ""
    books: Mapping[str, Book] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """`channels` are paged as the people of `wake` are. `cancel` takes back every page of this incident that is
    not yet claimed."""

    incident: Incident
    event: Event | None
    why: str
    actor: str = SYSTEM
    wake: tuple[Reached, ...] = ()
    say: tuple[Say, ...] = ()
    cancel: bool = False
    channels: tuple[str, ...] = ()


def ack_timeout(incident: Incident) -> timedelta:
    default = ACK_TIMEOUT.get(incident.severity, ACK_TIMEOUT[Severity.WARNING])
    if not incident.severity.wakes:
        return default
    chosen = incident.policy.ack_timeout
    return chosen.get("critical" if incident.severity is Severity.CRITICAL else "warning", default)
