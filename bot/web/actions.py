"""Actions of runbooks over HTTP: what there is, what would be asked for, ask, agree, refuse."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.actions.model import Run
from bot.actions.runs import told
from bot.errors import UsageError
from bot.oncall.model import Book
from bot.ports import Acting, Proposal, Settled
from bot.settings import Http
from bot.web.request import BadRequestError, actor_of, guarded, json_of


class Backend(Protocol):
    @property
    def acting(self) -> Acting: ...

    @property
    def book(self) -> Book: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/api/pager/actions", guarded(settings, paths.all), methods=["GET"]),
        Route("/api/pager/actions", guarded(settings, paths.ask), methods=["POST"]),
        Route("/api/pager/actions/preview", guarded(settings, paths.preview), methods=["POST"]),
        Route("/api/pager/actions/{run}", guarded(settings, paths.one), methods=["GET"]),
        Route("/api/pager/actions/{run}/approve", guarded(settings, paths.agree), methods=["POST"]),
        Route("/api/pager/actions/{run}/refuse", guarded(settings, paths.refuse), methods=["POST"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def all(self, request: Request) -> Response:
        reference = request.query_params.get("incident")
        if not reference:
            raise BadRequestError(400, "name the incident: ?incident=INC-7")
        return JSONResponse([as_json(run) for run in await self._backend.acting.runs(reference)])

    async def one(self, request: Request) -> Response:
        name = request.path_params["run"]
        run = await self._backend.acting.run(name.upper())
        if run is None:
            raise UsageError(f'there is no action "{name}"')
        return JSONResponse(as_json(run))

    async def preview(self, request: Request) -> Response:
        body = await json_of(request)
        actor, (reference, step) = actor_of(body, self._backend.book), _step_of(body)
        found = await self._backend.acting.propose(actor, reference, step, undo=body.get("undo") is True)
        return JSONResponse(_proposal(found))

    async def ask(self, request: Request) -> Response:
        body = await json_of(request)
        actor, (reference, step) = actor_of(body, self._backend.book), _step_of(body)
        more = {name: str(body.get(name) or "") for name in ("token", "reason")}
        undo = body.get("undo") is True
        return _answer(await self._backend.acting.ask(actor, reference, step, undo=undo, **more), 201)

    async def agree(self, request: Request) -> Response:
        actor = actor_of(await json_of(request), self._backend.book)
        return _answer(await self._backend.acting.agree(actor, request.path_params["run"]))

    async def refuse(self, request: Request) -> Response:
        actor = actor_of(await json_of(request), self._backend.book)
        return _answer(await self._backend.acting.refuse(actor, request.path_params["run"]))


def _step_of(body: dict[str, Any]) -> tuple[str, str]:
    reference, step = body.get("incident"), body.get("step")
    if not isinstance(reference, str) or not isinstance(step, str | int) or not reference or step == "":
        raise BadRequestError(400, 'the body has "incident" (INC-7) and "step" (its id or number)')
    return reference, str(step)


def _answer(settled: Settled, status: int = 200) -> Response:
    return JSONResponse({"message": settled.message, "action": as_json(settled.run)}, status)


def _proposal(found: Proposal) -> dict[str, Any]:
    wish = found.wish
    return {
        "incident": found.incident.id,
        "step": wish.step,
        "title": wish.title,
        "undo": wish.kind == "undo",
        "request": wish.call.model_dump(mode="json"),
        "taken_back_by": wish.undo.model_dump(mode="json") if wish.undo is not None else None,
        "needs": wish.approve.min,
        "may_agree": dict(found.may),
        "enough": found.enough,
        "token": wish.token,
        "problem": found.problem or None,
        "earlier": [as_json(run) for run in found.earlier],
    }


def as_json(run: Run) -> dict[str, Any]:
    row = run.model_dump(mode="json", exclude={"call", "undo", "approve"})
    return row | {"request": run.call.model_dump(mode="json"), "needs": run.approve.min, "told": told(run)}
