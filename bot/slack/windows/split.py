"""The window behind “Split one out…”: which incident of a message about several gets a message of its own."""

from __future__ import annotations

from dataclasses import dataclass

from bot.incidents.model import SEVERITY_RANK, Incident, State
from bot.slack.facts import subject_of
from bot.slack.kit import context
from bot.slack.windows.base import NothingToDoError, Visit
from bot.slack.windows.frame import Memory, Values, View, grouped, window


@dataclass(frozen=True)
class SplitWindow:
    name: str = "split"
    checked: bool = False  # what cannot be split out any more is refused with the reason

    def title(self, subject: str) -> str:
        return "Split one out"

    def instead(self, subject: str) -> str:
        return "/agent incidents, then /agent ack INC-… for the one you want"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        shown = [one for one in await visit.desks.commands.shown(memory.subject) if one.state is not State.RESOLVED]
        if len(shown) < 2:
            raise NothingToDoError("Only one incident of that message is not resolved; there is nothing to split.")
        ordered = sorted(shown, key=_worst_first)
        waiting = [_entry(one) for one in ordered if one.state is State.OPEN]
        taken = [_entry(one) for one in ordered if one.state is State.ACKED]
        blocks = [
            grouped("incident", "Which one", [("Nobody has it", waiting), ("Taken", taken)], values.choice("incident")),
            context("It gets a message of its own with its buttons and its runbook; this one goes on for the others."),
        ]
        return window(self.name, self.title(""), "Split out", memory, blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        chosen = values.choice("incident")
        return (await visit.desks.commands.split(visit.actor, memory.subject, chosen, event_key=key)).message


def _worst_first(incident: Incident) -> tuple[int, int]:
    return -SEVERITY_RANK[incident.severity], int(incident.id.removeprefix("INC-"))


def _entry(incident: Incident) -> tuple[str, str]:
    return incident.id, f"{incident.id} · {incident.severity} · {subject_of(incident)}"
