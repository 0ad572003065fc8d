"""The suite has teeth: each of twelve mistakes, put into the running code, is caught, and without it the same check
passes. The schedules are short on purpose; the state machine finds most of these by itself as well, only later.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import apscheduler.executors.base
import apscheduler.schedulers.base
import apscheduler.triggers.interval
import pytest
import sqlalchemy as sa
from core_world import NOW
from fake_slack import BOT_TOKEN, FakeSlack
from model import bugs
from model.invariants import Watch
from model.loop import START, ModelTime, VirtualLoop
from model.slack import Mode
from model.town import Town

from bot.audit.model import Entry
from bot.errors import RemoteError
from bot.paging.model import Page, PageKind
from bot.scheduler import Ticker
from bot.slack.errors import call
from bot.slack.web import new_session, web_client
from bot.store.database import Database

Schedule = Callable[[Town, Watch], None]
Bug = Callable[[], AbstractContextManager[None]]


def killed_at_the_first_byte(town: Town, watch: Watch) -> None:
    """The claim is committed, the message has not left."""
    assert town.process is not None
    town.process.power.stop_at = "before post"
    town.fire("Errors", "refund")
    town.advance(1)
    town.start()


def late_landing(town: Town, watch: Watch) -> None:
    """No answer, and the message is there 19 seconds later."""
    town.slack.modes["U0ANA"], town.slack.late = Mode.LATE, 19.0
    town.fire("Errors", "refund")
    town.advance(10.5)
    town.slack.heal()
    town.advance(30)


def stopped_replaced_and_woken(town: Town, watch: Watch) -> None:
    """SIGSTOP while the first level waits; another process takes over; SIGCONT."""
    town.fire("Errors", "refund")
    town.advance(60)
    town.stop()
    town.advance(30)
    old = town.take_over()
    town.advance(10)
    old.power.go_on()
    town.advance(1800)


def acked_before_it_is_settled(town: Town, watch: Watch) -> None:
    """A page without an answer has not landed; until that is known somebody has the incident."""
    town.slack.modes["U0ANA"] = Mode.LOST
    town.fire("Errors", "refund")
    town.advance(11)
    town.slack.heal()
    town.click("ack", "U0ANA", "INC-1", "k1")
    town.advance(60)


def clock_set_back_inside_a_retry_after(town: Town, watch: Watch) -> None:
    """Slack said thirty seconds, not thirty seconds and a day. Somebody else's incident is due in the same place."""
    town.slack.modes["U0CAT"] = Mode.WAIT
    town.fire("Errors", "search")
    town.advance(1)
    town.slack.heal()
    town.jump(-86400)
    town.advance(40)
    watch.l2_everything_due_is_out(town.clock.mono)


def killed_while_it_waits(town: Town, watch: Watch) -> None:
    town.fire("Errors", "refund")
    town.advance(60)
    town.kill()
    town.start()


def clicked_again_after_a_restart(town: Town, watch: Watch) -> None:
    """Slack delivers a click once more, to another process."""
    town.fire("Errors", "refund")
    town.advance(5)
    town.click("escalate", "U0ANA", "INC-1", "k1")
    town.kill()
    town.start()
    before = town.decided_by_people()
    town.click("escalate", "U0ANA", "INC-1", "k1")
    assert town.decided_by_people() == before, "S8: the same click did something twice"


def nobody_there(town: Town, watch: Watch) -> None:
    """Slack does not know the person on duty."""
    town.slack.modes["U0ANA"] = Mode.REFUSED
    town.fire("Errors", "refund")
    town.advance(5)


def calm(town: Town, watch: Watch) -> None:
    town.fire("Errors", "refund")
    town.advance(5)
    town.click("ack", "U0ANA", "INC-1", "k1")
    town.advance(5)


CORE: list[tuple[Bug, Schedule, str]] = [
    (bugs.mark_before_send, killed_at_the_first_byte, "S1"),
    (bugs.no_settle_wait, late_landing, "S2"),
    (bugs.no_epoch_check, stopped_replaced_and_woken, "S5"),
    (bugs.ack_not_rechecked_at_claim, acked_before_it_is_settled, "S3"),
    (bugs.wall_clock_for_intervals, clock_set_back_inside_a_retry_after, "L2"),
    (bugs.deadline_in_memory, killed_while_it_waits, "L1"),
    (bugs.clicks_remembered_in_memory, clicked_again_after_a_restart, "S8"),
    (bugs.refused_counts_as_sent, nobody_there, "S1"),
]


@pytest.fixture
def virtual_time():
    time = ModelTime()
    time.install()
    yield time
    time.remove()


def play(time: ModelTime, schedule: Schedule) -> None:
    town = Town(time)
    watch = Watch(town)
    try:
        schedule(town, watch)
        watch.check()
        watch.quiet_end()
    finally:
        town.close()


@pytest.mark.parametrize(("bug", "schedule", "rule"), CORE, ids=lambda each: getattr(each, "__name__", ""))
def test_the_invariants_catch(virtual_time, bug, schedule, rule):
    play(virtual_time, schedule)
    with bug(), pytest.raises(AssertionError) as caught:
        play(virtual_time, schedule)
    assert str(caught.value).startswith(rule), str(caught.value)[:2000]


# --- what only shows at the edges


async def posts_of_one_message() -> int:
    """Slack takes a message and closes the connection; how often does it get it?"""
    async with FakeSlack() as slack:
        slack.mode("close", method="chat.postMessage", count=1)
        session = new_session()
        client = web_client(BOT_TOKEN, slack.api_url, session)
        try:
            with pytest.raises(RemoteError):
                await call("chat.postMessage", client.chat_postMessage(channel="U0ANA", text="page"))
        except pytest.fail.Exception:
            pass  # the second try of its own was answered
        finally:
            await session.close()
        return len(slack.calls("chat.postMessage"))


@pytest.mark.parametrize(("bug", "posts"), [(nullcontext, 1), (bugs.sdk_retry_on, 2)])
async def test_the_sdk_posts_once(bug, posts):
    with bug():
        assert await posts_of_one_message() == posts


async def on_disk_before_it_returns(folder: Path) -> bool:
    """Whether the connection that writes waits for the disk at each commit: 2 is FULL, 3 EXTRA."""
    store = Database("sqlite:///pager.db", folder)
    await store.open()
    async with store._writer.begin() as connection:
        level = (await connection.execute(sa.text("PRAGMA synchronous"))).scalar_one()
    await store.close()
    return int(level) >= 2


@pytest.mark.parametrize(("bug", "safe"), [(nullcontext, True), (bugs.synchronous_normal, False)])
async def test_a_commit_waits_for_the_disk(tmp_path, bug, safe):
    with bug():
        assert await on_disk_before_it_returns(tmp_path) is safe


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("bug", "synced"), [("", True), ("synchronous_normal", False)])
def test_the_row_is_on_the_disk_before_the_first_byte_leaves(tmp_path, bug, synced):
    """As the kernel sees it: what was written to the database is synced before anything goes to the socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    trace = tmp_path / "trace"
    script = (
        f"import asyncio, sys; sys.path[:0] = {sys.path!r}\n"
        f"from model.test_teeth import send_one_page\n"
        f"asyncio.run(send_one_page({str(tmp_path)!r}, {listener.getsockname()[1]}, {bug!r}))\n"
    )
    calls = "trace=openat,pwrite64,write,fdatasync,fsync,sendto"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", calls, sys.executable, "-c", script]
    subprocess.run(command, check=True, timeout=60)
    listener.close()
    waiting = True
    written: set[str] = set()
    for line in trace.read_text().splitlines():
        if "first byte" in line:
            waiting = False
            break
        if "pager.db" in line and ("pwrite64(" in line or "write(" in line):
            written.add("wal" if "-wal" in line else "db")
        if "pager.db" in line and ("fdatasync(" in line or "fsync(" in line):
            written.discard("wal" if "-wal" in line else "db")
    assert not waiting, "the byte was not seen"
    assert ("wal" not in written) is synced


async def send_one_page(folder: str, port: int, bug: str) -> None:
    """In a process of its own: commits a claimed page, then sends a byte."""
    with getattr(bugs, bug)() if bug else nullcontext():
        store = Database("sqlite:///pager.db", Path(folder))
        await store.open()
        page = Page(id="INC-1.1.page.ana", incident=None, kind=PageKind.NOTICE, channel="#x", due_at=NOW, reason="")
        async with store.transaction() as tx:
            await tx.add_pages([page])
        async with store.transaction() as tx:
            await tx.claim(page, NOW)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"first byte")
        await writer.drain()
        writer.close()
        await store.close()


def turns_of_an_hourly_job(time: ModelTime) -> int:
    """The clock is set five seconds on, just before the turn."""
    clock = time.clock
    loop = VirtualLoop(clock)
    asyncio.set_event_loop(loop)
    turns: list[float] = []

    class WallTime(datetime):
        @classmethod
        def now(cls, tz=None):
            return START.astimezone(tz or UTC) + timedelta(seconds=clock.mono + clock.offset)

    async def job() -> None:
        turns.append(clock.mono)

    async def begin() -> Ticker:
        ticker = Ticker()
        ticker.every(timedelta(hours=1), "hourly", job)
        ticker.start()
        return ticker

    modules = (apscheduler.executors.base, apscheduler.schedulers.base, apscheduler.triggers.interval)
    before = [module.datetime for module in modules]
    try:
        for module in modules:
            module.datetime = WallTime
        ticker = loop.run_until_complete(begin())
        loop.run_for(3595)
        clock.offset += 10
        loop.run_for(60)
        loop.run_until_complete(ticker.stop())
    finally:
        for module, real in zip(modules, before, strict=True):
            module.datetime = real
        loop.close()
        asyncio.set_event_loop(None)
    return len(turns)


@pytest.mark.parametrize(("bug", "turns"), [(nullcontext, 1), (bugs.default_misfire_grace, 0)])
def test_a_late_turn_is_taken(virtual_time, bug, turns):
    with bug():
        assert turns_of_an_hourly_job(virtual_time) == turns


async def test_the_audit_trail_refuses_to_be_changed(tmp_path):
    """The database refuses it; and should somebody take that away, the chain shows the row."""
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    entries = [Entry(at=NOW, actor="cli:root", action="incident.acked", subject="INC-1", why="ErrorsHigh")] * 2

    async def write() -> None:
        async with store.transaction() as tx:
            await tx.append_audit(entries)

    await write()
    assert (await store.history.verified()).broken is None
    with bugs.audit_is_updated(), pytest.raises(sa.exc.IntegrityError, match="only appended"):
        await write()
    async with store._writer.begin() as connection:
        await connection.execute(sa.text("DROP TRIGGER audit_no_update"))
    with bugs.audit_is_updated():
        await write()
    assert (await store.history.verified()).broken == 1
    await store.close()


def test_twelve_mistakes_are_tried():
    """Every double of bugs.py is used here."""
    text = Path(__file__).read_text()
    doubles = [name for name, each in vars(bugs).items() if hasattr(each, "__wrapped__") and not name.startswith("_")]
    known = SimpleNamespace(found=[name for name in doubles if name in text])
    assert sorted(known.found) == sorted(doubles)
    assert len(doubles) == 12
