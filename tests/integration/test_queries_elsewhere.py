"""The query API where an engine elsewhere has the samples: what is asked there, what is answered here; the checks."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from bot.errors import EngineDownError, QueryError
from bot.metrics.prometheus import Forwarded
from bot.promql.answers import Answers, matrix
from bot.promql.store import SeriesStore
from bot.queries import Asking, Queries
from bot.settings import Query

NOW = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)
T = NOW.timestamp()


class Known:
    """Of the watcher's other parts."""

    async def rules(self, wanted):
        return {"groups": ["ours"]}

    async def alerts(self):
        return {"alerts": ["ours"]}

    def targets(self):
        return []

    def metadata(self):
        return []

    def runtime(self):
        return {}


class There:
    seconds = 5.0

    def __init__(self):
        self.asked: list[Any] = []
        self.fails: QueryError | None = None
        self.held: asyncio.Event | None = None

    async def forward(self, path, fields, *, by_form, seconds, max_bytes):
        self.asked.append((path, list(fields), by_form))
        if self.held is not None:
            await self.held.wait()
        if self.fails is not None:
            raise self.fails
        return Forwarded(418, b'{"status":"theirs"}')

    async def instant(self, question, t, deadline):
        self.asked.append((question, t))
        row = {"resultType": "vector", "result": [{"metric": {"a": "1"}, "value": [t, "7"]}]}
        return Answers().instant(question, row, t)

    async def range(self, question, start, end, step, deadline):
        self.asked.append((question, start, end, step))
        return matrix({"resultType": "matrix", "result": [{"metric": {"a": "1"}, "values": [[start, "7"]]}]})


class Desk:
    def __init__(self, **settings):
        store = SeriesStore(3600, threading.RLock())
        store.append(
            "w", T, np.array([store.intern({"__name__": "agentpager_engine_up", "url": "u"})]), np.array([1.0])
        )
        self.there = There()
        self.queries = Queries(store, lambda: NOW, Known())
        self.queries.adjust(Query(**settings), self.there)

    async def ask(self, path, *fields, **named):
        found = await self.queries.answer(1, path, [*fields, *named.items()])
        return found.status, json.loads(found.body)


@pytest.mark.parametrize(
    ("path", "fields", "by_form"),
    [
        ("query", [("query", "up"), ("time", "5"), ("limit", "1")], True),
        ("query", [("query", "rollup_of_metricsql(up)")], True),  # what only another engine knows
        ("query", [("query", "1 + 1")], True),
        ("query", [("query", "ALERTS")], True),  # it has their past
        ("query", [("query", "up and on (agent) agent_registry_info")], True),
        ("query_range", [("query", "up"), ("start", "0"), ("end", "9"), ("step", "1")], True),
        ("series", [("match[]", "up"), ("match[]", "x")], True),
        ("labels", [], True),
        ("query_exemplars", [("query", "up")], True),
        ("label/agent/values", [], False),
        ("targets", [("state", "active")], False),
        ("targets/metadata", [], False),
        ("scrape_pools", [], False),
        ("metadata", [], False),
        ("status/tsdb", [], False),
    ],
)
async def test_what_is_of_samples_is_handed_on_and_back(path, fields, by_form):
    desk = Desk()
    assert await desk.ask(path, *fields) == (418, {"status": "theirs"})
    assert desk.there.asked == [(path, fields, by_form)]


async def test_what_only_we_know_is_answered_here():
    desk = Desk()
    _, found = await desk.ask("query", query="agentpager_engine_up")
    assert [one["metric"]["url"] for one in found["data"]["result"]] == ["u"]
    _, found = await desk.ask("query_range", query="agentpager_engine_up", start=str(T), end=str(T), step="1")
    assert len(found["data"]["result"]) == 1
    assert (await desk.ask("rules"))[1]["data"] == {"groups": ["ours"]}
    assert (await desk.ask("alerts"))[1]["data"] == {"alerts": ["ours"]}
    for path in ("status/buildinfo", "status/runtimeinfo", "status/flags", "alertmanagers", "format_query"):
        assert (await desk.ask(path, query="up"))[0] == 200
    assert desk.there.asked == []


async def test_an_engine_that_does_not_answer_is_said_in_the_words_of_the_api():
    desk = Desk()
    desk.there.fails = EngineDownError("no answer of the engine")
    status, found = await desk.ask("query", query="up")
    assert (status, found) == (
        503,
        {"status": "error", "errorType": "unavailable", "error": "no answer of the engine"},
    )


async def test_whoever_goes_away_makes_room():
    desk = Desk()
    desk.there.held = asyncio.Event()
    waiting = [asyncio.create_task(desk.queries.answer(number, "query", [("query", "up")])) for number in range(2, 8)]
    while len(desk.there.asked) < 4:  # the others wait for their turn
        await asyncio.sleep(0)
    for number in range(2, 8):
        desk.queries.cancel(number)
    assert [found.status for found in await asyncio.gather(*waiting)] == [503] * 6
    desk.there.held = None
    assert (await desk.ask("query", query="up"))[0] == 418


async def test_a_question_has_the_time_that_it_says():
    desk = Desk()
    desk.there.held = asyncio.Event()
    status, found = await desk.ask("query", query="up", timeout="1ms")
    assert (status, found["errorType"]) == (503, "timeout")


async def test_checks_and_charts_ask_there_and_of_ourselves_here():
    desk = Desk()

    def work(asking: Asking) -> Any:
        return (
            list(asking.instant("up == 0")),
            list(asking.instant("agentpager_engine_up")),
            asking.range('rate(up{a="1"}[5m])', T - 60, 30.0, 5.0).series[0].labels,
        )

    there, here, line = await desk.queries.checking(work, NOW)
    assert there == [({"a": "1"}, 7.0)]
    assert here == [({"__name__": "agentpager_engine_up", "url": "u"}, 1.0)]
    assert line == {"a": "1"}
    # A chart's question is made of an expression's tree: in a spelling that every engine reads.
    assert desk.there.asked == [("up == 0", T), ('rate({__name__="up",a="1"}[300000ms])', T - 60, T, 30.0)]


async def test_checks_do_not_wait_for_one_another():
    desk = Desk()
    both = threading.Barrier(2)
    await asyncio.gather(*(desk.queries.checking(lambda _: both.wait(5), NOW) for _ in range(2)))


async def test_without_an_engine_elsewhere_all_is_answered_here_again():
    desk = Desk()
    desk.queries.adjust(Query())
    status, found = await desk.ask("query", query="up")
    assert (status, found["data"]["result"]) == (200, [])
    assert desk.there.asked == []
