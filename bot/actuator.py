"""Carries out actions that people have agreed to: sends their requests, again with the same key when no good answer
came, and lets questions that nobody answers run out.

Holds no state that matters: after a crash everything is found again in the rows. One request at a time for each run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bot import acting, telemetry
from bot.acting import Changed
from bot.actions.allowed import problem_of
from bot.actions.model import Run, RunState
from bot.channels.action import ActionDoor
from bot.errors import RemoteError
from bot.incidents.decision import World
from bot.ports import Clock
from bot.sender import Loop
from bot.settings import Actions
from bot.store.database import Database

_AT_ONCE = 8  # requests in flight
_LOOK = 1.0  # seconds between looks at what is due


class Actuator(Loop):
    """`world` and `settings` give the configuration as it is when they are called; `changed` is called with the id of
    an incident whose messages have to be redrawn."""

    def __init__(
        self,
        store: Database,
        door: ActionDoor,
        clock: Clock,
        world: Callable[[], World],
        settings: Callable[[], Actions],
        changed: Callable[[str], None],
    ) -> None:
        super().__init__("actuator")
        self._store = store
        self._door = door
        self._clock = clock
        self._world = world
        self._settings = settings
        self._changed = changed
        self._busy: set[str] = set()

    async def _round(self) -> float:
        for run in await self._store.due_runs(self._clock.now()):
            if run.id not in self._busy and len(self._tasks) < _AT_ONCE:
                self._busy.add(run.id)
                self._begin(run.id, self._work(run), partial(self._busy.discard, run.id))
        return _LOOK

    async def _work(self, run: Run) -> None:
        """Each run by itself: one that cannot be worked in keeps no other waiting."""
        if run.state is RunState.ASKED:
            self._tell(await acting.expire(self._store.leading, run.id, self._world(), self._clock.now()))
        elif run.state is RunState.SENDING:  # we were killed, or could not write down what became of it
            self._tell(await acting.recover(self._store.leading, run.id, self._world(), self._clock.now()))
        else:
            await self._carry_out(run.id)

    async def _carry_out(self, run_id: str) -> None:
        claimed = await acting.claim(self._store.leading, run_id, self._world(), self._clock.now())
        if claimed is None or claimed.run.state is not RunState.SENDING:
            self._tell(claimed)
            return
        if not self._store.leads:  # stopped in between: whoever leads now takes it up
            return
        run = claimed.run
        try:
            answer = await self._ask(run)
        except RemoteError as error:
            changed = await acting.failed(self._store.leading, run.id, error, self._world(), self._clock.now())
            telemetry.action_attempts.labels("failed" if changed.run.over else "again").inc()
        else:
            changed = await acting.finished(self._store.leading, run.id, answer, self._world(), self._clock.now())
            telemetry.action_attempts.labels("done").inc()
        self._tell(changed)

    async def _ask(self, run: Run) -> str:
        """What the configuration allowed when it was asked for may not be allowed any more."""
        services = self._settings().webhooks
        if problem := problem_of(run.call, services):
            raise RemoteError(problem, permanent=True)
        return await self._door.ask(services[run.call.webhook], run.call, run.id, self._clock.now())

    def _tell(self, changed: Changed | None) -> None:
        if changed is not None:
            self._changed(changed.incident.id)
