"""Whose word counts when an action asks for approval."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from bot.incidents.model import Incident
from bot.oncall.model import Book
from bot.oncall.owners import people_of, reach
from bot.runbooks.model import Approve

KINDS = ("person", "team", "role")  # of an entry with a name; the others are `oncall` and `owner`
LEAD = "lead"  # the role that a team gives


def approvers(
    approve: Approve, incident: Incident, paged: Collection[str], book: Book, now: datetime
) -> dict[str, str]:
    """People by id, each with why, in the order of `by`. `paged` are those who have been paged for the incident."""
    found: dict[str, str] = {}
    for name in approve.by:
        for person in _behind(name, incident, paged, book, now):
            if person in book.people:
                found.setdefault(person, words_of(name))
    return found


def words_of(name: str) -> str:
    kind, _, rest = name.partition(":")
    if name == f"role:{LEAD}":
        return "lead of the owner's team"
    return {"oncall": "on call", "owner": "owner", "role": rest, "team": f"team {rest}"}.get(kind, rest)


def _behind(name: str, incident: Incident, paged: Collection[str], book: Book, now: datetime) -> Iterator[str]:
    kind, _, rest = name.partition(":")
    match kind:
        case "oncall":
            yield from _on_call(incident, paged, book, now)
        case "owner":
            yield from (reached.person for reached in people_of([incident.owner], book, now)[0])
        case "role" if rest == LEAD:
            yield from leads(incident.owner, book)
        case "role":
            yield from (person.id for person in book.people.values() if rest in person.roles)
        case _:
            yield from (reached.person for reached in people_of([name], book, now)[0])


def _on_call(incident: Incident, paged: Collection[str], book: Book, now: datetime) -> Iterator[str]:
    """Who has it, who was paged for it, and who would be by the levels that it has reached."""
    for holder in (incident.acked_by, incident.assigned):
        if holder:
            yield holder.removeprefix("person:")
    yield from paged
    for step in incident.policy.steps[: max(incident.step, 0) + 1]:
        yield from (reached.person for reached in reach(step, book, now, incident.severity).people)


def leads(owner: str, book: Book) -> Iterator[str]:
    """Of the team that owns it; where a person does, of the teams that person is in."""
    kind, _, name = owner.partition(":")
    for team in book.teams.values():
        mine = team.id == name if kind == "team" else kind == "person" and name in team.members
        if mine and team.lead is not None:
            yield team.lead
