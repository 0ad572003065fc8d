"""What the checks look at: every entry of every file with the place it stands at, broken ones included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bot.agents.model import Agent
from bot.complaints import Path
from bot.errors import Finding, Severity
from bot.incidents.policy import Grouping, InhibitRule, Maintenance, MuteWindow
from bot.oncall import ical
from bot.oncall.model import Calendar, Person, Policy, Routing, Schedule, Team
from bot.rules.model import Rule
from bot.runbooks.model import Runbook
from bot.settings import Notify, Settings
from bot.yamldoc import Document

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Entry(Generic[T_co]):
    """One thing with a name. `value` is None when it is there but broken: its name counts all the same."""

    id: str
    value: T_co | None
    document: Document
    path: Path

    def finding(
        self, path: Path, code: str, message: str, hint: str = "", *, severity: Severity = "error", key: bool = False
    ) -> Finding:
        """A finding at `path` inside this entry."""
        return self.document.finding((*self.path, *path), code, message, hint, severity=severity, key=key)


@dataclass(frozen=True)
class Incidents:
    """Of `incidents/*.yaml`. `once` are the keys that only one file may have."""

    groupings: tuple[Entry[Grouping], ...] = ()
    inhibit_rules: tuple[Entry[InhibitRule], ...] = ()
    mute_windows: tuple[Entry[MuteWindow], ...] = ()
    maintenance: tuple[Entry[Maintenance], ...] = ()
    once: tuple[Entry[object], ...] = ()


@dataclass(frozen=True)
class Subject:
    """`whole` is False when a file is missing or unreadable: then a name that is not there proves nothing."""

    main: Document | None = None
    settings: Settings | None = None
    agents: tuple[Entry[Agent], ...] = ()
    people: tuple[Entry[Person], ...] = ()
    teams: tuple[Entry[Team], ...] = ()
    schedules: tuple[Entry[Schedule], ...] = ()
    policies: tuple[Entry[Policy], ...] = ()
    holidays: tuple[Entry[Calendar], ...] = ()
    routes: tuple[Entry[str], ...] = ()
    routing: tuple[Entry[Routing], ...] = ()
    fallbacks: tuple[Entry[str], ...] = ()
    icals: Mapping[str, tuple[str, ical.Calendar]] = field(default_factory=dict)  # by path as written: name, content
    rules: tuple[Entry[Rule], ...] = ()  # each with the labels of its group
    runbooks: tuple[Entry[Runbook], ...] = ()
    incidents: Incidents = field(default_factory=Incidents)
    whole: bool = True

    @property
    def notify(self) -> Notify:
        return self.settings.notify if self.settings is not None else Notify()


def names(entries: tuple[Entry[T], ...]) -> set[str]:
    return {entry.id for entry in entries}


def sound(entries: tuple[Entry[T], ...]) -> Iterator[tuple[Entry[T], T]]:
    """The entries that could be read, with their values."""
    for entry in entries:
        if entry.value is not None:
            yield entry, entry.value
