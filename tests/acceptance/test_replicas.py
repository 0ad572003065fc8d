"""Two replicas on one PostgreSQL, whole processes. The leader killed, stopped and cut off in a storm, by the clock:
`python -m benchmarks.replicas --fail-over`, which has the machine for itself in CI.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from benchmarks.processes import until
from benchmarks.replicas import Replica, Replicas, Sliced, installed
from tests.postgres_server import missing

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def postgres_is_there():
    missing()


async def eventually(condition: Callable[[], Any], what: str, place: Replicas) -> Any:
    """What the condition gives once it is something; it may be a coroutine."""
    found: list[Any] = []

    async def there() -> bool:
        given = condition()
        given = await given if asyncio.iscoroutine(given) else given
        found[:] = [given]
        return bool(given)

    try:
        await until(there, what, PATIENCE)
    except SystemExit as error:
        raise AssertionError(f"{error}\n{place.logs()}") from None
    return found[0]


async def asked(one: Replica, path: str, body: dict[str, Any] | None = None) -> Any:
    url = f"http://127.0.0.1:{one.port}{path}"
    async with (
        ClientSession() as session,
        session.request("POST" if body is not None else "GET", url, json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


def acked(place: Replicas, user: str) -> bool:
    return "🟨" in json.dumps(place.slack.posted(user), ensure_ascii=False)


async def test_followers_take_clicks_and_alerts_and_go_on_when_the_leader_is_killed(tmp_path: Path):
    storm = Sliced(alerts=4, agents=4, owners=10, critical=4, late=4, slices=8)
    async with installed(tmp_path, storm, 2) as place:
        await place.begin_all()
        await place.shared_out(2)
        leader = await place.leader()
        (follower,) = [one for one in place.replicas if one is not leader]

        storm.crossed |= {0, 1}
        await eventually(lambda: place.sent() == 2, "two pages", place)

        # By HTTP of the follower: the leader redraws the message.
        incidents = await asked(follower, "/api/pager/incidents")
        (first,) = [one["id"] for one in incidents if one["owner"] == "team:o0"]
        await asked(follower, f"/api/pager/incidents/{first}/ack", {"person": "o0"})
        await eventually(lambda: acked(place, "U0O0"), "the edit", place)

        # By Slack, whichever of them it hands the click to.
        answer = await place.slack.click("U0O1", "inc.ack", "U0O1", place.slack.posted("U0O1")[0]["ts"])
        assert answer["acked"]
        await eventually(lambda: acked(place, "U0O1"), "the edit", place)

        # What the leader's watcher found stands at the follower too.
        async def seen() -> bool:
            alerts = (await asked(follower, "/api/v1/alerts"))["data"]["alerts"]
            return {alert["labels"]["tool"] for alert in alerts} == {"t0", "t1"}

        await eventually(seen, "the alerts of both", place)

        os.kill(leader.pid, signal.SIGKILL)
        storm.crossed |= {2, *storm.late_numbers()}
        await eventually(lambda: place.sent() == len(storm.crossed), "everybody is told by the other one", place)
        assert await follower.stands("leads")
        assert place.posted_twice() == 0
        states = place.rows("select state, count(*) from incidents group by 1 order by 1")
        assert states == [("acked", 2), ("open", len(storm.crossed) - 2)], "nothing ended, nothing began twice"
