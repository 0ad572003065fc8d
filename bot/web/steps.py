"""The steps of an incident's runbook over HTTP: what stands in them now, and what became of each."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.errors import UsageError
from bot.incidents.model import Incident, StepMark
from bot.incidents.people import short
from bot.incidents.steps import mark_of
from bot.ports import Commands
from bot.runbooks import progress
from bot.runbooks.rendered import Rendered, RenderedStep
from bot.settings import Http
from bot.web.request import actor_of, guarded, json_of

_FAULTS = {"wrong", "missing"}


class Backend(Protocol):
    @property
    def commands(self) -> Commands: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/api/pager/incidents/{id}/steps", guarded(settings, paths.all), methods=["GET"]),
        Route("/api/pager/incidents/{id}/steps/{step}", guarded(settings, paths.say), methods=["POST"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def all(self, request: Request) -> Response:
        commands = self._backend.commands
        incident = await commands.incident(request.path_params["id"])
        rendered = await commands.rendered(incident)
        if rendered is None or not rendered.runbook:
            raise UsageError(f"{incident.id} has no runbook, so it has no steps")
        return JSONResponse(steps_json(incident, rendered))

    async def say(self, request: Request) -> Response:
        commands, body = self._backend.commands, await json_of(request)
        reference, step = request.path_params["id"], request.path_params["step"]
        state, text = str(body.get("state") or ""), str(body.get("text") or "")
        actor = actor_of(body, commands.book)
        if state in _FAULTS:
            outcome = await commands.report(actor, reference, step, state, text)
        else:
            outcome = await commands.step(actor, reference, step, state, text)
        marks = marks_json(outcome.incident) if outcome.incident is not None else []
        return JSONResponse({"message": outcome.message, "changed": outcome.changed, "progress": marks})


def steps_json(incident: Incident, rendered: Rendered) -> dict[str, Any]:
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
    """What it says now, and its last mark; keys that say nothing are left out."""
    mark = mark_of(incident, step.id)
    told = step.model_dump(mode="json", exclude_defaults=True)
    return {**told, "likely": step.number == rendered.likely_step, "mark": _mark(mark) if mark is not None else None}


def marks_json(incident: Incident) -> list[dict[str, Any]]:
    """The last mark of each step, in the order in which they were made."""
    return [_mark(mark) for mark in incident.progress]


def _mark(mark: StepMark) -> dict[str, Any]:
    return {
        "step": mark.step,
        "state": mark.state,
        "at": mark.at.isoformat(),
        "by": short(mark.by),
        "text": mark.text or None,
    }
