"""The child process: scrapes, evaluates, renders. May be killed at any moment; owns nothing that lasts.

Reads requests on standard input and writes updates, heartbeats and replies on standard output, one JSON object a line.
Ends when its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import structlog
from pydantic import ValidationError

from bot import garbage, logs, png, telemetry
from bot.agents.record import ASKED, Minute, minute
from bot.agents.series import registry_series
from bot.charts.observed import history as history_of
from bot.charts.observed import observed
from bot.charts.svg import Chart, draw
from bot.clock import SystemClock
from bot.config import Config, load
from bot.confinement import MEMORY_BYTES, confine
from bot.errors import AgentpagerError, QueryError
from bot.incidents.drill import SERIES
from bot.incidents.model import Alert, Incident
from bot.joint import Heartbeat, Reply, Request, decode, encode
from bot.labels import Labels
from bot.metrics.metadata import Family
from bot.metrics.scrape import Scraper
from bot.promql.engine import Engine, Limits
from bot.promql.store import SeriesStore
from bot.promql.value import Value, Vector
from bot.queries import Asking, Queries
from bot.rounds import Lag, Rounds
from bot.rules.asked import ENGINE_UP, Asked
from bot.rules.evaluate import GroupState, Surroundings
from bot.rules.load import DRILL, required_metrics, warm_seconds, with_builtin
from bot.rules.model import Group, Rule
from bot.rules.record import NO_LINES, Line, Lines, Samples, StoreRecorder
from bot.rules.view import Wanted, alerts_json, rules_json, shown_instant
from bot.runbooks.builtin import with_builtin as with_builtin_runbooks
from bot.runbooks.lint import queries as check_queries
from bot.runbooks.render import main_alert, render_incident
from bot.runbooks.rendered import History, Rendered
from bot.scheduler import Ticker
from bot.schema import format_duration
from bot.sources import Sources, read_sources

if TYPE_CHECKING:
    from bot.metrics.prometheus import Engine as Elsewhere

log = structlog.get_logger()

_PIECE = 1024 * 1024  # of an answer, between looks at how far the pager has read
_LINE_LIMIT = 256 * 1024 * 1024
_BASE_RETENTION = 600.0  # seconds kept of metrics that no rule reads, for people who ask
_STUCK_SECONDS = 60.0  # an evaluation longer than this stops the heartbeat, so that the pager kills this process
_SPARK_STEP, _CHART_STEP = timedelta(minutes=1), timedelta(seconds=30)
_COURSE = 2  # steps; fewer show no course
_SPARK_SECONDS, _CHART_SECONDS = 0.2, 5.0  # what a sparkline needs to be left of a page's time; the most of a chart's
_SWITCH_SECONDS = 0.001  # how long the rules thread may keep the interpreter while scrapes wait for it


class Send(Protocol):
    """Hands a message, or a line made of one, to the pager; `body` is what follows it."""

    async def __call__(self, message: Heartbeat | Reply | bytes, body: bytes = b"") -> None: ...


class Watcher:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._clock = SystemClock()
        self._store = SeriesStore(_BASE_RETENTION, RLock())
        self._engine = Engine(self._store)
        self._queries = Queries(self._store, self._clock.now, self)
        self._record = StoreRecorder(self._store)
        self._rounds = Rounds(self._engine, self._clock.now, send)
        self._lag = Lag()
        self._ticker = Ticker(on_error=lambda _: None)
        self._config: Config | None = None
        self._started = self._clock.now()
        self._configured: datetime | None = None
        self._scraper: Scraper | None = None
        self._elsewhere: Elsewhere | None = None  # what has the samples of agents, when the store has not
        self._elsewhere_told = NO_LINES  # whether it answers, as a series
        self._tasks: set[asyncio.Task[None]] = set()
        self._mine: frozenset[str] | None = None  # groups whose alerts other replicas do not evaluate; None: all
        self._drills: list[Labels] = []  # the series of those under way
        self._drills_told = False
        self._prepared: asyncio.Task[tuple[Sources, Config]] | None = None
        self._readiness = Samples(NO_LINES, np.array([], np.float64))
        self._readiness_told = False

    def start(self) -> None:
        self._ticker.start()
        self._spawn(self._beat())
        self._spawn(self._rounds.early())
        self._spawn(self._lag.measure())
        self._spawn(garbage.set_aside())

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("watcher.part_ended", error=repr(error))
            os._exit(1)  # the pager starts a whole one

    async def _beat(self) -> None:
        while True:
            if self._rounds.busy_seconds < _STUCK_SECONDS:
                await self._send(Heartbeat(at=self._clock.now(), ready=self._config is not None))
            await asyncio.sleep(1)

    # Requests ---------------------------------------------------------------------------------------------------------

    async def answer(self, request: Request) -> None:
        methods: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "prepare": self._prepare,
            "configure": self._configure,
            "share": self._share,
            "cancel": self._cancel,
            "render": self._render,
            "chart": self._chart,
            "release": self._release,
            "metrics": self._metrics,
            "readiness": self._take_readiness,
            "drills": self._take_drills,
            "minutes": self._minutes,
        }
        if request.method == "api":
            await self._answer_api(request)
            return
        try:
            reply = Reply(id=request.id, result=await methods[request.method](request.params))
        except QueryError as error:
            reply = Reply(id=request.id, error=str(error), error_kind=error.kind)
        except Exception as error:
            log.exception("request.failed", method=request.method)
            reply = Reply(id=request.id, error=f"{type(error).__name__}: {error}", error_kind="internal")
        await self._send(reply)

    async def _answer_api(self, request: Request) -> None:
        """The answer is ready for the wire; the pager hands its bytes on."""
        params = request.params
        fields = [(name, value) for name, value in params["fields"]]
        found = await self._queries.answer(request.id, params["path"], fields, pack=params["pack"])
        about = {"status": found.status, "packed": found.packed}
        await self._send(Reply(id=request.id, result=about, size=len(found.body)), found.body)

    async def _cancel(self, params: dict[str, Any]) -> None:
        self._queries.cancel(params["id"])

    async def _prepare(self, params: dict[str, Any]) -> dict[str, Any]:
        """Reads the files that `configure` will most likely bring, while the pager still loads. Tells the pager which
        have been found free of mistakes."""

        def read() -> tuple[Sources, Config]:
            sources = read_sources(Path(params["path"]), os.environ).for_watcher()
            return sources, load(sources)

        self._prepared = asyncio.create_task(asyncio.to_thread(read))
        with contextlib.suppress(AgentpagerError, OSError):  # the pager finds the same, and says so
            sources, _ = await self._prepared
            return {"sound": sources.digest}
        return {}

    async def _load(self, sources: Sources) -> Config:
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            with contextlib.suppress(AgentpagerError, OSError):
                found, config = await prepared
                if found == sources:
                    return config
        return await asyncio.to_thread(load, sources)

    async def _share(self, params: dict[str, Any]) -> list[str]:
        """Which groups' alerts are evaluated here, and which by other replicas. Tells which groups have heard of it: a
        configuration that is just being taken up may bring more."""
        if self._config is None:
            return []
        with garbage.let_lie():
            return list(await self._rounds.in_thread(self._take_share, params))

    def _take_share(self, params: dict[str, Any]) -> list[str]:
        """Runs between evaluations. `states` are those that others have saved; where a group is `taken` from another
        replica, the rounds since then are caught up with."""
        now, since = self._clock.now(), _instant(params["since"])
        self._mine, self._rounds.incarnation = frozenset(params["mine"]), params["incarnation"]
        known = [name for name in self._rounds.groups if self._rounds.follows(name)]
        for name in known:
            group, saved = self._rounds.groups[name], params["states"].get(name)
            try:
                state = None if saved is None else json.loads(saved["state"])
                at = since if saved is None else _instant(saved["evaluated_at"])
                if name in params["taken"]:
                    self._take_group(name, group, state, max(at, since))
                elif name not in self._mine and (saved is not None or not group.mirrored):
                    group.mirror(state, now)
            except ValueError as error:
                log.error("rules.state_not_restored", group=name, error=str(error))
            except Exception:  # the other groups are somebody's too; this one goes on with what it has
                group.mirrored = name not in self._mine
                log.exception("rules.not_taken_up", group=name)
        return known

    def _take_group(self, name: str, group: GroupState, state: dict[str, Any] | None, left_at: datetime) -> None:
        watched = self._started < left_at and group.asked is None
        group.take_up(state, left_at if watched else self._clock.now(), self._started)
        if watched:
            self._rounds.catch_up(group, self._rounds.missed(name, left_at))
        self._rounds.begin_anew(name)

    async def _configure(self, params: dict[str, Any]) -> None:
        with garbage.let_lie():
            await self._take_up(params)

    async def _take_up(self, params: dict[str, Any]) -> None:
        config = await self._load(Sources.from_json(params["sources"]))
        before, self._config = self._config, config
        self._configured = self._clock.now()
        groups = with_builtin(config.groups, elsewhere=config.settings.metrics.prometheus is not None)
        criteria = [text for agent in config.agents.values() for text in agent.acceptance.values()]
        queries = [*check_queries(with_builtin_runbooks(config.runbooks)), *criteria]
        asked = config.settings.query
        needs = required_metrics(groups, queries, asked.lookback_delta, asked.history)
        await asyncio.to_thread(
            self._store.set_retention,
            max(_BASE_RETENTION, needs.lookback_seconds if needs.names is None else 0),
            needs.names,
        )
        around = Surroundings(
            external_url=config.settings.http.external_url,
            recorded_seconds=warm_seconds(groups),
            experimental=asked.experimental_functions,
            lookback=asked.lookback_delta,
        )
        limits = Limits(asked.max_samples, asked.max_series)
        await self._rounds.in_thread(self._engine.adjust, asked.lookback_delta.total_seconds(), limits)
        former, self._elsewhere = self._elsewhere, self._engine_elsewhere(config)
        self._queries.adjust(asked, self._elsewhere)
        intervals = {group.id: group.interval or config.settings.rules.interval for group in groups}

        def compiled(group: Group) -> GroupState:
            querier = self._rounds.querier(min(asked.timeout, intervals[group.id]).total_seconds())
            if self._elsewhere is None:
                return GroupState(group, querier, self._record, around, time.perf_counter)
            lasting = replace(around, asked_every=intervals[group.id])
            return GroupState(group, Asked(querier), self._record, lasting, time.perf_counter)

        fresh = await asyncio.to_thread(lambda: {group.id: compiled(group) for group in groups})
        exprs = [rule.expr for group in fresh.values() for rule, _, _ in group.rules]
        await self._rounds.in_thread(self._engine.expect, exprs)
        if before is None:
            mine = params.get("mine")
            self._mine = None if mine is None else frozenset(mine)
            self._rounds.incarnation = params.get("incarnation", 0)
        await self._rounds.in_thread(self._take_over, fresh, params.get("states", {}) if before is None else {})
        self._rounds.elsewhere = self._elsewhere
        if former is not None and former is not self._elsewhere:
            await former.close()
        await self._scrape(config)
        if not self._drills_told:
            self._drills = _drill_series(params.get("drills", ()))
        if not self._readiness_told:
            self._readiness = _readiness_series(params.get("readiness", ()))
        self._write_registry()
        self._ticker.every(config.settings.rules.interval, "registry", self._registry_tick)
        self._rounds.follow({name: interval.total_seconds() for name, interval in intervals.items()})
        for name, interval in intervals.items():
            first = self._rounds.next_turn(name) if self._elsewhere is not None else None
            self._ticker.every(interval, f"group {name}", partial(self._rounds.regular, name), first)
            if before is not None:  # there are series to judge by, and somebody waits to see what the new rules say
                self._ticker.at_once(f"group {name}")

    def _take_over(self, fresh: dict[str, GroupState], saved: dict[str, Any]) -> None:
        """Runs between evaluations: a group that stays keeps its alerts, one that is gone ends them."""
        now = self._clock.now()
        old, self._rounds.groups = self._rounds.groups, fresh
        for name, group in fresh.items():
            group.mirrored = self._mine is not None and name not in self._mine
            if name in old:
                group.adopt(old.pop(name), now)
            elif name in saved:
                try:
                    at = saved[name]["evaluated_at"]
                    group.restore(json.loads(saved[name]["state"]), now, _instant(at))
                except ValueError as error:
                    log.error("rules.state_not_restored", group=name, error=str(error))
        for name, group in old.items():
            self._ticker.forget(f"group {name}")
            group.retire(now)

    def _engine_elsewhere(self, config: Config) -> Elsewhere | None:
        """The one that is there, as long as its settings stay."""
        settings = config.settings.metrics.prometheus
        if settings is None:
            return None
        if self._elsewhere is not None and self._elsewhere.settings == settings:
            return self._elsewhere
        from bot.metrics.prometheus import Engine as EngineElsewhere  # noqa: PLC0415 - few need it, all would wait for it

        return EngineElsewhere(settings, config.base_dir, self._write_elsewhere)

    def _write_elsewhere(self) -> None:
        """Whether the engine answers, for a rule of our own: it must not depend on that engine."""
        before, now = self._elsewhere_told, self._clock.now().timestamp()
        there = self._elsewhere
        if there is not None and [line.labels["url"] for line in before.lines] != [there.shown]:
            self._elsewhere_told = Lines("engine", [Line({"__name__": ENGINE_UP, "url": there.shown})])
        elif there is None:
            self._elsewhere_told = NO_LINES
        telemetry.engine_up.clear()
        if there is not None:
            self._record(now, Samples(self._elsewhere_told, np.array([float(there.up)])), [])
            telemetry.engine_up.labels(there.shown).set(there.up)
        if ended := before.without(self._elsewhere_told):
            self._record(now, [], ended)

    async def _scrape(self, config: Config) -> None:
        if self._scraper is None:
            self._scraper = Scraper(
                config.settings.metrics, self._store, config.base_dir, lambda _: self._rounds.scraped.set()
            )
            self._spawn(self._scraper.run())
        else:
            await self._scraper.reconfigure(config.settings.metrics)

    # Implements queries.Known.

    async def rules(self, wanted: Wanted) -> dict[str, Any]:
        groups = list(self._rounds.groups.values())
        return dict(await self._rounds.in_thread(rules_json, groups, self._interval(), wanted))

    async def alerts(self) -> dict[str, Any]:
        return dict(await self._rounds.in_thread(alerts_json, list(self._rounds.groups.values())))

    def targets(self) -> list[dict[str, Any]]:
        return self._scraper.targets() if self._scraper else []

    def metadata(self) -> list[tuple[Labels, tuple[Family, ...]]]:
        return self._scraper.metadata() if self._scraper else []

    def runtime(self) -> dict[str, Any]:
        return {
            "startTime": shown_instant(self._started),
            "lastConfigTime": shown_instant(self._configured),
            "reloadConfigSuccess": self._config is not None,
            "GOMEMLIMIT": MEMORY_BYTES,
            "storageRetention": format_duration(timedelta(seconds=_BASE_RETENTION)),
        }

    def _interval(self) -> timedelta:
        return self._config.settings.rules.interval if self._config else timedelta(seconds=15)

    async def _render(self, params: dict[str, Any]) -> Any:
        config = self._config
        if config is None:
            raise QueryError("not configured yet", "execution")
        incident = Incident.model_validate(params["incident"])
        now = self._clock.now()
        deadline = time.monotonic() + params["budget"]

        alerts = incident.going_on or incident.alerts

        def run(asking: Asking) -> Rendered:
            rendered = render_incident(
                with_builtin_runbooks(config.runbooks),
                alerts,
                {
                    "id": incident.id,
                    "title": incident.title,
                    "severity": incident.severity.value,
                    "state": incident.state.value,
                },
                config.agents.get(incident.agent or ""),
                incident.owner,
                params["facts"],
                asking.instant,
                now,
                lambda: deadline - time.monotonic(),
            )
            left = deadline - time.monotonic()
            history = self._history(alerts, asking, _SPARK_STEP, left) if left > _SPARK_SECONDS else None
            return rendered.model_copy(update={"history": history})

        return (await self._queries.checking(run, now)).model_dump(mode="json")

    async def _chart(self, params: dict[str, Any]) -> Any:
        """`{"svg": text, "png": base64}`: both empty when there is nothing to draw, `png` also without the extra."""
        incident = Incident.model_validate(params["incident"])
        now = self._clock.now()
        alerts = incident.going_on or incident.alerts

        def run(asking: Asking) -> dict[str, str]:
            history = self._history(alerts, asking, _CHART_STEP, _CHART_SECONDS)
            if history is None:
                return {"svg": "", "png": ""}
            alert = main_alert(alerts)
            chart = Chart(incident.title, history, now, (alert.starts_at, alert.ends_at))
            svg = draw(chart)
            picture = png.rendered(svg) if params["png"] and png.available() else b""
            return {"svg": svg, "png": b64encode(picture).decode()}

        return await self._queries.checking(run, now)

    def _history(self, alerts: Sequence[Alert], asking: Asking, step: timedelta, seconds: float) -> History | None:
        """What the rule of the worst alert watches, for its labels. None when that cannot be said in time."""
        if not alerts or self._config is None:
            return None
        alert = main_alert(alerts)
        group = self._rounds.groups.get(alert.group)
        named = [rule for rule, _, _ in group.rules if rule.rule.alert == alert.name] if group is not None else []
        mine = [rule for rule in named if _could_be(rule.rule, alert)]
        count = int(self._config.settings.query.history / step)
        if not mine or count < _COURSE:
            return None
        seen = observed(mine[0].expr.node)
        times = [asking.at - number * step.total_seconds() for number in range(count, -1, -1)]
        try:
            matrix = asking.range(seen.query, times[0], step.total_seconds(), seconds)
        except QueryError as error:
            log.info("history.failed", alert=alert.name, error=str(error))
            return None
        return history_of(seen, matrix, alert.labels, times, step)

    async def _release(self, params: dict[str, Any]) -> bool:
        """A human resolved an alert that is held without data."""
        now = self._clock.now()
        groups = list(self._rounds.groups.values())

        def release() -> bool:
            return any(group.release(params["fingerprint"], now) for group in groups)

        return bool(await self._rounds.in_thread(release))

    async def _minutes(self, params: dict[str, Any]) -> Any:
        """What each agent did in the minutes that end at these instants."""
        if self._config is None:
            raise QueryError("not configured yet", "execution")

        def count(asking: Asking) -> Minute:
            answers = {name: _samples(asking.instant(query)) for name, query in ASKED.items()}
            return minute(_instant(asking.at), answers)

        found = [await self._queries.checking(count, _instant(end)) for end in params["ends"]]
        return [one.model_dump(mode="json", exclude_none=True) for one in found]

    async def _metrics(self, params: dict[str, Any]) -> str:
        telemetry.series.set(len(self._store))
        telemetry.loop_lag.set(self._lag.largest)
        if self._scraper is not None:
            for outcome, number in self._scraper.stats().items():
                if outcome.startswith("targets_"):
                    telemetry.targets.labels(outcome.removeprefix("targets_")).set(number)
                else:
                    telemetry.scrapes.labels(outcome).set(number)
        openmetrics = bool(params.get("openmetrics"))
        page = telemetry.watcher_page(openmetrics=openmetrics)
        if self._elsewhere is not None:
            groups = list(self._rounds.groups.values())
            about = "Of agentpager's rules, as Prometheus writes it of its own."
            alerts = await self._rounds.in_thread(_alert_series, groups)
            page += telemetry.registry_page(alerts, about=about, openmetrics=openmetrics)
        return page.decode()

    async def _take_drills(self, params: dict[str, Any]) -> None:
        """The drills under way, all of them; what they watch is looked at once more without waiting for its turn."""
        before, self._drills = self._drills, _drill_series(params["drills"])
        self._drills_told = True  # what comes with a configuration may be older
        if self._config is None:
            return
        over = [labels for labels in before if labels not in self._drills]
        self._record(self._clock.now().timestamp(), [(labels, 1.0) for labels in self._drills], over)
        for name, group in self._rounds.groups.items():
            if any(rule.rule.alert == DRILL for rule, _, _ in group.rules):
                self._ticker.at_once(f"group {name}")

    async def _take_readiness(self, params: dict[str, Any]) -> None:
        """How ready the agents are, as series: the pager knows, rules read them. Those that are gone end now."""
        before, self._readiness = self._readiness, _readiness_series(params["series"])
        there = {frozenset(line.labels.items()) for line in self._readiness.lines.lines}
        over = [labels for labels in before.lines.all_labels() if frozenset(labels.items()) not in there]
        self._record(self._clock.now().timestamp(), self._readiness, over)
        self._readiness_told = True  # what comes with a configuration may be older

    async def _registry_tick(self) -> None:
        self._write_registry()

    def _write_registry(self) -> None:
        if self._config is not None:
            drills = [(labels, 1.0) for labels in self._drills]
            now = self._clock.now().timestamp()
            self._record(now, [*registry_series(self._config.agents), *drills], [])
            self._record(now, self._readiness, [])
            self._write_elsewhere()


def _alert_series(groups: Sequence[GroupState]) -> list[tuple[Labels, float]]:
    """ALERTS and ALERTS_FOR_STATE, for an engine elsewhere whose rules read them."""
    return [sample for group in groups for _, rule, _ in group.rules if rule is not None for sample in rule.series()]


def _readiness_series(series: Sequence[Any]) -> Samples:
    lines = Lines("readiness", [Line(dict(labels)) for labels, _ in series])
    return Samples(lines, np.array([value for _, value in series], np.float64))


def _drill_series(drills: Sequence[Mapping[str, str]]) -> list[Labels]:
    return [{"__name__": SERIES, **labels} for labels in drills]


def _could_be(rule: Rule, alert: Alert) -> bool:
    """Whether an alert of this name is of this rule, and not of another one of the same name."""
    fixed = {name: value for name, value in rule.labels.items() if "{{" not in value}
    if "severity_why" in alert.annotations:  # made milder for the stage of its agent
        fixed.pop("severity", None)
    return all(alert.labels.get(name) == value for name, value in fixed.items())


def _samples(value: Value) -> list[tuple[Labels, float]]:
    return [(labels, number) for labels, number in value] if isinstance(value, Vector) else []


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def run(joint_out: int) -> None:
    """Serves requests until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(joint_out, "wb", buffering=0)
    )
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    turn = asyncio.Lock()

    async def send(message: Heartbeat | Reply | bytes, body: bytes = b"") -> None:
        async with turn:
            writer.write(message if isinstance(message, bytes) else encode(message))
            for begin in range(0, len(body), _PIECE):
                writer.write(body[begin : begin + _PIECE])
                await writer.drain()
            await writer.drain()

    watcher = Watcher(send)
    watcher.start()
    answering: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        try:
            message = decode(line)
        except ValidationError as error:
            log.error("joint.unreadable", error=str(error)[:500])
            continue
        if isinstance(message, Request):
            task = asyncio.create_task(watcher.answer(message))
            answering.add(task)
            task.add_done_callback(answering.discard)


def main() -> None:
    confine()
    logs.set_up("watcher")
    sys.setswitchinterval(_SWITCH_SECONDS)
    joint_out = os.dup(1)
    os.dup2(2, 1)  # whatever prints must not write into the joint
    try:
        asyncio.run(run(joint_out))
    except AgentpagerError as error:
        log.critical("watcher.failed", error=str(error))
        sys.exit(1)
    os._exit(0)  # threads may still be busy; nothing here needs saving


if __name__ == "__main__":
    main()
