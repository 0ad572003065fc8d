"""How ready the agents are, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from bot.agents.model import Stage
from bot.ports import Gate
from bot.readiness.model import Verdict
from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import Query


class Backend(Protocol):
    @property
    def gate(self) -> Gate: ...


class For(Query):
    """`stage` instead of the agent's own."""

    agent: str | None = None
    stage: Literal["pilot", "crawl", "walk", "run"] | None = None


def operations(backend: Backend) -> Sequence[Operation]:
    async def readiness(call: Call[For, None]) -> list[Verdict]:
        stage = Stage(call.query.stage) if call.query.stage else None
        return list(await backend.gate.verdicts(call.query.agent or None, stage))

    return [Operation("GET", "/api/pager/readiness", readiness, ApiScope.READ, "How ready each agent is.")]
