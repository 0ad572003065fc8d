"""Drills that people ask for, and what becomes of them while nobody clicks. Implements ports.Drilling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import structlog

from bot import pipeline
from bot.agents.evidence import Evidence
from bot.errors import RemoteError, UsageError
from bot.incidents import drill
from bot.incidents.decision import Decision, World
from bot.incidents.drill import Drill, Drills
from bot.incidents.model import State
from bot.labels import Labels
from bot.paging import legs
from bot.ports import Actor, Begun, Clock, Watcher
from bot.store.database import Database

log = structlog.get_logger()

_ASK_SECONDS = 2.0
_TOLD_AGAIN = 5.0  # seconds after which the watcher is told once more of a drill that has not fired
_MOST = 1000  # of what is past


class DrillDesk:
    """`runbooks` are the ids of those that there are; `changed` is called with decisions that have just been written
    down."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        runbooks: Callable[[], Collection[str]],
        watcher: Watcher,
        changed: Callable[[list[Decision]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._runbooks = runbooks
        self._watcher = watcher
        self._changed = changed
        self._told: list[Labels] | None = None  # None: the watcher may know others
        self._told_at = 0.0
        self._telling = asyncio.Lock()  # what is told later is newer
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(
        self, actor: Actor, agent: str, *, runbook: str = "", whole_ladder: bool = False, event_key: str | None = None
    ) -> Begun:
        world, now = self._world(), self._clock.now()

        def make(drills: Drills) -> tuple[Drills, Drill]:
            return drill.begun(
                drills,
                agent,
                actor.id,
                actor.name,
                world,
                now,
                runbook=runbook,
                runbooks=self._runbooks(),
                whole_ladder=whole_ladder,
            )

        begun = await pipeline.begin_drill(self._store, make, now, event_key)
        if begun is None:
            return Begun(None, "that has been recorded already")
        level = drill.first_level(drill.agent_named(begun.agent, world), world, now)
        names = ", ".join(
            world.book.people[one.person].name if one.person in world.book.people else one.person
            for one in level.people
        )
        self._tell_soon()
        minutes = round((drill.ACK_WITHIN + drill.STEP_WITHIN).total_seconds() / 60)
        others = "then the next levels" if whole_ladder else "nobody else is woken"
        told = f"{begun.id}: DRILL of {begun.agent}. Its alert fires now and pages {names} by the way of a real one; "
        told += f"{others}. Acknowledged, and with the first step of the runbook marked, it is over and tells how long "
        told += "everything took." if whole_ladder else f"everything took; after {minutes} min it is over anyhow."
        return Begun(begun, told)

    async def running(self) -> Sequence[Drill]:
        return (await self._kept()).running

    async def past(self, agent: str | None = None) -> Sequence[Evidence]:
        if agent is not None:
            agent = drill.agent_named(agent, self._world()).id
        return await self._store.evidence(agent, legs.KIND, _MOST)

    async def one(self, name: str) -> Drill | Evidence:
        wanted = f"DRILL-{name.upper().removeprefix('DRILL-')}"
        if (under_way := (await self._kept()).named(wanted)) is not None:
            return under_way
        past = await self._store.evidence(None, legs.KIND, _MOST)
        found = next((one for one in past if one.detail.get("drill") == wanted), None)
        if found is None:
            raise UsageError(f'there is no drill "{name}"; `agentpager drill --list` shows them')
        return found

    async def _kept(self) -> Drills:
        return Drills.model_validate_json(await self._store.key(pipeline.DRILLS) or "{}")

    async def tick(self) -> None:
        """Sees to it that the watcher knows those under way."""
        await self._tell()

    async def end(self) -> None:
        """Ends what is over, and gives up what never fired: one process does it for all."""
        drills = await self._kept()
        world, now = self._world(), self._clock.now()
        if any(one.incident is None and drill.late(one, now) for one in drills.running):
            for one in await pipeline.give_up_drills(self._store.leading, world, now):
                log.warning("drill.not_fired", drill=one.id, agent=one.agent)
            self._changed([])
        if await self._any_over(drills):
            self._changed(await pipeline.end_drills(self._store.leading, world, now))

    async def _any_over(self, drills: Drills) -> bool:
        for one in drills.running:
            incident = await self._store.incident(one.incident) if one.incident is not None else None
            if incident is not None and (drill.shown(incident) or incident.state is State.RESOLVED):
                return True
        return False

    def _tell_soon(self) -> None:
        """Nobody who asks for a drill waits for the watcher."""
        task = asyncio.create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        """A watcher that cannot be told now gets it with its configuration, or at the next tick."""
        async with self._telling:
            await self._tell_of(await self._kept())

    async def _tell_of(self, drills: Drills) -> None:
        labels = [one.labels for one in drills.running]
        waiting = any(one.incident is None for one in drills.running)
        again = waiting and time.monotonic() - self._told_at > _TOLD_AGAIN
        if labels == self._told and not again:
            return
        try:
            await self._watcher.ask("drills", {"drills": labels}, _ASK_SECONDS)
        except RemoteError as error:
            self._told = None
            log.info("drill.watcher_not_told", error=str(error))
            return
        self._told, self._told_at = labels, time.monotonic()
