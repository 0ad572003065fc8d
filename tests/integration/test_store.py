"""The store on real SQLite and PostgreSQL: what a crash, another process and a forger can and cannot do to it."""

# ruff: noqa: F811 - fixtures are imported, and named again by each test

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from core_world import NOW, after, alert, no_data, opened
from store_places import place, store  # noqa: F401

from bot.audit.chain import GENESIS
from bot.audit.model import Entry
from bot.incidents.model import Incident, State
from bot.paging.model import Page, PageKind, PageState
from bot.runbooks.rendered import Rendered
from bot.store import migrate, tables
from bot.store.database import Database


@pytest.fixture
async def file(tmp_path):
    database = Database("sqlite:///pager.db", tmp_path)
    await database.open()
    yield database
    await database.close()


def raw(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "pager.db", isolation_level=None)


def page(number: int = 1, **changes) -> Page:
    fields = {
        "id": f"INC-1.{number}.page.ana",
        "incident": "INC-1",
        "kind": PageKind.PAGE,
        "person": "ana",
        "channel": "U0ANA",
        "due_at": NOW,
        "reason": "because",
    }
    return Page(**fields | changes)


def entry(number: int) -> Entry:
    return Entry(at=after(seconds=number), actor="person:ana", action="incident.acked", subject=f"INC-{number}")


async def save(store: Database, *things: Incident | Page | Entry) -> None:
    async with store.transaction() as tx:
        for thing in things:
            match thing:
                case Incident():
                    await tx.save_incident(thing)
                case Page():
                    await tx.add_pages([thing])
                case Entry():
                    await tx.append_audit([thing])


# The file


async def test_the_file_belongs_to_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        store = Database("sqlite:///pager.db", tmp_path / "new" / "folder")
        await store.open()
        await save(store, opened())
        files = sorted((tmp_path / "new" / "folder").iterdir())
        assert files[0].name == "pager.db"
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        await store.close()
    finally:
        os.umask(before)


async def test_every_commit_reaches_the_disk_and_readers_never_wait(file):
    for engine in (file._writer, file._readers):
        async with engine.connect() as connection:
            values = [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in PRAGMAS]
        assert values == ["wal", 2, 5000]  # 2 is FULL


PRAGMAS = ("journal_mode", "synchronous", "busy_timeout")


async def test_a_write_transaction_takes_the_lock_at_its_beginning(file, tmp_path):
    async with file.transaction() as tx:
        await tx.last_number()  # nothing has been written yet
        other = raw(tmp_path)
        other.execute("PRAGMA busy_timeout=0")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM incidents").fetchone() == (0,), "readers do not wait"
        other.close()


async def test_the_migrations_lead_exactly_to_the_tables_of_the_code(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.begin() as connection:
        migrate.upgrade(connection)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []
    fresh = sa.create_engine(f"sqlite:///{tmp_path / 'fresh.db'}")
    tables.metadata.create_all(fresh)
    assert indexes(engine) == indexes(fresh), "partial indexes too, which compare_metadata does not look at"


def indexes(engine: sa.Engine) -> set[str]:
    query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name <> 'alembic_version'"
    with engine.connect() as connection:
        return {" ".join(sql.split()) for sql in connection.exec_driver_sql(query).scalars()}


async def test_opening_an_existing_database_again_keeps_what_is_in_it(store, place):
    await save(store, opened())
    await store.close()
    again = place.database()
    await again.open()
    assert [incident.id for incident in await again.unresolved()] == ["INC-1"]
    await again.close()


# Transactions


async def test_an_exception_leaves_nothing_behind(store):
    async def broken() -> None:
        async with store.transaction() as tx:
            await tx.save_incident(opened())
            await tx.add_pages([page()])
            await tx.append_audit([entry(1)])
            await tx.first_time("click", NOW)
            await tx.save_rendering("INC-1", Rendered(rendered_at=NOW))
            await tx.save_rule_state("f;g", NOW, {"a": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert await store.unresolved() == []
    assert await store.pages_of("INC-1") == []
    assert await store.audit_rows() == []
    assert await store.rendering("INC-1") is None
    assert await store.rule_state() == {}
    async with store.transaction() as tx:
        assert await tx.first_time("click", NOW) is True


async def test_a_transaction_that_is_cancelled_leaves_nothing_and_the_next_one_works(store):
    inside = asyncio.Event()

    async def slow() -> None:
        async with store.transaction() as tx:
            await tx.save_incident(opened())
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(slow())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.unresolved() == []
    await save(store, opened())
    assert len(await store.unresolved()) == 1


async def test_cancelled_at_any_moment_it_is_there_whole_or_not_at_all(store):
    """Cancelled after a few turns of the loop, ever more of them, until it gets through."""
    for turns in range(60):
        incident = opened().model_copy(update={"id": f"INC-{turns + 1}", "key": f"key {turns}"})
        task = asyncio.create_task(save(store, incident, page(turns + 1, incident=incident.id)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = await store.incident(incident.id)
        assert len(await store.pages_of(incident.id)) == (1 if found else 0)
    await save(store, opened().model_copy(update={"id": "INC-1000", "key": "last"}))


async def test_two_writers_of_one_process_take_turns(store):
    async def add(number: int) -> None:
        async with store.transaction() as tx:
            assert await tx.last_number() + 1
            incident = opened().model_copy(update={"id": f"INC-{await tx.last_number() + 1}", "key": f"key {number}"})
            await asyncio.sleep(0)
            await tx.save_incident(incident)

    await asyncio.gather(*(add(number) for number in range(20)))
    assert {incident.id for incident in await store.unresolved()} == {f"INC-{number}" for number in range(1, 21)}


HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(2)
connection.execute("COMMIT")
"""


async def test_another_process_that_holds_the_lock_for_two_seconds_delays_a_write_and_no_reader(file, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "pager.db")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    write = asyncio.create_task(save(file, opened()))
    assert await file.unresolved() == []
    await asyncio.sleep(0.2)
    assert holder.poll() is None
    assert not write.done()
    await write
    assert len(await file.unresolved()) == 1
    holder.wait()
    holder.stdout.close()


async def test_only_one_unresolved_incident_of_a_key_is_accepted(store):
    await save(store, opened())
    second = opened().model_copy(update={"id": "INC-2"})
    with pytest.raises(sa.exc.IntegrityError):
        await save(store, second)
    await save(store, opened().model_copy(update={"state": State.RESOLVED}), second)
    assert [incident.id for incident in await store.unresolved()] == ["INC-2"]


# Reading back


async def test_an_incident_is_read_back_as_it_was_written(store):
    incident = opened(alert(value=float("inf")), no_data(alert("Other", labels={"text": "Köln 🏠 \x00 '\""})))
    await save(store, incident)
    assert await store.incident("INC-1") == incident
    assert await store.incident("INC-2") is None


async def test_which_incidents_are_live_overdue_and_unresolved(store):
    states = {
        1: (State.OPEN, after(minutes=5)),
        2: (State.ACKED, after(minutes=1)),
        3: (State.RESOLVED, after(hours=1)),  # closed by hand and watched
        4: (State.RESOLVED, None),
        5: (State.OPEN, None),  # info
    }
    await save(
        store,
        *(
            opened().model_copy(update={"id": f"INC-{n}", "key": f"{n}", "state": state, "next_at": next_at})
            for n, (state, next_at) in states.items()
        ),
    )
    async with store.transaction() as tx:
        assert [incident.id for incident in await tx.live_incidents()] == ["INC-1", "INC-2", "INC-3", "INC-5"]
        assert await tx.last_number() == 5
        assert (await tx.unresolved_with("2") or opened()).id == "INC-2"
        assert await tx.unresolved_with("3") is None
    assert {incident.id for incident in await store.unresolved()} == {"INC-1", "INC-2", "INC-5"}
    assert [incident.id for incident in await store.recent(2)] == ["INC-5", "INC-4"]
    assert await store.overdue(after(minutes=5) - timedelta(microseconds=1)) == ["INC-2"]
    assert await store.overdue(after(minutes=5)) == ["INC-2", "INC-1"]


async def test_which_pages_wait(store):
    await save(
        store,
        page(1, due_at=after(seconds=1)),
        page(2, due_at=after(seconds=2), state=PageState.UNKNOWN),
        page(3, state=PageState.SENDING),
        page(4, state=PageState.SENT),
        page(5, state=PageState.CANCELLED),
        page(6, state=PageState.FAILED),
    )
    assert await store.waiting(after(seconds=1) - timedelta(microseconds=1)) == []
    assert [p.id for p in await store.waiting(after(seconds=1))] == ["INC-1.1.page.ana"]
    assert len(await store.waiting(after(seconds=2))) == 2
    assert await store.next_due() == after(seconds=1)
    assert [p.id for p in await store.interrupted()] == ["INC-1.3.page.ana"]


async def test_which_messages_are_out_of_date(store):
    shown = {"state": PageState.SENT, "slack_channel": "D1", "ts": "1.1", "shown_revision": 2}
    incident = opened().model_copy(update={"revision": 3})
    await save(
        store,
        incident,
        page(1, **shown),
        page(2, **shown | {"shown_revision": 3}),
        page(3, **shown | {"kind": PageKind.RUNBOOK}),
        page(4),
    )
    assert [(p.id, i.revision) for p, i in await store.outdated()] == [("INC-1.1.page.ana", 3)]
    assert await store.incident_of_message("D1", "1.1") == "INC-1"
    assert await store.incident_of_message("D1", "9.9") is None


async def test_of_two_racers_one_claims(store):
    await save(store, page())
    due = (await store.waiting(NOW))[0]

    async def claim() -> Page | None:
        async with store.transaction() as tx:
            return await tx.claim(due, NOW)

    won = [claimed for claimed in await asyncio.gather(*(claim() for _ in range(10))) if claimed is not None]
    assert [(claimed.state, claimed.attempt, claimed.claimed_at) for claimed in won] == [(PageState.SENDING, 1, NOW)]
    assert await store.waiting(NOW) == []


async def test_a_click_is_new_once_and_forgotten_after_its_time(store):
    async with store.transaction() as tx:
        assert await tx.first_time("key", NOW) is True
    async with store.transaction() as tx:
        assert await tx.first_time("key", after(days=1)) is False
        await tx.forget_clicks(after(days=6))
        assert await tx.first_time("key", after(days=6)) is True


async def test_rule_states_and_renderings_are_replaced(store):
    for number in (1, 2):
        async with store.transaction() as tx:
            await tx.save_rule_state("f;g", after(seconds=number), {"n": number})
            await tx.save_rendering("INC-1", Rendered(title=str(number), rendered_at=NOW))
    rendering = await store.rendering("INC-1")
    assert rendering is not None
    assert rendering.title == "2"
    assert list(await store.rule_state()) == ["f;g"]


# The audit trail


async def test_rows_are_numbered_without_gaps_over_many_transactions(store):
    for number in (1, 2, 3):
        await save(store, entry(number))
    rows = await store.audit_rows()
    assert [(sequence, row.subject) for sequence, row, _ in rows] == [(1, "INC-1"), (2, "INC-2"), (3, "INC-3")]
    assert len({GENESIS, *(written for _, _, written in rows)}) == 4
    assert [row.subject for _, row, _ in await store.audit_rows("INC-2")] == ["INC-2"]
    assert await store.broken_audit_row() is None


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET doc = '{}'", "DELETE FROM audit", "UPDATE audit SET subject = 'x'"]
)
async def test_the_database_itself_refuses_to_change_rows(store, place, statement):
    await save(store, entry(1))
    with pytest.raises(Exception, match="audit rows are only appended"):
        place.execute(statement)


FORGED = entry(2).model_copy(update={"actor": "person:ben"}).model_dump_json()


@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        ([f"UPDATE audit SET doc = '{FORGED}' WHERE sequence = 2"], 2),
        (["UPDATE audit SET hash = hash || 'x' WHERE sequence = 2"], 2),
        (["UPDATE audit SET subject = 'INC-9' WHERE sequence = 2"], 2),
        (["UPDATE audit SET at = 0 WHERE sequence = 2"], 2),
        (["UPDATE audit SET doc = 'no json' WHERE sequence = 2"], 2),
        (["DELETE FROM audit WHERE sequence = 2"], 3),
        (["DELETE FROM audit WHERE sequence = 1"], 2),
        (["DELETE FROM audit WHERE sequence = 2", "UPDATE audit SET sequence = 2 WHERE sequence = 3"], 2),
        (
            [
                "UPDATE audit SET sequence = -1 WHERE sequence = 2",
                "UPDATE audit SET sequence = 2 WHERE sequence = 3",
                "UPDATE audit SET sequence = 3 WHERE sequence = -1",
            ],
            2,
        ),
    ],
)
async def test_whoever_forces_a_change_is_found_out(store, place, statements, broken):
    for number in (1, 2, 3):
        await save(store, entry(number))
    place.disarm()
    place.execute(*statements)
    assert await store.broken_audit_row() == broken


async def test_ping_fails_when_nothing_can_be_written_though_everything_can_be_read(store, place):
    await store.ping()
    await store.ping()
    place.fill()
    assert await store.unresolved() == []
    with pytest.raises(Exception, match="disk full"):
        await store.ping()


async def test_a_channel_made_anew_is_known_by_where_its_newest_message_landed(store):
    landed = {"state": PageState.SENT, "channel": "#pages"}
    await save(store, page(1, **landed, slack_channel="C0NEW", due_at=after(seconds=9)))
    await save(store, page(2, **landed, slack_channel="C0OLD", due_at=NOW))
    assert await store.addresses() == {"#pages": "C0NEW"}


async def test_deliveries_are_known_for_a_while_beside_the_keys_of_clicks(store):
    async with store.transaction() as tx:
        await tx.first_time("INC-1|inc.ack|U1|1.1", NOW)
    await store.remember_deliveries(["signature|v0=1", "event|Ev1"], NOW - timedelta(minutes=11))
    await store.remember_deliveries(["signature|v0=2"], NOW)
    await store.remember_deliveries(["signature|v0=2"], NOW + timedelta(minutes=1))
    assert await store.deliveries(NOW - timedelta(minutes=10)) == ["signature|v0=2"]
    assert sorted(await store.deliveries(NOW - timedelta(days=1))) == ["event|Ev1", "signature|v0=1", "signature|v0=2"]


async def test_who_reads_while_everything_is_to_be_forgotten_leaves_nothing_out(store, monkeypatch):
    """After a new connection what was seen does not count; a reader may be half way through what has changed."""
    async with store.transaction() as tx:
        await tx.save_incident(opened())
    await store.live()
    async with store.transaction() as tx:
        await tx.save_incident(opened().model_copy(update={"id": "INC-2", "key": "another"}))
    live, news = store._live, store._live._news
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(*asked):
        found = await news(*asked)
        reading.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(live, "_news", slowly)
    reader = asyncio.create_task(store.live())
    await reading.wait()
    live.forget_all()
    go_on.set()
    await reader
    assert {one.id for one in await store.unresolved()} == {"INC-1", "INC-2"}
    assert {one.id for one in await store.unresolved()} == {"INC-1", "INC-2"}
