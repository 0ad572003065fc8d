"""A whole pager on PostgreSQL while its database is killed, and while the network to it is cut: nothing is lost.

The cut lasts longer than everything that anybody waits for: a request 15 s, a lease 10 s. CUT=60 makes it a minute.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout
from fault_proxy import proxied
from postgres_server import running
from world import World

pytestmark = pytest.mark.interop

DOWN = 10.0
CUT = float(os.environ.get("CUT", "20"))
AFTER = 10  # alerts that are still to come when all is well again
GOAL = 15.0  # seconds until the last of them has reached somebody, on a busy machine


class Prometheus:
    """Sends a new alert again and again until it has been taken, and the next one half a second later."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v2/alerts"
        self.taken: list[str] = []
        self.refused = 0

    async def run(self) -> None:
        number = 0
        async with ClientSession(timeout=ClientTimeout(total=10)) as session:
            while True:
                number += 1
                labels = {"alertname": "Load", "agent": f"agent-{number}", "severity": "critical"}
                while not await self._sent(session, {"labels": labels}):
                    self.refused += 1
                    await asyncio.sleep(1.0)
                self.taken.append(labels["agent"])
                await asyncio.sleep(0.5)

    async def _sent(self, session: ClientSession, alert: dict[str, Any]) -> bool:
        try:
            async with session.post(self._url, json=[alert]) as answer:
                return answer.status == 200
        except (ClientError, TimeoutError):
            return False

    async def more(self, count: int) -> None:
        until = len(self.taken) + count
        async with asyncio.timeout(90):
            while len(self.taken) < until:
                await asyncio.sleep(0.1)


def on_postgres(directory: Path, url: str) -> None:
    path = directory / "agentpager.yaml"
    path.write_text(path.read_text() + f'store: {{url: "{url}"}}\npush: {{resolve_timeout: 1h}}\n')


async def test_killed_and_cut_off_under_load_it_loses_nothing(tmp_path):
    with running(fsync=True, tcp=True) as server:
        name = server.empty()
        async with proxied("127.0.0.1", server.port) as proxy, World(tmp_path) as world:
            on_postgres(tmp_path, f"postgresql://pager@127.0.0.1:{proxy.port}/{name}")
            await world.start()
            load = Prometheus(world.port)
            sends = asyncio.create_task(load.run())
            await load.more(5)

            await asyncio.to_thread(server.stop, "immediate")
            assert not await world.is_ready()
            await asyncio.sleep(DOWN)
            await asyncio.to_thread(server.start)
            await load.more(5)

            proxy.cut()
            await asyncio.sleep(CUT)
            proxy.mend()
            await load.more(AFTER)
            sends.cancel()

            with server.connect(name) as rows:
                async with asyncio.timeout(GOAL):
                    while not told_of_all(rows, load.taken):
                        await asyncio.sleep(0.5)
            assert load.refused, "it was noticed"
            assert len(load.taken) >= 20
            posted = pages_posted(world)
            assert posted
            assert len(posted) == len(set(posted)), "nothing twice: what is unknown is looked up"
            assert await world.is_ready()
            assert world.process is not None
            assert world.process.returncode is None


def told_of_all(rows: psycopg.Connection, agents: list[str]) -> bool:
    """Each alert is in an incident, and a message about it was accepted."""
    query = (
        "SELECT incidents.doc::jsonb ->> 'agent' FROM incidents JOIN pages ON pages.incident = incidents.id "
        "WHERE pages.kind = 'page' AND pages.state = 'sent'"
    )
    return set(agents) <= {agent for (agent,) in rows.execute(query).fetchall()}


def pages_posted(world: World) -> list[str]:
    found = [message.get("metadata") for messages in world.slack.messages.values() for message in messages]
    return [one["event_payload"]["page_id"] for one in found if one]
