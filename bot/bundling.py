"""Hand-over bundles of agents by a running server, with all that only it knows. Implements ports.Bundles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from bot.config import Config
from bot.errors import AgentpagerError
from bot.incidents.decision import World
from bot.incidents.model import Incident
from bot.ports import Clock, Gate
from bot.records import bundle
from bot.store.database import Database

log = structlog.get_logger()

_READINESS = "readiness"  # evidence of that kind stands in a part of its own
_EVIDENCE = 200
_SHOWN = 20
_VERDICT_SECONDS = 20.0  # the whole answer must be there before a command gives up


class Bundler:
    def __init__(
        self, store: Database, clock: Clock, world: Callable[[], World], config: Callable[[], Config], gate: Gate
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._config = config
        self._gate = gate

    async def agents(self) -> Sequence[dict[str, Any]]:
        return bundle.listed(self._world(), self._clock.now())

    async def bundle(self, name: str) -> dict[str, Any]:
        world, config, now = self._world(), self._config(), self._clock.now()
        agent = bundle.agent_named(name, world.agents)
        unresolved = [one for one in await self._store.unresolved() if one.agent == agent.id]
        found: dict[str, Incident] = {one.id: one for one in unresolved}
        async for piece in self._store.history.opened(now - timedelta(days=bundle.DAYS), now):
            found |= {one.id: one for one, _ in piece if one.agent == agent.id}
        incidents = sorted(found.values(), key=lambda one: one.opened_at, reverse=True)
        evidence = [one for one in await self._store.evidence(agent.id, None, _EVIDENCE) if one.kind != _READINESS]
        live = bundle.Live(incidents, evidence[:_SHOWN], await self._verdict(agent.id))
        return bundle.bundle(agent, world, config.groups, config.runbooks, now, live)

    async def _verdict(self, agent: str) -> dict[str, Any] | None:
        try:
            verdicts = await asyncio.wait_for(self._gate.verdicts(agent), _VERDICT_SECONDS)
        except (AgentpagerError, TimeoutError) as error:
            log.warning("bundle.no_readiness", agent=agent, error=str(error) or "it took too long")
            return None
        return next((one.model_dump(mode="json") for one in verdicts), None)
