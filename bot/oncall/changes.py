"""Changes of rotas that people make from Slack or the command line, beside the files: overrides and swaps. Pure.

They count as a file of the configuration does: whoever asks for the book gets it with them in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from bot.complaints import did_you_mean
from bot.errors import ConflictError, UsageError
from bot.oncall.model import Book, Override, Schedule, Swap
from bot.schema import Model

LONGEST = timedelta(days=90)
_WHY = 300


class RotaChange(Model):
    """`id` is `ROTA-<number>`. An override puts `people[0]` on duty, a swap exchanges two people's turns; both from
    `start` until `until`. `by` is who made it, `ended_by` who took it back."""

    id: str
    kind: Literal["override", "swap"]
    schedule: str
    people: tuple[str, ...]
    start: datetime
    until: datetime
    by: str
    at: datetime
    why: str = ""
    ended_by: str | None = None

    def counts(self, now: datetime) -> bool:
        """Whether it says anything about now or later."""
        return self.ended_by is None and self.until > now


@dataclass(frozen=True)
class Plan:
    """A change as somebody asks for it. `schedule` is the name of one, or of a team that has one; `people` are ids."""

    kind: Literal["override", "swap"]
    schedule: str
    people: tuple[str, ...]
    start: datetime
    until: datetime
    why: str = ""


def make(plan: Plan, number: int, by: str, book: Book, now: datetime) -> RotaChange:
    """Raises UsageError when the plan makes no sense, with the way out."""
    schedule = schedule_of(plan.schedule, book)
    if plan.until <= plan.start:
        raise UsageError(f"it would end at {_told(plan.until)}, before it begins at {_told(plan.start)}")
    if plan.until <= now:
        raise UsageError(f"{_told(plan.until)} is past: nothing would change")
    if plan.until - plan.start > LONGEST:
        raise UsageError(f"it would last more than {LONGEST.days} days; write it into the on-call files instead")
    if plan.kind == "swap" and len(set(plan.people)) != 2:
        raise UsageError("a swap is between two people; name the other one")
    unknown = [person for person in plan.people if person not in book.people]
    if unknown:
        raise UsageError(f'there is no person "{unknown[0]}" in oncall/; {did_you_mean(unknown[0], book.people)}')
    return RotaChange(
        id=f"ROTA-{number}",
        kind=plan.kind,
        schedule=schedule,
        people=plan.people,
        start=plan.start,
        until=plan.until,
        by=by,
        at=now,
        why=" ".join(plan.why.split())[:_WHY],
    )


def end(change: RotaChange, by: str, now: datetime) -> RotaChange:
    """Takes it back; what is past of it stays as it was. Raises ConflictError when it counts no more."""
    if change.ended_by is not None:
        raise ConflictError(f"{change.id} was taken back already, by {change.ended_by.removeprefix('person:')}")
    if change.until <= now:
        raise ConflictError(f"{change.id} was over at {_told(change.until)}")
    return change.model_copy(update={"ended_by": by})


def schedule_of(name: str, book: Book) -> str:
    """The schedule that is meant: by its own name, or the one that a team's escalation policy wakes first. Raises
    UsageError when there is none, or several to choose from."""
    kind, colon, rest = name.partition(":")
    wanted = rest if colon and kind in {"schedule", "team"} else name
    if kind != "team" and wanted in book.schedules:
        return wanted
    team = book.teams.get(wanted)
    if team is None:
        hint = did_you_mean(wanted, {*book.schedules, *book.teams})
        raise UsageError(f'there is no schedule and no team "{wanted}"; {hint}')
    policy = book.escalation_policies.get(team.escalation or team.id)
    steps = policy.steps if policy is not None else ()
    levels = ([target for target in step.notify if _is_schedule(target, book)] for step in steps)
    first = next((level for level in levels if level), [])
    several = [target.removeprefix("schedule:") for target in dict.fromkeys(first)]
    if not several:
        raise UsageError(f'team "{wanted}" has no schedule; {did_you_mean(wanted, book.schedules)}')
    if len(several) > 1:
        raise UsageError(f'team "{wanted}" has several schedules; name one: {", ".join(several)}')
    return several[0]


def _is_schedule(target: str, book: Book) -> bool:
    return target.startswith("schedule:") and target.removeprefix("schedule:") in book.schedules


def applied(
    schedules: Mapping[str, Schedule], changes: Sequence[RotaChange], people: Collection[str]
) -> dict[str, Schedule]:
    """The schedules with the changes in them, after what their files say: of two overrides the later one counts. A
    change of a schedule that is gone, or for somebody who is, says nothing: it would leave nobody on duty."""
    found = dict(schedules)
    for change in changes:
        schedule = found.get(change.schedule)
        if schedule is None or change.ended_by is not None or not {*change.people} <= {*people}:
            continue
        if change.kind == "override":
            update: dict[str, object] = {"overrides": (*schedule.overrides, _override(change))}
        else:
            update = {"swaps": (*schedule.swaps, _swap(change))}
        found[change.schedule] = schedule.model_copy(update=update)
    return found


def without(schedule: Schedule, change: RotaChange) -> Schedule:
    """As it is once the change is taken back; the same where it has none of it."""
    if change.kind == "override":
        kept: tuple[object, ...] = tuple(one for one in schedule.overrides if one != _override(change))
        return schedule.model_copy(update={"overrides": kept})
    return schedule.model_copy(update={"swaps": tuple(one for one in schedule.swaps if one != _swap(change))})


def _override(change: RotaChange) -> Override:
    return Override.model_validate({"person": change.people[0], "from": change.start, "until": change.until})


def _swap(change: RotaChange) -> Swap:
    return Swap.model_validate({"people": change.people, "from": change.start, "until": change.until})


def told(change: RotaChange, book: Book, zone: str = "UTC") -> str:
    """`Ben Cole is on call in payments-primary from … until …`, for people; the times in that zone."""
    names = [book.people[one].name if one in book.people else one for one in change.people]
    when = f"from {_told(change.start, zone)} until {_told(change.until, zone)}"
    if change.kind == "override":
        return f"{names[0]} is on call in {change.schedule} {when}"
    return f"{names[0]} and {names[1]} take each other's turns in {change.schedule} {when}"


def _told(at: datetime, zone: str = "UTC") -> str:
    from_zone = at.astimezone(ZoneInfo(zone))
    return f"{from_zone:%a %Y-%m-%d %H:%M} {zone}"
