"""Programs made for Prometheus against a whole agentpager: promtool, and what Grafana's data source sends.

A real Prometheus scrapes the same agent beside it, and both have to give the same answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession, web
from programs import program
from world import World, free_port

pytestmark = pytest.mark.interop

PAGE = """\
# HELP agent_runs Runs, "all" of \\\\ them\\nby tool.
# TYPE agent_runs counter
agent_runs{tool="search"} 5
agent_runs{tool="naïve \\"q\\""} 1e-7
# TYPE agent_odd untyped
agent_odd{k="nan"} NaN
agent_odd{k="inf"} +Inf
agent_odd{k="ninf"} -Inf
agent_odd{k="tiny"} 1e-7
agent_odd{k="small"} 0.000001
agent_odd{k="huge"} 1e21
agent_odd{k="big"} 123456789012345680000
agent_odd{k="third"} 0.3333333333333333
agent_odd{k="zero"} -0
agent_odd{k="e15"} 1e15
agent_odd{k="e16"} 1e16
# HELP agent_tool_errors Errors.
agent_tool_errors 9
# TYPE agent_seconds histogram
agent_seconds_bucket{le="0.5"} 3
agent_seconds_bucket{le="+Inf"} 4
agent_seconds_sum 5.5
agent_seconds_count 4
"""


class Pair:
    """agentpager and Prometheus, asked the same."""

    def __init__(self, world: World, ours: int, theirs: int, session: ClientSession) -> None:
        self.world = world
        self.ours, self.theirs = ours, theirs
        self._session = session
        self.now = 0.0

    async def ask(self, port: int, method: str, path: str, fields: Any = (), form: Any = None) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{port}/api/v1/{path}"
        async with self._session.request(method, url, params=fields, data=form) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else None

    async def both(self, path: str, *fields: tuple[str, str], method: str = "GET", form: Any = None) -> tuple[Any, Any]:
        ours = await self.ask(self.ours, method, path, fields, form)
        return ours, await self.ask(self.theirs, method, path, fields, form)

    async def scraped(self, port: int) -> bool:
        with contextlib.suppress(OSError):
            _, body = await self.ask(port, "GET", "query", [("query", "count_over_time(agent_odd[1m])")])
            found = body["data"]["result"] if body else []
            return bool(found) and all(float(each["value"][1]) >= 4 for each in found)
        return False


@contextlib.asynccontextmanager
async def pair_in(directory):
    async with World(directory) as world, ClientSession() as session:
        (agent,) = world.agents.values()

        async def page(_: web.Request) -> web.Response:
            return web.Response(text=PAGE, headers={"Content-Type": "text/plain; version=0.0.4"})

        agent.body = page
        port = free_port()
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(directory / "alerts" / "tools.yaml")],
            "scrape_configs": [
                {
                    "job_name": "agents",
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{agent.port}"], "labels": {"agent": agent.name, "env": "prod"}}
                    ],
                }
            ],
        }
        (directory / "prometheus.yml").write_text(json.dumps(settings))
        prometheus = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        )
        try:
            await world.start()
            pair = Pair(world, world.port, port, session)
            await world.until(lambda: pair.scraped(pair.ours), "four scrapes")
            await world.until(lambda: pair.scraped(pair.theirs), "four scrapes of Prometheus")
            pair.now = round(time.time(), 3)
            yield pair
        finally:
            prometheus.kill()
            await prometheus.wait()


QUERIES = [
    "agent_odd", "agent_runs", "agent_tool_errors * 2", "up", "1", "1e-7", "1e21", "-Inf", "NaN", '"str\\n\\"é"',
    "time()", "vector(1)", "sum(agent_runs)", "count by (k) (agent_odd)", "no_such_metric", "-agent_odd",
    "histogram_quantile(0.5, agent_seconds_bucket)", "sort_desc(agent_runs)", "agent_runs == 5", "agent_runs > bool 1",
]  # fmt: skip
RANGES = ["agent_odd", "agent_runs * 2", "1", "vector(1e-7)", "up offset 100ms", "no_such_metric", "time()"]
# What both refuse in the same words.
MISTAKES: list[tuple[str, dict[str, str]]] = [
    ("query", {"query": "up", "time": "x"}),
    ("query", {"query": "up", "time": 'a"b'}),
    ("query", {"query": "up", "timeout": "x"}),
    ("query_range", {"query": "up"}),
    ("query_range", {"query": "up", "start": "1", "end": "x"}),
    ("query_range", {"query": "up", "start": "1", "end": "0", "step": "1"}),
    ("query_range", {"query": "up", "start": "1", "end": "2", "step": "x"}),
    ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}),
    ("query_range", {"query": "up", "start": "1", "end": "2", "step": "-1"}),
    ("query_range", {"query": "up", "start": "1", "end": "2", "step": "1e30"}),
    ("query_range", {"query": "up", "start": "1", "end": "11002", "step": "1"}),
    ("series", {}),
    ("series", {"match[]": "up", "start": "x"}),
    ("series", {"match[]": "{}"}),
    ("labels", {"end": "x"}),
    ("labels", {"match[]": '{a=""}'}),
    ("rules", {"type": "x"}),
    ("metadata", {"limit": "x"}),
    ("targets/metadata", {"limit": "x"}),
    ("query_exemplars", {"query": "up", "start": "5", "end": "1"}),
]
SERIES = [
    ("series", {"match[]": "agent_odd"}),
    ("series", {"match[]": '{__name__=~"agent_(runs|seconds.*)"}'}),
    ("labels", {"match[]": "agent_odd"}),
    ("labels", {"match[]": '{job="agents"}'}),
    ("label/k/values", {}),
    ("label/__name__/values", {"match[]": '{job="agents"}'}),
    ("label/tool/values", {"match[]": "agent_runs"}),
    ("label/no_such/values", {}),
    ("metadata", {}),
    ("metadata", {"metric": "agent_runs"}),
    ("metadata", {"metric": "no_such"}),
    ("targets/metadata", {"metric": "agent_runs"}),
    ("targets/metadata", {"match_target": '{job="agents"}'}),
    ("query_exemplars", {"query": "up"}),
    ("alertmanagers", {}),
]
# A later Prometheus says more than Debian's: what it says besides is known here by name.
SINCE = {"droppedTargetCounts"}
SHAPES = ["targets", "targets?state=dropped", "alerts", "status/buildinfo", "status/tsdb"]


def ordered(answer: tuple[int, Any]) -> tuple[int, Any]:
    """Prometheus does not order the series of an instant answer."""
    status, body = answer
    data = body and body.get("data")
    if isinstance(data, dict) and isinstance(data.get("result"), list) and data["resultType"] in {"vector", "matrix"}:
        data["result"].sort(key=lambda each: json.dumps(each["metric"], sort_keys=True))
    if isinstance(data, list):
        data.sort(key=lambda each: json.dumps(each, sort_keys=True))
    return status, body


def shape(value: Any) -> Any:
    """Keys and types, whatever the values."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items() if key not in SINCE}
    if isinstance(value, list):
        return sorted({json.dumps(shape(each), sort_keys=True) for each in value})
    return "number" if type(value) in {int, float} else type(value).__name__


async def test_answers_are_those_of_prometheus(tmp_path):
    async with pair_in(tmp_path) as pair:
        now, start = str(pair.now), str(pair.now - 1)
        for query in QUERIES:
            ours, theirs = await pair.both("query", ("query", query), ("time", now))
            assert ordered(ours) == ordered(theirs), query
            form = {"query": query, "time": now}
            assert ordered((await pair.both("query", method="POST", form=form))[0]) == ordered(theirs), query
        for query in RANGES:
            for step in ("0.25", "500ms"):
                fields = [("query", query), ("start", start), ("end", now), ("step", step)]
                ours, theirs = await pair.both("query_range", *fields)
                assert ours == theirs, query
        for path, named in SERIES:
            ours, theirs = await pair.both(path, *named.items())
            assert ordered(ours) == ordered(theirs), (path, named)
            assert ours[0] == 200
        for path, named in MISTAKES:
            ours, theirs = await pair.both(path, *named.items())
            # Debian's begins some with a capital letter.
            assert json.dumps(ours).lower() == json.dumps(theirs).lower(), (path, named)
            assert ours[0] == 400
        for path in SHAPES:
            (ours, found), (theirs, expected) = await pair.both(path)
            assert (ours, shape(found)) == (theirs, shape(expected)), path
        await _same_rules(pair)


async def _same_rules(pair: Pair) -> None:
    """Of the file both have; ours has groups of its own besides."""

    async def groups(port: int, *fields: tuple[str, str]) -> list[Any]:
        _, body = await pair.ask(port, "GET", "rules", fields)
        found: list[Any] = [group for group in body["data"]["groups"] if group["name"] == "tools"]
        return found

    for fields in ([], [("type", "alert")]):
        (ours,), (theirs,) = await groups(pair.ours, *fields), await groups(pair.theirs, *fields)
        assert shape(ours) == shape(theirs)
        for one, other in zip(ours["rules"], theirs["rules"], strict=True):
            same = ("name", "query", "labels", "annotations", "duration", "health", "type", "state")
            assert {key: one[key] for key in same} == {key: other[key] for key in same}
            assert [alert["labels"] for alert in one["alerts"]] == [alert["labels"] for alert in other["alerts"]]
            assert [alert["value"] for alert in one["alerts"]] == [alert["value"] for alert in other["alerts"]]
    assert await groups(pair.ours, ("type", "record")) == []  # Debian's shows groups without rules too


async def test_promtool_asks_us_as_it_asks_prometheus(tmp_path):
    async with pair_in(tmp_path) as pair:
        now, start = str(pair.now), str(pair.now - 1)
        for arguments in (
            ["instant", f"--time={now}", "URL", "agent_runs"],
            ["instant", f"--time={now}", "URL", "sum(agent_runs) by (job)"],
            ["instant", f"--time={now}", "URL", "1"],
            ["range", f"--start={start}", f"--end={now}", "--step=500ms", "URL", "agent_odd"],
            ["series", "--match=agent_runs", "--match=up", "URL"],
            ["labels", "URL", "tool"],
            ["labels", "--match=agent_odd", "URL", "k"],
        ):
            ours = await _promtool(arguments, pair.ours)
            assert ours == await _promtool(arguments, pair.theirs), arguments
            assert ours[0] == 0
            assert ours[1] != [""]
        status, lines = await _promtool(["instant", "URL", "sum("], pair.ours)
        assert status == 1
        assert "bad_data" in lines[0]


async def _promtool(arguments: list[str], port: int) -> tuple[int, list[str]]:
    url = f"http://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        program("promtool"), "query", *(url if each == "URL" else each for each in arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, sorted(output.decode().strip().split("\n"))


async def test_questions_whose_clients_have_gone_make_room_for_others(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        endless = "count_over_time(count_over_time(count_over_time(vector(time())[3h:1s])[3h:1s])[3h:1s])"
        request = f"GET /api/v1/query?{urlencode({'query': endless})} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        writers = []
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(request.encode())
            writers.append(writer)

        async def in_vain() -> bool:
            return (await world.get("/api/v1/query?query=1&timeout=50ms"))["status"] == "error"

        await world.until(in_vain, "both busy")
        for writer in writers:
            writer.close()
        assert (await world.get("/api/v1/query?query=1&timeout=5s"))["status"] == "success"


async def test_grafana_finds_what_its_data_source_asks_for(tmp_path):
    """The requests of Grafana's Prometheus data source, as it spells them; docs/api.md lists them."""
    async with pair_in(tmp_path) as pair:
        start, end = str(int(pair.now) - 300), str(int(pair.now) + 1)
        window = {"start": start, "end": end}

        async def form(path: str, **fields: Any) -> Any:
            status, body = await pair.ask(pair.ours, "POST", path, form=urlencode(fields).encode())
            assert (status, body["status"]) == (200, "success"), path
            return body["data"]

        async def get(path: str, **fields: Any) -> Any:
            status, body = await pair.ask(pair.ours, "GET", path, list(fields.items()))
            assert (status, body["status"]) == (200, "success"), path
            return body["data"]

        # Save & test
        assert (await get("status/buildinfo"))["version"]
        saved = await form("query", query="1+1", time=end)
        assert (saved["resultType"], saved["result"][1]) == ("scalar", "2")
        # The query builder: metrics, labels, values
        assert "agent_odd" in await get("label/__name__/values", **window)
        assert "k" in await get("labels", **window, **{"match[]": '{__name__="agent_odd"}'})
        assert "k" in await form("labels", **window, **{"match[]": "agent_odd"})
        assert "tiny" in await get("label/k/values", **window, **{"match[]": '{__name__="agent_odd"}'})
        found = await form("series", **window, **{"match[]": "agent_odd"})
        assert len(found) == 11
        assert (await get("metadata", limit="40000"))["agent_runs"][0]["type"] == "counter"
        # A panel, its exemplars, and the rules shown beside
        panel = await form("query_range", query="sum by(tool) (agent_runs)", step="15", **window)
        assert panel["resultType"] == "matrix"
        assert {line["metric"]["tool"] for line in panel["result"]} == {"search", 'naïve "q"'}
        assert await form("query_exemplars", query="agent_runs", **window) == []
        assert {group["name"] for group in (await get("rules"))["groups"]} >= {"tools"}
        assert [alert["labels"]["alertname"] for alert in (await get("alerts"))["alerts"]] == ["ToolErrors"]
