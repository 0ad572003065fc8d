"""Rendered runbooks of the incidents: asked from the watcher, kept in the store, never waited for longer than a
page may wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from bot import pipeline
from bot.errors import AgentpagerError
from bot.incidents.model import Incident, State
from bot.ports import Clock, Watcher
from bot.runbooks.rendered import Rendered
from bot.store.database import Database

log = structlog.get_logger()

PAGE_WAITS = 1.5  # seconds a page waits for its runbook before it goes out without
_CHECK_BUDGET = 1.2  # seconds the checks get before the first answer shows the rest as late
_LATE_BUDGET = 20.0
_ANSWER_SECONDS = 30.0
# Seconds between the looks at a check after its step: a rate over five minutes falls slowly.
LOOKS = (0.0, 60.0, 300.0)
_CHART_SECONDS = 15.0


class Renderings:
    def __init__(
        self,
        store: Database,
        watcher: Watcher,
        clock: Clock,
        on_late: Callable[[str], None],
        looks: Sequence[float] = LOOKS,
    ) -> None:
        self._store = store
        self._watcher = watcher
        self._clock = clock
        self._on_late = on_late
        self._looks = looks
        self._running: dict[str, asyncio.Task[Rendered | None]] = {}
        self._verifying: set[asyncio.Task[None]] = set()

    async def for_page(self, incident: Incident, facts: dict[str, object]) -> Rendered | None:
        """What is known within PAGE_WAITS; whatever comes later arrives by an edit."""
        kept = await self._store.rendering(incident.id)
        if kept is not None or incident.state is State.RESOLVED:
            return kept
        task = self._running.get(incident.id)
        if task is None:
            task = self._start(incident.id, self._fetch(incident, facts))
        done, _ = await asyncio.wait([task], timeout=PAGE_WAITS)
        return task.result() if done else await self._store.rendering(incident.id)

    async def fresh(self, incident: Incident, facts: dict[str, object]) -> Rendered | None:
        """Renders anew, for somebody who opens the runbook now; what is kept when the watcher does not answer."""
        try:
            result = await self._ask(incident, facts, _CHECK_BUDGET, 2 * _CHECK_BUDGET)
        except (AgentpagerError, ValidationError) as error:
            log.warning("render.failed", incident=incident.id, error=str(error))
            return await self._store.rendering(incident.id)
        await pipeline.rendered(self._store, incident.id, result, redraw=False)
        return result

    async def chart(self, incident: Incident, *, as_png: bool) -> dict[str, str]:
        """`{"svg": text, "png": base64}`, empty where there is nothing to draw. Raises AgentpagerError."""
        params = {"incident": incident.model_dump(mode="json"), "png": as_png}
        return dict(await self._watcher.ask("chart", params, _CHART_SECONDS))

    def refresh(self, incident: Incident, facts: dict[str, object]) -> None:
        """Its alerts have changed: other checks may count now, another runbook may apply. Shown by an edit."""
        if incident.id not in self._running:
            self._start(incident.id, self._anew(incident, facts))

    def check_again(
        self, incident_id: str, facts: dict[str, object], tell: Callable[[Rendered], Coroutine[Any, Any, bool]]
    ) -> None:
        """Somebody has done a step: all checks are asked anew, now and some minutes later, until `tell` has heard
        enough. The messages show each answer."""
        task = asyncio.create_task(self._look_again(incident_id, facts, tell), name=f"verify-{incident_id}")
        self._verifying.add(task)
        task.add_done_callback(self._verifying.discard)

    async def _look_again(
        self, incident_id: str, facts: dict[str, object], tell: Callable[[Rendered], Coroutine[Any, Any, bool]]
    ) -> None:
        for wait in self._looks:
            await asyncio.sleep(wait)
            incident = await self._store.incident(incident_id)
            if incident is None or incident.state is State.RESOLVED:
                return
            try:
                result = await self._ask(incident, facts, _LATE_BUDGET, _ANSWER_SECONDS)
                enough = await tell(result)
                await pipeline.rendered(self._store, incident_id, result, redraw=True)
            except (AgentpagerError, ValidationError) as error:
                log.warning("verify.failed", incident=incident_id, error=str(error))
                continue
            self._on_late(incident_id)
            if enough:
                return

    def _start(self, incident_id: str, work: Coroutine[Any, Any, Rendered | None]) -> asyncio.Task[Rendered | None]:
        task = asyncio.create_task(work, name=f"render-{incident_id}")
        self._running[incident_id] = task
        task.add_done_callback(lambda _: self._running.pop(incident_id, None))
        return task

    async def _anew(self, incident: Incident, facts: dict[str, object]) -> Rendered | None:
        try:
            result = await self._ask(incident, facts, _LATE_BUDGET, _ANSWER_SECONDS)
            await pipeline.rendered(self._store, incident.id, result, redraw=True)
        except (AgentpagerError, ValidationError) as error:
            log.warning("render.failed", incident=incident.id, error=str(error))
            return None
        self._on_late(incident.id)
        return result

    async def _fetch(self, incident: Incident, facts: dict[str, object]) -> Rendered | None:
        asked = self._clock.now()
        try:
            result = await self._ask(incident, facts, _CHECK_BUDGET, _ANSWER_SECONDS)
            late = (self._clock.now() - asked).total_seconds() > PAGE_WAITS
            await pipeline.rendered(self._store, incident.id, result, redraw=late)
            if result.late:
                result = await self._complete(incident, facts)
            elif late:
                self._on_late(incident.id)
        except (AgentpagerError, ValidationError) as error:
            log.warning("render.failed", incident=incident.id, error=str(error))
            return Rendered(problem=f"the runbook could not be rendered: {error}", rendered_at=asked)
        return result

    async def _complete(self, incident: Incident, facts: dict[str, object]) -> Rendered:
        result = await self._ask(incident, facts, _LATE_BUDGET, _ANSWER_SECONDS)
        await pipeline.rendered(self._store, incident.id, result, redraw=True)
        self._on_late(incident.id)
        return result

    async def _ask(self, incident: Incident, facts: dict[str, object], budget: float, seconds: float) -> Rendered:
        params = {"incident": incident.model_dump(mode="json"), "facts": facts, "budget": budget}
        return Rendered.model_validate(await self._watcher.ask("render", params, seconds))
