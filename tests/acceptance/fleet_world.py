"""A fleet of simulated agents watched in virtual time, in one process: what they expose is scraped as in the watcher,
the shipped rules are evaluated on the engine, and what they say goes through the real pipeline into a real database.

Nothing sleeps; `advance` moves the one clock. Whoever is paged takes the incident half a minute later.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.utils import floatToGoString

from bot import pipeline
from bot.agents.series import registry_series
from bot.config import check, load
from bot.demo.failures import Failure
from bot.demo.gateway import GATEWAY, Gateway, Line
from bot.demo.roster import FAST, LARGE, ROSTER, AgentSpec, Tool
from bot.demo.simulation import Simulation
from bot.errors import ConflictError, RemoteError
from bot.incidents import people
from bot.incidents.decision import World
from bot.incidents.model import Alert, AlertState, Event, Incident, State
from bot.joint import Update, decode, encode
from bot.metrics.fetch import Answer
from bot.metrics.spec import static_specs
from bot.metrics.target import ScrapedTarget
from bot.paging.model import Page, PageKind
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.rules.evaluate import GroupState, Surroundings, Tell
from bot.rules.load import required_metrics, warm_seconds, with_builtin
from bot.rules.record import StoreRecorder
from bot.runbooks.lint import queries as check_queries
from bot.runbooks.render import render_incident
from bot.runbooks.rendered import Rendered
from bot.slack.blocks import draw
from bot.sources import read_sources
from bot.store.database import Database

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("fleet_config")
SUMMARY = 600  # seconds between reports that account for everything
TAKEN_AFTER = 60
COMPARED = 50  # every so many expositions of an agent are held against the library's
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def _spec(name: str, tools: Sequence[str], credentials: Sequence[str], **figures: Any) -> AgentSpec:
    usual = {
        "title": name,
        "does": "",
        "signature": Failure.RUNS_FAIL,
        "runs_per_minute": 4,
        "workers": 8,
        "seconds": 6,
        "tasks": ("one", "two"),
        "model": FAST,
        "llm_calls": 3,
        "input_tokens": 3000,
        "output_tokens": 300,
        "tool_calls": 2,
        "dataset_refresh_seconds": 300,
    }
    made = tuple(
        Tool(tool, credential, 0.5, error_rate=0.004, writes=number > 0)
        for number, (tool, credential) in enumerate(zip(tools, credentials, strict=True))
    )
    return AgentSpec(id=name, tools=made, **usual | figures)


SPECS = (
    *ROSTER,
    _spec("onboarding-agent", ("accounts.read", "accounts.open"), ("accounts-api",) * 2, dataset="terms"),
    _spec("claims-agent", ("claims.read", "claims.pay"), ("claims-api",) * 2, dataset="tariffs", handoff_rate=0.15),
    _spec(
        "sales-agent",
        ("crm.read", "offers.write"),
        ("crm-oauth", "offers-api"),
        dataset="catalogue",
        model=LARGE,
        llm_calls=2,
        priced_by_gateway=True,
    ),
    _spec("returns-agent", ("returns.read", "returns.book"), ("orders-api",) * 2, dataset="shipments"),
    _spec("orders-agent", ("orders.read", "orders.change"), ("orders-api",) * 2, dataset="stock"),
    _spec(
        "contracts-agent",
        ("archive.read", "archive.sign"),
        ("archive-api",) * 2,
        dataset="templates",
        runs_per_minute=3 / 60,
        seconds=30,
    ),
)
NAMES = tuple(spec.id for spec in SPECS)


@dataclass(frozen=True)
class Pace:
    """Seconds: of a step of the simulation, between scrapes, between rounds of groups that record for others, and of
    the other groups."""

    step: int = 5
    scrape: int = 15
    record: int = 60
    round: int = 60


# Windows of hours do not need to be looked at by the second.
SLOW = Pace(step=60, scrape=60, record=60, round=300)


@dataclass(frozen=True)
class Sent:
    """One page that somebody got: at what time, of which incident, and what it says."""

    at: float
    person: str
    incident: Incident
    rendered: Rendered
    message: dict[str, Any]
    alert: Alert


@dataclass(frozen=True)
class Change:
    at: float
    alert: Alert

    @property
    def began(self) -> bool:
        return self.alert.state is AlertState.FIRING

    def __str__(self) -> str:
        labels = {k: v for k, v in self.alert.labels.items() if k not in {"alertname", "env", "severity"}}
        return f"{datetime.fromtimestamp(self.at, UTC):%H:%M:%S} {self.alert.name} {self.alert.state.value} {labels}"


class Exposition:
    """What generate_latest() writes of one process, at half its cost: the head of a line, its name and labels, is
    written once."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, ...], str] = {}
        self._times = 0

    def of(self, registry: CollectorRegistry) -> bytes:
        body = self._written(registry)
        if self._times % COMPARED == 0:
            assert body == generate_latest(registry)
        self._times += 1
        return body

    def _written(self, registry: CollectorRegistry) -> bytes:
        lines = []
        for metric in registry.collect():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            lines.append(f"# HELP {name} {metric.documentation}\n# TYPE {name} {metric.type}\n")
            for sample in metric.samples:
                key = (sample.name, *sample.labels.values())
                head = self._heads.get(key) or self._heads.setdefault(key, _head(sample.name, sample.labels))
                lines.append(f"{head} {floatToGoString(sample.value)}\n")
        return "".join(lines).encode()


def _head(name: str, labels: Mapping[str, str]) -> str:
    written = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
    return f"{name}{{{written}}}" if written else name


@dataclass
class Processes:
    """What stands behind the addresses of the targets, as metrics.fetch.Client would find it."""

    running: dict[str, Any] = field(default_factory=dict)
    _expositions: defaultdict[str, Exposition] = field(default_factory=lambda: defaultdict(Exposition))

    async def get(self, url: str, *_: Any, **__: Any) -> Answer:
        name = url.split("/")[2]
        if name not in self.running:
            raise RemoteError(f"{name}: connection refused")
        return Answer(self._expositions[name].of(self.running[name].exposed), TEXT, url)


class FleetWorld:
    """`changes` is what rules began and ended, `sent` what people got."""

    def __init__(
        self,
        folder: Path,
        start: datetime,
        pace: Pace = Pace(),
        names: Sequence[str] = NAMES,
        seed: int = 3,
    ) -> None:
        prometheus_client.disable_created_metrics()  # nobody reads them, and they are half of the time
        self.now = start.timestamp()
        self.pace = pace
        self.names = [*names, GATEWAY]
        self.seed = seed
        self.births = 0
        self.calm: frozenset[str] = frozenset()  # nothing is expected of them: every other scrape is enough
        self.changes: list[Change] = []
        self.sent: list[Sent] = []
        self.on: dict[str, Alert] = {}  # by fingerprint: all that fires
        self.failing_rules: set[str] = set()
        self._configure(folder)
        self._line = Line()
        self.processes = Processes()
        self.born(GATEWAY)
        for name in names:
            self.born(name)
        self._database = Database("sqlite:///pager.db", folder)
        self._got: set[str] = set()  # ids of the pages that were sent
        self._to_take: list[tuple[float, str, str]] = []
        self._hidden_looked = 0.0

    def _configure(self, folder: Path) -> None:
        shutil.copytree(CONFIG, folder, dirs_exist_ok=True)
        for name in ("alerts", "runbooks"):
            (folder / name).mkdir()
            for path in (ROOT / name).glob("*.yaml"):
                shutil.copy(path, folder / name)
        shutil.copytree(ROOT / "bot/shipped/starter/incidents", folder / "incidents")
        sources = read_sources(folder / "agentpager.yaml", {})
        self.findings = [finding for finding in check(sources) if finding.severity == "error"]
        self.config = config = load(sources)
        self.registered = {name: agent for name, agent in config.agents.items() if name in self.names}
        groups = with_builtin(config.groups)
        needs = required_metrics(groups, check_queries(config.runbooks), history=config.settings.query.history)
        self.store = SeriesStore(600.0)
        self.store.set_retention(600.0, needs.names)
        self.engine = Engine(self.store)
        self._record = StoreRecorder(self.store)
        around = Surroundings(recorded_seconds=warm_seconds(groups))
        self.groups = [GroupState(group, self.engine, self._record, around) for group in groups]
        self.engine.expect(rule.expr for group in self.groups for rule, _, _ in group.rules)
        self._records = {
            group.group.id for group in self.groups if group.group.interval and not any(a for _, a, _ in group.rules)
        }
        self._names = {group.id: frozenset(rule.name for rule in group.rules if rule.is_alert) for group in groups}
        self._due = {group.id: 0.0 for group in groups}
        self._targets: list[tuple[str, ScrapedTarget]] = []

    def _clock(self) -> float:
        return self.now

    async def start(self) -> None:
        await self._database.open(datetime.fromtimestamp(self.now, UTC))
        specs, wrong = static_specs(self.config.settings.metrics.scrape)
        assert wrong == []
        client: Any = self.processes
        named = [(spec.url.split("/")[2], spec) for spec in specs]
        self._targets = [
            (name, ScrapedTarget(spec, self.store, client, self._clock, self._clock))
            for name, spec in named
            if name in self.names
        ]

    async def close(self) -> None:
        prometheus_client.enable_created_metrics()
        await self._database.close()

    # --- what happens to the fleet

    def born(self, name: str) -> None:
        """A new process takes the place of the one before."""
        self.births += 1
        if name == GATEWAY:
            made: Any = Gateway((FAST, LARGE), ("agents",), self.births, self.now, 8000.0)
            self._line.gateway = made
        else:
            spec = next(spec for spec in SPECS if spec.id == name)
            made = Simulation(spec, self.seed + self.births, self.now, self._line)
        self.processes.running[name] = made

    def fail(self, name: str, failure: Failure) -> None:
        if failure is Failure.PROCESS_KILLED:
            self.kill(name)
        else:
            self.processes.running[name].fail(failure, self.now)

    def kill(self, name: str) -> None:
        self.processes.running.pop(name, None)
        if name == GATEWAY:
            self._line.gateway = None

    def mend(self, name: str) -> None:
        if name in self.processes.running:
            self.processes.running[name].mend(self.now)
        else:
            self.born(name)

    # --- time

    async def advance(self, seconds: float, watch: Callable[[], None] | None = None) -> None:
        """`watch` is called after each round of rules."""
        end, pace = self.now + seconds, self.pace
        while self.now < end:
            self.now += pace.step
            for process in self.processes.running.values():
                process.step(self.now)
            if self.now % pace.scrape == 0:
                for name, target in self._targets:
                    if name not in self.calm or self.now % (2 * pace.scrape) == 0:
                        await target.scrape()
            if self.now % pace.record == 0:
                await self._round()
                if watch is not None:
                    watch()

    async def _round(self) -> None:
        now = datetime.fromtimestamp(self.now, UTC)
        self._record(self.now, registry_series(self.registered), [])
        tell = Tell.SUMMARY if self.now % SUMMARY == 0 else Tell.CHANGES
        with self.engine.round(self.now):
            for group in self.groups:
                if self.now < self._due[group.group.id]:
                    continue
                records = group.group.id in self._records
                self._due[group.group.id] = self.now + (self.pace.record if records else self.pace.round)
                evaluation = group.evaluate(now, tell=tell)
                self.failing_rules |= {f"{one.rule}: {one.message}" for one in evaluation.failures}
                if evaluation.still is None and not evaluation.alerts and evaluation.state is None:
                    continue
                update = Update(
                    group=evaluation.group,
                    evaluated_at=evaluation.evaluated_at,
                    alerts=evaluation.alerts,
                    still=evaluation.still,
                    state=evaluation.state,
                )
                await self._told(update, now)
        await self._people(now)

    def world(self) -> World:
        config = self.config
        return World(
            config.agents, config.book, config.settings.slack.channel, config.incidents, book_id=config.book_id
        )

    async def _told(self, update: Update, now: datetime) -> None:
        """An update crosses the joint and is worked in."""
        crossed = decode(encode(update))
        assert isinstance(crossed, Update)
        for alert in crossed.alerts:
            known = self.on.get(alert.fingerprint)
            if alert.state is AlertState.RESOLVED:
                if self.on.pop(alert.fingerprint, None) is not None:
                    self.changes.append(Change(self.now, alert))
            elif known is None or known.state is not alert.state:
                self.on[alert.fingerprint] = alert
                self.changes.append(Change(self.now, alert))
        rules = self._names[update.group]
        for decision in await pipeline.observe(self._database, crossed, self.world(), now, rules):
            await self._page(decision.incident, decision.event, now)

    async def _page(self, incident: Incident, event: Event | None, now: datetime) -> None:
        """Whoever has a page of this decision gets it, with the runbook as it is rendered now."""
        if event not in {Event.FIRED, Event.WORSENED, Event.REOPENED, Event.UNSUPPRESSED} or not incident.going_on:
            return
        pages = [page for page in await self._database.pages_of(incident.id) if self._owed(page)]
        if not pages:
            return
        rendered = self._rendered(incident, now)
        await pipeline.rendered(self._database, incident.id, rendered, redraw=False)
        for page in pages:
            message = draw(page, incident, rendered, self.config.book, now)
            self._got.add(page.id)
            person = page.person or ""
            alert = incident.going_on[0]
            self.sent.append(Sent(self.now, person, incident, rendered, message, alert))
            self._to_take.append((self.now + TAKEN_AFTER, incident.id, person))

    def _owed(self, page: Page) -> bool:
        return page.kind is PageKind.PAGE and bool(page.person) and page.id not in self._got

    def _rendered(self, incident: Incident, now: datetime) -> Rendered:
        shown = {"id": incident.id, "title": incident.title, "severity": incident.severity.value}
        return render_incident(
            self.config.runbooks,
            incident.going_on or incident.alerts,
            {**shown, "state": incident.state.value},
            self.config.agents.get(incident.agent or ""),
            incident.owner,
            {"oncall": [], "external_url": ""},
            lambda text: self.engine.instant(parse(text), self.now),
            now,
            lambda: 60.0,
        )

    async def _people(self, now: datetime) -> None:
        """Who was paged takes it; what is hidden is looked at again once a minute."""
        due = [one for one in self._to_take if one[0] <= self.now]
        self._to_take = [one for one in self._to_take if one[0] > self.now]
        for _, incident_id, person in due:
            with suppress(ConflictError):
                await pipeline.act(
                    self._database,
                    incident_id,
                    lambda incident, person=person: people.ack(incident, f"person:{person}", now),
                    self.world(),
                    now,
                    None,
                )
        for incident_id in await self._database.overdue(now):
            for decision in await pipeline.escalate(self._database, incident_id, self.world(), now):
                await self._page(decision.incident, decision.event, now)
        if self.now - self._hidden_looked >= 60:
            self._hidden_looked = self.now
            decisions, _ = await pipeline.resuppress(self._database, self.world(), now)
            for decision in decisions:
                await self._page(decision.incident, decision.event, now)

    # --- looking back

    async def unresolved(self) -> list[Incident]:
        return [one for one in await self._database.unresolved() if one.state is not State.RESOLVED]

    def names_on(self) -> dict[str, set[str]]:
        """What fires now: agent, or nothing → names of alerts."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for alert in self.on.values():
            found[alert.labels.get("agent", "")].add(alert.name)
        return dict(found)
