"""Incidents as traces of OpenTelemetry. The one door to its SDK, which the extra `otel` brings.

Nothing here stands in the way of a page. What is to be told stands in the audit log, and that is the queue: a task
reads behind a mark in the database, a thread sends, the mark moves on when the collector has taken it. A collector that
is dead, hangs or refuses costs a thread that waits; what it has missed follows, also after a restart or by another
replica.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import structlog

from bot import logs, telemetry
from bot.errors import LeaseLostError
from bot.incidents import trace
from bot.incidents.model import Incident
from bot.ports import Clock
from bot.records.spans import Span, spans_of
from bot.settings import Tracing as Settings
from bot.store.database import Database

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanContext

log = structlog.get_logger()

EXTRA = "traces need the extra otel: pip install 'agentpager[otel]'"
MARK = "traced"  # the key under which the sequence of the last row told is kept
_KEPT = timedelta(days=1)  # what a collector has missed for longer is told no more
_ROWS = 500  # audit rows at once
_INCIDENTS = 50  # read at once
_BREATH = 0.02  # seconds between pieces, for whoever waits
_PATIENCE = 60.0  # seconds, whatever a collector does; the exporter's own timeout is shorter
_HUNG = 3  # threads that may hang in a collector before no more is sent
_AGAIN, _AGAIN_CAP = 5.0, 60.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_KEEP_ALL = frozenset({"", "always_on", "parentbased_always_on"})
_PROTOCOLS = {"": "otlp_proto_http", "http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


def wanted(settings: Settings, env: Mapping[str, str]) -> bool:
    """Whether somebody has asked for traces, here or by OpenTelemetry's own variables."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if named := env.get("OTEL_TRACES_EXPORTER", "").strip():
        return named != "none"
    return settings.endpoint is not None or any(env.get(name) for name in _ENDPOINTS)


def available() -> bool:
    """Whether the extra `otel` is installed."""
    try:
        return all(map(find_spec, ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")))
    except ModuleNotFoundError:
        return False


async def problem(settings: Settings, env: Mapping[str, str]) -> str:
    """Why there will be no traces; empty when a collector takes a request without any."""
    return await _Collector(settings, env).knock() if available() else EXTRA


class Tracing:
    """Every replica names its traces; only one that leads tells them, by `tick`."""

    def __init__(self, store: Database, settings: Settings, clock: Clock, env: Mapping[str, str] = os.environ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._env = env
        self._collector = _Collector(settings, env)
        self._task: asyncio.Task[None] | None = None
        self._again_at = 0.0
        self._failures = 0
        self.every = timedelta(milliseconds=_number(env.get("OTEL_BSP_SCHEDULE_DELAY"), 5000))
        self._batch = _number(env.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), 512)
        self.on = wanted(settings, env) and available()
        if self.on:
            logs.ids_of = self._ids_of
            telemetry.exemplar_of = self._exemplar_of
        elif wanted(settings, env):
            log.error("tracing.off", why=EXTRA)

    def url_of(self, incident: Incident) -> str:
        """Where a person finds the trace; empty where that is not known."""
        return self._settings.url.replace("{trace_id}", trace.trace_of(incident)) if self.on else ""

    async def tick(self) -> None:
        """Begins to tell what is new, unless that is under way; waits for nothing."""
        if self.on and self._task is None and time.monotonic() >= self._again_at:
            self._task = asyncio.create_task(self._tell(), name="traces")
            self._task.add_done_callback(self._done)

    def stop(self) -> None:
        """What is not told yet is told after the next start."""
        if self._task is not None:
            self._task.cancel()

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._task = None

    async def _tell(self) -> None:
        try:
            why = await self._round()
        except LeaseLostError:  # another one leads, and tells them
            return
        except Exception as error:
            telemetry.loop_errors.labels("tracing").inc()
            log.exception("tracing.failed")
            why = f"{type(error).__name__}: {error}"
        if why:
            if not self._failures:
                log.warning("tracing.not_taken", error=why)
            self._again_at = time.monotonic() + min(_AGAIN * 2 ** min(self._failures, 10), _AGAIN_CAP)
            self._failures += 1
        elif self._failures:
            log.info("tracing.taken_again", failures=self._failures)
            self._failures = 0

    async def _round(self) -> str:
        """Tells everything new, piece by piece; returns why the collector has not taken it."""
        told = await self._mark()
        while rows := await self._store.history.audit_after(told, _ROWS):
            oldest, last = self._clock.now() - _KEPT, rows[-1][0]
            fresh = [(number, subject) for number, at, subject in rows if at >= oldest]
            telemetry.trace_rows_dropped.inc(len(rows) - len(fresh))
            telemetry.tracing_lag.set((self._clock.now() - max(rows[0][1], oldest)).total_seconds())
            if why := await self._send(await self._spans(fresh)):
                return why
            told = last
            async with self._store.leading.transaction() as tx:
                await tx.replace_key(MARK, str(told))
            await asyncio.sleep(_BREATH)
        telemetry.tracing_lag.set(0)
        return ""

    async def _mark(self) -> int:
        """The row that was told last; what is older than the first use is not told."""
        if (kept := await self._store.key(MARK)) is not None:
            return int(kept)
        head = await self._store.history.audit_head()
        last = head.sequence if head is not None else 0
        async with self._store.leading.transaction() as tx:
            await tx.replace_key(MARK, str(last))
        return last

    async def _spans(self, rows: Sequence[tuple[int, str]]) -> list[Span]:
        new = {number for number, _ in rows}
        names = list(dict.fromkeys(subject.partition(".")[0] for _, subject in rows if subject.startswith("INC-")))
        found: dict[tuple[str, str], Span] = {}
        for start in range(0, len(names), _INCIDENTS):
            cases = await self._store.history.told_of(names[start : start + _INCIDENTS])
            led = {page.lead: page.lead.partition(".")[0] for _, pages, _ in cases for page in pages if page.lead}
            known = {one.id: one for one in await self._store.history.incidents(list(set(led.values())))}
            leads = {lead: known[name] for lead, name in led.items() if name in known}
            for incident, pages, entries in cases:
                every = await asyncio.to_thread(spans_of, incident, pages, entries, leads)
                found |= {(span.trace, span.id): span for span in every if span.told_by in new}
            await asyncio.sleep(_BREATH)
        return sorted(found.values(), key=lambda span: span.told_by)

    async def _send(self, spans: Sequence[Span]) -> str:
        for start in range(0, len(spans), self._batch):
            batch = spans[start : start + self._batch]
            if why := await self._collector.take(batch):
                return why
            telemetry.spans.inc(len(batch))
        return ""

    def _ids_of(self, about: Incident | str, event: Mapping[str, Any]) -> dict[str, str]:
        """What belongs into a line of the log that is about an incident."""
        incident = about if isinstance(about, Incident) else self._store.known(about)
        if incident is None:
            return {}
        name = trace.trace_of(incident)
        ids = {"trace_id": name}
        what, _, change = str(event.get("event")).partition(".")
        if "page" in event and "attempt" in event:
            ids["span_id"] = trace.send_span(name, str(event["page"]), int(event["attempt"]))
        elif what == "incident" and "revision" in event:
            ids["span_id"] = trace.change_span(name, int(event["revision"]), change)
        return ids

    def _exemplar_of(self, incident_id: str | None) -> dict[str, str] | None:
        """A trace that is kept; while a sampler has not said yet whether it is, none."""
        incident = self._store.known(incident_id or "")
        if incident is None:
            return None
        name = trace.trace_of(incident)
        return {"trace_id": name} if self._collector.keeps(name) else None


class _Collector:
    """Sends on a thread of its own, one batch at a time. The SDK is imported there: it takes a while."""

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        self._settings = settings
        self._env = env
        self._sdk: _Sdk | None = None
        self._threads: list[threading.Thread] = []

    def keeps(self, name: str) -> bool:
        if self._sdk is None:  # until the first batch: it takes a while to import
            return self._env.get("OTEL_TRACES_SAMPLER", "").lower() in _KEEP_ALL
        return self._sdk.samples(name)

    async def take(self, spans: Sequence[Span]) -> str:
        """Why they were not taken; empty when they were."""
        return await self._ask(lambda sdk: sdk.send(spans))

    async def knock(self) -> str:
        """Why nothing would be taken; empty when it would."""
        return await self._ask(lambda sdk: sdk.export([]))

    async def _ask(self, what: Callable[[_Sdk], str]) -> str:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= _HUNG:
            return f"the collector has not answered {_HUNG} requests, which still hang"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def settle(why: str) -> None:
            if not answer.done():
                answer.set_result(why)

        def work() -> None:
            try:
                if self._sdk is None:
                    self._sdk = _Sdk(self._settings, self._env)
                why = what(self._sdk)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, pages go on
                why = f"{type(error).__name__}: {error}"
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, why)

        thread = threading.Thread(target=work, name="traces", daemon=True)  # nobody waits for it at the end
        self._threads.append(thread)
        thread.start()
        try:
            return await asyncio.wait_for(answer, _PATIENCE)
        except TimeoutError:
            self._sdk = None  # the thread keeps the old one
            return f"no answer in {_PATIENCE:.0f} s"


class _Sdk:
    """OpenTelemetry's own parts: sampler, limits, resource and exporter, set up by its own variables."""

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.id_generator import IdGenerator  # noqa: PLC0415

        ended: list[ReadableSpan] = []

        class Keep(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                if span.context is not None and span.context.trace_flags.sampled:
                    ended.append(span)

        class Given(IdGenerator):
            """The ids of the span that is being written down."""

            trace = span = 0

            def generate_trace_id(self) -> int:
                return self.trace

            def generate_span_id(self) -> int:
                return self.span

        self._said = _Said()
        self._ended = ended
        self._ids = Given()
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False, id_generator=self._ids)
        provider.add_span_processor(Keep())
        self._sampler = provider.sampler
        self._tracer = provider.get_tracer("agentpager", version("agentpager"))
        self._exporters = _exporters(settings, env)

    def samples(self, name: str) -> bool:
        """The same for all spans of a trace, and on all replicas: it depends on the id at most."""
        decision = self._sampler.should_sample(None, int(name, 16), "incident").decision
        return bool(decision.is_sampled())  # type: ignore[no-untyped-call]

    def send(self, spans: Sequence[Span]) -> str:
        self._ended.clear()
        for span in spans:
            self._write(span)
        return self.export(list(self._ended)) if self._ended else ""

    def export(self, batch: Sequence[ReadableSpan]) -> str:
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415

        for exporter in self._exporters:
            self._said.begin()
            if exporter.export(batch) is not SpanExportResult.SUCCESS:
                return self._said.told()
        return ""

    def _write(self, span: Span) -> None:
        from opentelemetry import trace as api  # noqa: PLC0415
        from opentelemetry.context import Context  # noqa: PLC0415

        context = Context()
        if span.parent:
            parent = api.NonRecordingSpan(self._context(span.trace, span.parent))
            context = api.set_span_in_context(parent, context)
        self._ids.trace, self._ids.span = int(span.trace, 16), int(span.id, 16)
        links = [api.Link(self._context(one.trace, one.span), {"agentpager.link": one.why}) for one in span.links]
        kind = api.SpanKind.CLIENT if span.kind == "client" else api.SpanKind.INTERNAL
        written = self._tracer.start_span(
            span.name, context, kind, dict(span.attributes), links, start_time=_nanoseconds(span.start)
        )
        if span.error_type:
            written.set_attribute("error.type", span.error_type)
            written.set_status(api.StatusCode.ERROR, span.error)
        written.end(_nanoseconds(span.end))

    def _context(self, name: str, span: str) -> SpanContext:
        from opentelemetry import trace as api  # noqa: PLC0415

        flags = api.TraceFlags(api.TraceFlags.SAMPLED if self.samples(name) else api.TraceFlags.DEFAULT)
        return api.SpanContext(int(name, 16), int(span, 16), is_remote=False, trace_flags=flags)


class _Said(logging.Handler):
    """The SDK tells only its log why it has failed. There it would be a line for each try."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []
        logger = logging.getLogger("opentelemetry")
        logger.handlers[:] = [self]
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())

    def begin(self) -> None:
        self._lines.clear()

    def told(self) -> str:
        """The first line names the cause, the last one that it was given up."""
        return " ".join(dict.fromkeys((*self._lines[:1], *self._lines[-1:]))) or "the exporter has failed"


def _resource() -> Any:
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say counts first."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415

    said = OTELResourceDetector().detect().attributes
    ours = {
        "service.name": "agentpager",
        "service.version": version("agentpager"),
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    return Resource.create({key: value for key, value in ours.items() if key not in said})


def _exporters(settings: Settings, env: Mapping[str, str]) -> list[SpanExporter]:
    named = env.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    return [_exporter(name.strip(), settings, env) for name in named.split(",") if name.strip() != "none"]


def _exporter(name: str, settings: Settings, env: Mapping[str, str]) -> SpanExporter:
    """Raises LookupError for what is not installed."""
    if name == "otlp":
        spoken = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
        name = _PROTOCOLS.get(spoken.strip(), spoken)
    found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=name)), None)
    if found is None:
        raise LookupError(f'no exporter "{name}" is installed; the extra otel brings OTLP over HTTP (http/protobuf)')
    make: Callable[..., SpanExporter] = found.load()
    about: dict[str, Any] = {}
    if name == "otlp_proto_http":
        if settings.endpoint is not None and not any(env.get(one) for one in _ENDPOINTS):
            about["endpoint"] = f"{settings.endpoint.rstrip('/')}/v1/traces"
        if settings.headers and not any(env.get(one) for one in _HEADERS):
            about["headers"] = {key: value.get_secret_value() for key, value in settings.headers.items()}
    return make(**about)


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000


def _number(text: str | None, default: int) -> int:
    """What is no number counts as if it were not set, as in the SDK."""
    try:
        return max(int(text or default), 1)
    except ValueError:
        return default
