"""Wiring: builds the pager's parts, joins them, and runs them until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from bot import garbage, rotas, spawn, systemd, telemetry
from bot.clock import SteadyClock
from bot.config import Config, load, missing_secrets
from bot.errors import ConfigError, UsageError
from bot.front import Front
from bot.leading import Leading
from bot.oncall import feeds
from bot.oncall.changes import RotaChange
from bot.oncall.duty import ahead
from bot.oncall.feeds import Copy
from bot.pager import Pager
from bot.scheduler import Ticker
from bot.settings import Http
from bot.sources import Sources, read_sources
from bot.store.database import Database
from bot.store.lease import RENEWED_EVERY
from bot.web import api

log = structlog.get_logger()

_WATCHER_LOOK = timedelta(seconds=5)
_FILE_POLL = timedelta(seconds=10)
_MEASURE = timedelta(seconds=5)
_UPKEEP = timedelta(seconds=30)
_READINESS = timedelta(seconds=20)
_BUDGETS = timedelta(minutes=5)
_DRILLS = timedelta(seconds=1)
_LEAD_LOOK = 0.2  # seconds between looks at whether we lead
_NEWS_GATHER = 0.05  # seconds; what others write comes in lots
_AGAIN = 1.0


def read(
    config_path: Path, copies: Mapping[str, Copy] | None = None, changes: Sequence[RotaChange] = ()
) -> tuple[Sources, Config]:
    """Raises ConfigError with every mistake, the missing secrets among them. `copies` are what is kept of calendars,
    `changes` the overrides and swaps that people made."""
    sources = read_sources(config_path, os.environ, copies, changes)
    config = load(sources)
    if missing := missing_secrets(config):
        raise ConfigError(missing)
    return sources, config


async def _first(config_path: Path, watcher: Process | None) -> tuple[Sources, Config]:
    """What `read` gives, in half the time where the watcher has looked for mistakes meanwhile."""
    sources = read_sources(config_path, os.environ)
    with contextlib.suppress(ConfigError):
        config = load(sources, judged=True)
        if await spawn.vouches(watcher, sources.digest) and not missing_secrets(config):
            return sources, config
    return read(config_path)


async def serve(config_path: Path, watcher: Process | None = None) -> None:
    """Runs until SIGINT or SIGTERM. Raises ConfigError, UsageError and OSError before anything is started. `watcher` is
    the first one, where that runs already."""
    sources, config = await _first(config_path, watcher)
    clock = SteadyClock()
    with _listen(config.settings.http) as listener:
        store = Database(config.settings.store.url.get_secret_value(), config.base_dir)
        await store.open(lease_at=clock.wall())
        try:
            copies = feeds.kept(await store.feeds()) if sources.feeds else {}
            if (changes := await rotas.counting(store, clock.wall())) or copies:
                sources, config = read(config_path, copies, changes)
            await Service(config_path, sources, config, store, clock, watcher).run(listener)
        finally:
            await store.close()


def _listen(settings: Http) -> socket.socket:
    """Taken before anything starts: a second server on the same configuration must not page beside the first."""
    host, _, port = settings.listen.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host.strip("[]"), int(port)), family=family)
        # Connections inherit it. asyncio sets it only where a socket was made with the protocol's number, and without
        # it the second piece of every answer waits for the client to acknowledge the first, some 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        why = f'http.listen "{settings.listen}" cannot be used: {error.strerror or error}'
        raise UsageError(f"{why}; stop what uses it, or choose another port") from None


class Service:
    """One process: what answers people and watches runs in every replica, what sends and escalates in the leader."""

    def __init__(
        self,
        config_path: Path,
        sources: Sources,
        config: Config,
        store: Database,
        clock: SteadyClock,
        watcher: Process | None = None,
    ) -> None:
        env = dict(os.environ)
        self._store, self._clock = store, clock
        self._pager = Pager(config_path, env, sources, config, store, clock)
        self._pager.watcher.first = watcher
        self._front = Front(self._pager, store, clock, config, env)
        self._ticker = Ticker(on_error=lambda name: telemetry.loop_errors.labels(name).inc())
        self._leading: Leading | None = None
        self._telling: asyncio.Task[None] | None = None
        self._news = asyncio.Event()  # another replica has written something
        self._stopping = asyncio.Event()

    async def run(self, listener: socket.socket) -> None:
        server = self._server()
        self._tell_systemd(server)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload_by_signal()))
        await self._begin()
        settling = loop.create_task(garbage.set_aside())
        parts = {
            loop.create_task(self._lead(), name="leading"),
            loop.create_task(self._follow(), name="following"),
            loop.create_task(server.serve([listener]), name="http"),
            loop.create_task(self._stopping.wait(), name="stop"),
            loop.create_task(self._store.lost.wait(), name="lease"),
            *self._pager.watcher.tasks,
        }
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        settling.cancel()
        systemd.tell(systemd.STOPPING)
        await self._stop(server, parts)
        _judge({task.get_name(): task for task in done})

    async def _begin(self) -> None:
        """What the others must find in place."""
        pager = self._pager
        pager.copies = feeds.kept(await self._store.feeds())
        pager.changes = pager.sources.changes
        await asyncio.to_thread(ahead, pager.config.book, self._clock.now())
        async with self._store.transaction() as tx:
            self._front.channels.key = await tx.key("ack-links", secrets.token_hex(32))
        if self._store.leads:  # before the watcher tells anything: what it tells may be hurried
            await self._come_to_lead(watched=False)
        self._store.on_change(self._news.set)
        pager.watcher.start()
        await self._front.slack.start()
        self._schedule()

    async def _lead(self) -> None:
        """Leads whenever this process holds the lease, for as long as it does."""
        watching = False
        while True:
            leading = self._leading
            if watching is not self._pager.watcher.ready:  # the others hear of it at once
                watching = not watching
                self._ticker.at_once("lease")
            if leading is None and self._store.leads:
                await self._try_to_lead()
            elif leading is not None and not self._store.leads and not self._store.lost.is_set():
                await self._resign(leading)
            elif leading is not None and (ended := [task for task in leading.tasks if task.done()]):
                ended[0].result()  # a loop that goes on whatever happens has ended
                raise RuntimeError(f"{ended[0].get_name()} has ended")
            await asyncio.sleep(_LEAD_LOOK)

    async def _try_to_lead(self) -> None:
        try:
            await self._come_to_lead(watched=self._pager.watcher.ready)
        except Exception:
            telemetry.loop_errors.labels("leading").inc()
            log.exception("leading.failed")

    async def _come_to_lead(self, *, watched: bool) -> None:
        leading = Leading(self._front, self._pager, self._store, self._clock)
        try:
            await leading.start(watched=watched)
        except BaseException:
            await leading.stop(leads=False)
            raise
        self._leading = leading
        log.info("leading.begun")

    async def _resign(self, leading: Leading) -> None:
        self._leading = None
        await leading.stop(leads=False)
        log.warning("leading.ended", why="the lease was not renewed in time, or another replica has it")

    async def _follow(self) -> None:
        """Whatever another replica has written down counts here at once."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._pager.catch_up()
                await self._front.rotas.catch_up()
            except Exception:
                telemetry.loop_errors.labels("following").inc()
                log.exception("following.failed")
                await asyncio.sleep(_AGAIN)
                self._news.set()
            await asyncio.sleep(_NEWS_GATHER)

    def _server(self) -> uvicorn.Server:
        def settings() -> Http:
            return self._pager.config.settings.http

        app = api.build(self._front, settings, self._front.slack.asgi)
        config = uvicorn.Config(app, log_config=None, access_log=False)
        return _Server(config)

    def _tell_systemd(self, server: uvicorn.Server) -> None:
        """Ready once questions are answered, alive as long as the loop turns: a hung process is replaced."""
        if not systemd.listens():
            return

        async def tell() -> None:
            if server.started:
                systemd.tell(f"{systemd.READY}\n{systemd.ALIVE}")  # ready said again means nothing new

        self._ticker.every(min(_MEASURE, (systemd.watchdog() or _MEASURE) / 4), "systemd", tell)

    def _schedule(self) -> None:
        """What every replica does; bot/leading.py has what only the leader does."""
        ticker, pager, front = self._ticker, self._pager, self._front
        ticker.every(RENEWED_EVERY, "lease", self._renew)
        ticker.every(RENEWED_EVERY, "sharing", self._share)
        ticker.every(_WATCHER_LOOK, "watcher", pager.look_after_watcher)
        ticker.every(_FILE_POLL, "files", pager.poll_files)
        ticker.every(_MEASURE, "metrics", lambda: pager.measure(self._lateness()))
        ticker.every(_BUDGETS, "budgets", front.accounts.measure)
        ticker.every(_DRILLS, "drills", front.drills.tick)
        ticker.every(_UPKEEP, "rotas", front.rotas.catch_up)
        ticker.every(_UPKEEP, "upkeep", front.upkeep.tick)
        ticker.every(_READINESS, "readiness", front.gate.tick)
        ticker.start()
        ticker.at_once("upkeep")

    def _lateness(self) -> float:
        return max(self._ticker.lateness(), self._leading.lateness() if self._leading is not None else 0.0)

    async def _renew(self) -> None:
        """A sign of life. Nothing that may take long belongs in here."""
        self._pager.announce()
        await self._store.renew(self._clock.wall())
        if not self._store.leads:
            self._clock.adopt()  # the leader moves the deadlines when its clock is set; ours only has to be right
        self._ticker.at_once("sharing")

    async def _share(self) -> None:
        """The watcher may be slow to take its share over: nobody waits for it, and it is not told anew meanwhile."""
        await self._pager.share()
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_shares(), name="telling")

    async def _tell_shares(self) -> None:
        try:
            await self._pager.tell_shares()
        except Exception:
            telemetry.loop_errors.labels("telling").inc()
            log.exception("telling.failed")

    async def _reload_by_signal(self) -> None:
        try:
            await self._pager.reload()
            log.info("config.reloaded")
        except (ConfigError, UsageError) as error:
            log.error("config.refused", error=str(error))

    async def _stop(self, server: uvicorn.Server, parts: set[asyncio.Task[Any]]) -> None:
        """What is being sent may finish; everything else is in the database."""
        log.info("stopping")
        await self._ticker.stop()
        if self._telling is not None:
            self._telling.cancel()
        await self._front.upkeep.stop()
        server.should_exit = True
        for task in parts:
            if task.get_name() != "http":
                task.cancel()
        if self._leading is not None:
            await self._leading.stop(leads=self._store.leads)
        await asyncio.wait(parts, timeout=5)
        await self._front.slack.stop()
        await self._front.messenger.close()
        self._front.channels.close()
        await self._pager.watcher.stop()


def _judge(ended: dict[str, asyncio.Task[Any]]) -> None:
    """Whoever has not been told to stop exits with an error, so that it is started anew."""
    if "lease" in ended:
        log.critical("lease.lost", why="another agentpager has taken over the database; this one has stopped")
        raise SystemExit(1)
    for name, task in ended.items():
        if name != "stop":
            log.critical("part.ended", part=name, error=repr(task.exception()))
            raise SystemExit(1)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The service has its own handlers, and uvicorn must not replace them."""
        yield
