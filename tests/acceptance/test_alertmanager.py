"""Programs made for Alertmanager against a whole agentpager: amtool's commands, and a Prometheus that posts its alerts.

A real Alertmanager gets the same requests where the shape of its answers is the question.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from programs import program
from world import ANA, World, free_port

pytestmark = pytest.mark.interop


async def amtool(port: int, *args: str) -> str:
    """What it prints, without its warning that we have another version than it."""
    command = (program("amtool"), f"--alertmanager.url=http://127.0.0.1:{port}", *args)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    assert process.returncode == 0, errors
    return output.decode()


async def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{port}/api/v2/{path}"
    async with ClientSession() as session, session.request(method, url, json=body) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text.strip() else None


@contextlib.asynccontextmanager
async def alertmanager(directory: Path, route: dict[str, Any], receiver: dict[str, Any]):
    """A real one, on a free port, with one receiver."""
    port = free_port()
    config = directory / "alertmanager.yml"
    config.write_text(json.dumps({"route": {"receiver": receiver["name"], **route}, "receivers": [receiver]}))
    process = await asyncio.create_subprocess_exec(
        program("prometheus-alertmanager", "alertmanager"), f"--config.file={config}",
        f"--storage.path={directory / 'am'}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        "--web.external-url=http://pager.test",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            with contextlib.suppress(OSError):
                if (await ask(port, "GET", "status"))[0] == 200:
                    break
            await asyncio.sleep(0.05)
        yield port
    finally:
        process.kill()
        await process.wait()


def shape(value: Any) -> Any:
    """The keys, without the values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in {"labels", "annotations", "mutedBy"}}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


NOW = now()
FIRING = {
    "labels": {"alertname": "ModelSlow", "agent": "refund-agent", "severity": "critical"},
    "annotations": {"summary": "The model is slow"},
    "generatorURL": "http://prometheus.test/graph?g0.expr=up",
}
SILENCE = {
    "matchers": [{"name": "alertname", "value": "Model.*", "isRegex": True, "isEqual": True}],
    "startsAt": NOW.isoformat(),
    "endsAt": (NOW + timedelta(hours=1)).isoformat(),
    "createdBy": "ana",
    "comment": "we know",
}


async def test_answers_have_the_shape_that_alertmanager_gives(tmp_path):
    async with World(tmp_path) as world, alertmanager(tmp_path, {}, {"name": "payments"}) as theirs:
        await world.start()
        for port in (world.port, theirs):
            assert await ask(port, "POST", "alerts", [FIRING]) == (200, None)
            status, made = await ask(port, "POST", "silences", SILENCE)
            assert (status, list(made)) == (200, ["silenceID"])
        await asyncio.gather(*(silenced(port) for port in (world.port, theirs)))
        for path in ("alerts", "alerts/groups", "silences", "receivers"):
            ours, there = [await ask(port, "GET", path) for port in (world.port, theirs)]
            assert (path, ours[0], shape(ours[1])) == (path, there[0], shape(there[1]))
        ours, there = [(await ask(port, "GET", "status"))[1] for port in (world.port, theirs)]
        assert set(there) <= set(ours)
        assert set(there["versionInfo"]) == set(ours["versionInfo"])
        # The same labels have the same fingerprint, so links and tools that know one by it go on working.
        prints = [(await ask(port, "GET", "alerts"))[1][0]["fingerprint"] for port in (world.port, theirs)]
        assert prints[0] == prints[1]
        for wrong in ([{"labels": {}}], "x"):
            ours, there = [await ask(port, "POST", "alerts", wrong) for port in (world.port, theirs)]
            assert (ours[0], there[0]) == (400, 400)
        assert (await ask(world.port, "GET", "alerts?filter=a%3D~("))[0] == 400


async def silenced(port: int) -> None:
    """Alertmanager works it out when it is asked, we when it is posted: at once in either."""
    (alert,) = (await ask(port, "GET", "alerts"))[1]
    assert alert["status"]["state"] == "suppressed"
    assert len(alert["status"]["silencedBy"]) == 1
    assert (await ask(port, "GET", "alerts?silenced=false"))[1] == []


async def test_amtool_asks_adds_silences_and_expires(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        at = world.port
        await amtool(
            at,
            "alert",
            "add",
            "alertname=ModelSlow",
            "agent=refund-agent",
            "severity=critical",
            "--annotation=summary=slow",
        )
        (page,) = await world.until(lambda: world.pages_to(ANA), "the page")
        assert "slow" in page["text"]
        assert "ModelSlow" in await amtool(at, "alert", "query")
        assert "ModelSlow" in await amtool(at, "alert", "query", "agent=refund-agent", "--active")
        assert "ModelSlow" not in await amtool(at, "alert", "query", "agent=kyc-agent")

        made = (
            await amtool(
                at, "silence", "add", "alertname=ModelSlow", "--duration=2h", "--author=ana", "--comment=we know"
            )
        ).strip()
        assert made == "SIL-1"
        listed = json.loads(await amtool(at, "silence", "query", "-o", "json"))
        assert [(one["id"], one["createdBy"], one["comment"]) for one in listed] == [("SIL-1", "ana", "we know")]
        assert "ModelSlow" in await amtool(at, "alert", "query", "--silenced")
        assert "ModelSlow" not in await amtool(at, "alert", "query", "--active")

        updated = await amtool(at, "silence", "update", "SIL-1", "--duration=3h", "--comment=still")
        assert "SIL-2" in updated
        await amtool(at, "silence", "expire", "SIL-2")
        assert json.loads(await amtool(at, "silence", "query", "-o", "json")) == []
        assert "ModelSlow" in await amtool(at, "alert", "query", "--active")
        assert "payments" in await amtool(at, "config", "show")
        assert "ready" in await amtool(at, "cluster", "show")
        assert (await world.cli("audit", "verify"))[0] == 0


async def test_what_is_posted_ends_by_its_end_or_after_the_timeout_and_begins_as_it_says(tmp_path):
    async with World(tmp_path) as world:
        path = world.directory / "agentpager.yaml"
        path.write_text(path.read_text() + "push: {resolve_timeout: 2s}\n")
        await world.start()
        began = (NOW - timedelta(hours=1)).isoformat()
        long = FIRING | {"startsAt": began, "endsAt": (NOW + timedelta(hours=1)).isoformat()}
        short = FIRING | {"labels": {"alertname": "Blip", "agent": "refund-agent", "severity": "warning"}}
        assert await ask(world.port, "POST", "alerts", [long, short]) == (200, None)
        await world.until(lambda: gone(world, "Blip"), "the timeout of what has no end")
        (left,) = (await ask(world.port, "GET", "alerts"))[1]
        assert datetime.fromisoformat(left["startsAt"]) == datetime.fromisoformat(began).replace(
            microsecond=datetime.fromisoformat(began).microsecond // 1000 * 1000
        )

        over = long | {"endsAt": now().isoformat()}
        assert await ask(world.port, "POST", "alerts", [over]) == (200, None)
        assert (await ask(world.port, "GET", "alerts"))[1] == []
        (incident,) = await world.incidents()
        assert incident["state"] == "resolved"


async def gone(world: World, name: str) -> bool:
    return all(alert["labels"]["alertname"] != name for alert in (await ask(world.port, "GET", "alerts"))[1])


async def test_a_real_prometheus_pages_through_us_also_after_its_restart(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        home = tmp_path / "prometheus"
        home.mkdir()
        (home / "rules.yaml").write_text(
            "groups: [{name: g, interval: 1s, rules: [{alert: FromPrometheus, expr: agent_queue > 50, "
            "labels: {severity: critical}, annotations: {summary: 'slow by Prometheus'}}]}]"
        )
        agent = world.agents["refund-agent"]
        (home / "prometheus.yml").write_text(
            f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{world.port}"]}}]}}]}}
scrape_configs:
  - job_name: agents
    static_configs: [{{targets: ["127.0.0.1:{agent.port}"], labels: {{agent: refund-agent}}}}]
"""
        )
        port = free_port()
        async with prometheus(home, port):
            agent.values["agent_queue"] = 60
            (page,) = await world.until(lambda: world.pages_to(ANA), "the page")
            assert "slow by Prometheus" in page["text"]
        async with prometheus(home, port):  # restarted in the middle: the same incident goes on, nobody is woken again
            await world.until(lambda: fresh(world), "it is posted again")
            assert len(await from_prometheus(world)) == 1
            agent.values["agent_queue"] = 1
            await world.until(lambda: resolved(world), "its end")
        assert world.rows("SELECT count(*) FROM pages WHERE id LIKE '%.page.ana'") == [(1,)]


@contextlib.asynccontextmanager
async def prometheus(home: Path, port: int):
    process = await asyncio.create_subprocess_exec(
        program("prometheus"), f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def from_prometheus(world: World) -> list[dict[str, Any]]:
    found = await world.incidents()
    return [one for one in found if any(alert["labels"]["alertname"] == "FromPrometheus" for alert in one["alerts"])]


async def resolved(world: World) -> bool:
    found = await from_prometheus(world)
    return bool(found) and all(
        alert["state"] == "resolved"
        for one in found
        for alert in one["alerts"]
        if alert["labels"]["alertname"] == "FromPrometheus"
    )


async def fresh(world: World) -> bool:
    """Its end has moved on since the second Prometheus began."""
    alerts = (await ask(world.port, "GET", "alerts?filter=alertname%3DFromPrometheus"))[1]
    return bool(alerts) and datetime.fromisoformat(alerts[0]["endsAt"]) > now() + timedelta(minutes=3)
