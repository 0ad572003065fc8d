"""The HTTP server as a client meets it, over real sockets: who may ask, what is answered, what is refused."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
import uvicorn
from core_world import BOOK, NOW, WORLD, alert, no_data, opened
from pydantic import SecretStr

from bot.commands import roster
from bot.errors import ConfigError, ConflictError, Finding, RemoteError, UsageError
from bot.incidents import people
from bot.incidents.model import Incident, Suppression, SuppressionKind
from bot.oncall.model import Layer, Schedule
from bot.ports import Actor, AgentStatus, Outcome
from bot.settings import Http
from bot.web import api, door

LARGE = b'{"data": "' + b"x" * (5 << 20) + b'"}'
ROTA = Schedule(id="primary", timezone="Europe/Madrid", layers=(Layer(people=("ana", "ben"), start=date(2026, 11, 2)),))


class Desk:
    """Commands over two incidents in memory."""

    def __init__(self) -> None:
        infinite = alert("Cost", value=float("inf"), labels={"severity": "warning"})
        second = people.ack(opened(infinite), "person:ben", NOW).incident.model_copy(update={"id": "INC-2"})
        self.all: dict[str, Incident] = {"INC-1": opened(no_data(alert(value=float("nan")))), "INC-2": second}
        self.acts: list[tuple[str, Actor, str]] = []
        self.book = BOOK.model_copy(update={"schedules": {"primary": ROTA}})

    async def incidents(self, *, only_open: bool = True, limit: int = 50) -> list[Incident]:
        return [incident for incident in self.all.values() if not only_open or incident.acked_by is None]

    async def incident(self, reference: str) -> Incident:
        if reference not in self.all:
            raise UsageError(f'there is no incident "{reference}"')
        return self.all[reference]

    async def _act(self, verb: str, actor: Actor, reference: str) -> Outcome:
        incident = await self.incident(reference)
        if verb == "ack":
            incident = people.ack(incident, actor.id, NOW).incident
        if verb == "release":
            incident = people.release(incident, actor.id, WORLD, NOW).incident
        self.acts.append((verb, actor, reference))
        return Outcome(incident, True, f"{verb} done")

    async def ack(self, actor: Actor, reference: str) -> Outcome:
        return await self._act("ack", actor, reference)

    async def resolve(self, actor: Actor, reference: str) -> Outcome:
        return await self._act("resolve", actor, reference)

    async def release(self, actor: Actor, reference: str) -> Outcome:
        return await self._act("release", actor, reference)

    async def decline(self, actor: Actor, reference: str) -> Outcome:
        return await self._act("decline", actor, reference)

    async def take(self, actor: Actor, reference: str) -> Outcome:
        return await self._act("take", actor, reference)

    async def escalate(self, actor: Actor, reference: str) -> Outcome:
        return await self._act("escalate", actor, reference)

    async def snooze(self, actor: Actor, reference: str, until: str) -> Outcome:
        return await self._act(f"snooze {until}", actor, reference)

    async def hand(self, actor: Actor, reference: str, person: str) -> Outcome:
        return await self._act(f"hand {person}", actor, reference)

    async def note(self, actor: Actor, reference: str, text: str) -> Outcome:
        return await self._act(f"note {text}", actor, reference)

    async def mark(self, actor: Actor, reference: str, verdict: str) -> Outcome:
        return await self._act(f"mark {verdict}", actor, reference)

    def oncall(self, at=None) -> dict[str, Any]:
        return roster(self.book, at or NOW)

    async def status(self) -> list[AgentStatus]:
        return [AgentStatus("refund-agent", "Refund agent", "firing", "team:payments", ("ana",), ("INC-1",))]


class Noon:
    def now(self):
        return NOW


class Backend:
    clock = Noon()

    def __init__(self) -> None:
        self.commands = Desk()
        self.asked: list[tuple[str, api.Fields]] = []
        self.given_up = asyncio.Event()
        self.ready: dict[str, Any] = {"ready": True, "checks": {"store": "ok"}, "config": {"ok": True}}
        self.reload_error: Exception | None = None

    async def ask_prometheus(self, path: str, fields: api.Fields, *, pack: bool) -> tuple[dict[str, Any], bytes]:
        self.asked.append((path, fields))
        query = dict(fields).get("query")
        if query == "dead":
            raise RemoteError("the watcher is not running", code="watcher_down")
        if query == "large":
            return {"status": 200, "packed": False}, LARGE
        if query == "packed":
            return {"status": 200, "packed": True}, gzip.compress(LARGE)
        if query == "forever":
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.set()
        return {"status": 422 if query == "broken" else 200, "packed": False}, b'{"data": "as it came"}'

    async def readiness(self) -> dict[str, Any]:
        return self.ready

    async def reload(self) -> None:
        if self.reload_error is not None:
            raise self.reload_error

    async def metrics(self, *, openmetrics: bool = False) -> bytes:
        return b"agentpager_build_info 1\n"

    async def chart(self, reference: str) -> str:
        if reference == "INC-404":
            raise UsageError("there is no incident INC-404")
        if reference == "INC-503":
            raise RemoteError("the watcher is not running")
        return "" if reference == "INC-8" else f"<svg>{reference}</svg>"


class Site:
    def __init__(self, backend: Backend, port: int) -> None:
        self.backend = backend
        self.port = port
        self.session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.session.get(path, headers=named(headers)) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.session.post(path, data=body, headers=named(headers)) as answer:
            return answer.status, await answer.json(content_type=None)


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


async def serve(settings: Http) -> AsyncIterator[Site]:
    backend = Backend()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api.build(backend, lambda: settings), log_config=None, access_log=False))
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    site = Site(backend, listener.getsockname()[1])
    yield site
    await site.session.close()
    server.should_exit = True
    await task


@pytest.fixture
async def site():
    async for running in serve(Http(external_url="https://pager.example.com")):
        yield running


@pytest.fixture
async def locked():
    async for running in serve(Http(token=SecretStr("s3cret"))):
        yield running


# Who may ask


GUARDED = ["/api/v1/query?query=up", "/api/v1/rules", "/api/pager/incidents", "/api/pager/oncall", "/api/pager/status"]


@pytest.mark.parametrize("path", GUARDED)
async def test_with_a_token_only_its_bearer_is_answered(locked, path):
    for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cret"}, {"authorization": "Bearer é"}):
        status, body = await locked.get(path, **header)
        assert (status, body["errorType"]) == (401, "unauthorized")
    status, _ = await locked.get(path, authorization="Bearer s3cret")
    assert status == 200


async def test_with_a_token_any_host_name_and_origin_will_do(locked):
    headers = {"authorization": "Bearer s3cret", "host": "evil.example", "origin": "https://evil.example"}
    assert (await locked.post("/api/pager/incidents/INC-1/ack", **headers))[0] == 200


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/metrics"])
async def test_health_and_metrics_need_no_token(locked, path):
    async with locked.session.get(path) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9095", "127.0.0.1", "[::1]:9095"])
async def test_without_a_token_this_machines_names_are_answered(site, host):
    assert (await site.get("/api/pager/incidents", host=host))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "testserver", "", ":9095", "[::1", "localhost@evil.example", "a b"],
)
async def test_without_a_token_a_foreign_host_name_is_refused(site, host):
    """A page in a browser that has pointed its own name at this machine must not get anything."""
    status, body = await site.get("/api/pager/incidents", host=host)
    assert (status, body["errorType"]) == (403, "forbidden")
    assert site.backend.commands.acts == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "https://127.0.0.1.evil.example"])
async def test_without_a_token_another_site_cannot_act(site, origin):
    status, body = await site.post("/api/pager/incidents/INC-1/ack", origin=origin)
    assert (status, body["error"]) == (403, "requests from other sites are refused")
    assert site.backend.commands.acts == []
    async with site.session.post("/-/reload", headers={"origin": origin}) as answer:
        assert answer.status == 403


async def test_ones_own_page_may_act(site):
    assert (await site.post("/api/pager/incidents/INC-1/ack", origin=f"http://127.0.0.1:{site.port}"))[0] == 200


async def test_another_machine_is_refused_without_a_token():
    assert door._is_loopback("127.0.0.1")
    assert door._is_loopback("127.8.9.1")
    assert door._is_loopback("::1")
    assert door._is_loopback("::ffff:127.0.0.1")
    for host in ("10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "testclient", "", "localhost"):
        assert not door._is_loopback(host)


async def test_what_a_proxy_says_about_the_client_counts(site):
    status, body = await site.get("/api/pager/incidents", x_forwarded_for="203.0.113.7")
    assert (status, body["error"]) == (403, "give http.tokens in agentpager.yaml to be asked through a proxy")


# Health


async def test_readiness_shows_what_is_wrong_with_its_status(site):
    assert await site.get("/-/ready") == (200, site.backend.ready)
    site.backend.ready = {"ready": False, "checks": {"store": "locked"}, "config": {"ok": True}}
    assert await site.get("/-/ready") == (503, site.backend.ready)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (None, 200, "reloaded\n"),
        (
            ConfigError([Finding("a.yaml", 1, 2, "bad-value", "no")]),
            400,
            "the running configuration stays:\na.yaml:1:2 bad-value no\n",
        ),
        (
            RemoteError("the watcher is not running"),
            500,
            "the running configuration stays: the watcher is not running\n",
        ),
    ],
)
async def test_a_reload_says_what_came_of_it(site, error, status, text):
    site.backend.reload_error = error
    async with site.session.post("/-/reload") as answer:
        assert (answer.status, await answer.text()) == (status, text)


# Prometheus


async def test_a_query_by_url_or_by_form_as_grafana_sends_it(site):
    assert await site.get("/api/v1/query?query=up%2B1&time=5") == (200, {"data": "as it came"})
    form = {"query": "up+1", "time": "5", "stats": ""}
    assert await site.post("/api/v1/query?time=4", form) == (200, {"data": "as it came"})
    assert site.backend.asked == [
        ("query", [("query", "up+1"), ("time", "5")]),
        ("query", [("query", "up+1"), ("time", "5"), ("stats", ""), ("time", "4")]),
    ]


async def test_repeated_fields_are_all_handed_on(site):
    await site.get("/api/v1/series?match[]=up&match%5B%5D=down")
    assert site.backend.asked == [("series", [("match[]", "up"), ("match[]", "down")])]


FORMS = ["query", "query_range", "query_exemplars", "format_query", "series", "labels"]
PLAIN = [
    "label/job/values", "label/na%C3%AFve/values", "rules", "alerts", "alertmanagers", "targets", "targets/metadata",
    "scrape_pools", "metadata", "status/buildinfo", "status/runtimeinfo", "status/flags", "status/tsdb",
]  # fmt: skip


@pytest.mark.parametrize("path", FORMS + PLAIN)
async def test_the_paths_of_prometheus(site, path):
    assert (await site.get(f"/api/v1/{path}"))[0] == 200
    assert site.backend.asked == [(unquote(path), [])]
    async with site.session.post(f"/api/v1/{path}") as answer:
        assert answer.status == (200 if path in FORMS else 405)


@pytest.mark.parametrize("path", FORMS + PLAIN)
async def test_no_path_of_prometheus_escapes_the_token(locked, path):
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        async with locked.session.request(method, f"/api/v1/{path}") as answer:
            assert answer.status in {401, 405}
    assert locked.backend.asked == []


async def test_a_path_that_is_not_there(site):
    assert (await site.get("/api/v1/admin/tsdb/snapshot"))[0] == 404
    async with site.session.options("/api/v1/query") as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_an_answer_is_handed_on_with_its_status_and_never_taken_for_a_page(site):
    async with site.session.get("/api/v1/query?query=broken") as answer:
        assert (answer.status, await answer.read()) == (422, b'{"data": "as it came"}')
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    async with site.session.head("/api/v1/query?query=up") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


@pytest.mark.parametrize("query", ["large", "packed"])
async def test_a_large_answer_arrives_whole(site, query):
    async with site.session.get(f"/api/v1/query?query={query}") as answer:
        assert await answer.read() == LARGE


async def test_a_watcher_that_is_down_is_unavailable(site):
    status, body = await site.get("/api/v1/query?query=dead")
    assert (status, body["errorType"], body["error"]) == (503, "unavailable", "the watcher is not running")


async def test_a_question_ends_when_whoever_asked_has_gone(site):
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /api/v1/query?query=forever HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await writer.drain()
    while not site.backend.asked:
        await asyncio.sleep(0)
    writer.close()
    await asyncio.wait_for(site.backend.given_up.wait(), 10)


# Incidents


async def test_the_shape_of_an_incident(site):
    status, body = await site.get("/api/pager/incidents")
    assert status == 200
    assert body == [
        {
            "id": "INC-1",
            "state": "open",
            "severity": "critical",
            "agent": "refund-agent",
            "title": "ErrorsHigh of refund-agent",
            "owner": "team:payments",
            "opened_at": "2026-11-04T02:00:00+00:00",
            "acked_by": None,
            "acked_at": None,
            "resolved_at": None,
            "level": 1,
            "round": 1,
            "sla": [],
            "notes": 0,
            "mark": None,
            "progress": [],
            "next_at": "2026-11-04T02:05:00+00:00",
            "suppressed": [],
            "flapping": False,
            "exercise": None,
            "result": None,
            "alerts": [
                {
                    "name": "ErrorsHigh",
                    "state": "no_data",
                    "severity": "critical",
                    "labels": {"alertname": "ErrorsHigh", "severity": "critical", "agent": "refund-agent"},
                    "value": None,
                    "starts_at": "2026-11-04T02:00:00+00:00",
                    "suppressed": [],
                }
            ],
        }
    ]


async def test_what_wakes_nobody_says_why(site):
    until = NOW + timedelta(hours=2)
    hidden = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced by ana", until=until)
    known = site.backend.commands.all["INC-1"]
    (one,) = known.alerts
    update = {"suppressed": (hidden,), "alerts": (one.model_copy(update={"suppressed": (hidden,)}),)}
    site.backend.commands.all["INC-1"] = known.model_copy(update=update)
    _, body = await site.get("/api/pager/incidents/INC-1")
    told = {"kind": "silence", "by": "SIL-1", "why": "silenced by ana", "until": "2026-11-04T04:00:00Z"}
    assert body["suppressed"] == body["alerts"][0]["suppressed"] == [told]


async def test_all_incidents_and_one_with_an_infinite_value(site):
    status, body = await site.get("/api/pager/incidents?state=all")
    assert (status, [incident["id"] for incident in body]) == (200, ["INC-1", "INC-2"])
    status, body = await site.get("/api/pager/incidents/INC-2")
    assert (status, body["acked_by"], body["alerts"][0]["value"]) == (200, "ben", None)


async def test_an_unknown_incident_is_not_found(site):
    status, body = await site.get("/api/pager/incidents/INC-9")
    assert (status, body["errorType"]) == (404, "not_found")
    assert (await site.post("/api/pager/incidents/INC-9/ack"))[0] == 404


@pytest.mark.parametrize(
    ("body", "actor", "name"),
    [
        (None, "cli:api", "api"),
        ("{}", "cli:api", "api"),
        ('{"by": "root"}', "cli:root", "root"),
        ('{"by": ""}', "cli:api", "api"),
        ('{"person": "ana"}', "person:ana", "Ana"),
    ],
)
@pytest.mark.parametrize("verb", ["ack", "resolve", "decline"])
async def test_somebody_acts(site, verb, body, actor, name):
    status, answer = await site.post(f"/api/pager/incidents/INC-1/{verb}", body)
    assert (status, answer["message"], answer["incident"]["id"]) == (200, f"{verb} done", "INC-1")
    ((acted, by, reference),) = site.backend.commands.acts
    assert (acted, by.id, by.name, by.via, reference) == (verb, actor, name, "api", "INC-1")


async def test_an_act_that_comes_too_late_is_a_conflict(site):
    status, body = await site.post("/api/pager/incidents/INC-2/ack", '{"person": "ana"}')
    assert (status, body["errorType"]) == (409, "conflict")
    assert body["error"] == "INC-2 is taken already: ben has it"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("not json", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ("[]", "the body is not a JSON object"),
        ('"ana"', "the body is not a JSON object"),
        ("null", "the body is not a JSON object"),
    ],
)
async def test_a_body_that_is_no_object_is_a_mistake_of_the_request(site, body, error):
    status, answer = await site.post("/api/pager/incidents/INC-1/ack", body)
    assert (status, answer) == (400, {"status": "error", "errorType": "bad_data", "error": error})
    assert site.backend.commands.acts == []


async def test_an_unknown_person_or_verb_is_not_found(site):
    status, answer = await site.post("/api/pager/incidents/INC-1/ack", '{"person": "nobody"}')
    assert (status, answer["error"]) == (404, 'there is no person "nobody" in oncall/')
    status, answer = await site.post("/api/pager/incidents/INC-1/delete")
    assert (status, answer["error"]) == (
        404,
        "there is no /api/pager/incidents/INC-1/delete here; docs/api.md lists what there is",
    )


async def test_acting_by_get_is_not_possible(site):
    async with site.session.get("/api/pager/incidents/INC-1/ack") as answer:
        assert answer.status == 405
    assert site.backend.commands.acts == []


async def in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536 + 1):
        yield b"x" * 65536


@pytest.mark.parametrize("path", ["/api/pager/incidents/INC-1/ack", "/api/v1/query"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_one_mebibyte_is_refused_however_it_is_sent(site, path, chunked):
    body = in_chunks(1 << 20) if chunked else b"x" * ((1 << 20) + 1)
    status, answer = await site.post(path, body)
    assert (status, answer["error"]) == (413, "the request is larger than 1 MiB")
    assert (site.backend.asked, site.backend.commands.acts) == ([], [])


async def test_a_form_of_very_many_fields_is_refused(site):
    status, answer = await site.post("/api/v1/query", "a=1&" * 1001)
    assert (status, answer["errorType"]) == (400, "bad_data")


# Duty and status


async def test_who_is_on_duty(site):
    expected = [{"schedule": "primary", "people": ["ana"], "until": "2026-11-09T08:00:00+00:00"}]
    assert await site.get("/api/pager/oncall") == (200, {"at": "2026-11-04T02:00:00+00:00", "schedules": expected})
    status, body = await site.get("/api/pager/oncall?at=2026-11-09T09:00:00%2B01:00")
    assert (status, body["schedules"][0]["people"]) == (200, ["ben"])


@pytest.mark.parametrize("at", ["tomorrow", "2026-11-09", "2026-11-09T09:00:00", "9999-12-31T23:59:59Z"])
async def test_an_instant_that_cannot_be_used(site, at):
    status, body = await site.get(f"/api/pager/oncall?at={at}")
    assert (status, body["errorType"]) == (400, "bad_data")


async def test_the_status_of_the_agents(site):
    assert await site.get("/api/pager/status") == (
        200,
        [
            {
                "agent": "refund-agent",
                "title": "Refund agent",
                "health": "firing",
                "owner": "team:payments",
                "oncall": ["ana"],
                "incidents": ["INC-1"],
            }
        ],
    )


async def test_conflicts_of_release(site):
    with pytest.raises(ConflictError):
        people.release(site.backend.commands.all["INC-1"], "person:ana", WORLD, NOW)
    assert (await site.post("/api/pager/incidents/INC-1/release"))[0] == 409
    assert (await site.post("/api/pager/incidents/INC-2/release"))[0] == 200


async def test_a_chart_is_a_picture_that_no_browser_may_run(site):
    async with site.session.get("/api/pager/incidents/INC-7/chart.svg") as answer:
        assert (answer.status, await answer.text()) == (200, "<svg>INC-7</svg>")
        assert answer.headers["Content-Type"].startswith("image/svg+xml")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("incident", "status", "says"),
    [
        ("INC-8", 404, "nothing to draw"),
        ("INC-404", 404, "there is no incident INC-404"),
        ("INC-503", 503, "the watcher is not running"),
    ],
)
async def test_why_there_is_no_chart(site, incident, status, says):
    got, answer = await site.get(f"/api/pager/incidents/{incident}/chart.svg")
    assert got == status
    assert says in answer["error"]
