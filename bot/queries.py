"""Answers questions: Prometheus' HTTP API for people, Grafana and other programs, and the checks of runbooks.

Every question runs in a thread with an engine of its own, so that neither rules nor scraping wait for it, and runbook
checks do not wait behind somebody's slow dashboard. Answers are bytes, ready for the wire; api.md lists the paths.
Where an engine elsewhere has the samples, it is asked: its answers to people are handed on as they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import math
import os
import platform
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import structlog

from bot import telemetry
from bot.errors import QueryError
from bot.labels import Labels
from bot.metrics.metadata import Family, metadata_json, said
from bot.promql import lookup
from bot.promql.api import json_text, label_sets_text, quoted, size_of, value_text
from bot.promql.engine import Engine, Limits
from bot.promql.lookup import Found, Period
from bot.promql.notes import Notes
from bot.promql.parameters import Form, selector_of, unescaped, wrong
from bot.promql.parse import Expr, parse
from bot.promql.pretty import pretty
from bot.promql.store import SeriesStore
from bot.promql.value import Matrix, Value
from bot.promql.written import written
from bot.rules.asked import known_here, only_here
from bot.rules.view import Wanted, first_page
from bot.schema import format_duration
from bot.settings import Query

T = TypeVar("T")

log = structlog.get_logger()

AT_ONCE = 2  # questions worked on at a time; more would only share the same processor
MAX_ANSWER = 64 * 1024 * 1024  # bytes of JSON
MAX_POINTS = 11_000  # steps of one range query, as Prometheus
# The version whose API this is: clients look here for what they may ask.
SPEAKS = "3.5.0"
_WORTH_PACKING = 1000
_GRACE_SECONDS = 1.0  # one step of numpy may not see at once that its time is over
_MOST_REMARKS = 10
_TRUNCATED = "results truncated due to limit"
_STATUS = {"bad_data": 400, "execution": 422, "timeout": 503, "unavailable": 503, "internal": 500}
_BY_FORM = frozenset({"query", "query_range", "query_exemplars", "series", "labels"})
_FORWARDED = _BY_FORM | {"targets", "targets/metadata", "scrape_pools", "metadata", "status/tsdb"}
_ASKED_AT_ONCE = 4  # of an engine elsewhere, by people
_ALERT_TYPES = ("", "alert", "record")


class Known(Protocol):
    """What the watcher knows besides samples."""

    async def rules(self, wanted: Wanted) -> dict[str, Any]: ...

    async def alerts(self) -> dict[str, Any]: ...

    def targets(self) -> list[dict[str, Any]]: ...

    def metadata(self) -> list[tuple[Labels, tuple[Family, ...]]]: ...

    def runtime(self) -> dict[str, Any]: ...


class Forwarded(Protocol):
    """An answer of an engine elsewhere, as it came."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class Elsewhere(Protocol):
    """An engine that has the samples when the store has not. All raise QueryError; deadlines are monotonic seconds."""

    @property
    def seconds(self) -> float:
        """How long one question may take."""

    async def instant(self, question: str, t: float, deadline: float) -> Value: ...

    async def range(self, question: str, start: float, end: float, step: float, deadline: float) -> Matrix: ...

    async def forward(
        self, path: str, fields: Sequence[tuple[str, str]], *, by_form: bool, seconds: float, max_bytes: int
    ) -> Forwarded: ...


@dataclass(frozen=True)
class Answer:
    """`packed`: the body is gzip."""

    status: int
    body: bytes
    packed: bool = False


@dataclass
class Result:
    """What an endpoint found: its `data` in pieces of JSON, none when there is nothing to say, and remarks."""

    data: Iterable[str]
    notes: Notes = field(default_factory=Notes)


class Patience:
    """Until when one question may be worked on. `over` is asked from within the work."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._given_up = threading.Event()
        self.waiting: asyncio.Task[Any] | None = None  # for somebody else's answer

    def shorten(self, seconds: float) -> None:
        self._end = min(self._end, time.monotonic() + seconds)

    def give_up(self) -> None:
        self._given_up.set()
        if self.waiting is not None:
            self.waiting.cancel()

    @property
    def left(self) -> float:
        return self._end - time.monotonic()

    def over(self) -> bool:
        return self._given_up.is_set() or time.monotonic() > self._end


Work = Callable[[Engine, Patience], Result]
Endpoint = Callable[[Form], Awaitable[Work]]


class Asking:
    """Questions of one runbook or chart, from a thread of the checks. Both raise QueryError."""

    def __init__(self, queries: Queries, engine: Engine, at: float) -> None:
        self._queries = queries
        self._engine = engine
        self.at = at

    def instant(self, text: str) -> Value:
        return self._engine.instant(self._queries.parsed(text), self.at, self._queries.limits())

    def range(self, text: str, start: float, step: float, seconds: float) -> Matrix:
        """From `start` until now, given up after so many seconds."""
        expr = self._queries.parsed(text)
        return self._engine.range(expr, start, self.at, step, self._queries.limits(seconds))


class AskingElsewhere(Asking):
    """The same of an engine elsewhere, save for what the watcher itself writes. `loop` is where that one lives."""

    def __init__(
        self, queries: Queries, engine: Engine, at: float, elsewhere: Elsewhere, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(queries, engine, at)
        self._elsewhere = elsewhere
        self._loop = loop

    def instant(self, text: str) -> Value:
        expr = self._queries.parsed(text)
        if known_here(expr):
            with self._queries.checks_turn:
                return super().instant(text)
        return self._wait(self._elsewhere.instant(expr.text, self.at, self._queries.deadline()))

    def range(self, text: str, start: float, step: float, seconds: float) -> Matrix:
        expr = self._queries.parsed(text)
        if known_here(expr):
            with self._queries.checks_turn:
                return super().range(text, start, step, seconds)
        deadline = self._queries.deadline(seconds)
        return self._wait(self._elsewhere.range(written(expr.node), start, self.at, step, deadline))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """It keeps its own time."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Queries:
    def __init__(self, store: SeriesStore, now: Callable[[], datetime], known: Known) -> None:
        self._now = now
        self._store = store
        self._known = known
        self._settings = Query()
        self._engines = [Engine(store) for _ in range(AT_ONCE)]
        self._free: SimpleQueue[Engine] = SimpleQueue()  # an engine is used by one thread at a time
        for engine in self._engines:
            self._free.put(engine)
        self._threads = ThreadPoolExecutor(AT_ONCE, "queries")
        self._checks = Engine(store)
        self._checks_thread = ThreadPoolExecutor(1, "checks")
        self.checks_turn = threading.Lock()  # of the engine of the checks, when several threads wait for answers
        self._waiting_threads = ThreadPoolExecutor(_ASKED_AT_ONCE, "waiting")
        self._elsewhere: Elsewhere | None = None
        self._turns = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._asked: dict[int, Patience] = {}
        self._endpoints: dict[str, Endpoint] = {
            "query": self._query,
            "query_range": self._query_range,
            "query_exemplars": self._exemplars,
            "format_query": self._format,
            "series": self._series,
            "labels": self._labels,
            "rules": self._rules,
            "alerts": self._alerts,
            "targets": self._targets,
            "targets/metadata": self._targets_metadata,
            "scrape_pools": self._scrape_pools,
            "metadata": self._metadata,
            "alertmanagers": self._alertmanagers,
            "status/buildinfo": self._buildinfo,
            "status/runtimeinfo": self._runtimeinfo,
            "status/flags": self._flags,
            "status/tsdb": self._tsdb,
        }

    def adjust(self, settings: Query, elsewhere: Elsewhere | None = None) -> None:
        """From the next question on; `elsewhere` has the samples when the store has not."""
        self._settings = settings
        self._elsewhere = elsewhere
        limits = Limits(settings.max_samples, settings.max_series)
        for engine in (*self._engines, self._checks):
            engine.adjust(settings.lookback_delta.total_seconds(), limits)

    # Runbook checks and charts ----------------------------------------------------------------------------------------

    async def checking(self, work: Callable[[Asking], T], now: datetime) -> T:
        """What `work` makes of the answers at `now`, off the event loop."""
        loop, at = asyncio.get_running_loop(), now.timestamp()
        if self._elsewhere is None:
            asking = Asking(self, self._checks, at)
            return await loop.run_in_executor(self._checks_thread, lambda: work(asking))
        elsewhere = AskingElsewhere(self, self._checks, at, self._elsewhere, loop)
        return await loop.run_in_executor(self._waiting_threads, lambda: work(elsewhere))

    def parsed(self, text: str) -> Expr:
        return parse(text, experimental=self._settings.experimental_functions)

    def limits(self, seconds: float = math.inf) -> Limits:
        """Those of one question that has so long, at the most what the settings allow."""
        return self._limits(Patience(min(seconds, self._settings.timeout.total_seconds())))

    def deadline(self, seconds: float = math.inf) -> float:
        """The same for an engine elsewhere, in monotonic seconds."""
        assert self._elsewhere is not None
        return time.monotonic() + min(seconds, self._settings.timeout.total_seconds(), self._elsewhere.seconds)

    # The HTTP API -----------------------------------------------------------------------------------------------------

    async def answer(self, number: int, path: str, fields: list[tuple[str, str]], *, pack: bool = False) -> Answer:
        """`path` is what follows /api/v1/. Never raises; `number` is what `cancel` knows the question by."""
        patience = self._asked[number] = Patience(self._settings.timeout.total_seconds())
        form = Form(fields)
        kind = path if path in self._endpoints else "label_values"
        started = time.monotonic()
        try:
            found = await self._answered(path, form, patience, pack)
        except QueryError as error:
            found = failure(_STATUS[error.kind], error.kind, str(error))
        except Exception as error:
            log.exception("query.failed", path=path)
            found = failure(500, "internal", f"{type(error).__name__}: {error}")
        finally:
            del self._asked[number]
        telemetry.queries.labels(kind, str(found.status)).inc()
        telemetry.query_seconds.observe(time.monotonic() - started)
        return found

    def cancel(self, number: int) -> None:
        """Whoever asked is gone."""
        patience = self._asked.get(number)
        if patience is not None:
            patience.give_up()

    async def _answered(self, path: str, form: Form, patience: Patience, pack: bool) -> Answer:
        if self._elsewhere is not None and self._is_theirs(path, form):
            return await self._forward(self._elsewhere, path, form, patience, pack)
        if path.startswith("label/") and path.endswith("/values"):
            work = self._label_values(unescaped(path[len("label/") : -len("/values")]), form)
        elif path in self._endpoints:
            work = await self._endpoints[path](form)
        else:
            return failure(404, "not_found", f"there is no /api/v1/{path}")
        if form.first("timeout"):
            patience.shorten(form.duration("timeout"))
        return await self._in_thread(work, patience, pack)

    def _is_theirs(self, path: str, form: Form) -> bool:
        """What is not of our own rules, or of series that only the watcher has."""
        if path not in {"query", "query_range"}:
            return path in _FORWARDED or path.startswith("label/")
        try:
            expr = self.parsed(form.first("query"))
        except QueryError:
            return True  # an engine may know more than ours
        return not expr.selectors or not only_here(expr)

    async def _forward(self, elsewhere: Elsewhere, path: str, form: Form, patience: Patience, pack: bool) -> Answer:
        if form.first("timeout"):
            with contextlib.suppress(QueryError):  # which the engine will tell
                patience.shorten(form.duration("timeout"))

        async def ask() -> Forwarded:
            async with self._turns:
                seconds = max(0.0, patience.left)
                by_form = path in _BY_FORM
                return await elsewhere.forward(
                    path, form.fields, by_form=by_form, seconds=seconds, max_bytes=MAX_ANSWER
                )

        patience.waiting = asyncio.create_task(ask())
        done, _ = await asyncio.wait({patience.waiting}, timeout=max(0.0, patience.left) + _GRACE_SECONDS)
        if not done or patience.waiting.cancelled():
            patience.waiting.cancel()
            raise _late("query queue")
        found = patience.waiting.result()
        return await asyncio.to_thread(_packed, found.status, found.body, pack)

    async def _in_thread(self, work: Work, patience: Patience, pack: bool) -> Answer:
        begun = threading.Event()

        def run() -> Answer:
            begun.set()
            _check(patience, "query queue")
            engine = self._free.get()
            try:
                return _success(work(engine, patience), patience, pack)
            finally:
                self._free.put(engine)

        future = asyncio.get_running_loop().run_in_executor(self._threads, run)
        done, _ = await asyncio.wait({future}, timeout=max(0.0, patience.left))
        if not done and begun.is_set():
            done, _ = await asyncio.wait({future}, timeout=_GRACE_SECONDS)
        if done:
            return future.result()
        patience.give_up()
        future.cancel()  # takes it out of the queue, should it still be there
        raise _late("expression evaluation" if begun.is_set() else "query queue")

    def _limits(self, patience: Patience) -> Limits:
        return Limits(self._settings.max_samples, self._settings.max_series, MAX_POINTS + 1, patience.over)

    def _lookback(self, form: Form) -> float:
        default = self._settings.lookback_delta.total_seconds()
        if not form.first("lookback_delta"):
            return default
        given = form.lookback()
        return given if given > 0 else default

    # Samples

    async def _query(self, form: Form) -> Work:
        limit = form.limit()
        at = form.optional_instant("time")
        lookback = self._lookback(form)
        expr = form.expression(experimental=self._settings.experimental_functions)
        t = self._now().timestamp() if at is None else at

        def work(engine: Engine, patience: Patience) -> Result:
            notes = Notes()
            engine.adjust(lookback, engine.limits)
            return _cut_value(engine.instant(expr, t, self._limits(patience), notes), limit, notes)

        return work

    async def _query_range(self, form: Form) -> Work:
        limit = form.limit()
        start, end = form.instant("start"), form.instant("end")
        if end < start:
            raise wrong("end", "end timestamp must not be before start time")
        step = form.duration("step")
        if step <= 0:
            raise wrong(
                "step", "zero or negative query resolution step widths are not accepted. Try a positive integer"
            )
        if (end - start) // step > MAX_POINTS:
            raise QueryError(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        lookback = self._lookback(form)
        expr = form.expression(experimental=self._settings.experimental_functions)
        if expr.kind not in {"scalar", "vector"}:
            kind = {"matrix": "range vector"}.get(expr.kind, expr.kind)
            raise wrong("query", f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')

        def work(engine: Engine, patience: Patience) -> Result:
            notes = Notes()
            engine.adjust(lookback, engine.limits)
            return _cut_value(engine.range(expr, start, end, step, self._limits(patience), notes), limit, notes)

        return work

    async def _exemplars(self, form: Form) -> Work:
        """None are kept; Grafana asks for them beside every graph."""
        start, end = form.optional_instant("start"), form.optional_instant("end")
        if start is not None and end is not None and end < start:
            raise QueryError("end timestamp must not be before start timestamp")
        expr = self.parsed(form.first("query"))
        return _plain([]) if expr.selectors else lambda _engine, _patience: Result(())

    async def _format(self, form: Form) -> Work:
        return _plain(pretty(form.expression(experimental=True)))

    # Series and labels

    def _found(self, form: Form) -> Callable[[Engine], Iterator[Found]]:
        period = _period(form)
        sets = form.matcher_sets()
        if not sets:
            return lambda _: lookup.everything(self._store, period)
        return lambda engine: lookup.series(engine.selector, sets, period)

    async def _series(self, form: Form) -> Work:
        if not form.every("match[]"):
            raise QueryError("no match[] parameter provided")
        limit = form.limit()
        period = _period(form)
        try:
            sets = form.matcher_sets()
        except QueryError as error:
            raise wrong("match[]", str(error)) from None

        def work(engine: Engine, patience: Patience) -> Result:
            found = lookup.series(engine.selector, sets, period)
            texts = [text for one in found for text in _label_sets(one, patience)]
            if len(sets) > 1:
                texts = list(dict.fromkeys(texts))
            return _cut_list(texts, limit)

        return work

    async def _labels(self, form: Form) -> Work:
        limit = form.limit()
        found = self._found(form)
        return lambda engine, _: _cut_list(list(map(quoted, lookup.label_names(found(engine)))), limit)

    def _label_values(self, name: str, form: Form) -> Work:
        if not name:
            raise QueryError('invalid label name: ""')
        limit = form.limit()
        found = self._found(form)
        return lambda engine, _: _cut_list(list(map(quoted, lookup.label_values(found(engine), name))), limit)

    # Rules and targets

    async def _rules(self, form: Form) -> Work:
        kind = form.first("type").lower()
        sets = form.matcher_sets()
        if kind not in _ALERT_TYPES:
            raise wrong("type", f'not supported value "{kind}"')
        without_alerts = form.yes("exclude_alerts")
        size, token = _page(form)
        wanted = Wanted(
            names=frozenset(form.every("rule_name[]")),
            groups=frozenset(form.every("rule_group[]")),
            files=frozenset(form.every("file[]")),
            matcher_sets=tuple(one.matchers for one in sets),
            kind=kind,
            alerts=not without_alerts,
        )
        shown = await self._known.rules(wanted)
        if size:
            try:
                shown = first_page(shown, size, token)
            except ValueError as error:
                raise wrong("group_next_token", str(error)) from None
        return _plain(shown)

    async def _alerts(self, _form: Form) -> Work:
        return _plain(await self._known.alerts())

    async def _targets(self, form: Form) -> Work:
        pool, state = form.first("scrapePool"), form.first("state").lower()
        known = self._known.targets()
        pools = dict.fromkeys(sorted({target["scrapePool"] for target in known}), 0)
        found = [target for target in known if not pool or target["scrapePool"] == pool]
        active = sorted(found, key=lambda target: str(target["scrapePool"]))
        shown: dict[str, Any] = {
            "activeTargets": active if state in {"", "any", "active"} else [],
            "droppedTargets": [],
            "droppedTargetCounts": pools if state in {"", "any", "dropped"} else None,
        }
        return _plain(shown)

    async def _targets_metadata(self, form: Form) -> Work:
        limit = form.count("limit")
        metric, text = form.first("metric"), form.first("match_target")
        try:
            matchers = selector_of(text).matchers if text else ()
        except QueryError as error:
            raise wrong("match_target", str(error)) from None
        known = self._known.metadata()

        def work(_engine: Engine, patience: Patience) -> Result:
            shown: list[dict[str, Any]] = []
            for labels, families in known:
                if 0 <= limit <= len(shown):
                    break
                _check(patience)
                if all(matcher.matches(labels) for matcher in matchers):
                    shown += _of_target(labels, families, metric)
            return Result(json_text(shown))

        return work

    async def _scrape_pools(self, _form: Form) -> Work:
        return _plain({"scrapePools": sorted({target["scrapePool"] for target in self._known.targets()})})

    async def _metadata(self, form: Form) -> Work:
        limit, each = form.count("limit"), form.count("limit_per_metric")
        metric = form.first("metric")
        pages = [families for _, families in self._known.metadata()]
        return lambda _engine, _patience: Result(json_text(metadata_json(pages, metric, limit, each)))

    async def _alertmanagers(self, _form: Form) -> Work:
        """Pages are sent from here, through no Alertmanager."""
        return _plain({"activeAlertmanagers": [], "droppedAlertmanagers": []})

    # Status

    async def _buildinfo(self, _form: Form) -> Work:
        return _plain(
            {
                "version": SPEAKS,
                "revision": f"agentpager {version('agentpager')}",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": f"python {platform.python_version()}",
            }
        )

    async def _runtimeinfo(self, _form: Form) -> Work:
        return _plain(
            {
                **self._known.runtime(),
                "CWD": str(Path.cwd()),
                "hostname": platform.node(),
                "serverTime": self._now().isoformat().replace("+00:00", "Z"),
                "corruptionCount": 0,
                "goroutineCount": threading.active_count(),
                "GOMAXPROCS": os.cpu_count() or 1,
                "GOGC": "",
                "GODEBUG": "",
            }
        )

    async def _flags(self, _form: Form) -> Work:
        settings = self._settings
        return _plain(
            {
                "query.lookback-delta": format_duration(settings.lookback_delta),
                "query.max-concurrency": str(AT_ONCE),
                "query.max-samples": str(settings.max_samples),
                "query.timeout": format_duration(settings.timeout),
            }
        )

    async def _tsdb(self, form: Form) -> Work:
        given = form.count("limit", smallest=1)
        limit = 10 if given < 0 else given
        return lambda _engine, _patience: Result(json_text(_cardinality(lookup.cardinality(self._store, limit))))


# What an answer is made of --------------------------------------------------------------------------------------------


def _plain(data: Any) -> Work:
    return lambda _engine, _patience: Result(json_text(data))


def _cut_value(value: Value, limit: int, notes: Notes) -> Result:
    if 0 < limit < size_of(value):
        notes.warnings[_TRUNCATED] = None
    return Result(value_text(value, limit), notes)


def _cut_list(texts: list[str], limit: int) -> Result:
    notes = Notes()
    if 0 < limit < len(texts):
        notes.warnings[_TRUNCATED] = None
        texts = texts[:limit]
    return Result(_listed(texts), notes)


def _listed(texts: list[str]) -> Iterator[str]:
    yield "["
    for begin in range(0, len(texts), 1000):
        yield ("," if begin else "") + ",".join(texts[begin : begin + 1000])
    yield "]"


def _label_sets(found: Found, patience: Patience) -> list[str]:
    texts: list[str] = []
    for begin in range(0, len(found.rows), 10_000):
        _check(patience)
        texts += label_sets_text(found.space, found.rows[begin : begin + 10_000])
    return texts


def _of_target(labels: Labels, families: Iterable[Family], metric: str) -> list[dict[str, Any]]:
    """A metric that was asked for by name is not named again, as in Prometheus."""
    if metric:
        return [{"target": labels, **said(family)} for family in families if family.name == metric]
    return [{"target": labels, "metric": family.name, **said(family)} for family in families]


def _cardinality(found: lookup.Cardinality) -> dict[str, Any]:
    return {
        "headStats": {
            "numSeries": found.series,
            "numLabelPairs": found.pairs,
            "chunkCount": 0,
            "minTime": found.first_ms,
            "maxTime": found.last_ms,
        },
        "seriesCountByMetricName": _stats(found.by_metric),
        "labelValueCountByLabelName": _stats(found.values_by_label),
        "memoryInBytesByLabelName": _stats(found.bytes_by_label),
        "seriesCountByLabelValuePair": _stats(found.by_pair),
    }


def _stats(counts: list[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in counts]


def _period(form: Form) -> Period:
    start, end = form.optional_instant("start"), form.optional_instant("end")
    return Period(None if start is None else round(start * 1000), None if end is None else round(end * 1000))


def _page(form: Form) -> tuple[int, str]:
    """How many groups, 0 for all, and from which on."""
    text, token = form.first("group_limit"), form.first("group_next_token")
    if token and not text:
        raise wrong("group_next_token", "group_limit needs to be present in order to paginate over the groups")
    if not text:
        return 0, ""
    size = form.page_size("group_limit")
    return size, token


def _check(patience: Patience, where: str = "expression evaluation") -> None:
    if patience.over():
        raise _late(where)


def _late(where: str) -> QueryError:
    return QueryError(f"query timed out in {where}", "timeout")


def _success(result: Result, patience: Patience, pack: bool) -> Answer:
    parts: list[bytes] = [b'{"status":"success","data":']
    size = 0
    for piece in result.data:
        part = piece.encode(errors="replace")
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            raise QueryError(
                f"the answer is larger than {MAX_ANSWER >> 20} MiB; "
                "ask for fewer series, a shorter time or a larger step",
                "execution",
            )
        _check(patience)
    if not size:
        return Answer(204, b"")
    for name, remarks in (("warnings", result.notes.warnings), ("infos", result.notes.infos)):
        if remarks:
            parts.append(f',"{name}":{json.dumps(_few(list(remarks), name))}'.encode())
    parts.append(b"}")
    return _packed(200, b"".join(parts), pack)


def _few(remarks: list[str], name: str) -> list[str]:
    rest = len(remarks) - _MOST_REMARKS
    if rest <= 0:
        return remarks
    return [*remarks[:_MOST_REMARKS], f"{rest} more {name.removesuffix('s')} annotations omitted"]


def _packed(status: int, body: bytes, pack: bool) -> Answer:
    if not pack or len(body) < _WORTH_PACKING:
        return Answer(status, body)
    return Answer(status, gzip.compress(body, 1, mtime=0), packed=True)


def failure(status: int, kind: str, message: str) -> Answer:
    shown: Mapping[str, str] = {"status": "error", "errorType": kind, "error": message}
    return Answer(status, json.dumps(shown).encode())
