"""The agents and their hand-over bundles over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from bot.ports import Bundles
from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import Nothing


class Backend(Protocol):
    @property
    def bundles(self) -> Bundles: ...


def operations(backend: Backend) -> Sequence[Operation]:
    async def agents(_call: Call[Nothing, None]) -> list[dict[str, Any]]:
        return list(await backend.bundles.agents())

    async def one(call: Call[Nothing, None]) -> dict[str, Any]:
        return await backend.bundles.bundle(call.of_path("agent"))

    every = "/api/pager/agents"
    return [
        Operation("GET", every, agents, ApiScope.READ, "Each agent with stage, owner and who is on call."),
        Operation("GET", f"{every}/{{agent}}", one, ApiScope.READ, "The hand-over bundle of an agent."),
    ]
