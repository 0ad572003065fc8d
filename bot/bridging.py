"""Alerts that other systems send, from their request to the incident. Implements ports.Bridging."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from bot import pipeline, telemetry
from bot.bridges import langfuse
from bot.bridges.model import PayloadError
from bot.bridges.reading import read
from bot.incidents.decision import Decision, World
from bot.incidents.model import Alert
from bot.ports import Clock
from bot.settings import Bridge
from bot.store.database import Database

log = structlog.get_logger()

_SENT_AGAIN = timedelta(minutes=2)  # by then whoever could not reach us has told us what goes on; Prometheus takes one


class BridgeDesk:
    """`bridges` are those of the configuration that runs. `push` writes alerts down, `changed` is called with what ends
    by itself."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        bridges: Callable[[], Mapping[str, Bridge]],
        changed: Callable[[list[Decision]], None],
        push: Callable[[Sequence[Alert]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._bridges = bridges
        self._changed = changed
        self._push = push
        self._since = clock.now()

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
        """How many alerts the request had; they are written down when this returns. Raises PayloadError when not all of
        it could be read; what could be is written down too."""
        bridge = self._bridges()[name]
        alerts, wrong = read(name, bridge, body, more, self._world().agents, self._clock.now())
        if alerts:
            await self._push(alerts)
        if wrong:
            telemetry.bridge_requests.labels(name, "refused").inc()
            log.warning("bridge.refused", bridge=name, error=wrong, taken=len(alerts))
            raise PayloadError(wrong)
        telemetry.bridge_requests.labels(name, "taken" if alerts else "ignored").inc()
        return len(alerts)

    def begin(self) -> None:
        """This process is from now on the one that ends what is not sent any more."""
        self._since = self._clock.now()

    async def tick(self) -> None:
        """Ends what is not sent any more, here or to the API of Alertmanager. What was sent to the process before is
        given time to be sent to this one: nobody could while there was none."""
        now = self._clock.now()
        since = self._since if now - self._since < _SENT_AGAIN else None
        live = (await self._store.live()).incidents.values()
        if any(alert.expired(now, since) for incident in live for alert in incident.going_on):
            self._changed(await pipeline.expire_pushed(self._store.leading, self._world(), now, since))
