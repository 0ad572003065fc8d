"""The window behind “Hand to…”: to whom, those on call now first, and what they should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.incidents.model import Incident
from bot.slack.kit import context
from bot.slack.text import clean
from bot.slack.windows.base import NothingToDoError, Visit
from bot.slack.windows.frame import Memory, Values, View, grouped, paragraph, window


@dataclass(frozen=True)
class HandWindow:
    name: str = "hand"
    checked: bool = True

    def title(self, subject: str) -> str:
        return f"Hand over {subject}"

    def instead(self, subject: str) -> str:
        return f"/agent hand {subject} to ben"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        oncall, others = people(visit, incident, visit.desks.commands.oncall())
        if not oncall and not others:
            raise NothingToDoError("There is nobody else in the oncall files to hand it to.")
        groups = [("On call now", oncall), ("Everybody else", others)]
        blocks = [
            grouped("person", "To whom", groups, values.choice("person")),
            paragraph("note", "What they should know", values.text("note"), hint="It is in the page that wakes them."),
            context("They are paged now. Without an answer of theirs the escalation begins."),
        ]
        return window(self.name, self.title(incident.id), "Hand over", memory, blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        outcome = await visit.desks.commands.hand(
            visit.actor, memory.subject, values.choice("person"), note=values.text("note"), event_key=key
        )
        return outcome.message


def people(
    visit: Visit, incident: Incident, roster: dict[str, Any]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Id and name of those on call now, the incident's own schedules first, and of everybody else; without whoever
    hands it over and whoever has it."""
    mine = {target for step in incident.policy.steps for target in step.notify}
    rows = sorted(roster["schedules"], key=lambda row: f"schedule:{row['schedule']}" not in mine)
    duty: dict[str, str] = {}
    for row in rows:
        for person in row["people"]:
            duty.setdefault(str(person), str(row["schedule"]))
    out = {visit.actor.id.removeprefix("person:"), (incident.acked_by or "").removeprefix("person:")}
    book = visit.book.people
    oncall = [(one, f"{clean(book[one].name)[:40]} · {duty[one]}") for one in duty if one in book and one not in out]
    rest = sorted((one for one in book.values() if one.id not in duty and one.id not in out), key=lambda one: one.name)
    return oncall, [(one.id, one.name) for one in rest]
