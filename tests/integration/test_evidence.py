"""Evidence about agents on a real database: what counts, and what is the latest."""

from __future__ import annotations

import pytest
from core_world import after

from bot.agents.evidence import Evidence
from bot.store.database import Database


def shown(day: int, *, agent: str = "refund-agent", kind: str = "drill", passed: bool = True) -> Evidence:
    return Evidence(kind=kind, agent=agent, at=after(days=day), passed=passed, summary=f"day {day}", person="ana")


@pytest.fixture
async def store(tmp_path):
    database = Database("sqlite:///pager.db", tmp_path)
    await database.open()
    async with database.transaction() as tx:
        for one in (shown(1), shown(2, passed=False), shown(3, kind="kill_switch"), shown(4, agent="crm-agent")):
            await tx.add_evidence(one)
    yield database
    await database.close()


def days(found: list[Evidence]) -> list[str]:
    return [one.summary for one in found]


async def test_evidence_is_listed_the_newest_first(store):
    assert days(await store.evidence()) == ["day 4", "day 3", "day 2", "day 1"]
    assert days(await store.evidence("refund-agent")) == ["day 3", "day 2", "day 1"]
    assert days(await store.evidence("refund-agent", "drill")) == ["day 2", "day 1"]
    assert days(await store.evidence(kind="drill")) == ["day 4", "day 2", "day 1"]
    assert days(await store.evidence(limit=2)) == ["day 4", "day 3"]


async def test_the_latest_counts_and_the_latest_that_was_passed(store):
    assert await store.latest_evidence("refund-agent", "drill") == shown(2, passed=False)
    assert await store.latest_evidence("refund-agent", "drill", passed=True) == shown(1)
    assert await store.latest_evidence("refund-agent", "promotion") is None


async def test_evidence_is_kept_with_its_detail(store):
    kept = shown(5).model_copy(update={"detail": {"seconds": {"acked": 12.5}, "incident": "INC-7"}})
    async with store.transaction() as tx:
        await tx.add_evidence(kept)
    assert await store.latest_evidence("refund-agent", "drill") == kept


async def half_done(store: Database) -> None:
    async with store.transaction() as tx:
        await tx.add_evidence(shown(6))
        raise RuntimeError("the rest could not be written")


async def test_evidence_of_a_change_that_failed_is_not_kept(store):
    with pytest.raises(RuntimeError):
        await half_done(store)
    assert days(await store.evidence(limit=1)) == ["day 4"]
