"""What answers people, the same in every replica: Slack, HTTP, and everything that both can be asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bot.accounting import Accountant
from bot.action_desk import ActionDesk
from bot.bookkeeping import Bookkeeper
from bot.bridging import BridgeDesk
from bot.bundling import Bundler
from bot.channels.switch import SecondChannels
from bot.clock import SteadyClock
from bot.commands import Desk
from bot.config import Config
from bot.drills import DrillDesk
from bot.exercises import Exercises
from bot.explaining import Explainer
from bot.gatekeeping import Gatekeeper
from bot.incidents.decision import book_of
from bot.oncall.model import Book
from bot.pager import Pager
from bot.paging.model import Page
from bot.pushing import PushDesk
from bot.renderings import Renderings
from bot.rotas import RotaDesk
from bot.settings import Settings
from bot.silencing import SilenceDesk
from bot.slack.app import SlackApp
from bot.slack.client import SlackMessenger
from bot.slack.reception import Desks
from bot.slack.usergroups import Pauses
from bot.store.database import Database
from bot.subscriptions import CalendarDesk
from bot.tracing import Tracing
from bot.upkeep import Upkeep

_QUERY_GRACE = 10.0  # seconds beyond a query's own time: what its answer takes on the way


class Front:
    """Implements web.api.Backend. Whatever it is asked for is written down in the database; the leader's loops find it
    there."""

    def __init__(self, pager: Pager, store: Database, clock: SteadyClock, config: Config, env: dict[str, str]) -> None:
        self._pager, self._store, self.clock = pager, store, clock
        self.started = clock.now()
        self.messenger = SlackMessenger(
            config.settings.slack,
            lambda: pager.config.book,
            clock,
            lambda incident: book_of(incident, pager.world()),
        )
        self.renderings = pager.renderings = Renderings(store, pager.watcher, clock, on_late=pager.wake)
        self.channels = SecondChannels(self._settings, lambda: pager.config.book, config.base_dir, clock)
        self.pauses = Pauses(config.settings.slack, clock)
        self._build_desks()
        self._build_books()
        self.slack = pager.slack = SlackApp(
            config.settings.slack, self._desks(), clock, memory=store, spare=lambda: pager.only_one
        )
        self.messenger.on_posted = self._posted
        self.messenger.run_of = store.run
        self.tracing = Tracing(store, config.settings.tracing, clock, env)
        self.messenger.trace_of = self.tracing.url_of
        self.upkeep = Upkeep(pager, store, clock, env, self.messenger.doubt, learn=self.slack.learn)

    def _build_desks(self) -> None:
        """What people act through."""
        pager, store, clock = self._pager, self._store, self.clock
        self.commands = Desk(store, self.renderings, clock, pager.world, pager.facts, pager.person_changed)
        self.paging = Exercises(store, clock, pager.world, pager.note)
        self.drills = DrillDesk(
            store,
            clock,
            pager.world,
            lambda: {runbook.id for runbook in pager.config.runbooks},
            pager.watcher,
            pager.note,
        )
        self.rotas = RotaDesk(
            store, clock, lambda: pager.config.book, lambda: pager.changes, pager.rotas_changed, pager.wake
        )
        self.acting = ActionDesk(
            store,
            clock,
            pager.world,
            lambda: self._settings().actions,
            self.commands.incident,
            pager.wake,
            pager.wake,
        )
        self.silencing = SilenceDesk(store, clock, pager.world, pager.silences_changed)
        self.bridging = BridgeDesk(
            store, clock, pager.world, lambda: self._settings().bridges, pager.note, pager.pushed
        )
        self.pushing = PushDesk(store, clock, lambda: self.resolve_timeout, pager.pushed)

    def _build_books(self) -> None:
        """What people look things up in."""
        pager, store, clock = self._pager, self._store, self.clock
        self.records = Bookkeeper(
            store,
            clock,
            pager.world,
            lambda: pager.config.runbooks,
            lambda: self._settings().digest,
            self.commands.incident,
            pager.wake,
        )
        self.explainer = Explainer(
            store,
            clock,
            pager.world,
            lambda: pager.config.groups,
            pager.watcher,
            lambda: self._settings().http.external_url,
        )
        self.accounts = Accountant(store, clock, lambda: pager.config)
        self.commands.accounts = self.records.accounts = self.accounts
        self.gate = Gatekeeper(pager, store, clock, self.records, lambda: self.upkeep.unreachable)
        self.bundles = Bundler(store, clock, pager.world, lambda: pager.config, self.gate)
        self.calendars = CalendarDesk(
            store,
            clock,
            lambda: pager.config.book,
            lambda: pager.book_since,
            lambda: self._settings().http.external_url,
        )

    def _desks(self) -> Desks:
        return Desks(
            self.commands,
            self.silencing,
            self.paging,
            self.rotas,
            self.explainer,
            self.acting,
            self.pauses,
            self.records,
            gate=self.gate,
            bundles=self.bundles,
            drills=self.drills,
            accounts=self.accounts,
        )

    def _settings(self) -> Settings:
        return self._pager.config.settings

    def _posted(self, channel: str, ts: str) -> None:
        """Of several replicas' connections Slack picks one for each event: no echo need come by ours."""
        if self._pager.only_one:
            self.slack.posted(channel, ts)

    @property
    def book(self) -> Book:
        return self._pager.config.book

    @property
    def resolve_timeout(self) -> timedelta:
        return self._settings().push.resolve_timeout

    @property
    def ack_key(self) -> str:
        return self.channels.key

    async def page(self, page_id: str) -> Page | None:
        return await self._store.page(page_id)

    async def chart(self, reference: str) -> str:
        incident = await self.commands.incident(reference)
        return (await self.renderings.chart(incident, as_png=False))["svg"]

    async def ask_prometheus(self, path: str, fields: list[tuple[str, str]], *, pack: bool) -> tuple[Any, bytes]:
        """The watcher keeps to the time of `query.timeout`; only one that hangs is given up from here."""
        seconds = self._settings().query.timeout.total_seconds() + _QUERY_GRACE
        about, body = await self._pager.watcher.ask("api", {"path": path, "fields": fields, "pack": pack}, seconds)
        return about, body

    async def readiness(self) -> dict[str, Any]:
        return await self._pager.readiness()

    async def reload(self) -> None:
        await self._pager.reload()

    async def metrics(self, *, openmetrics: bool = False) -> bytes:
        return await self._pager.metrics(openmetrics=openmetrics)
