"""Wiring: builds the pager's parts, joins them, and runs them until told to stop."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from bot import garbage, rotas, systemd, telemetry
from bot.accounting import Accountant
from bot.action_desk import ActionDesk
from bot.actuator import Actuator
from bot.bookkeeping import Bookkeeper
from bot.bridging import BridgeDesk
from bot.bundling import Bundler
from bot.channels.action import ActionDoor
from bot.channels.switch import SecondChannels
from bot.clock import SteadyClock
from bot.clock_watch import ClockWatch
from bot.commands import Desk
from bot.config import Config, load, missing_secrets
from bot.courier import Courier
from bot.drills import DrillDesk
from bot.duty import Duty
from bot.errors import ConfigError, UsageError
from bot.exercises import Exercises
from bot.explaining import Explainer
from bot.gatekeeping import Gatekeeper
from bot.illustrator import Illustrator
from bot.incidents.decision import book_of
from bot.ledger import Ledger
from bot.oncall import feeds
from bot.oncall.changes import RotaChange
from bot.oncall.duty import ahead
from bot.oncall.feeds import Copy
from bot.oncall.model import Book
from bot.outbox import Outbox
from bot.pager import Pager
from bot.paging.model import Page
from bot.ports import (
    Accounts,
    Acting,
    Bridging,
    Bundles,
    Clock,
    Commands,
    Drilling,
    Gate,
    Paging,
    Pushing,
    Records,
    Rotas,
    Silencing,
)
from bot.pushing import PushDesk
from bot.renderings import Renderings
from bot.rotas import RotaDesk
from bot.scheduler import Ticker
from bot.settings import Http
from bot.silencing import SilenceDesk
from bot.slack.app import SlackApp
from bot.slack.client import SlackMessenger
from bot.slack.reception import Desks
from bot.slack.upload import Uploader
from bot.slack.usergroups import Pauses
from bot.sources import Sources, read_sources
from bot.store.database import Database
from bot.store.lease import RENEWED_EVERY
from bot.subscriptions import CalendarDesk
from bot.upkeep import Upkeep
from bot.web import api

log = structlog.get_logger()

_TICK = timedelta(milliseconds=500)
_PAGES_LOOK = timedelta(seconds=1)
_WATCHER_LOOK = timedelta(seconds=5)
_FILE_POLL = timedelta(seconds=10)
_MEASURE = timedelta(seconds=5)
_HOUSEKEEPING = timedelta(hours=6)
_UPKEEP = timedelta(seconds=30)
_READINESS = timedelta(seconds=20)
_PROMISES = timedelta(seconds=5)
_DIGESTS = timedelta(seconds=30)
_TRACK_RECORD = timedelta(minutes=1)
_BUDGETS = timedelta(minutes=5)
_QUERY_GRACE = 10.0  # seconds beyond a query's own time: what its answer takes on the way


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


async def serve(config_path: Path) -> None:
    """Runs until SIGINT or SIGTERM. Raises ConfigError, UsageError and OSError before anything is started."""
    sources, config = read(config_path)
    clock = SteadyClock()
    with _listen(config.settings.http) as listener:
        store = Database(config.settings.store.url, config.base_dir)
        await store.open(lease_at=clock.wall())
        try:
            copies = feeds.kept(await store.feeds()) if sources.feeds else {}
            if (changes := await rotas.counting(store, clock.wall())) or copies:
                sources, config = read(config_path, copies, changes)
            await Service(config_path, sources, config, store, clock).run(listener)
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
    """Everything that runs in the pager's process. Implements web.api.Backend."""

    def __init__(
        self, config_path: Path, sources: Sources, config: Config, store: Database, clock: SteadyClock
    ) -> None:
        self._pager = Pager(config_path, dict(os.environ), sources, config, store, clock)
        self._clock_watch = ClockWatch(store, clock, self._pager.world)
        self._ticker = Ticker(on_error=lambda name: telemetry.loop_errors.labels(name).inc())
        messenger = SlackMessenger(
            config.settings.slack,
            lambda: self._pager.config.book,
            clock,
            lambda incident: book_of(incident, self._pager.world()),
        )
        renderings = Renderings(store, self._pager.watcher, clock, on_late=self._pager.wake)
        self._renderings = renderings
        self._outbox = Outbox(store, messenger, renderings, clock, self._pager.world, self._pager.facts)
        self._channels = SecondChannels(
            lambda: self._pager.config.settings, lambda: self._pager.config.book, config.base_dir, clock
        )
        self._courier = Courier(store, self._channels, renderings, clock, self._pager.world, self._pager.facts)
        self._pager.courier = self._courier
        self._uploader = Uploader(config.settings.slack)
        self._illustrator = Illustrator(store, self._uploader, renderings, clock, self._pager.world)
        self._desk = Desk(store, renderings, clock, self._pager.world, self._pager.facts, self._pager.person_changed)
        self._exercises = Exercises(store, clock, self._pager.world, self._pager.note)
        pager = self._pager
        self._drills = DrillDesk(
            store,
            clock,
            pager.world,
            lambda: {runbook.id for runbook in pager.config.runbooks},
            pager.watcher,
            pager.note,
        )
        self._rotas = RotaDesk(store, clock, lambda: pager.config.book, pager.rotas_changed, pager.wake)
        self._door = ActionDoor()
        self._actuator = Actuator(
            store, self._door, clock, self._pager.world, lambda: self._pager.config.settings.actions, self._pager.wake
        )
        self._acting = ActionDesk(
            store,
            clock,
            self._pager.world,
            lambda: self._pager.config.settings.actions,
            self._desk.incident,
            self._pager.wake,
            self._actuator.wake,
        )
        self._silencing = SilenceDesk(store, clock, self._pager.world, self._pager.silences_changed)
        self._bridges = BridgeDesk(
            store, clock, pager.world, lambda: pager.config.settings.bridges, pager.note, pager.pushed
        )
        self._push = PushDesk(store, clock, lambda: self.resolve_timeout, pager.pushed)
        self._started = clock.now()
        self._clock = clock
        self._bookkeeper = Bookkeeper(
            store,
            clock,
            self._pager.world,
            lambda: self._pager.config.runbooks,
            lambda: self._pager.config.settings.digest,
            self._desk.incident,
            self._pager.wake,
        )
        pauses = Pauses(config.settings.slack, clock)
        self._duty = Duty(
            store,
            clock,
            self._pager.world,
            lambda: self._pager.config.runbooks,
            lambda: self._pager.config.settings.shifts,
            self._pager.wake,
            pauses,
        )
        self._explainer = Explainer(
            store,
            clock,
            pager.world,
            lambda: pager.config.groups,
            pager.watcher,
            lambda: pager.config.settings.http.external_url,
        )
        self._accountant = Accountant(store, clock, lambda: pager.config)
        self._desk.accounts = self._bookkeeper.accounts = self._accountant
        self._gate = Gatekeeper(pager, store, clock, self._bookkeeper, lambda: self._upkeep.unreachable)
        self._bundler = Bundler(store, clock, pager.world, lambda: pager.config, self._gate)
        desks = Desks(
            self._desk,
            self._silencing,
            self._exercises,
            self._rotas,
            self._explainer,
            self._acting,
            pauses,
            self._bookkeeper,
            gate=self._gate,
            bundles=self._bundler,
            drills=self._drills,
            accounts=self._accountant,
        )
        self._slack = SlackApp(config.settings.slack, desks, clock, memory=store)
        messenger.on_posted = self._slack.posted
        messenger.run_of = store.run
        self._messenger = messenger
        self._store = store
        self._pager.outbox, self._pager.slack, self._pager.renderings = self._outbox, self._slack, renderings
        self._calendars = CalendarDesk(
            store,
            clock,
            lambda: self._pager.config.book,
            lambda: self._pager.book_since,
            lambda: self._pager.config.settings.http.external_url,
        )
        self._ledger = Ledger(store, pager.watcher, clock, lambda: pager.config)
        self._upkeep = Upkeep(self._pager, store, clock, os.environ, messenger.doubt, learn=self._slack.learn)
        self._stopping = asyncio.Event()

    @property
    def commands(self) -> Commands:
        return self._desk

    @property
    def accounts(self) -> Accounts:
        return self._accountant

    @property
    def silencing(self) -> Silencing:
        return self._silencing

    @property
    def bridging(self) -> Bridging:
        return self._bridges

    @property
    def pushing(self) -> Pushing:
        return self._push

    @property
    def started(self) -> datetime:
        return self._started

    @property
    def resolve_timeout(self) -> timedelta:
        return self._pager.config.settings.push.resolve_timeout

    @property
    def bundles(self) -> Bundles:
        return self._bundler

    @property
    def gate(self) -> Gate:
        return self._gate

    @property
    def rotas(self) -> Rotas:
        return self._rotas

    @property
    def paging(self) -> Paging:
        return self._exercises

    @property
    def drills(self) -> Drilling:
        return self._drills

    @property
    def acting(self) -> Acting:
        return self._acting

    @property
    def records(self) -> Records:
        return self._bookkeeper

    async def page(self, page_id: str) -> Page | None:
        return await self._store.page(page_id)

    async def chart(self, reference: str) -> str:
        incident = await self._desk.incident(reference)
        return (await self._renderings.chart(incident, as_png=False))["svg"]

    @property
    def ack_key(self) -> str:
        return self._channels.key

    @property
    def calendars(self) -> CalendarDesk:
        return self._calendars

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def book(self) -> Book:
        return self._pager.config.book

    async def ask_prometheus(self, path: str, fields: list[tuple[str, str]], *, pack: bool) -> tuple[Any, bytes]:
        """The watcher keeps to the time of `query.timeout`; only one that hangs is given up from here."""
        seconds = self._pager.config.settings.query.timeout.total_seconds() + _QUERY_GRACE
        params = {"path": path, "fields": fields, "pack": pack}
        about, body = await self._pager.watcher.ask("api", params, seconds)
        return about, body

    async def readiness(self) -> dict[str, Any]:
        return await self._pager.readiness()

    async def reload(self) -> None:
        await self._pager.reload()

    async def metrics(self, *, openmetrics: bool = False) -> bytes:
        return await self._pager.metrics(openmetrics=openmetrics)

    async def run(self, listener: socket.socket) -> None:
        server = self._server()
        self._tell_systemd(server)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload_by_signal()))
        for channel, slack_channel in (await self._store.addresses()).items():
            self._messenger.remember(channel, slack_channel)
        await self._clock_watch.begin()
        await self._pager.books.look(self._pager.config.book_id)
        self._pager.copies = feeds.kept(await self._store.feeds())
        self._pager.changes = self._pager.sources.changes
        await asyncio.to_thread(ahead, self._pager.config.book, self._clock.now())
        async with self._store.transaction() as tx:
            self._channels.key = await tx.key("ack-links", secrets.token_hex(32))
        self._pager.watcher.start()
        await self._slack.start()
        self._schedule()
        settling = loop.create_task(garbage.set_aside())
        tasks = {
            loop.create_task(self._outbox.run(), name="outbox"),
            loop.create_task(self._courier.run(), name="courier"),
            loop.create_task(self._illustrator.run(), name="illustrator"),
            loop.create_task(self._actuator.run(), name="actuator"),
            loop.create_task(server.serve([listener]), name="http"),
            loop.create_task(self._stopping.wait(), name="stop"),
            loop.create_task(self._store.lost.wait(), name="lease"),
            *self._pager.watcher.tasks,
        }
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        settling.cancel()
        systemd.tell(systemd.STOPPING)
        await self._stop(server, tasks)
        for task in done:
            if task.get_name() == "lease":
                log.critical("lease.lost", why="another agentpager has taken over the database; this one has stopped")
                raise SystemExit(1)
            if task.get_name() != "stop":
                log.critical("part.ended", part=task.get_name(), error=repr(task.exception()))
                raise SystemExit(1)

    def _server(self) -> uvicorn.Server:
        def settings() -> Http:
            return self._pager.config.settings.http

        app = api.build(self, settings, self._slack.asgi)
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
        ticker, pager = self._ticker, self._pager
        ticker.every(_TICK, "escalation", self._tick)
        ticker.every(RENEWED_EVERY, "lease", lambda: self._store.renew(self._clock.wall()))
        ticker.every(_PAGES_LOOK, "pages", pager.look_after_pages)
        ticker.every(_WATCHER_LOOK, "watcher", pager.look_after_watcher)
        ticker.every(_FILE_POLL, "files", pager.poll_files)
        ticker.every(_MEASURE, "metrics", lambda: pager.measure(ticker.lateness()))
        ticker.every(_HOUSEKEEPING, "housekeeping", pager.housekeep)
        ticker.every(_PROMISES, "promises", self._bookkeeper.keep_promises)
        ticker.every(_DIGESTS, "digests", self._bookkeeper.post_digests)
        ticker.every(_DIGESTS, "shifts", self._duty.tick)
        ticker.every(_TRACK_RECORD, "track record", self._ledger.tick)
        ticker.every(_BUDGETS, "budgets", self._accountant.measure)
        ticker.every(_PAGES_LOOK, "drills", self._drills.tick)
        ticker.every(_UPKEEP, "rotas", self._rotas.catch_up)
        ticker.every(_WATCHER_LOOK, "bridges", self._bridges.tick)
        ticker.every(_UPKEEP, "upkeep", self._upkeep.tick)
        ticker.every(_READINESS, "readiness", self._gate.tick)
        if (heartbeat := pager.config.settings.heartbeat) is not None:
            ticker.every(heartbeat.interval, "heartbeat", lambda: pager.heartbeat(ticker.lateness()))
        ticker.start()
        ticker.at_once("upkeep")

    async def _tick(self) -> None:
        """Nothing is due by a clock that has just been set, or before fresh numbers after a sleep."""
        await self._clock_watch.look()
        if not self._clock_watch.settling:
            await self._pager.tick()

    async def _reload_by_signal(self) -> None:
        try:
            await self._pager.reload()
            log.info("config.reloaded")
        except (ConfigError, UsageError) as error:
            log.error("config.refused", error=str(error))

    async def _stop(self, server: uvicorn.Server, tasks: set[asyncio.Task[Any]]) -> None:
        """What is being sent may finish; everything else is in the database."""
        log.info("stopping")
        await self._ticker.stop()
        await self._upkeep.stop()
        server.should_exit = True
        for task in tasks:
            if task.get_name() != "http":
                task.cancel()
        await asyncio.gather(self._outbox.stop(), self._courier.stop(), self._illustrator.stop(), self._actuator.stop())
        await asyncio.wait(tasks, timeout=5)
        await self._slack.stop()
        await self._messenger.close()
        await self._uploader.close()
        self._channels.close()
        self._door.close()
        await self._pager.watcher.stop()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The service has its own handlers, and uvicorn must not replace them."""
        yield
