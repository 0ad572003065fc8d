"""Error budgets, costs and forecasts of agents over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import Field

from bot.ports import Accounts
from bot.records.accounts import BudgetJson, CostJson, ForecastJson, budget_row, cost_json, cost_lines, forecast_json
from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import Query


class Backend(Protocol):
    @property
    def accounts(self) -> Accounts: ...


class OfAgent(Query):
    agent: str | None = None


Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Volume(Query):
    """`at` are runs a day, `budget` dollars for this month."""

    agent: str = Field(min_length=1)
    at: Amount | None = None
    budget: Amount | None = None


class CostTold(CostJson):
    lines: list[str]


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    read = ApiScope.READ
    return [
        Operation("GET", "/api/pager/budgets", paths.budgets, read, "How much of each error budget is left."),
        Operation("GET", "/api/pager/costs", paths.costs, read, "What agents have cost."),
        Operation("GET", "/api/pager/forecast", paths.forecast, read, "What an agent would cost at a volume."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def budgets(self, call: Call[OfAgent, None]) -> list[BudgetJson]:
        return [budget_row(one) for one in await self._backend.accounts.budgets(call.query.agent)]

    async def costs(self, call: Call[OfAgent, None]) -> list[CostTold]:
        told = await self._backend.accounts.spending(call.query.agent)
        return [{**cost_json(one), "lines": cost_lines(one)} for one in told]

    async def forecast(self, call: Call[Volume, None]) -> ForecastJson:
        query = call.query
        return forecast_json(await self._backend.accounts.forecast(query.agent, query.at, query.budget))
