"""Error budgets, costs and forecasts of agents over HTTP."""

from __future__ import annotations

import math
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.ports import Accounts
from bot.records.accounts import budget_row, cost_json, cost_lines, forecast_json
from bot.settings import Http
from bot.web.request import BadRequestError, guarded


class Backend(Protocol):
    @property
    def accounts(self) -> Accounts: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/api/pager/budgets", guarded(settings, paths.budgets), methods=["GET"]),
        Route("/api/pager/costs", guarded(settings, paths.costs), methods=["GET"]),
        Route("/api/pager/forecast", guarded(settings, paths.forecast), methods=["GET"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def budgets(self, request: Request) -> Response:
        told = await self._backend.accounts.budgets(request.query_params.get("agent"))
        return JSONResponse([budget_row(one) for one in told])

    async def costs(self, request: Request) -> Response:
        told = await self._backend.accounts.spending(request.query_params.get("agent"))
        return JSONResponse([cost_json(one) | {"lines": cost_lines(one)} for one in told])

    async def forecast(self, request: Request) -> Response:
        agent = request.query_params.get("agent")
        if not agent:
            raise BadRequestError(400, "agent: name the agent")
        told = await self._backend.accounts.forecast(agent, _amount(request, "at"), _amount(request, "budget"))
        return JSONResponse(forecast_json(told))


def _amount(request: Request, name: str) -> float | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise BadRequestError(400, f'{name}: "{given}" is not a number above 0')
    return value
