"""The steps of an incident's runbook over HTTP: what stands in them now, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

from typing_extensions import TypedDict

from bot.errors import UsageError
from bot.incidents.model import Incident, StepMark
from bot.incidents.people import short
from bot.incidents.steps import mark_of
from bot.ports import Commands
from bot.runbooks import progress
from bot.runbooks.rendered import Rendered, RenderedStep
from bot.settings import ApiScope
from bot.web.operation import Call, Dumped, Operation
from bot.web.request import InstantText, Nothing, Who


class Backend(Protocol):
    @property
    def commands(self) -> Commands: ...


class Said(Who):
    """What became of a step. `text` is the answer of a decision or hand-off, or what is wrong or missing."""

    state: Literal["done", "skipped", "failed", "undone", "wrong", "missing"]
    text: str = ""


class MarkJson(TypedDict):
    step: str
    state: str
    at: InstantText
    by: str
    text: str | None


class StepsJson(TypedDict):
    incident: str
    runbook: str
    title: str
    checked_at: InstantText
    done: int
    skipped: int
    failed: int
    total: int
    next: str | None
    steps: list[StepJson]


class SaidJson(TypedDict):
    message: str
    changed: bool
    progress: list[MarkJson]


# Keys that say nothing are left out.
StepJson = Annotated[dict[str, Any], Dumped(RenderedStep, "StepJson", likely=(bool, ...), mark=(MarkJson | None, ...))]


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    all_steps = "/api/pager/incidents/{id}/steps"
    return [
        Operation("GET", all_steps, paths.all, ApiScope.READ, "The steps of the runbook as they stand."),
        Operation("POST", f"{all_steps}/{{step}}", paths.say, ApiScope.ACT, "Says what became of a step."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def all(self, call: Call[Nothing, None]) -> StepsJson:
        commands = self._backend.commands
        incident = await commands.incident(call.of_path("id"))
        rendered = await commands.rendered(incident)
        if rendered is None or not rendered.runbook:
            raise UsageError(f"{incident.id} has no runbook, so it has no steps")
        return steps_json(incident, rendered)

    async def say(self, call: Call[Nothing, Said]) -> SaidJson:
        commands, body = self._backend.commands, call.body
        reference, step = call.of_path("id"), call.of_path("step")
        actor = call.actor(body, commands.book)
        if body.state in {"wrong", "missing"}:
            outcome = await commands.report(actor, reference, step, body.state, body.text)
        else:
            outcome = await commands.step(actor, reference, step, body.state, body.text)
        marks = marks_json(outcome.incident) if outcome.incident is not None else []
        return {"message": outcome.message, "changed": outcome.changed, "progress": marks}


def steps_json(incident: Incident, rendered: Rendered) -> StepsJson:
    following = progress.next_step(rendered, incident.progress)
    counts = progress.counted(rendered, incident.progress)
    return {
        "incident": incident.id,
        "runbook": rendered.runbook,
        "title": rendered.title,
        "checked_at": rendered.rendered_at.isoformat(),
        "done": counts.done,
        "skipped": counts.skipped,
        "failed": counts.failed,
        "total": counts.total,
        "next": following.id if following is not None else None,
        "steps": [_step(incident, rendered, step) for step in progress.shown(rendered, incident.progress)],
    }


def _step(incident: Incident, rendered: Rendered, step: RenderedStep) -> dict[str, Any]:
    """What it says now, and its last mark."""
    mark = mark_of(incident, step.id)
    told = step.model_dump(mode="json", exclude_defaults=True)
    return {**told, "likely": step.number == rendered.likely_step, "mark": _mark(mark) if mark is not None else None}


def marks_json(incident: Incident) -> list[MarkJson]:
    """The last mark of each step, in the order in which they were made."""
    return [_mark(mark) for mark in incident.progress]


def _mark(mark: StepMark) -> MarkJson:
    return {
        "step": mark.step,
        "state": mark.state,
        "at": mark.at.isoformat(),
        "by": short(mark.by),
        "text": mark.text or None,
    }
