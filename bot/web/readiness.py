"""How ready the agents are, over HTTP."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.agents.model import Stage
from bot.agents.readiness import STAGES
from bot.ports import Gate
from bot.settings import Http
from bot.web.request import BadRequestError, guarded


class Backend(Protocol):
    @property
    def gate(self) -> Gate: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    async def readiness(request: Request) -> Response:
        found = await backend.gate.verdicts(request.query_params.get("agent") or None, _stage(request))
        return JSONResponse([one.model_dump(mode="json") for one in found])

    return [Route("/api/pager/readiness", guarded(settings, readiness), methods=["GET"])]


def _stage(request: Request) -> Stage | None:
    given = request.query_params.get("stage")
    if given and given not in STAGES:
        raise BadRequestError(400, f'stage: "{given}" is none of {", ".join(STAGES)}')
    return Stage(given) if given else None
