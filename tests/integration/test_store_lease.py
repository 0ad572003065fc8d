"""Who may write: one process at a time, and one that has been replaced changes nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from core_world import NOW, after, opened

from bot.errors import LeaseLostError, UsageError
from bot.store.database import Database


@pytest.fixture
async def first(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open(lease_at=NOW)
    yield store
    await store.close()


async def save(store: Database) -> None:
    async with store.transaction() as tx:
        await tx.save_incident(opened())


async def test_a_second_one_is_refused_while_the_first_renews(first, tmp_path):
    await first.renew(after(seconds=8))
    second = Database("sqlite:///pager.db", tmp_path)
    with pytest.raises(UsageError, match=r"another agentpager is using the database .*pager\.db: process \d+ on "):
        await second.open(lease_at=after(seconds=17))
    await save(first)
    await second.close()
    await save(first)


async def test_one_that_gives_no_sign_of_life_is_replaced_and_changes_nothing_any_more(first, tmp_path):
    second = Database("sqlite:///pager.db", tmp_path)
    await second.open(lease_at=after(seconds=10))
    with pytest.raises(LeaseLostError):
        await save(first)
    with pytest.raises(LeaseLostError):
        await first.renew(after(seconds=11))
    assert first.lost.is_set()
    assert await second.unresolved() == []
    await save(second)
    await first.close()
    await save(second)
    assert not second.lost.is_set()
    await second.close()


async def test_what_was_under_way_when_it_was_replaced_is_taken_back_or_came_before(first, tmp_path):
    """The epoch is read in the transaction that writes: the other one waits for the end of it."""
    async with first.transaction() as tx:
        await tx.save_incident(opened())
    second = Database("sqlite:///pager.db", tmp_path)
    await second.open(lease_at=after(seconds=10))
    assert [incident.id for incident in await second.unresolved()] == ["INC-1"]
    await second.close()


async def test_after_a_stop_its_place_is_free_at_once(first, tmp_path):
    await first.close()
    second = Database("sqlite:///pager.db", tmp_path)
    await second.open(lease_at=after(seconds=1))
    await save(second)
    await second.close()


async def test_a_clock_that_was_set_back_keeps_nobody_out_for_ever(first, tmp_path):
    """The first one would have renewed by the new clock."""
    second = Database("sqlite:///pager.db", tmp_path)
    await second.open(lease_at=NOW - timedelta(hours=1))
    await save(second)
    await second.close()


async def test_whoever_only_reads_needs_no_lease(first, tmp_path):
    reader = Database("sqlite:///pager.db", tmp_path)
    await reader.open()
    assert await reader.unresolved() == []
    await reader.close()


HOLD = """
import asyncio, sys
from datetime import datetime, timezone
from pathlib import Path
from bot.store.database import Database

async def hold():
    store = Database("sqlite:///pager.db", Path(sys.argv[1]))
    await store.open(lease_at=datetime(2026, 11, 4, 2, 0, tzinfo=timezone.utc))
    print("held", flush=True)
    sys.stdin.readline()
    async with store.transaction() as tx:
        await tx.prove_writable()

asyncio.run(hold())
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


async def test_the_place_of_a_killed_process_is_free_at_once(tmp_path):
    process = holder(tmp_path)
    store = Database("sqlite:///pager.db", tmp_path)
    with pytest.raises(UsageError, match=f"process {process.pid} on "):
        await store.open(lease_at=after(seconds=1))
    process.kill()
    process.communicate()
    await store.open(lease_at=after(seconds=1))
    await save(store)
    await store.close()


async def test_a_stopped_process_that_wakes_up_finds_itself_replaced(tmp_path):
    process = holder(tmp_path)
    process.send_signal(signal.SIGSTOP)
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open(lease_at=after(seconds=10))
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate("go\n", timeout=30)
    assert process.returncode == 1
    assert "LeaseLostError: another agentpager has taken over the database" in errors
    await save(store)
    await store.close()
