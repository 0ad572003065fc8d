"""What every window can be asked for. The windows themselves know no client of Slack: `opening.py` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.errors import AgentpagerError
from bot.incidents.model import Incident
from bot.oncall.model import Book
from bot.ports import Actor
from bot.slack.reception import Desks
from bot.slack.windows.frame import Memory, Values, View


class InputError(AgentpagerError):
    """What stands in one input cannot be taken; the message is shown under it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class NothingToDoError(AgentpagerError):
    """There is nothing to ask any more; the message takes the place of the window."""


@dataclass(frozen=True)
class Visit:
    """Who is at a window, and what can be asked and done there."""

    desks: Desks
    actor: Actor
    now: datetime

    @property
    def book(self) -> Book:
        return self.desks.commands.book

    @property
    def zone(self) -> str:
        return self.actor.person.timezone if self.actor.person else "UTC"

    async def incident(self, memory: Memory) -> Incident:
        return await self.desks.commands.incident(memory.subject)


class Window(Protocol):
    """`checked`: what has changed since it was drawn is told before anything is done."""

    @property
    def name(self) -> str: ...

    @property
    def checked(self) -> bool: ...

    def title(self, subject: str) -> str: ...

    def instead(self, subject: str) -> str:
        """The words that do the same where no window can be opened."""

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        """Raises NothingToDoError, or any other AgentpagerError, with what to show instead."""

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        """Carries it out and says what became of it. `key` makes a second delivery harmless. Raises InputError."""
