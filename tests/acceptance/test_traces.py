"""A real server and a real collector: one page, from the alert to the ack, is one trace, through `kill -9` too."""

from __future__ import annotations

import json

from aiohttp import ClientSession
from otlp_receiver import Collector, Received
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from world import ANA, World

OPENMETRICS = "application/openmetrics-text"
ON_THEIR_WAY = "select id from pages where state in ('due', 'sending', 'unknown')"


async def test_one_page_is_one_trace_through_kill_9_and_a_dead_collector(tmp_path):
    async with Collector() as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        async with World(tmp_path) as world:
            config = tmp_path / "agentpager.yaml"
            url = "https://jaeger.example.com/trace/{trace_id}"
            config.write_text(config.read_text() + f'tracing: {{url: "{url}"}}\n')
            await world.start(env=env)
            world.agents["refund-agent"].values["agent_tool_errors"] = 38
            (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
            await world.until(lambda: _named(collector, "page ana"), "span of the page")
            (before,) = {span.trace for span in collector.spans if span.name == "page ana"}
            assert f"https://jaeger.example.com/trace/{before}" in str(page["blocks"])

            await world.until(lambda: not world.rows(ON_THEIR_WAY), "everything else is sent too")
            collector.status = 503
            await world.kill()
            await world.start(env=env)
            await world.slack.click(ANA, "inc.ack", ANA, page["ts"])
            await world.until(
                lambda: "ACKED" in str(world.pages_to(ANA)[0]["blocks"]), "the click shows, in spite of it"
            )
            collector.status = 200
            (acked,) = await world.until(lambda: _named(collector, "incident.acked"), "span of the ack")

            await world.until(lambda: not _orphans(collector, before), "no parent is missing")
            spans = {span.id: span for span in collector.of(before)}
            names = {span.id: span.name for span in spans.values()}
            assert acked.trace == before, "the process after kill -9 goes on with the same trace"
            root = collector.named("alert ToolErrors")
            assert root.parent == ""
            paged, sent = collector.named("page ana"), _of(spans, "send slack", collector.named("page ana"))
            assert names[paged.parent] == "incident.fired"
            assert names[collector.named("incident.fired").parent] == "alert ToolErrors"
            assert acked.parent == paged.id
            assert (
                root.start <= root.end <= paged.start <= sent.start <= sent.end == paged.end == acked.start < acked.end
            )
            (clicked,) = [at for (at,) in world.rows("select at from audit where doc like '%incident.acked%'")]
            assert abs(acked.end - clicked) < 1e-5
            assert sent.attributes["messaging.message.id"] == page["ts"]
            assert acked.attributes["agentpager.actor"] == "person:ana"
            evaluation = collector.named("evaluate")
            assert root.links == ((evaluation.trace, evaluation.id),)
            assert evaluation.trace != before

            lines = [json.loads(line) for line in world.log().splitlines() if line.startswith("{")]
            told = {(line["event"], line.get("page")): line for line in lines if line.get("incident") == "INC-1"}
            line = told["page.sent", paged.attributes["agentpager.page.id"]]
            assert (line["trace_id"], line["span_id"], line["person"]) == (before, sent.id, "ana")
            line = told["incident.acked", None]
            assert (line["trace_id"], line["span_id"], line["by"]) == (before, acked.id, "person:ana")

            assert await _exemplars(world) == {before}


def _named(collector: Collector, name: str) -> list[Received]:
    return list({span.id: span for span in collector.spans if span.name == name}.values())


def _orphans(collector: Collector, trace: str) -> list[Received]:
    spans = collector.of(trace)
    ids = {span.id for span in spans}
    return [span for span in spans if span.parent and span.parent not in ids]


def _of(spans: dict[str, Received], name: str, parent: Received) -> Received:
    (found,) = [span for span in spans.values() if span.name == name and span.parent == parent.id]
    return found


async def _exemplars(world: World) -> set[str]:
    """The traces that `/metrics` names. The whole page is OpenMetrics, the watcher's part and the registry's too."""
    headers = {"Accept": f"{OPENMETRICS};version=1.0.0,text/plain;q=0.5"}
    url = f"http://127.0.0.1:{world.port}/metrics"
    async with ClientSession(headers=headers) as session, session.get(url) as answer:
        assert answer.content_type == OPENMETRICS
        families = {family.name: family for family in text_string_to_metric_families(await answer.text())}
    assert {"agentpager_targets", "agent_registry_info"} <= set(families)
    acks = families["agentpager_ack_seconds"].samples
    return {sample.exemplar.labels["trace_id"] for sample in acks if sample.exemplar}
