"""Silences as people make and end them, the same from Slack, the command line and the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from bot import pipeline
from bot.incidents import silences
from bot.incidents.decision import Decision, World
from bot.incidents.silences import Draft, Silence
from bot.ports import Actor, Clock, Hidden
from bot.store.database import Database

_ENDED_SHOWN = timedelta(days=7)


class SilenceDesk:
    """Implements ports.Silencing. `changed` is called with what a silence that begins or ends has changed."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        changed: Callable[[list[Decision]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._changed = changed

    async def add(self, actor: Actor, draft: Draft, *, event_key: str | None = None) -> tuple[Silence, Hidden]:
        now = self._clock.now()
        made, decisions = await pipeline.silence(self._store, draft, actor.id, self._world(), now, event_key)
        self._changed(decisions)
        return made, await self._hidden(made)

    async def preview(self, actor: Actor, draft: Draft) -> tuple[Silence, Hidden]:
        """What `add` would make and hide; nothing is kept."""
        live = await self._store.unresolved()
        made = silences.make(draft, 0, actor.id, live, self._clock.now(), self._world().agents)
        return made, await self._hidden(made)

    async def expire(self, actor: Actor, silence_id: str) -> Silence:
        number = silence_id.upper().removeprefix("SIL-")
        now = self._clock.now()
        ended, decisions = await pipeline.expire_silence(self._store, f"SIL-{number}", actor.id, self._world(), now)
        self._changed(decisions)
        return ended

    async def silences(self, *, ended: bool = False) -> Sequence[Silence]:
        """Active and pending ones, the first to end first; with `ended` those of the last seven days too."""
        now = self._clock.now()
        found = await self._store.silences(now - _ENDED_SHOWN if ended else now)
        return sorted(found, key=lambda silence: silence.ends_at)

    async def _hidden(self, silence: Silence) -> Hidden:
        live = await self._store.unresolved()
        agents = self._world().agents
        return Hidden(tuple(silences.hidden(silence, live, agents)), tuple(silences.too_severe(silence, live, agents)))
