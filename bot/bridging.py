"""Alerts that other systems send, from their request to the incident. Implements ports.Bridging."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from bot import pipeline, telemetry
from bot.bridges import langfuse
from bot.bridges.model import PayloadError
from bot.bridges.reading import read
from bot.incidents.decision import Decision, World
from bot.ports import Clock
from bot.settings import Bridge
from bot.store.database import Database

log = structlog.get_logger()


class BridgeDesk:
    """`bridges` are those of the configuration that runs, `changed` is called with what an alert has changed."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        bridges: Callable[[], Mapping[str, Bridge]],
        changed: Callable[[list[Decision]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._bridges = bridges
        self._changed = changed

    def admits(self, name: str, token: str, signature: str, raw: bytes) -> bool:
        """Whether there is such a bridge and the sender may use it; which of the two is not told."""
        bridge = self._bridges().get(name)
        if bridge is None:
            return False
        if bridge.token is not None and token:
            return hmac.compare_digest(token.encode(), bridge.token.get_secret_value().encode())
        secret = bridge.secret.get_secret_value() if bridge.secret is not None else ""
        return bool(signature) and langfuse.signed(signature, raw, secret, self._clock.now())

    async def take(self, name: str, body: dict[str, Any], more: Mapping[str, str]) -> int:
        """How many alerts the request had; they are written down when this returns. Raises PayloadError."""
        bridge, world, now = self._bridges()[name], self._world(), self._clock.now()
        try:
            alerts = read(name, bridge, body, more, world.agents, now)
        except PayloadError as error:
            telemetry.bridge_requests.labels(name, "refused").inc()
            log.warning("bridge.refused", bridge=name, error=str(error))
            raise
        telemetry.bridge_requests.labels(name, "taken" if alerts else "ignored").inc()
        if alerts:
            self._changed(await pipeline.push(self._store, alerts, world, now))
        return len(alerts)

    async def tick(self) -> None:
        """Ends what is not sent any more, where a bridge says how long that takes."""
        if any(bridge.resolve_after for bridge in self._bridges().values()):
            self._changed(await pipeline.expire_pushed(self._store, self._world(), self._clock.now()))
