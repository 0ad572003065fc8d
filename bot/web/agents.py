"""The agents and their hand-over bundles over HTTP."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.ports import Bundles
from bot.settings import Http
from bot.web.request import guarded


class Backend(Protocol):
    @property
    def bundles(self) -> Bundles: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    async def agents(_request: Request) -> Response:
        return JSONResponse(list(await backend.bundles.agents()))

    async def one(request: Request) -> Response:
        return JSONResponse(await backend.bundles.bundle(request.path_params["agent"]))

    return [
        Route("/api/pager/agents", guarded(settings, agents), methods=["GET"]),
        Route("/api/pager/agents/{agent}", guarded(settings, one), methods=["GET"]),
    ]
