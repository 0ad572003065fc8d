"""Socket Mode: a few connections at a time, so that a click gets through while one of them is renewed or dead.

Each connection is a client of the SDK with one session. The SDK judges by the wall clock, closes the old connection
before it has a new one, and can go on trying one dead address for ever. So whenever a client wants to reconnect, shows
no sign of life on a clock that never steps, or comes near the age at which Slack ends it, a new one is made for its
seat; the old one goes when the new one stands and everything that came by the old one is answered.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot import telemetry
from bot.slack.canary import Canary
from bot.slack.deliveries import Deliveries, event_key
from bot.slack.web import quiet_logger, redact

logger = logging.getLogger(__name__)

DEAF_SECONDS = 30.0
_PING_SECONDS = 5.0
_LOOK_SECONDS = 0.25
_CLOSE_SECONDS = 2.0
_HANDOVER_SECONDS = 60.0  # an old connection that still works is kept this long for a new one to stand
_LAST_ANSWERS_SECONDS = 10.0  # Slack closes a connection about this long after it has asked for a new one
_ANSWER_SECONDS = 4.0  # what came at the last moment is answered by its own connection
_LASTING_SECONDS = 30.0  # a connection that is closed sooner was not welcome
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 5.0  # seconds, of the first seat
_LONGEST_PAUSE_BEYOND = 600.0  # of the others: they are a precaution
_PLANNED_SHARE = 0.9  # of the age at which Slack ends a connection, for the first seat; each other one earlier
_PLANNED_STEP = 0.1
_SHORTEST_LIFE = 300.0  # below this an announced age is left to Slack


class _Line:
    """One client of the SDK, with its one connection. `elsewhere` gives the others that are up, to answer by."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        web: AsyncWebClient,
        ping_seconds: float,
        deliveries: Deliveries,
        elsewhere: Callable[[], list[_Line]],
        notice: Callable[[dict[str, Any]], None],
    ) -> None:
        self.client = SocketModeClient(
            app_token=app_token,
            logger=quiet_logger("bot.slack.socket_mode"),
            web_client=web,
            ping_interval=ping_seconds,
            on_message_listeners=[self._heard],
        )
        self.client.socket_mode_request_listeners.append(self._take)  # type: ignore[arg-type]
        self._app = app
        self._deliveries = deliveries
        self._elsewhere = elsewhere
        self._notice = notice
        self._frames = 0
        self._last_sign: tuple[object, ...] = ()
        self._connecting: asyncio.Task[None] | None = None
        self.alive_at = _now()
        self.up_at: float | None = None
        self.answering = 0
        self.lives_for: float | None = None  # seconds, as Slack says in its hello
        self.farewell = ""  # why Slack ends it

    def open(self) -> None:
        self._connecting = asyncio.create_task(self._connect(), name="slack-socket-connect")

    @property
    def up(self) -> bool:
        session = self.client.current_session
        return session is not None and not session.closed

    def look(self) -> None:
        """A sign of life is a frame, or the answer to a ping."""
        sign = (id(self.client.current_session), self.client.last_ping_pong_time, self._frames)
        if sign != self._last_sign:
            self._last_sign, self.alive_at = sign, _now()
        if self.up_at is None and self.up:
            self.up_at = _now()

    def silent_for(self) -> float:
        return _now() - self.alive_at

    def age(self) -> float:
        """Seconds since it stood; nothing while it never has."""
        return 0.0 if self.up_at is None else _now() - self.up_at

    async def close(self) -> None:
        """Without waiting for a peer that no longer answers."""
        client = self.client
        client.closed = True
        client.auto_reconnect_enabled = False
        tasks = [self._connecting, client.message_processor, client.current_session_monitor, client.message_receiver]
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                if client.current_session is not None:
                    await client.current_session.close()
        except (TimeoutError, OSError) as error:
            logger.info("slack socket: closed without goodbye: %s", redact(str(error)))
        await client.aiohttp_client_session.close()

    async def _connect(self) -> None:
        await self.client.connect()  # type: ignore[no-untyped-call]

    async def _take(self, _client: SocketModeClient, request: SocketModeRequest) -> None:
        """Carries out what Slack hands over, once for each envelope and event, and answers where a connection is."""
        self.answering += 1
        try:
            self._notice(request.payload)
            event = event_key(request.payload)
            keys = [f"envelope|{request.envelope_id}", *([event] if event else [])]
            answer = await self._deliveries.once(
                keys, functools.partial(run_async_bolt_app, self._app, request), [event] if event else []
            )
            line = self if self.up else next(iter(self._elsewhere()), self)
            await send_async_response(line.client, request, answer, 0.0)
        except (ConnectionError, OSError) as error:
            logger.warning("slack socket: an answer was lost with its connection: %s", redact(str(error)))
        finally:
            self.answering -= 1

    async def _heard(self, message: Any) -> None:
        self._frames += 1
        said = _read(message.data)
        if said.get("type") == "disconnect":
            self.farewell = str(said.get("reason") or "unknown")
        elif said.get("type") == "hello":
            seconds = (said.get("debug_info") or {}).get("approximate_connection_time")
            self.lives_for = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None


@dataclass
class _Seat:
    """A place for one connection. `line` is None while it waits for its next try."""

    number: int
    line: _Line | None = None
    try_at: float = 0.0
    unwelcome: int = 0  # connections in a row that were closed as soon as they stood


class SocketLink:
    """`web` must carry the address of the API; the application token is given to apps.connections.open alone. `bot` is
    our own id, by which Slack marks what we have posted ourselves. While `spare` says no, other processes keep
    connections too and the first one is enough: Slack opens about one a minute for all of them, and ten in all."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        web: AsyncWebClient,
        deliveries: Deliveries,
        bot: str,
        *,
        sockets: int = 1,
        spare: Callable[[], bool] = lambda: True,
        deaf_seconds: float = DEAF_SECONDS,
    ) -> None:
        self._spare = spare
        ping_seconds = min(_PING_SECONDS, deaf_seconds / 4)
        self._make = functools.partial(
            _Line, app, app_token, web, ping_seconds, deliveries, self._others_up, self._notice
        )
        self._bot = bot
        self._deaf_seconds = deaf_seconds
        self._seats = [_Seat(number) for number in range(sockets)]
        self._watching: asyncio.Task[None] | None = None
        self._retiring: dict[asyncio.Task[None], _Line] = {}
        self.canary = Canary()
        self.renewed: dict[str, int] = {}  # by reason

    async def start(self) -> None:
        """Returns at once; connecting goes on in the background for as long as it takes. The first connection stands
        before the others are asked for."""
        self._open(self._seats[0])
        self._watching = asyncio.create_task(self._watch(), name="slack-socket-watchdog")

    async def stop(self) -> None:
        tasks = [*self._retiring, *([self._watching] if self._watching is not None else [])]
        lines = self.lines
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(line.close() for line in lines))
        for seat in self._seats:
            seat.line = None
        self._watching = None
        self._retiring.clear()
        telemetry.slack_connections.set(0)

    @property
    def lines(self) -> list[_Line]:
        """Those that are to stay, then those that are going."""
        return [*(seat.line for seat in self._seats if seat.line is not None), *self._retiring.values()]

    def healthy(self) -> bool:
        """One connection that shows signs of life is enough for a click."""
        return self._alive() > 0

    def _alive(self) -> int:
        return sum(line.up and line.silent_for() < self._deaf_seconds for line in self.lines)

    def _notice(self, payload: dict[str, Any]) -> None:
        """What we have posted comes back as an event: the way of events works. Bolt keeps our own from us."""
        event = payload.get("event")
        if not isinstance(event, dict) or not self._bot or event.get("bot_id") != self._bot:
            return
        if event.get("type") == "message" and not event.get("subtype"):
            self.canary.heard(str(event.get("channel") or ""), str(event.get("ts") or ""), _now())

    def _others_up(self) -> list[_Line]:
        return [line for line in self.lines if line.up]

    def _open(self, seat: _Seat) -> None:
        line = self._make()

        async def renew(force: bool = False) -> None:
            self._renew(seat, line, line.farewell or "closed")

        # The one place at which the SDK's client would reconnect by itself.
        line.client.connect_to_new_endpoint = renew  # type: ignore[method-assign]
        seat.line = line
        line.open()

    def _renew(self, seat: _Seat, old: _Line, reason: str) -> None:
        if seat.line is not old:
            return
        self.renewed[reason] = self.renewed.get(reason, 0) + 1
        telemetry.slack_renewals.labels(_REASONS.get(reason, "closed")).inc()
        if reason == "link_disabled":
            logger.error("slack socket: Socket Mode is switched off; turn it on under Settings › Socket Mode")
        old.look()
        short = reason not in _OUR_REASONS and old.age() < _LASTING_SECONDS
        seat.unwelcome = seat.unwelcome + 1 if short else 0
        pause = _pause(seat.number, seat.unwelcome)
        if pause:
            seat.line, seat.try_at = None, _now() + pause
            logger.info("slack socket %d: closed at once, next try in %.0f s", seat.number, pause)
        else:
            self._open(seat)
        task = asyncio.create_task(self._retire(old, seat), name="slack-socket-handover")
        self._retiring[task] = old
        task.add_done_callback(lambda done: self._retiring.pop(done, None))

    async def _retire(self, old: _Line, seat: _Seat) -> None:
        """Waits while the old one may still bring or answer something."""

        def waits_for_the_new_one() -> bool:
            heard = old.silent_for() < self._deaf_seconds or self._others_up() == [old]
            return old.up and heard and not (seat.line is not None and seat.line.up)

        await _while(waits_for_the_new_one, _HANDOVER_SECONDS)
        deaf = old.silent_for() >= self._deaf_seconds
        await _while(lambda: old.up and not deaf, _LAST_ANSWERS_SECONDS)
        await _while(lambda: old.answering > 0, _ANSWER_SECONDS)
        await old.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for line in self.lines:
                line.look()
            for seat in self._seats:
                self._look_after(seat)
            if self.canary.overdue(_now()):
                self._renew_all("unheard")
            telemetry.slack_connections.set(self._alive())

    def _look_after(self, seat: _Seat) -> None:
        line = seat.line
        if line is None and seat.number > 0 and not self._spare():
            return
        if line is None:
            first = self._seats[0].line
            if _now() >= seat.try_at and (seat.number == 0 or (first is not None and first.up)):
                self._open(seat)
            return
        silent = line.silent_for()
        if silent >= self._deaf_seconds:
            logger.warning("slack socket %d: no sign of life for %.0f s, connecting anew", seat.number, silent)
            self._renew(seat, line, "deaf")
        elif line.lives_for is not None and line.lives_for >= _SHORTEST_LIFE and self._alive() >= self._wanted():
            share = _PLANNED_SHARE - _PLANNED_STEP * seat.number
            if line.age() >= line.lives_for * share:
                self._renew(seat, line, "planned")

    def _wanted(self) -> int:
        return len(self._seats) if self._spare() else 1

    def _renew_all(self, why: str) -> None:
        logger.warning("slack socket: a message of our own was not heard back, connecting anew")
        for seat in self._seats:
            if seat.line is not None:
                self._renew(seat, seat.line, why)


_OUR_REASONS = {"planned", "deaf", "unheard"}
# Slack's reasons, and ours, as the metric names them.
_REASONS = {"warning": "refresh", "refresh_requested": "refresh", "link_disabled": "disabled"} | {
    reason: reason for reason in _OUR_REASONS
}


def _pause(seat: int, unwelcome: int) -> float:
    """Seconds until the next try. The first seat is never long without; the others may not be wanted at all: where
    there may be one connection only, each of theirs would end the first one's."""
    if not unwelcome:
        return 0.0
    if seat == 0:
        return 0.0 if unwelcome == 1 else min(_FIRST_PAUSE * 2 ** (unwelcome - 2), _LONGEST_PAUSE)
    return min(_FIRST_PAUSE * 2.0 ** min(unwelcome + 1, 20), _LONGEST_PAUSE_BEYOND)


async def _while(condition: Callable[[], bool], seconds: float) -> None:
    for _ in range(round(seconds / _LOOK_SECONDS)):
        if not condition():
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _read(data: Any) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except (TypeError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _now() -> float:
    return asyncio.get_running_loop().time()
