"""How runbooks age: when each was reviewed, drilled and last used, whether whoever was woken opened it, which of its
steps nobody does, what was said to be wrong with it. Pure.

Only what people do counts as use: they open it, or mark a step. Reading it in the thread cannot be seen. An incident
counts once it has woken somebody; a drill only as a drill, a test page not at all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pydantic import AwareDatetime, TypeAdapter

from bot.incidents.model import RunbookFault, StepMark
from bot.oncall.model import Book
from bot.records.tables import counted
from bot.records.timeline import plain
from bot.runbooks.model import Runbook
from bot.schema import Model

PARTS = ("exercise", "paged_at", "readers", "progress", "faults")  # of an incident's document, as `use` takes them
ALWAYS = 3  # so often has a step to be skipped, and never done, before it is named
_MARKS = TypeAdapter(tuple[StepMark, ...])
_FAULTS = TypeAdapter(tuple[RunbookFault, ...])
_BY_NOBODY = "agentpager"


@dataclass(frozen=True)
class Use:
    """One incident and its runbook. `opened`: somebody looked at it, or marked a step."""

    incident: str
    runbook: str
    at: datetime
    exercise: str
    woke: bool
    opened: bool
    marks: tuple[StepMark, ...]
    faults: tuple[RunbookFault, ...]


def use(incident: str, at: datetime, runbook: str, parts: str) -> Use:
    """`parts` is the JSON list of what PARTS names."""
    exercise, paged_at, readers, progress, faults = json.loads(parts)
    marks = tuple(mark for mark in _MARKS.validate_python(progress or ()) if mark.by != _BY_NOBODY)
    return Use(
        incident=incident,
        runbook=runbook,
        at=at,
        exercise=exercise or "",
        woke=paged_at is not None,
        opened=bool(readers or marks),
        marks=marks,
        faults=_FAULTS.validate_python(faults or ()),
    )


class SkippedStep(Model):
    """A step that was skipped each time somebody came to it."""

    number: int
    id: str
    title: str
    times: int


class Fault(Model):
    """What somebody said is wrong since the last review; `step` is empty for the runbook as a whole."""

    at: AwareDatetime
    by: str
    incident: str
    kind: str
    step: str
    text: str


class Usage(Model):
    """One runbook over a time. `fired` counts incidents that woke somebody and showed it, `opened` those of them in
    which somebody used it. The rest is of the same time: `last_drilled` is the last drill in which it was used."""

    runbook: str
    title: str
    owner: str
    reviewed_on: date | None
    review_every_days: int
    overdue_days: int
    fired: int
    opened: int
    last_fired: AwareDatetime | None
    last_used: AwareDatetime | None
    last_drilled: AwareDatetime | None
    skipped: tuple[SkippedStep, ...]
    faults: tuple[Fault, ...]


def usages(runbooks: Iterable[Runbook], uses: Collection[Use], today: date) -> list[Usage]:
    """Of each runbook, in the order of their ids; runbooks that are no longer there are left out."""
    by_runbook: dict[str, list[Use]] = {}
    reported: dict[str, list[tuple[str, RunbookFault]]] = {}
    for one in uses:
        if one.exercise != "test":
            by_runbook.setdefault(one.runbook, []).append(one)
        for fault in one.faults:
            reported.setdefault(fault.runbook, []).append((one.incident, fault))
    return [
        _usage(runbook, by_runbook.get(runbook.id, []), reported.get(runbook.id, []), today)
        for runbook in sorted(runbooks, key=lambda one: one.id)
    ]


def _usage(runbook: Runbook, uses: Sequence[Use], reported: Sequence[tuple[str, RunbookFault]], today: date) -> Usage:
    real = [one for one in uses if not one.exercise]
    fired = [one for one in real if one.woke]
    drills = [one.at for one in uses if one.exercise == "drill" and one.opened]
    return Usage(
        runbook=runbook.id,
        title=plain(runbook.title),
        owner=plain(runbook.owner or ""),
        reviewed_on=runbook.reviewed_on,
        review_every_days=runbook.review_every.days,
        overdue_days=overdue_days(runbook, today),
        fired=len(fired),
        opened=sum(one.opened for one in fired),
        last_fired=max((one.at for one in fired), default=None),
        last_used=max((_used_at(one) for one in real if one.opened), default=None),
        last_drilled=max(drills, default=None),
        skipped=tuple(_skipped(runbook, uses)),
        faults=tuple(_unmended(runbook, reported)),
    )


def overdue_days(runbook: Runbook, today: date) -> int:
    """How many days ago it was to be reviewed; 0 when that is to come, or it says no day."""
    if runbook.reviewed_on is None:
        return 0
    return max((today - runbook.reviewed_on - runbook.review_every).days, 0)


def _used_at(one: Use) -> datetime:
    """The last step, else the opening of the incident: when it was read is not written down."""
    return max((mark.at for mark in one.marks), default=one.at)


def _skipped(runbook: Runbook, uses: Sequence[Use]) -> Iterator[SkippedStep]:
    states = [(mark.step, mark.state) for one in uses for mark in one.marks]
    for number, step in enumerate(runbook.steps, 1):
        mine = [state for name, state in states if name == step.id]
        if len(mine) >= ALWAYS and set(mine) == {"skipped"}:
            yield SkippedStep(number=number, id=step.id, title=plain(step.title), times=len(mine))


def _unmended(runbook: Runbook, reported: Sequence[tuple[str, RunbookFault]]) -> Iterator[Fault]:
    """A review after the report counts as its answer."""
    for incident, fault in sorted(reported, key=lambda one: one[1].at):
        if runbook.reviewed_on is None or fault.at.date() >= runbook.reviewed_on:
            yield Fault(
                at=fault.at,
                by=fault.by,
                incident=incident,
                kind=fault.kind,
                step=plain(fault.step),
                text=plain(fault.text),
            )


def complaints(lately: Iterable[Usage], known: Iterable[Usage]) -> list[str]:
    """What is to be mended, the runbooks that failed somebody first. `lately` is of the time that is told of, `known`
    of a longer one: one incident is enough to say that nobody opened it, steps and reports need more time."""
    unopened = [unopened_words(one) for one in _often(lately) if one.fired and not one.opened]
    of_longer = sorted(known, key=lambda one: (-len(one.faults), -one.overdue_days, one.runbook))
    reported = [fault_words(one) for one in of_longer if one.faults]
    skipped = [skipped_words(one, step) for one in of_longer for step in one.skipped]
    overdue = [overdue_words(one) for one in of_longer if one.overdue_days]
    return [*reported, *unopened, *skipped, *overdue]


def _often(found: Iterable[Usage]) -> list[Usage]:
    return sorted(found, key=lambda one: (-one.fired, one.runbook))


def unopened_words(one: Usage) -> str:
    return f"{one.runbook}: woke somebody {times(one.fired)}, and nobody opened it"


def fault_words(one: Usage) -> str:
    last = one.faults[-1]
    where = f"step {last.step} is {last.kind}" if last.step and last.kind == "wrong" else f"something is {last.kind}"
    more = f" ({counted(len(one.faults), 'report')})" if len(one.faults) > 1 else ""
    return f"{one.runbook}: {where}, says {last.incident}: {_short(last.text)}{more}"


def skipped_words(one: Usage, step: SkippedStep) -> str:
    return f"{one.runbook}: step {step.number} ({_short(step.title, 60)}) was skipped each time, {times(step.times)}"


def overdue_words(one: Usage) -> str:
    owner = f", owner {one.owner}" if one.owner else ", and nobody owns it"
    return f"{one.runbook}: last reviewed on {one.reviewed_on}, due every {one.review_every_days} d{owner}"


def times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _short(text: str, most: int = 120) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def of_person(known: Iterable[Usage], person: str, schedules: Collection[str], book: Book) -> list[Usage]:
    """Those that somebody on duty has to rely on: owned by them, by a team of theirs, or by one whose policy wakes
    their schedules; and those that nobody owns."""
    teams = {
        team.id
        for team in book.teams.values()
        if person in team.members or _woken(team.escalation or team.id, schedules, book)
    }
    mine = {"", f"person:{person}", person, *teams, *(f"team:{team}" for team in teams)}
    return [one for one in known if one.owner in mine]


def _woken(policy: str, schedules: Collection[str], book: Book) -> bool:
    known = book.escalation_policies.get(policy)
    return known is not None and any(f"schedule:{name}" in step.notify for step in known.steps for name in schedules)
