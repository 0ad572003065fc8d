"""Pages nobody here wrote: Debian's node exporter, Prometheus itself, and an agent under OpenTelemetry's GenAI."""

import asyncio
import contextlib
import math
import subprocess

import prometheus_client.openmetrics.parser as openmetrics_peer
import prometheus_client.parser as text_peer
import pytest
from metrics_world import Watch
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.util.genai.handler import TelemetryHandler
from ports import free_port
from programs import program
from prometheus_client import CollectorRegistry, start_http_server

from bot.errors import RemoteError
from bot.metrics.exposition import ACCEPT, parse
from bot.metrics.fetch import Client
from bot.settings import Access, ScrapeLimits

pytestmark = pytest.mark.interop


@contextlib.asynccontextmanager
async def running(*command):
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def node_exporter(folder):
    port = free_port()
    async with running(program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}/metrics"


@contextlib.asynccontextmanager
async def prometheus(folder):
    port = free_port()
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    async with running(
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ):
        yield f"http://127.0.0.1:{port}/metrics"


@pytest.fixture
async def client(tmp_path):
    client = Client(tmp_path)
    yield client
    await client.close()


async def page(client, url, accept):
    """As soon as the program listens."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(RemoteError):
                headers = {"Accept": accept, "Accept-Encoding": "gzip"}
                return await client.get(url, Access(), headers, timeout_seconds=5, max_bytes=2**24)
            await asyncio.sleep(0.05)


def shown(value):
    return "NaN" if math.isnan(value) else float(value)


@pytest.mark.parametrize("exporter", [node_exporter, prometheus])
async def test_every_sample_is_what_prometheus_client_reads(client, tmp_path, exporter):
    async with exporter(tmp_path) as url:
        got = await page(client, url, ACCEPT)
    openmetrics = got.content_type.startswith("application/openmetrics-text")
    ours = [(s.name, s.labels, shown(s.value), s.timestamp) for s in parse(got.body, got.content_type, ScrapeLimits())]
    peer = openmetrics_peer if openmetrics else text_peer
    families = list(peer.text_string_to_metric_families(got.body.decode()))
    theirs = [(s.name, s.labels, shown(s.value), s.timestamp) for family in families for s in family.samples]
    # In text it renames counters to end in _total, whether they do or not.
    names = {sample[0] for sample in ours}
    theirs = [(n if n in names else n.removesuffix("_total"), *rest) for n, *rest in theirs]
    assert len(ours) > 200
    assert ours == theirs


@pytest.mark.parametrize("exporter", [node_exporter, prometheus])
async def test_they_are_scraped_into_the_store(client, tmp_path, exporter):
    settings = {"interval": "500ms", "timeout": "500ms"}
    async with exporter(tmp_path) as url, Watch(tmp_path, **settings, targets=[{"url": url}]) as watch:
        await page(client, url, ACCEPT)
        await watch.scrapes(3)
        assert watch.value("up") == 1.0, watch.reasons()
        assert watch.value("scrape_samples_scraped") > 200
        assert watch.value("process_start_time_seconds") > 1.6e9
        assert watch.value("count({__name__=~'.+'})") >= watch.value("scrape_samples_post_metric_relabeling")


@pytest.fixture
def genai_agent():
    """An agent's process as OpenTelemetry instruments it: one good and one failed model call, one tool call."""
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry)])
    handler = TelemetryHandler(meter_provider=provider)
    with handler.inference("openai", request_model="gpt-x", operation_name="chat") as call:
        call.input_tokens, call.output_tokens = 120, 30
    with contextlib.suppress(TimeoutError), handler.inference("openai", request_model="gpt-x", operation_name="chat"):
        raise TimeoutError
    with handler.tool("refund"):
        pass
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    thread.join()
    provider.shutdown()


async def test_an_agent_under_opentelemetry_genai(genai_agent, tmp_path):
    target = {
        "url": genai_agent,
        "labels": {"agent": "refund"},
        "drop_labels": ["otel_scope_name", "otel_scope_version"],
    }
    async with Watch(tmp_path, targets=[target]) as watch:
        await watch.scrapes(2)
        assert watch.value("up") == 1.0, watch.reasons()
        calls = watch.query("gen_ai_client_operation_duration_seconds_count")
        assert {(labels.get("error_type"), value) for labels, value in calls} == {(None, 1.0), ("TimeoutError", 1.0)}
        assert all("" not in labels.values() for labels, _ in watch.query('{__name__=~"gen_ai.+"}'))
        tokens = watch.query('sum by (gen_ai_token_type) ({__name__=~"gen_ai_client_token_usage.*_sum"})')
        assert {(labels["gen_ai_token_type"], value) for labels, value in tokens} == {
            ("input", 120.0),
            ("output", 30.0),
        }
        slowest = watch.value('histogram_quantile(0.9, gen_ai_client_operation_duration_seconds_bucket{error_type=""})')
        assert 0 < slowest <= 0.01
        assert watch.query('{__name__=~".+_created"}') == []
