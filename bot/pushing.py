"""Alerts that rules of others send us, and what of ours they may ask for. Implements ports.Pushing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from bot.alertmanager import incoming
from bot.alertmanager.incoming import PostedError
from bot.incidents.model import Alert, Incident
from bot.ports import Clock
from bot.store.database import Database

log = structlog.get_logger()


class PushDesk:
    """`push` writes alerts down; `resolve_timeout` is that of the configuration which runs."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        resolve_timeout: Callable[[], timedelta],
        push: Callable[[Sequence[Alert]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._resolve_timeout = resolve_timeout
        self._push = push

    async def take(self, posted: Any) -> None:
        """They are written down when this returns. Raises PostedError when some cannot be read; the others are."""
        refused = None
        try:
            alerts: Sequence[Alert] = incoming.read(posted, self._resolve_timeout(), self._clock.now())
        except PostedError as error:
            refused, alerts = error, error.others
            log.warning("alerts.refused", error=str(error), taken=len(alerts))
        if alerts:
            await self._push(alerts)
        if refused is not None:
            raise refused

    async def incidents(self) -> list[Incident]:
        """All that are not resolved, but exercises."""
        return [one for one in await self._store.unresolved() if not one.exercise]
