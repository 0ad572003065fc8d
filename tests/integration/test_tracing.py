"""Spans reach a collector, whatever it did before, and nothing waits for it."""

# ruff: noqa: F811 - fixtures are imported, and named again by those that use them

from __future__ import annotations

import ast
import asyncio
import inspect
from datetime import timedelta

import pytest
from core_world import NOW, WORLD, after, opened
from hand_clock import HandClock
from otlp_receiver import Collector
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import SecretStr
from store_places import place  # noqa: F401

from bot import logs, pipeline, telemetry, tracing
from bot.audit.model import Entry
from bot.incidents.decision import Decision
from bot.incidents.model import Event, Incident
from bot.incidents.trace import change_span, send_span, trace_of
from bot.settings import Tracing as Settings
from bot.store.database import Database
from bot.tracing import Tracing


@pytest.fixture
async def store(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open(lease_at=NOW)
    yield store
    await store.close()


@pytest.fixture
async def wherever(place):
    """On SQLite and on PostgreSQL."""
    store = place.database()
    await store.open(lease_at=NOW)
    yield store
    await store.close()


@pytest.fixture
async def collector():
    async with Collector() as collector:
        yield collector


@pytest.fixture(autouse=True)
def _hooks_go_with_the_test(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")  # seconds; it tries again within them
    monkeypatch.setattr(logs, "ids_of", logs.ids_of)
    monkeypatch.setattr(telemetry, "exemplar_of", telemetry.exemplar_of)


def made(store: Database, collector: Collector | None = None, clock: HandClock | None = None, **env: str) -> Tracing:
    settings = Settings(endpoint=collector.url) if collector else Settings()
    return Tracing(store, settings, clock or HandClock(NOW), env)


async def told(tracing: Tracing) -> None:
    """One turn, to its end."""
    tracing._again_at = 0.0
    await tracing.tick()
    while tracing._task is not None:
        await asyncio.sleep(0.01)


async def happened(store: Database, number: int = 1) -> Incident:
    incident = opened().model_copy(update={"id": f"INC-{number}", "key": f"key-{number}"})
    async with store.transaction() as tx:
        await pipeline.record(tx, [Decision(incident, Event.FIRED, "it fired")], WORLD, NOW)
    return incident


async def test_what_has_happened_is_told_once_and_what_was_before_the_first_use_is_not(wherever, collector):
    store = wherever
    await happened(store, 1)
    tracing = made(store, collector)
    await told(tracing)
    assert collector.spans == []
    second = await happened(store, 2)
    await told(tracing)
    await told(tracing)
    assert [span.name for span in collector.of(trace_of(second))] == ["alert ErrorsHigh", "incident.fired"]
    assert len(collector.spans) == 2
    resource = collector.spans[0].resource
    assert resource["service.name"] == "agentpager"
    assert {"service.version", "service.instance.id"} <= set(resource)


async def test_what_a_dead_collector_missed_follows_after_a_restart(store):
    async with Collector() as gone:
        port = gone.port
        await told(made(store, gone))
    incident = await happened(store)
    before = made(store, gone)
    await told(before)
    assert telemetry.tracing_lag._value.get() == 0  # the clock stands still
    async with Collector(port) as collector:
        await told(made(store, collector))  # another process, or another replica
        assert {span.name for span in collector.of(trace_of(incident))} == {"alert ErrorsHigh", "incident.fired"}


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_what_a_collector_refuses_is_tried_again_and_said_once(store, collector, status, capsys):
    tracing = made(store, collector)
    await told(tracing)
    incident = await happened(store)
    collector.status = status
    await told(tracing)
    await told(tracing)
    assert collector.spans == []
    assert capsys.readouterr().out.count("tracing.not_taken") == 1
    collector.status = 200
    await told(tracing)
    assert len(collector.of(trace_of(incident))) == 2
    assert "tracing.taken_again" in capsys.readouterr().out


async def test_a_collector_that_hangs_stops_neither_the_loop_nor_the_end(store, collector, monkeypatch):
    monkeypatch.setattr(tracing, "_PATIENCE", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    one = made(store, collector)
    await told(one)
    collector.hangs = True
    await happened(store)
    for _ in range(5):
        await told(one)
    assert len(collector.requests) == 3, "no more than three threads hang"
    one.stop()


async def test_what_no_collector_took_for_a_day_is_told_no_more(store, collector):
    clock = HandClock(NOW)
    tracing = made(store, collector, clock)
    await told(tracing)
    await happened(store)
    clock.time = after(days=1, seconds=1)
    dropped = telemetry.trace_rows_dropped._value.get()
    await told(tracing)
    assert collector.spans == []
    assert telemetry.trace_rows_dropped._value.get() == dropped + 1
    async with store.transaction() as tx:
        await tx.append_audit([Entry(at=clock.time, actor="person:ana", action="incident.acked", subject="INC-1")])
    await told(tracing)
    assert [span.name for span in collector.spans] == ["incident.acked"]


async def test_a_storm_goes_in_bounded_requests(store, collector):
    tracing = made(store, collector, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="50")
    await told(tracing)
    for number in range(1, 61):
        await happened(store, number)
    await told(tracing)
    assert len({span.trace for span in collector.spans}) == 60
    assert len({span.id for span in collector.spans}) == len(collector.spans) == 120
    assert len(collector.requests) == 3


@pytest.mark.parametrize(
    ("env", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_opentelemetry_s_variables_say_whether_there_are_traces(env, on):
    assert tracing.wanted(Settings(), env) is on


async def test_the_variables_count_before_the_file(store, collector, monkeypatch):
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=ours",
        "OTEL_SERVICE_NAME": "pager-eu",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,service.version=9",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings = Settings(endpoint="http://127.0.0.1:9", headers={"x-tenant": SecretStr("other")})
    one = Tracing(store, settings, HandClock(NOW), env)
    await told(one)
    await happened(store)
    await told(one)
    assert collector.requests[0].headers["x-tenant"] == "ours"
    resource = collector.spans[0].resource
    assert (resource["service.name"], resource["service.version"]) == ("pager-eu", "9")
    assert resource["deployment.environment.name"] == "prod"


async def test_the_file_s_headers_go_with_each_request(store, collector):
    settings = Settings(endpoint=f"{collector.url}/", headers={"Authorization": SecretStr("Bearer t")})
    one = Tracing(store, settings, HandClock(NOW), {})
    await told(one)
    await happened(store)
    await told(one)
    assert collector.requests[0].headers["Authorization"] == "Bearer t"


async def test_a_sampler_keeps_a_whole_trace_or_nothing_and_exemplars_name_what_is_kept(store, collector, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    one = made(store, collector)
    await told(one)
    incidents = [await happened(store, number) for number in range(1, 31)]
    await told(one)
    kept = {span.trace for span in collector.spans}
    assert 0 < len(kept) < 30
    assert all(len(collector.of(name)) == 2 for name in kept)
    # The lower half of the id decides, as the specification of the sampler has it.
    assert kept == {name for name in map(trace_of, incidents) if int(name[16:], 16) < 1 << 63}
    for incident in incidents:
        expected = {"trace_id": trace_of(incident)} if trace_of(incident) in kept else None
        assert telemetry.exemplar_of(incident.id) == expected


@pytest.mark.parametrize(("sampler", "kept"), [(None, True), ("always_on", True), ("traceidratio", False)])
async def test_the_first_ack_after_a_start_names_its_trace_unless_a_sampler_has_to_say(store, collector, sampler, kept):
    made(store, collector, **({"OTEL_TRACES_SAMPLER": sampler} if sampler else {}))
    incident = await happened(store)
    await store.unresolved()
    assert telemetry.exemplar_of(incident.id) == ({"trace_id": trace_of(incident)} if kept else None)


async def test_an_exporter_that_is_not_installed_is_named(store, capsys):
    one = made(store, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    await told(one)
    await happened(store)
    await told(one)
    assert "otlp_proto_grpc" in capsys.readouterr().out


async def test_lines_about_an_incident_have_the_ids_of_its_trace(store, collector):
    made(store, collector)
    incident = await happened(store)
    name = trace_of(incident)
    changed = logs.of_incident(None, "info", {"event": "incident.acked", "incident": incident, "revision": "2"})
    spans = {"trace_id": name, "span_id": change_span(name, 2, "acked")}
    assert changed == {"event": "incident.acked", "incident": "INC-1", "revision": "2"} | spans
    await store.unresolved()
    sent = logs.of_incident(None, "info", {"incident": "INC-1", "page": "INC-1.1.page.ana", "attempt": "2"})
    assert sent["trace_id"] == name
    assert sent["span_id"] == send_span(name, "INC-1.1.page.ana", 2)
    assert logs.of_incident(None, "info", {"incident": "INC-77"}) == {"incident": "INC-77"}
    assert logs.of_incident(None, "info", {"event": "stopping"}) == {"event": "stopping"}


def test_without_traces_lines_name_the_incident_only():
    assert logs.of_incident(None, "info", {"incident": opened()}) == {"incident": "INC-1"}


async def test_the_page_of_metrics_is_openmetrics_with_an_exemplar(store, collector):
    one = made(store, collector)
    await told(one)
    incident = await happened(store)
    await told(one)
    telemetry.acked(incident.id, 42.0)
    page = (telemetry.page(openmetrics=True) + telemetry.END).decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    buckets = [sample for sample in families["agentpager_ack_seconds"].samples if sample.exemplar]
    assert [(one.labels["le"], one.exemplar.labels, one.exemplar.value) for one in buckets] == [
        ("60.0", {"trace_id": trace_of(incident)}, 42.0)
    ]


async def test_doctor_hears_what_a_collector_says_to_a_request_without_spans(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    settings = Settings(endpoint=collector.url)
    assert await tracing.problem(settings, {}) == ""
    collector.status = 401
    assert "401" in await tracing.problem(settings, {})
    assert collector.spans == []
    dead = Settings(endpoint="http://127.0.0.1:9")
    assert "refused" in await tracing.problem(dead, {})


async def test_without_the_extra_the_log_says_which_one(store, monkeypatch, capsys):
    monkeypatch.setattr(tracing, "find_spec", lambda _name: None)
    one = made(store, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert not one.on
    assert "pip install 'agentpager[otel]'" in capsys.readouterr().out
    assert one.url_of(opened()) == ""
    await told(one)
    assert await tracing.problem(Settings(), {}) == tracing.EXTRA


def test_nothing_of_it_is_imported_before_it_is_needed():
    """Only this module may import it at all: that is one of the contracts of `make check`."""
    at_once = [
        node for node in ast.parse(inspect.getsource(tracing)).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert "opentelemetry" not in " ".join(map(ast.unparse, at_once))


def test_the_interval_is_the_sdk_s(store):
    assert made(store, OTEL_BSP_SCHEDULE_DELAY="250").every == timedelta(milliseconds=250)
    assert made(store, OTEL_BSP_SCHEDULE_DELAY="soon").every == timedelta(seconds=5)
