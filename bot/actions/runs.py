"""What may become of the run of an action, one function for each event. Pure: acting.py writes it down.

asked ──enough agree──► approved ──claim──► sending ──taken──► done
  │ somebody refuses: refused    ▲             │ refused for good, or too often or too late: failed
  └ nobody in time: expired      └─────────────┘ no good answer, crash: again, with the same key
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bot.actions.model import Approval, Run, RunState
from bot.errors import ConflictError, RemoteError, UsageError
from bot.incidents.model import Incident, State, StepMark
from bot.runbooks.model import Approve
from bot.runbooks.rendered import RenderedCall, RenderedStep

TRIES = 8
GOOD_FOR = timedelta(minutes=10)  # an approval: what it was given for may have passed afterwards
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=60)
_IN_PROGRESS = "409"  # to a repeated key: the first request is still being worked on
_SYSTEM = "agentpager"


@dataclass(frozen=True)
class Wish:
    """What somebody asks for. `token` names what they were shown, see `token_of`; empty: they were shown nothing."""

    run_id: str
    runbook: str
    step: str
    title: str
    kind: Literal["action", "undo"]
    call: RenderedCall
    undo: RenderedCall | None
    approve: Approve
    actor: str
    undoes: str = ""
    token: str = ""
    reason: str = ""


def action_of(step: RenderedStep, runbook: str, actor: str, run_id: str, token: str) -> Wish:
    """Raises UsageError when the step asks nothing of anybody."""
    if step.kind != "action":
        raise UsageError(f'step {step.number} "{step.id}" is no action; actions are the steps with a request')
    if step.call is None:
        raise UsageError(f"the request of step {step.number} cannot be made, for a value is not there; see the runbook")
    approve = step.approve or Approve()
    return Wish(run_id, runbook, step.id, step.title, "action", step.call, step.undo, approve, actor, token=token)


def undo_of(run: Run, actor: str, run_id: str, token: str) -> Wish:
    """Takes back what was done, or may have been. Raises UsageError when its runbook says no way, ConflictError when
    there is nothing to take back."""
    if run.kind == "undo":
        raise UsageError(f"{run.id} is an undo itself; ask for the action anew")
    if run.undo is None:
        raise UsageError(f'the runbook {run.runbook} names no undo for "{run.title}"')
    if run.state is not RunState.DONE and not (run.state is RunState.FAILED and run.unsure):
        raise ConflictError(f'"{run.title}" has not been carried out: it {told(run)}')
    return Wish(run_id, run.runbook, run.step, run.title, "undo", run.undo, None, run.approve, actor, run.id, token)


def token_of(call: RenderedCall, earlier: Sequence[Run]) -> str:
    """Changes with the request, and when something else is asked for the same step."""
    text = "\n".join((call.webhook, call.method, call.path, call.body, *(run.id for run in earlier)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def of_step(runs: Sequence[Run], step: str) -> list[Run]:
    return [run for run in runs if run.step == step]


def ask(incident: Incident, wish: Wish, runs: Sequence[Run], may: Mapping[str, str], now: datetime) -> Run:
    """The new run; approved at once where the word of who asks is enough. `runs` are all of the incident.

    Raises ConflictError when something is under way or has changed since it was looked at, UsageError when there are
    not enough people to agree.
    """
    earlier = of_step(runs, wish.step)
    _refuse_meanwhile(incident, wish, earlier, now)
    person = _person(wish.actor)
    possible = {name: why for name, why in may.items() if wish.approve.self or name != person}
    if len(possible) < wish.approve.min:
        who = ", ".join(wish.approve.by)
        count = f"{wish.approve.min} people" if wish.approve.min > 1 else "one person"
        aside = "" if wish.approve.self else " besides whoever asks"
        found = f"there {'is' if len(possible) == 1 else 'are'} {len(possible)}" if possible else "there is nobody"
        raise UsageError(f"{count} of {who}{aside} have to agree to this, and {found}; do it by hand, or escalate")
    run = Run(
        id=wish.run_id, incident=incident.id, runbook=wish.runbook, step=wish.step, title=wish.title, kind=wish.kind,
        call=wish.call, undo=wish.undo, approve=wish.approve, state=RunState.ASKED, asked_by=wish.actor, asked_at=now,
        asked_of=tuple(possible), reason=wish.reason, undoes=wish.undoes, due_at=now + wish.approve.ttl,
    )  # fmt: skip
    return _agreed(run, wish.actor, now) if person in possible else run


def _refuse_meanwhile(incident: Incident, wish: Wish, earlier: Sequence[Run], now: datetime) -> None:
    if incident.exercise == "test":
        raise ConflictError(f"{incident.id} is a test of a page: nothing is wrong, so nothing is sent")
    if incident.state is State.RESOLVED and wish.kind == "action":
        raise ConflictError(f'{incident.id} is resolved, so "{wish.title}" is not asked for any more')
    for run in earlier:
        if not run.over:
            what = "taking it back" if run.kind == "undo" else "it"
            raise ConflictError(
                f"{_short(run.asked_by)} has asked for {what} already ({_ago(now, run)}): it {told(run)}"
            )
        if run.undoes and run.undoes == wish.undoes and run.state is RunState.DONE:
            raise ConflictError(f'"{wish.title}" has been taken back already')
    if wish.token and wish.token != token_of(wish.call, earlier):
        last = earlier[-1] if earlier else None
        if last is not None and last.asked_by != wish.actor:
            raise ConflictError(f"{_short(last.asked_by)} has just asked for it ({_ago(now, last)}): it {told(last)}")
        raise ConflictError("the request has changed since you looked at it; look at it again")


def agree(run: Run, incident: Incident, actor: str, may: Mapping[str, str], now: datetime) -> Run:
    """Somebody says yes. Raises ConflictError when it is too late, UsageError when their word does not count."""
    _refuse_settled(run, now)
    if incident.state is State.RESOLVED and run.kind == "action":
        raise ConflictError(f'{incident.id} has been resolved, so "{run.title}" is not carried out any more')
    if any(given.by == actor for given in run.approvals):
        missing = run.approve.min - len(run.approvals)
        raise ConflictError(f"you have agreed already; it needs {missing} more")
    person = _person(actor)
    if person not in may:
        raise UsageError(f"nothing was done: this asks for the word of {_or(run.approve.by)}, which is not you")
    if not run.approve.self and actor == run.asked_by:
        raise UsageError("nothing was done: whoever asks for this may not agree to it; somebody else has to")
    return _agreed(run, actor, now)


def _agreed(run: Run, actor: str, now: datetime) -> Run:
    agreed = run.model_copy(update={"approvals": (*run.approvals, Approval(at=now, by=actor))})
    if len(agreed.approvals) < run.approve.min:
        return agreed
    return agreed.model_copy(update={"state": RunState.APPROVED, "approved_at": now, "due_at": now})


def refuse(run: Run, actor: str, may: Mapping[str, str], now: datetime) -> Run:
    """Somebody says no, or takes back what they asked for. One no is enough."""
    _refuse_settled(run, now)
    if _person(actor) not in may and actor != run.asked_by:
        raise UsageError(f"nothing was done: this asks for the word of {_or(run.approve.by)}, which is not you")
    return _ended(run, RunState.REFUSED, now, "").model_copy(update={"refused_by": actor})


def expired(run: Run, now: datetime) -> Run:
    return _ended(run, RunState.EXPIRED, now, "")


def _refuse_settled(run: Run, now: datetime) -> None:
    if run.state is not RunState.ASKED:
        raise ConflictError(f'too late: "{run.title}" {told(run)}')
    if run.due_at is not None and run.due_at <= now:
        raise ConflictError(f'too late: the time to agree to "{run.title}" ended at {run.due_at:%H:%M} UTC; ask anew')


def too_late(run: Run, now: datetime) -> bool:
    """Whether the approval is so old that it is not acted on any more: agentpager was down, say."""
    return run.approved_at is not None and now - run.approved_at > GOOD_FOR


def claimed(run: Run, now: datetime) -> Run:
    return run.model_copy(update={"state": RunState.SENDING, "attempt": run.attempt + 1, "due_at": now})


def given_up(run: Run, now: datetime) -> Run:
    """Approved too long ago. What may have been sent is said."""
    if run.attempt == 0:
        why = f"not sent: the approval is older than {GOOD_FOR.seconds // 60} minutes"
        return _ended(run, RunState.EXPIRED, now, why)
    last = f"; the last answer: {run.answer}" if run.answer else ""
    return _ended(run, RunState.FAILED, now, f"given up after {_tries(run.attempt)}{last}")


def taken(run: Run, answer: str, now: datetime) -> Run:
    """The webhook has done it."""
    return _ended(run, RunState.DONE, now, answer)


def after_failure(run: Run, error: RemoteError, now: datetime) -> Run:
    """Sent again with the same key, unless the webhook refused it for good, or it has been tried too often or too long.
    A connection that was never made leaves nothing unsure."""
    run = run.model_copy(update={"unsure": run.unsure or error.unknown or _broke(error)})
    still_at_it = error.code == _IN_PROGRESS and run.attempt > 1
    if error.permanent and not still_at_it:
        return _ended(run, RunState.FAILED, now, str(error))
    pause = min(_FIRST_PAUSE * 2 ** min(run.attempt - 1, 10), _LONGEST_PAUSE)
    if error.retry_after_seconds is not None:
        pause = max(pause, timedelta(seconds=error.retry_after_seconds))
    if run.attempt >= TRIES:
        return _ended(run, RunState.FAILED, now, f"given up after {_tries(run.attempt)}: {error}")
    if now + pause - (run.approved_at or now) > GOOD_FOR:
        return _ended(
            run, RunState.FAILED, now, f"given up after {_tries(run.attempt)}, it would take too long: {error}"
        )
    return run.model_copy(update={"state": RunState.APPROVED, "due_at": now + pause, "answer": str(error)})


def after_crash(run: Run, now: datetime) -> Run:
    """Found in `sending` though nobody sends it: it goes out again with the same key."""
    update = {"state": RunState.APPROVED, "due_at": now, "unsure": True, "answer": "stopped while sending"}
    return run.model_copy(update=update)


def _broke(error: RemoteError) -> bool:
    """A server that breaks may have done its work first."""
    return error.code.isdigit() and int(error.code) >= 500


def _ended(run: Run, state: RunState, now: datetime, answer: str) -> Run:
    return run.model_copy(update={"state": state, "ended_at": now, "due_at": None, "answer": answer or run.answer})


def mark_of(run: Run, now: datetime) -> StepMark | None:
    """What everybody on the incident sees of it at its step; None where it leaves the step as it was."""
    undo = run.kind == "undo"

    def mark(state: Literal["done", "failed", "asked", "running", "undone"], by: str, text: str) -> StepMark:
        return StepMark(step=run.step, state=state, at=now, by=by, text=text)

    match run.state:
        case RunState.ASKED:
            missing = run.approve.min - len(run.approvals)
            return None if undo else mark("asked", run.asked_by, f"waits for {missing} to agree")
        case RunState.APPROVED | RunState.SENDING:
            by = run.approvals[-1].by if run.approvals else run.asked_by
            return mark("running", by, "being taken back" if undo else run.answer)
        case RunState.DONE:
            return mark("undone" if undo else "done", _SYSTEM, run.answer)
        case RunState.FAILED:
            return mark("failed", _SYSTEM, f"taking it back failed: {run.answer}" if undo else told(run))
        case RunState.REFUSED:
            return None if undo else mark("failed", run.refused_by or _SYSTEM, "refused")
        case RunState.EXPIRED:
            return None if undo else mark("failed", _SYSTEM, told(run))


def told(run: Run) -> str:
    """How it stands, to be put behind a subject: `was refused by ben`."""
    match run.state:
        case RunState.ASKED:
            missing = run.approve.min - len(run.approvals)
            until = f" until {run.due_at:%H:%M} UTC" if run.due_at else ""
            return f"waits for {missing} more to agree{until}"
        case RunState.APPROVED | RunState.SENDING:
            return "is being sent" + (f" again: {run.answer}" if run.answer else "")
        case RunState.DONE:
            return f"has been carried out: {run.answer}"
        case RunState.FAILED:
            return f"failed: {run.answer}" + ("; it may have been carried out all the same" if run.unsure else "")
        case RunState.REFUSED:
            return f"was refused by {_short(run.refused_by)}"
        case RunState.EXPIRED:
            return run.answer or "was not agreed to in time"


def moved(run: Run, jump: timedelta) -> Run:
    """With a clock that was set."""
    update = {name: at + jump for name in ("due_at", "approved_at") if (at := getattr(run, name)) is not None}
    return run.model_copy(update=update)


def bounded(run: Run, now: datetime) -> Run:
    """Waits no longer than its whole wait from now on."""
    latest = now + (run.approve.ttl if run.state is RunState.ASKED else _LONGEST_PAUSE)
    if run.due_at is None or run.due_at <= latest:
        return run
    approved = min(run.approved_at, now) if run.approved_at is not None else None
    return run.model_copy(update={"due_at": latest, "approved_at": approved})


def _person(actor: str | None) -> str:
    """The id of a person; empty for an operator without one, whose word counts for nothing here."""
    return actor.removeprefix("person:") if actor is not None and actor.startswith("person:") else ""


def _short(actor: str | None) -> str:
    return (actor or "nobody").removeprefix("person:")


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)


def _tries(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _ago(now: datetime, run: Run) -> str:
    seconds = max(round((now - run.asked_at).total_seconds()), 0)
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
