"""The client of engines elsewhere against real sockets: what is sent, what is tried again, what counts as no answer."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from metrics_world import certificate

from bot.errors import EngineDownError, QueryError
from bot.metrics.prometheus import Engine
from bot.settings import Prometheus

ONE = {"resultType": "vector", "result": [{"metric": {"a": "1"}, "value": [5, "7"]}]}


def good(**more: Any) -> web.Response:
    return web.json_response({"status": "success", "data": ONE} | more)


def error(status: int, kind: str, text: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": kind, "error": text}, status=status)


class Server:
    """Answers with what stands in `says`, the last of it for ever."""

    def __init__(self) -> None:
        self.says: list[Any] = [good]
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        fields = {**request.query, **await request.post()}
        self.asked.append((request.method, request.path, fields, request.headers))
        say = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            found = say()
            return await found if asyncio.iscoroutine(found) else found
        finally:
            self.at_once -= 1

    @property
    def questions(self) -> list[str]:
        return [fields["query"] for _, _, fields, _ in self.asked]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(site := runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{site.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def engine_of(server, tmp_path):
    made = []

    def make(**settings):
        made.append(Engine(Prometheus.model_validate({"url": server.url, **settings}), tmp_path))
        return made[-1]

    yield make
    for engine in made:
        await engine.close()


def soon(seconds=10.0):
    return time.monotonic() + seconds


async def refusal(engine, kind=EngineDownError, seconds=10.0):
    with pytest.raises(QueryError) as refused:
        await engine.instant("up", 5.0, soon(seconds))
    assert type(refused.value) is kind
    return str(refused.value)


# What is sent ---------------------------------------------------------------------------------------------------------


async def test_a_question_is_a_form_with_its_time_and_the_wish_for_a_whole_answer(server, engine_of):
    found = await engine_of().instant("up == 0", 1700000000.25, soon(1.0))
    assert list(found) == [({"a": "1"}, 7.0)]
    ((method, path, fields, _),) = server.asked
    assert (method, path) == ("POST", "/api/v1/query")
    assert 0 < int(fields.pop("timeout").removesuffix("ms")) <= 900  # the engine is to say itself that time is over
    assert fields == {
        "query": "up == 0",
        "time": "1700000000.250",
        "partial_response": "false",
        "deny_partial_response": "1",
        "nocache": "1",
    }


async def test_tenants_headers_parameters_and_ways_of_asking(server, engine_of):
    engine = engine_of(
        url=f"{server.url}/prometheus/",
        tenant="agents",
        headers={"X-Team": "payments"},
        params={"dedup": "true"},
        method="get",
        partial_response=True,
        basic_auth={"username": "me", "password": "secret"},
    )
    await engine.instant("up", 0.0, soon())
    ((method, path, fields, headers),) = server.asked
    assert (method, path) == ("GET", "/prometheus/api/v1/query")
    assert (headers["X-Scope-OrgID"], headers["X-Team"]) == ("agents", "payments")
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    assert (fields["dedup"], fields["partial_response"]) == ("true", "true")
    assert "deny_partial_response" not in fields


async def test_a_token_is_read_from_its_file_for_each_question(server, engine_of, tmp_path):
    engine = engine_of(bearer_token_file="token")
    for token in ("one", "two"):
        (tmp_path / "token").write_text(token + "\n")
        await engine.instant("up", 0.0, soon())
    assert [headers["Authorization"] for *_, headers in server.asked] == ["Bearer one", "Bearer two"]


@pytest.mark.interop
async def test_the_certificate_is_verified_against_the_given_authority(server, tmp_path, engine_of):
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    app = web.Application()
    app.router.add_post("/api/v1/query", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    assert len(await engine_of(url=url, tls={"ca_file": "cert.pem"}).instant("up", 5.0, soon())) == 1
    assert "certificate" in (await refusal(engine_of(url=url, attempts=1))).lower()
    await runner.cleanup()


async def test_a_question_after_a_reload_has_closed_the_door_is_no_answer(engine_of):
    engine = engine_of()
    await engine.close()
    assert "since a reload" in await refusal(engine)


async def test_a_range(server, engine_of):
    data = {"resultType": "matrix", "result": [{"metric": {"a": "1"}, "values": [[0, "1"], [30, "2"]]}]}
    server.says = [lambda: good(data=data)]
    (series,) = await engine_of().range("up", 0.0, 60.0, 30.0, soon())
    assert (series.labels, series.times.tolist(), series.values.tolist()) == ({"a": "1"}, [0, 30], [1, 2])
    ((_, path, fields, _),) = server.asked
    assert (path, fields["start"], fields["end"], fields["step"]) == ("/api/v1/query_range", "0", "60", "30")


async def test_no_more_questions_at_once_than_allowed(server, engine_of):
    async def slowly():
        await asyncio.sleep(0.02)
        return good()

    server.says = [slowly]
    found = await engine_of(concurrency=3).instants([f"x{number}" for number in range(12)], 5.0, 5.0, 5.0)
    assert server.most_at_once == 3
    assert len(found) == 12
    assert all(not isinstance(one, QueryError) for one in found.values())


# What is tried again, and what is not ---------------------------------------------------------------------------------


def status(number, text="oops", **headers):
    return lambda: web.Response(status=number, text=text, headers=headers)


PASSING = [
    status(500),
    status(502, "<html>"),
    status(503),
    lambda: error(500, "internal", "storage is not ready"),
    lambda: error(503, "unavailable", "starting up"),
    status(200, "<html>Sign in</html>"),
    status(200, '{"status":"success","data":{"resultType":"vec'),
    status(200, '{"ok":true}'),
    status(200, "[" * 100_000),
    status(429),
    lambda: good(warnings=["store-1: connection refused"]),
    lambda: good(infos=["some stores were left out"]),
    lambda: good(isPartial=True),
]


@pytest.mark.parametrize("trouble", PASSING)
async def test_what_passes_is_asked_again_and_goes_unnoticed(server, engine_of, trouble):
    server.says = [trouble, good]
    assert len(await engine_of().instant("up", 5.0, soon())) == 1
    assert server.questions == ["up", "up"]


@pytest.mark.parametrize("trouble", PASSING)
async def test_what_does_not_pass_is_no_answer_whatever_it_looks_like(server, engine_of, trouble):
    server.says = [trouble]
    await refusal(engine_of(attempts=2))
    assert server.questions == ["up", "up"]


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (lambda: error(400, "bad_data", "parse error"), "bad_data", "parse error"),
        (lambda: error(422, "execution", "too many samples"), "execution", "too many samples"),
        (lambda: error(422, "422", "cannot parse"), "execution", "cannot parse"),  # VictoriaMetrics
        (lambda: error(503, "timeout", "query timed out"), "timeout", "query timed out"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_asked_once_and_the_engine_is_well(
    server, engine_of, answer, kind, why
):
    server.says = [answer]
    engine = engine_of()
    for _ in range(4):
        with pytest.raises(QueryError, match=why) as refused:
            await engine.instant("up", 5.0, soon())
        assert refused.value.kind == kind
        assert type(refused.value) is QueryError
    assert len(server.asked) == 4
    assert engine.up


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (status(401), "401 Unauthorized"),
        (status(403), "403 Forbidden"),
        (status(404), "404 Not Found"),
        (status(405), "try metrics.prometheus.method: get"),
        (status(302, Location="https://elsewhere.test/"), "https://elsewhere.test/: write that address"),
    ],
)
async def test_what_somebody_has_to_mend_is_not_asked_again_and_says_what(server, engine_of, answer, why):
    server.says = [answer]
    assert why in await refusal(engine_of())
    assert len(server.asked) == 1


async def test_nothing_is_asked_before_the_engine_wants_to_be_asked(server, engine_of):
    at: list[float] = []

    def busy():
        at.append(time.monotonic())
        return web.Response(status=429, headers={"Retry-After": "1"}) if len(at) == 1 else good()

    server.says = [busy]
    engine = engine_of()
    await asyncio.gather(engine.instant("a", 5.0, soon()))
    await engine.instant("b", 5.0, soon())
    assert at[1] - at[0] >= 1.0


async def test_a_wait_longer_than_there_is_time_for_is_not_begun(server, engine_of):
    server.says = [status(429, **{"Retry-After": "3600"})]
    engine = engine_of()
    assert "wants no question for another 60 s" in await refusal(engine, seconds=30)
    assert "wants no question for another" in await refusal(engine, seconds=30)
    assert len(server.asked) == 1


async def test_an_engine_that_hangs_costs_the_time_of_one_question(server, engine_of):
    async def hang():
        await asyncio.sleep(30)

    server.says = [hang]
    engine = engine_of()
    assert "no complete answer within" in await refusal(engine, seconds=0.5)


# Down, and back -------------------------------------------------------------------------------------------------------


async def test_an_engine_that_is_down_is_spared_and_found_again(server, tmp_path):
    changes = []
    engine = Engine(
        Prometheus.model_validate({"url": server.url, "attempts": 1}), tmp_path, lambda: changes.append(engine.up)
    )
    server.says = [status(500)]
    for _ in range(3):
        await refusal(engine)
    assert (engine.up, changes) == (False, [False])
    asked = len(server.asked)
    assert "500" in await refusal(engine)
    assert len(server.asked) == asked  # nobody waits for it any more
    server.says = [good]
    while engine.breaker.shut:  # a trial, after a second
        await asyncio.sleep(0.05)
    assert server.questions[-1] == "vector(1)"
    assert not engine.up  # trials are easy
    await engine.instant("up", 5.0, soon())
    assert (engine.up, changes) == (True, [False, True])
    await engine.close()


async def test_an_address_to_go_to_is_told_without_what_we_asked(server, engine_of):
    server.says = [status(301, Location="https://elsewhere.test/api/v1/query?query=up&token=geheim")]
    told = await refusal(engine_of(method="get", params={"token": "geheim"}))
    assert "https://elsewhere.test/api/v1/query: write" in told
    assert "geheim" not in told


async def test_an_engine_is_found_again_whatever_it_says_meanwhile(server, engine_of):
    engine = engine_of(attempts=1)
    server.says = [status(500)]
    for _ in range(3):
        await refusal(engine)
    server.says = [lambda: good(warnings=5), lambda: good(warnings=True), good]
    async with asyncio.timeout(10):
        while engine.breaker.shut:
            await asyncio.sleep(0.05)
    assert list(await engine.instant("up", 5.0, soon())) == [({"a": "1"}, 7.0)]


async def test_remarks_of_another_shape_are_remarks_all_the_same(server, engine_of):
    server.says = [lambda: good(warnings=5)]
    assert "its answer is not complete: 5" in await refusal(engine_of(attempts=1))


async def test_charts_that_come_to_nothing_do_not_keep_rules_from_asking(server, engine_of):
    async def slowly():
        await asyncio.sleep(1)
        return good()

    engine = engine_of(attempts=1)
    server.says = [slowly] * 3 + [good]
    for _ in range(3):
        with pytest.raises(EngineDownError):
            await engine.range("heavy", 0.0, 3600.0, 30.0, soon(0.1))
    assert (engine.up, engine.breaker.shut) == (True, False)
    assert list(await engine.instant("up", 5.0, soon())) == [({"a": "1"}, 7.0)]


async def test_a_closed_engine_is_not_tried_any_more(server, tmp_path):
    async def hang():
        await asyncio.sleep(30)

    changes = []
    engine = Engine(
        Prometheus.model_validate({"url": server.url, "attempts": 1}), tmp_path, lambda: changes.append(engine.up)
    )
    server.says = [hang]
    asking = [asyncio.create_task(engine.instant(text, 5.0, soon(0.3))) for text in "abc"]
    await asyncio.sleep(0.1)
    await engine.close()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in found] == [EngineDownError] * 3
    assert (changes, [task for task in asyncio.all_tasks() if task.get_name() == "engine-trial"]) == ([], [])


async def test_an_engine_that_is_not_there(engine_of):
    assert "Connection refused" in await refusal(engine_of(url="http://127.0.0.1:1", attempts=1))


async def test_questions_whose_turn_does_not_come_say_so(server, engine_of):
    async def slowly():
        await asyncio.sleep(0.2)
        return good()

    server.says = [slowly]
    found = await engine_of(concurrency=1).instants(["a", "b", "c", "d"], 5.0, 5.0, 0.5)
    late = [str(one) for one in found.values() if isinstance(one, EngineDownError)]
    assert late
    assert all("its turn did not come" in one or "no complete answer" in one for one in late)
    assert not isinstance(found["a"], QueryError)


async def test_remarks_on_the_expression_take_nothing_from_the_answer(server, engine_of):
    server.says = [lambda: good(infos=["PromQL info: metric might not be a counter"], warnings=["PromQL warning: x"])]
    assert len(await engine_of().instant("up", 5.0, soon())) == 1


async def test_incomplete_answers_count_where_that_is_wanted(server, engine_of):
    server.says = [lambda: good(warnings=["store-1: connection refused"], isPartial=True)]
    assert len(await engine_of(partial_response=True).instant("up", 5.0, soon())) == 1


@pytest.mark.parametrize(
    "result", [[{"metric": "a", "value": [5, "1"]}], [{"metric": {"a": None}, "value": [5, "1"]}], [7], {"a": 1}]
)
async def test_an_answer_of_another_make_is_an_error_of_that_question_alone(server, engine_of, result):
    server.says = [lambda: good(data={"resultType": "vector", "result": result})]
    engine = engine_of()
    assert "cannot be read" in await refusal(engine, QueryError)
    found = await engine.instants(["up"], 5.0, 5.0, 5.0)
    assert isinstance(found["up"], QueryError)


# People ---------------------------------------------------------------------------------------------------------------


async def test_what_people_ask_is_handed_on_as_it_is(server, engine_of):
    server.says = [lambda: error(400, "bad_data", "parse error")]
    fields = [("match[]", "up"), ("match[]", "x")]
    found = await engine_of().forward("series", fields, by_form=True, seconds=5, max_bytes=1000)
    assert found.status == 400
    assert b"parse error" in found.body
    ((method, path, sent, _),) = server.asked
    assert (method, path, "partial_response" in sent) == ("POST", "/api/v1/series", False)


async def test_names_of_labels_are_quoted_in_a_path(server, engine_of):
    await engine_of().forward("label/a?b/values", [], by_form=False, seconds=5, max_bytes=1000)
    assert server.asked[0][1] == "/api/v1/label/a?b/values"


async def test_an_answer_that_is_too_large_or_none_is_said(server, engine_of):
    engine = engine_of()
    with pytest.raises(EngineDownError, match="larger than the limit"):
        await engine.forward("series", [], by_form=True, seconds=5, max_bytes=10)
    server.says = [status(502, "<html>no upstream</html>")]
    with pytest.raises(EngineDownError, match="502 Bad Gateway"):
        await engine.forward("series", [], by_form=True, seconds=5, max_bytes=1000)
    server.says = [status(404, "404 page not found")]
    found = await engine.forward("targets", [], by_form=False, seconds=5, max_bytes=1000)
    assert found.status == 404
    assert b"has no /api/v1/targets" in found.body
