"""What people do with the steps of a runbook: marks by person and time, shared by everybody on the incident. Pure.

What a step is comes from outside: here it is an id and the words that name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from bot.errors import ConflictError, UsageError
from bot.incidents import notes, people
from bot.incidents.decision import SYSTEM, Decision, Task, World, book_of
from bot.incidents.model import Event, Incident, RunbookFault, StepMark, next_state
from bot.oncall.model import Book
from bot.oncall.owners import Owner, Reached, people_of, policy_of, reach

MAX_FAULTS = 50
MAX_TEXT = 1000
FaultKind = Literal["wrong", "missing"]
_WORDS = {"done": "done", "skipped": "skipped", "failed": "failed", "undone": "not done after all"}
_ON_ITS_WAY = {"asked": "waits for approval", "running": "is being carried out"}


@dataclass(frozen=True)
class Named:
    """A step as people know it: `label` is `step 3 · Rotate the token`."""

    id: str
    label: str


class AlreadyError(ConflictError):
    """The step is marked like that already: nothing is to be done, and nothing is wrong."""


def mark_of(incident: Incident, step_id: str) -> StepMark | None:
    return next((mark for mark in incident.progress if mark.step == step_id), None)


def with_mark(incident: Incident, mark: StepMark) -> Incident:
    """The last mark of each step counts; the newest stands last."""
    others = tuple(other for other in incident.progress if other.step != mark.step)
    update = {"progress": (*others, mark), "revision": incident.revision + 1}
    return incident.model_copy(update=update)


def mark(incident: Incident, actor: str, step: Named, state: str, text: str, now: datetime) -> Decision:
    """Raises UsageError for a state that is none, AlreadyError when it is marked so, ConflictError while an action is
    on its way."""
    if state not in _WORDS:
        raise UsageError(f'"{state}" is nothing a step can be; write done, skipped, failed or undone')
    told = notes.plain(text)
    if len(told) > MAX_TEXT:
        raise UsageError(f"the text has {len(told)} characters, {MAX_TEXT} at most; write a note for the rest")
    _refuse(mark_of(incident, step.id), step, state, told)
    made = StepMark.model_validate({"step": step.id, "state": state, "at": now, "by": actor, "text": told})
    changed = with_mark(incident, made).model_copy(update={"state": next_state(incident.state, Event.STEPPED)})
    return Decision(changed, Event.STEPPED, _said(step, state, told), actor)


def _refuse(last: StepMark | None, step: Named, state: str, text: str) -> None:
    if last is not None and last.state in _ON_ITS_WAY:
        raise ConflictError(f"{step.label} {_ON_ITS_WAY[last.state]}; nothing else can become of it until that is over")
    if state == "undone" and (last is None or last.state == "undone"):
        raise AlreadyError(f"{step.label} is not marked")
    if last is not None and last.state == state and text in {"", last.text}:
        told = f" ({last.text})" if last.text else ""
        who = people.short(last.by)
        raise AlreadyError(f"{step.label} is {state} already{told}: {who}, {last.at:%H:%M} UTC", last.by)


def _said(step: Named, state: str, text: str) -> str:
    return f"{step.label}: {_WORDS[state]}" + (f", {text}" if text else "")


def hand_off(incident: Incident, actor: str, step: Named, answers: str, now: datetime) -> Decision:
    """Marks the step done and keeps the answers as notes, as many as they need."""
    told = notes.plain(answers)
    if not told:
        raise UsageError(f"{step.label} needs an answer; write what the next one has to know")
    decision = mark(incident, actor, step, "done", "", now)
    changed = decision.incident
    for piece in _pieces(told, notes.MAX_LENGTH):
        changed = notes.note(changed, actor, piece, now).incident
    return replace(decision, incident=changed, why=f"{decision.why}\n{told}")


def _pieces(text: str, length: int) -> list[str]:
    """Whole lines as long as they fit."""
    pieces = [""]
    for line in text.split("\n"):
        for start in range(0, max(len(line), 1), length):
            part = line[start : start + length]
            joined = f"{pieces[-1]}\n{part}" if pieces[-1] else part
            if len(joined) <= length:
                pieces[-1] = joined
            else:
                pieces.append(part)
    return [piece for piece in pieces if piece.strip()]


def escalate(incident: Incident, actor: str, step: Named, to: str, world: World, now: datetime) -> Decision:
    """Pages whom the step names, and marks it done. `to` is `level:2`, `person:x`, `team:x` or `schedule:x`; empty for
    the next level. Raises UsageError when nobody is behind it, ConflictError when that level has been paged: whoever
    asked for it does not ask for the one after it."""
    marked = mark(incident, actor, step, "done", "", now).incident
    before = incident.model_copy(update={"progress": marked.progress})
    kind, _, name = to.partition(":")
    if kind == "level" or not to:
        decision = people.escalate_now(_below(before, to), actor, world, now)
    elif kind == "person":
        decision = people.hand_over(before, actor, name, world, now)
    else:
        decision = _to_several(before, actor, to, world, now)
    return replace(decision, why=f"{decision.why}; {step.label}")


def level_next(incident: Incident, to: str) -> str:
    """Of an escalation to a level: which one that would be now, `level:3` where the second has been paged already.
    Empty for whatever comes after the last level."""
    number = to.partition(":")[2]
    wanted = int(number) if number.isdecimal() else 1
    level = max(min(wanted, len(incident.policy.steps)), incident.step + 2)
    past = incident.exhausted or incident.round > 0 or level > len(incident.policy.steps)
    return "" if past else f"level:{level}"


def _below(incident: Incident, to: str) -> Incident:
    """One level below the one that is named, so that the next one is it."""
    if not to:
        return incident
    number = to.partition(":")[2]
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(f'"{to}" is no level; write for example level:2')
    below = min(int(number), len(incident.policy.steps)) - 2
    if incident.exhausted or incident.round > 0 or below < incident.step:
        raise ConflictError(f"level {number} of {incident.id} has been paged already; escalate it to page the next one")
    return incident.model_copy(update={"step": below})


def _to_several(incident: Incident, actor: str, to: str, world: World, now: datetime) -> Decision:
    """Everybody on duty there is paged; the incident waits for the first of them who does not have it already and has
    not left since it began."""
    book = book_of(incident, world)
    others = tuple(one for one in _on_duty(to, book, incident, now) if f"person:{one.person}" != actor)
    if not others:
        raise UsageError(f'nobody is on duty behind "{to}" besides you; escalate to the next level instead')
    called = tuple(one for one in others if f"person:{one.person}" != incident.acked_by) or others
    heir = next((one for one in called if one.person in world.book.people), called[0])
    decision = people.hand_over(incident, actor, heir.person, world, now)
    names = ", ".join(one.person for one in called)
    why = f"{people.short(actor)} asks {to} for help: {names}"
    return replace(decision, why=why, wake=called)


def _on_duty(to: str, book: Book, incident: Incident, now: datetime) -> Sequence[Reached]:
    """Of a team whoever its policy pages first; the members where it has none."""
    kind = to.partition(":")[0]
    if kind not in {"team", "schedule"}:
        raise UsageError(f'"{to}" is nobody; write level:2, person:…, team:… or schedule:…')
    policy = policy_of(Owner(to, ""), {}, {}, book)[1] if kind == "team" else None
    if policy is not None and (found := reach(policy.steps[0], book, now, incident.severity).people):
        return found
    return people_of([to], book, now)[0]


def verified(incident: Incident, line: str) -> Decision:
    """What a check says after a step, for the record; shown by the runbook itself."""
    return Decision(incident, Event.STEPPED, line, SYSTEM)


def opened(incident: Incident, actor: str) -> Decision:
    """Somebody has read the runbook."""
    if actor in incident.readers:
        return Decision(incident, None, "read before", actor)
    return Decision(incident.model_copy(update={"readers": (*incident.readers, actor)}), None, "read", actor)


def report(
    incident: Incident,
    actor: str,
    runbook: str,
    step: Named | None,
    kind: str,
    text: str,
    told_by: str,
    channel: str,
    now: datetime,
) -> Decision:
    """Somebody says that the runbook is wrong or lacks something: kept with the incident, and filed in `channel`."""
    told = notes.plain(text)
    if kind not in {"wrong", "missing"}:
        raise UsageError(f'"{kind}" is no fault of a runbook; write wrong or missing')
    if not told:
        raise UsageError("say in a few words what is wrong or missing; its owner reads it by day")
    if len(told) > MAX_TEXT:
        raise UsageError(f"the report has {len(told)} characters, {MAX_TEXT} at most")
    if len(incident.faults) >= MAX_FAULTS:
        raise ConflictError(f"{incident.id} has {MAX_FAULTS} reports about its runbook, which is the most")
    fault = RunbookFault.model_validate(
        {
            "at": now,
            "by": actor,
            "runbook": runbook,
            "step": step.id if step is not None else "",
            "kind": kind,
            "text": told,
        }
    )
    place = f", {step.label}" if step is not None else ""
    what = "is wrong" if kind == "wrong" else "lacks something"
    task = f"Runbook {runbook}{place}: {what}\n{told}\n\nSaid by {told_by} while working on {incident.id}."
    update = {"state": next_state(incident.state, Event.REPORTED), "faults": (*incident.faults, fault)}
    changed = incident.model_copy(update=update)
    return Decision(changed, Event.REPORTED, f"{runbook}{place} {what}: {told}", actor, tasks=(Task(channel, task),))
