"""Error budgets, money and vital signs of the agents, read from the track record. Implements ports.Accounts.

Sums over weeks are made once a minute at the most, however many ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot import telemetry
from bot.agents import budget as budgets
from bot.agents import cost
from bot.agents.budget import SUCCESS, Budget
from bot.agents.cost import Forecast, Spending
from bot.agents.model import Agent
from bot.agents.record import HOUR, Sums, by_agent
from bot.agents.vitals import DAY, Vitals, vitals
from bot.complaints import did_you_mean
from bot.config import Config
from bot.errors import UsageError
from bot.ports import Clock
from bot.store.database import Database

_FRESH_SECONDS = 60.0
_LAST_SEEN = timedelta(days=28)  # how far back the last run is looked for


class Accountant:
    def __init__(self, store: Database, clock: Clock, config: Callable[[], Config]) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._sums: dict[timedelta, tuple[float, str, dict[str, Sums]]] = {}

    async def budgets(self, agent: str | None = None) -> Sequence[Budget]:
        """Of every objective of one agent, or of all. Raises UsageError when there is no such agent."""
        now, config = self._clock.now(), self._config()
        found = [await self._success(one, now) for one in self._agents(agent) if one.slo is not None]
        for name in {one.agent for one in config.objectives if agent in {None, one.agent}}:
            found += await self._further(name, now)
        return sorted(found, key=lambda one: (one.agent, one.objective != SUCCESS, one.objective))

    async def vitals(self) -> Mapping[str, Vitals]:
        now = self._clock.now()
        hours = by_agent(await self._store.agent_hours(now - DAY - HOUR, now))
        sums = await self._since(_LAST_SEEN, now)
        told: dict[str, list[Budget]] = {}
        for one in await self.budgets():
            told.setdefault(one.agent, []).append(one)
        return {
            name: vitals(hours.get(name, []), sums.get(name), told.get(name, []), now) for name in self._config().agents
        }

    async def spending(self, agent: str | None = None) -> Sequence[Spending]:
        """Of one agent, or of all. Raises UsageError when there is no such agent."""
        now, zone = self._clock.now(), self._zone()
        agents = self._agents(agent)
        hours = by_agent(await self._store.agent_hours(now - 2 * cost.WEEK, now, agent))
        return [cost.spending(one, hours.get(one.id, []), now, zone) for one in agents]

    async def forecast(self, agent: str, at: float | None = None, budget: float | None = None) -> Forecast:
        """Raises UsageError when there is no such agent."""
        now = self._clock.now()
        (one,) = self._agents(agent)
        hours = await self._store.agent_hours(now - cost.LOOK_BACK, now, agent)
        return cost.forecast(one, hours, at, budget, now, self._zone())

    async def measure(self) -> None:
        """For /metrics. What is not known any more has no series."""
        told = [one for one in await self.budgets() if one.left is not None]
        telemetry.error_budget.clear()
        for one in told:
            telemetry.error_budget.labels(one.agent, one.objective).set(one.left or 0.0)

    def _agents(self, name: str | None) -> list[Agent]:
        agents = self._config().agents
        if name is None:
            return list(agents.values())
        if name not in agents:
            near = did_you_mean(name, set(agents))
            raise UsageError(f'there is no agent "{name}"{f"; {near}" if near else ""}')
        return [agents[name]]

    def _zone(self) -> ZoneInfo:
        """Where days begin and end: as in the digest."""
        return ZoneInfo(self._config().settings.digest.timezone)

    async def _success(self, agent: Agent, now: datetime) -> Budget:
        assert agent.slo is not None
        sums = await self._since(agent.slo.window, now)
        return budgets.success(agent.id, agent.slo.target, agent.slo.window, sums.get(agent.id), now)

    async def _further(self, agent: str, now: datetime) -> list[Budget]:
        mine = [one for one in self._config().objectives if one.agent == agent]
        hours = await self._store.agent_hours(now - max(one.window for one in mine), now, agent)
        return [budgets.objective(agent, one.name, one.title, one.target, one.window, hours, now) for one in mine]

    async def _since(self, window: timedelta, now: datetime) -> dict[str, Sums]:
        at, digest, sums = self._sums.get(window, (0.0, "", {}))
        if time.monotonic() - at > _FRESH_SECONDS or digest != self._config().digest:
            sums = await self._store.agent_sums(budgets.window_of(window, now))
            self._sums[window] = (time.monotonic(), self._config().digest, sums)
        return sums
