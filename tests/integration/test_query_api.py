"""The query API on a filled store, without HTTP: answers, limits, and who may keep whom waiting."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from bot import queries
from bot.metrics.metadata import Family
from bot.promql.store import SeriesStore
from bot.queries import AT_ONCE, Answer, Queries
from bot.settings import Query

NOW = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)
T = NOW.timestamp()
# Works for days unless somebody stops it.
ENDLESS = "count_over_time(count_over_time(count_over_time(vector(time())[3h:1s])[3h:1s])[3h:1s])"


class Known:
    """Of the watcher's other parts these questions need next to nothing."""

    async def rules(self, wanted):
        return {"groups": []}

    async def alerts(self):
        return {"alerts": []}

    def targets(self):
        return [{"scrapePool": "b"}, {"scrapePool": "a"}]

    def metadata(self):
        return [
            ({"job": "a"}, (Family("runs", "counter", "Runs.", ""), Family("up", "gauge", "", ""))),
            ({"job": "b"}, (Family("runs", "counter", "Runs.", ""),)),
        ]

    def runtime(self):
        return {}


class Desk:
    def __init__(self, **settings: Any) -> None:
        store = SeriesStore(3600, threading.RLock())
        ids = np.array([store.intern({"__name__": "x", "n": str(number)}) for number in range(2000)])
        for t in (T - 30, T - 15, T):
            store.append("w", t, ids, np.arange(2000.0))
        self.queries = Queries(store, lambda: NOW, Known())
        self.queries.adjust(Query(max_samples=10**15, **settings))
        self._number = 0

    async def raw(self, path: str, *fields: tuple[str, str], pack: bool = False, **named: str) -> Answer:
        self._number += 1
        return await self.queries.answer(self._number, path, [*fields, *named.items()], pack=pack)

    async def ask(self, path: str, *fields: tuple[str, str], **named: str) -> tuple[int, Any]:
        found = await self.raw(path, *fields, **named)
        return found.status, json.loads(found.body)

    async def error(self, path: str, *fields: tuple[str, str], **named: str) -> tuple[int, str, str]:
        status, body = await self.ask(path, *fields, **named)
        assert body["status"] == "error"
        return status, body["errorType"], body["error"]

    async def busy(self) -> list[asyncio.Task[tuple[int, Any]]]:
        """Every thread for people's questions works on one that does not end."""
        tasks = [asyncio.create_task(self.ask("query", query=ENDLESS)) for _ in range(AT_ONCE)]
        while not self.queries._free.empty():
            await asyncio.sleep(0)
        return tasks

    def give_up(self) -> None:
        for number in range(1, self._number + 1):
            self.queries.cancel(number)


@pytest.fixture
async def desk():
    desk = Desk()
    yield desk
    desk.give_up()


async def test_a_query_now_and_at_a_time(desk):
    status, body = await desk.ask("query", query='x{n="7"}')
    assert (status, body["data"]["result"]) == (200, [{"metric": {"__name__": "x", "n": "7"}, "value": [T, "7"]}])
    _, body = await desk.ask("query", query="count(x)", time=str(T - 16))
    assert body["data"]["result"] == [{"metric": {}, "value": [T - 16, "2000"]}]


async def test_an_answer_is_packed_for_those_who_can_read_it(desk):
    plain, packed = await desk.raw("query", query="x"), await desk.raw("query", query="x", pack=True)
    assert not plain.packed
    assert packed.packed
    assert gzip.decompress(packed.body) == plain.body
    assert not (await desk.raw("query", query="1", pack=True)).packed  # not worth it


async def test_the_lookback_of_one_question_is_not_the_next_ones(desk):
    at = {"query": "count(x)", "time": str(T + 10)}
    for _ in range(AT_ONCE + 1):
        assert (await desk.ask("query", **at, lookback_delta="5s"))[1]["data"]["result"] == []
        assert len((await desk.ask("query", **at))[1]["data"]["result"]) == 1


async def test_series_of_two_selectors_come_once(desk):
    fields = [("match[]", 'x{n=~"1|2"}'), ("match[]", 'x{n=~"2|3"}')]
    _, body = await desk.ask("series", *fields)
    assert [labels["n"] for labels in body["data"]] == ["1", "2", "3"]


async def test_a_limit_that_cut_something_off_says_so(desk):
    for path, fields in (
        ("query", {"query": "x"}),
        ("query_range", {"query": "x", "start": str(T - 30), "end": str(T), "step": "15"}),
        ("series", {"match[]": "x"}),
        ("label/n/values", {}),
        ("labels", {}),
    ):
        _, body = await desk.ask(path, **fields, limit="1")
        found = body["data"]["result"] if isinstance(body["data"], dict) else body["data"]
        assert (len(found), body["warnings"]) == (1, ["results truncated due to limit"])
        assert "warnings" not in (await desk.ask(path, **fields, limit="5000"))[1]


async def test_metadata(desk):
    runs = {"type": "counter", "help": "Runs.", "unit": ""}
    _, body = await desk.ask("metadata")
    assert body["data"] == {"runs": [runs], "up": [{"type": "gauge", "help": "", "unit": ""}]}
    _, body = await desk.ask("targets/metadata", match_target='{job="b"}')
    assert body["data"] == [{"target": {"job": "b"}, "metric": "runs", **runs}]
    _, body = await desk.ask("targets/metadata", metric="runs", limit="1")
    assert body["data"] == [{"target": {"job": "a"}, **runs}]


async def test_what_has_nothing_to_say_says_nothing(desk):
    assert (await desk.raw("query_exemplars", query="1")) == Answer(204, b"")
    assert (await desk.ask("query_exemplars", query="x"))[1]["data"] == []


# Limits


async def test_a_step_too_many(desk):
    fields = {"query": "1", "start": "0", "step": "1"}
    assert (await desk.ask("query_range", **fields, end="11000"))[0] == 200
    status, kind, text = await desk.error("query_range", **fields, end="11001")
    assert (status, kind) == (400, "bad_data")
    assert text == (
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
    )


async def test_samples_and_series_have_a_limit(desk):
    desk.queries.adjust(Query(max_samples=1000))
    status, kind, text = await desk.error("query", query="sum_over_time(x[1m])")
    assert (status, kind) == (422, "execution")
    assert "too many samples" in text
    desk.queries.adjust(Query(max_series=1000))
    assert (await desk.error("query", query="x"))[:2] == (422, "execution")


async def test_length_and_nesting_have_a_limit(desk):
    for query in ("(" * 101 + "1" + ")" * 101, "x or " * 3000 + "x"):
        status, kind, text = await desk.error("query", query=query)
        assert (status, kind) == (400, "bad_data")
        assert text.startswith('invalid parameter "query": ')


async def test_an_answer_has_a_largest_size(desk, monkeypatch):
    monkeypatch.setattr(queries, "MAX_ANSWER", 100_000)
    status, kind, text = await desk.error("query", query="x")
    assert (status, kind) == (422, "execution")
    assert "ask for fewer series" in text
    assert (await desk.ask("query", query='x{n=~"1.."}'))[0] == 200


async def test_a_question_ends_when_its_time_is_over(desk):
    async def late(**fields: str) -> None:
        status, kind, text = await desk.error("query", query=ENDLESS, **fields)
        assert (status, kind) == (503, "timeout")
        assert text.startswith("query timed out in ")  # where, depends on how busy the machine is

    await late(timeout="50ms")
    desk.queries.adjust(Query(timeout=timedelta(milliseconds=50), max_samples=10**15))
    await late()
    await late(timeout="1h")


async def test_a_question_that_nobody_waits_for_ends(desk):
    tasks = await desk.busy()
    desk.give_up()
    for task in tasks:
        assert (await task)[0] == 503
    assert (await desk.ask("query", query="1"))[0] == 200


async def test_a_question_waits_for_its_turn_only_as_long_as_it_may(desk):
    tasks = await desk.busy()
    assert await desk.error("query", query="1", timeout="10ms") == (503, "timeout", "query timed out in query queue")
    desk.give_up()
    await asyncio.gather(*tasks)


async def test_runbook_checks_do_not_wait_behind_peoples_questions(desk):
    tasks = await desk.busy()
    found = await desk.queries.checking(lambda asking: asking.instant("count(x)").samples, NOW)
    assert found == [({}, 2000.0)]
    desk.give_up()
    await asyncio.gather(*tasks)


async def test_a_fault_of_ours_is_internal_and_does_not_stop_the_next_question(desk, monkeypatch):
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(queries, "value_text", broken)
        for _ in range(AT_ONCE + 1):
            assert await desk.error("query", query="1") == (500, "internal", "RuntimeError: a bug")
    assert (await desk.ask("query", query="1"))[0] == 200


async def test_a_path_that_is_not_there(desk):
    assert (await desk.error("admin/tsdb/snapshot"))[:2] == (404, "not_found")
