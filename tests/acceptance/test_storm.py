"""A storm of 300 alerts over ten owners with Slack's limits on, and `kill -9` in the middle of it: whole processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.processes import until
from benchmarks.storm import Installation, Storm

OWNERS = 10
PATIENCE = 60.0


def shown(place: Installation) -> set[str]:
    """The incidents whose page stands in a message that Slack has."""
    landed = {(call["answer"]["channel"], call["answer"]["ts"]) for call in place.posts()}
    rows = place.rows("select incident, slack_channel, ts from pages where kind = 'page' and state = 'sent'")
    return {incident for incident, channel, ts in rows if (channel, ts) in landed}


def posts_by_place(place: Installation) -> dict[str, int]:
    found: dict[str, int] = {}
    for call in place.posts():
        found[call["answer"]["channel"]] = found.get(call["answer"]["channel"], 0) + 1
    return found


def posted_twice(place: Installation) -> int:
    metadata = [call["args"]["metadata"] for call in place.posts()]
    pages = [json.loads(each) if isinstance(each, str) else each for each in metadata]
    ids = [each["event_payload"]["page_id"] for each in pages]
    return len(ids) - len(set(ids))


async def started(place: Installation) -> None:
    await place.start()
    await until(place.scraped, "agentpager is ready")


async def everybody(place: Installation, alerts: int) -> None:
    async def told() -> bool:
        try:
            return len(shown(place)) == alerts and not place.waiting()
        except Exception:  # noqa: BLE001 - the database may not be there yet, or be locked
            return False

    await until(told, f"{alerts} incidents are shown", PATIENCE)


@pytest.fixture
def storm() -> Storm:
    return Storm(alerts=300, agents=300, owners=OWNERS, critical=OWNERS, late=0)


async def test_three_hundred_alerts_are_twenty_messages_and_nobody_is_left_out(tmp_path: Path, storm: Storm):
    async with Installation(tmp_path, storm) as place:
        await started(place)
        storm.crossed |= set(range(300))
        await everybody(place, 300)
        posts = posts_by_place(place)
        assert sorted(posts.values()) == [1] * 2 * OWNERS, posts
        assert place.slack.violations == 0
        assert posted_twice(place) == 0


async def test_killed_in_the_middle_nothing_is_lost_and_nothing_is_posted_twice(tmp_path: Path, storm: Storm):
    async with Installation(tmp_path, storm) as place:
        await started(place)
        place.slack.mode("silent", method="chat.postMessage", channel="#o3", landed=True, seconds=3600)
        storm.crossed |= set(range(300))

        async def some() -> bool:
            return "#o3" in {call["args"]["channel"] for call in place.slack.calls("chat.postMessage")}

        await until(some, "a message is under way", PATIENCE)
        assert place.process is not None
        place.process.kill()
        await place.process.wait()
        place.slack.mode("ok")
        await started(place)
        await everybody(place, 300)
        assert posted_twice(place) == 0
        assert place.slack.violations == 0
        assert max(posts_by_place(place).values()) <= 2
