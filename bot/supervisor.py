"""Keeps the watcher running: starts it, gives it its configuration, notices death and silence, and asks it things.

The watcher may be killed or hang at any moment; nothing here waits for it longer than the caller allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from pydantic import ValidationError

from bot import spawn, telemetry
from bot.errors import QueryError, RemoteError
from bot.joint import Heartbeat, Reply, Request, Update, decode, encode

log = structlog.get_logger()

HUNG_SECONDS = 15.0  # no heartbeat for this long: killed and started anew
_BACKLOG_LIMIT = 8 * 1024 * 1024  # unread requests beyond this mean that the watcher does not read
_CONFIGURE_SECONDS = 60.0


class WatcherProcess:
    """Implements ports.Watcher. `configuration` returns the parameters of the `configure` request at each start."""

    def __init__(
        self,
        configuration: Callable[[], Awaitable[dict[str, Any]]],
        on_update: Callable[[Update], Awaitable[None]],
    ) -> None:
        self._configuration = configuration
        self._on_update = on_update
        self.first: asyncio.subprocess.Process | None = None  # started before there was a pager: its first life
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._heard = time.monotonic()
        self.tasks: list[asyncio.Task[None]] = []
        self._updates: dict[str, Update] = {}  # of each group, what has not been worked in yet
        self._failed: dict[str, Update] = {}  # what could not be worked in, to be tried again
        self._news = asyncio.Event()
        self.ready = False
        self.last_error = ""

    def start(self) -> None:
        self.tasks = [
            asyncio.create_task(self._keep_running(), name="watcher-keeper"),
            asyncio.create_task(self._pass_on(), name="watcher-updates"),
        ]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 3)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    @property
    def silence_seconds(self) -> float:
        """How long nothing has been heard; a dead watcher is silent too."""
        return time.monotonic() - self._heard

    async def ask(self, method: str, params: dict[str, Any], seconds: float) -> Any:
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            raise RemoteError("the watcher is not running", code="watcher_down")
        if process.stdin.transport.get_write_buffer_size() > _BACKLOG_LIMIT:
            raise RemoteError("the watcher does not read its requests", code="watcher_hung")
        self._number += 1
        number = self._number
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            process.stdin.write(encode(Request(id=number, method=method, params=params)))
            return await asyncio.wait_for(answer, seconds)
        except asyncio.CancelledError:
            self._forget(process, number)
            raise
        except TimeoutError:
            self._forget(process, number)
            raise RemoteError(
                f"the watcher did not answer {method} within {seconds:g} s", code="watcher_late"
            ) from None
        except (BrokenPipeError, ConnectionResetError):
            raise RemoteError("the watcher has just ended", code="watcher_down") from None
        finally:
            self._waiting.pop(number, None)

    @staticmethod
    def _forget(process: asyncio.subprocess.Process, number: int) -> None:
        """Nobody waits for the answer any more: the watcher need not work it out."""
        if process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(encode(Request(id=0, method="cancel", params={"id": number})))

    async def configure(self) -> None:
        """Hands over the running configuration. Raises RemoteError when the watcher refuses or is not there."""
        await self.ask("configure", await self._configuration(), _CONFIGURE_SECONDS)
        self.ready = True
        self.last_error = ""

    async def reconfigure(self) -> None:
        """After a reload. A watcher that does not take the new configuration is started anew with it."""
        process = self._process
        if process is not None and process.returncode is None:
            await self._configure_or_kill(process)

    async def _keep_running(self) -> None:
        delay = 0.5
        while True:
            started = time.monotonic()
            try:
                await self._one_life()
            except OSError as error:
                self.last_error = str(error)
                log.error("watcher.not_started", error=str(error))
            self.ready = False
            telemetry.watcher_up.set(0)
            delay = 0.5 if time.monotonic() - started > 60 else min(delay * 2, 10.0)
            await asyncio.sleep(delay)

    async def _one_life(self) -> None:
        telemetry.watcher_starts.inc()
        process, self.first = self.first or await spawn.watcher(), None
        self._process = process
        self._heard = time.monotonic()
        log.info("watcher.started", pid=process.pid)
        reader = asyncio.create_task(self._read(process))
        configuring = asyncio.create_task(self._configure_or_kill(process))
        watchdog = asyncio.create_task(self._kill_when_hung(process))
        try:
            await process.wait()
        finally:
            for task in (configuring, watchdog, reader):
                task.cancel()
            await asyncio.gather(configuring, watchdog, reader, return_exceptions=True)
            if process.returncode is None:
                process.kill()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(RemoteError("the watcher has just ended", code="watcher_down"))
        log.warning("watcher.ended", pid=process.pid, code=process.returncode)

    async def _configure_or_kill(self, process: asyncio.subprocess.Process) -> None:
        try:
            await self.configure()
            telemetry.watcher_up.set(1)
        except Exception as error:  # noqa: BLE001 - a watcher that runs unconfigured would watch nothing
            self.last_error = str(error)
            log.error("watcher.not_configured", error=repr(error))
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def _kill_when_hung(self, process: asyncio.subprocess.Process) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(1)
            if time.monotonic() - before > HUNG_SECONDS / 2:  # it is us who were stopped: what it said waits to be read
                self._heard = time.monotonic()
            if self.silence_seconds > HUNG_SECONDS:
                log.error("watcher.hung", pid=process.pid, silent_seconds=round(self.silence_seconds))
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                return

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._heard = time.monotonic()
            try:
                message = decode(line)
            except ValidationError as error:
                telemetry.loop_errors.labels("joint").inc()
                log.error("watcher.unreadable", error=str(error)[:500])
                continue
            match message:
                case Update():
                    self._take(message)
                case Reply(size=None):
                    self._answer(message, None)
                case Reply():
                    try:
                        body = await process.stdout.readexactly(message.size or 0)
                    except asyncio.IncompleteReadError:
                        return  # it has just ended
                    self._answer(message, body)
                case Heartbeat():
                    self._try_again()
                case Request():
                    pass

    def _take(self, update: Update) -> None:
        waiting = self._updates.get(update.group)
        self._updates[update.group] = update if waiting is None else waiting.followed_by(update)
        self._news.set()

    def _try_again(self) -> None:
        for group, update in self._failed.items():
            newer = self._updates.pop(group, None)
            self._updates[group] = update if newer is None else update.followed_by(newer)
        if self._failed:
            self._failed.clear()
            self._news.set()

    def _answer(self, reply: Reply, body: bytes | None) -> None:
        answer = self._waiting.get(reply.id)
        if answer is None or answer.done():
            return
        if reply.error is None:
            answer.set_result(reply.result if body is None else (reply.result, body))
        elif reply.error_kind in {"bad_data", "execution", "timeout"}:
            answer.set_exception(QueryError(reply.error, reply.error_kind))  # type: ignore[arg-type]
        else:
            answer.set_exception(RemoteError(reply.error, code="watcher_error"))

    async def _pass_on(self) -> None:
        """One update after the other; one that fails is logged, and tried again at the watcher's next heartbeat."""
        while True:
            while not self._updates:
                self._news.clear()
                await self._news.wait()
            update = self._updates.pop(next(iter(self._updates)))
            if (failed := self._failed.pop(update.group, None)) is not None:
                update = failed.followed_by(update)
            try:
                await self._on_update(update)
            except Exception:
                self._failed[update.group] = update
                telemetry.loop_errors.labels("observe").inc()
                log.exception("observe.failed", group=update.group)
