"""The database as a file: copies, damage, a full disk, an older schema. Of both kinds: what moves out, what is on."""

# ruff: noqa: F811 - fixtures are imported, and named again by each test

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from click.testing import CliRunner
from core_world import NOW, after, opened
from store_places import place, store  # noqa: F401

from bot.audit.model import Entry
from bot.cli.main import cli
from bot.errors import UsageError
from bot.incidents.model import Incident, State
from bot.paging.model import Page, PageKind, PageState
from bot.runbooks.rendered import Rendered
from bot.store import archive, files, migrate
from bot.store.archive import Archive
from bot.store.database import Database
from bot.store.lease import LockFile


@pytest.fixture
async def file(tmp_path):
    database = Database("sqlite:///pager.db", tmp_path)
    await database.open()
    yield database
    await database.close()


def resolved(number: int, at) -> Incident:
    update = {"id": f"INC-{number}", "key": f"{number}", "state": State.RESOLVED, "next_at": None, "resolved_at": at}
    return opened().model_copy(update=update)


def page(incident: str | None, state: PageState = PageState.SENT) -> Page:
    name = f"{incident or 'notice'}.1.card"
    return Page(id=name, incident=incident, kind=PageKind.CARD, channel="#c", state=state, due_at=NOW, reason="because")


async def save(store: Database, incidents=(), pages=(), entries=()) -> None:
    async with store.transaction() as tx:
        await tx.save_incidents(incidents)
        await tx.add_pages(pages)
        await tx.append_audit(entries)


def raw(path: Path):
    return closing(sqlite3.connect(path, isolation_level=None))


# Copies


async def test_a_backup_of_a_running_database_has_what_is_committed_and_belongs_to_its_owner(file, tmp_path):
    await save(file, [opened()])
    target = tmp_path / "backup.db"
    async with file.transaction() as tx:
        await tx.save_incidents([resolved(2, NOW)])
        files.backup(file.path, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with raw(target) as copy:
        assert copy.execute("SELECT id FROM incidents").fetchall() == [("INC-1",)]
    assert sorted(path.name for path in tmp_path.glob("backup*")) == ["backup.db"]


async def test_a_backup_overwrites_nothing(file, tmp_path):
    target = tmp_path / "backup.db"
    target.write_text("dear")
    with pytest.raises(UsageError, match="is there already"):
        files.backup(file.path, target)
    assert target.read_text() == "dear"


async def test_what_is_restored_is_as_it_was_and_the_other_one_is_kept(file, tmp_path):
    await save(file, [opened()])
    files.backup(file.path, tmp_path / "backup.db")
    await save(file, [resolved(2, NOW)])
    await file.close()
    kept = files.restore(tmp_path / "backup.db", tmp_path / "pager.db", "before-x")
    assert kept == tmp_path / "pager.db.before-x"
    again = Database("sqlite:///pager.db", tmp_path)
    await again.open()
    assert await again.incident("INC-2") is None
    assert await again.incident("INC-1") == opened()
    await again.close()
    with raw(kept) as other:
        assert other.execute("SELECT count(*) FROM incidents").fetchone() == (2,)


@pytest.mark.parametrize("content", [b"no database", b""])
async def test_what_is_no_database_of_ours_is_not_restored(file, tmp_path, content):
    (tmp_path / "bad.db").write_bytes(content)
    with pytest.raises(UsageError, match="nothing was changed"):
        files.restore(tmp_path / "bad.db", file.path, "x")
    assert await file.unresolved() == []


CONFIG = """
oncall: {files: [oncall.yaml]}
slack: {bot_token: x, app_token: y}
store: {url: "sqlite:///pager.db"}
"""
ONCALL = 'people: {ana: {name: Ana, slack: U0ANA}}\nfallback: "person:ana"\n'


def run(folder: Path, *words: str) -> tuple[int, str]:
    (folder / "agentpager.yaml").write_text(CONFIG)
    (folder / "oncall.yaml").write_text(ONCALL)
    result = CliRunner().invoke(cli, ["db", *words, "--config", str(folder / "agentpager.yaml")])
    return result.exit_code, result.output


def test_the_commands_work_on_the_configured_database_and_keep_off_one_in_use(tmp_path):
    assert run(tmp_path, "upgrade") == (0, "the database is up to date\n")
    code, said = run(tmp_path, "backup", str(tmp_path / "copy.db"))
    assert (code, "a sound copy" in said) == (0, True)
    code, said = run(tmp_path, "archive", "--before", "2026-01-01", "--to", str(tmp_path / "old.jsonl.gz"))
    assert (code, said.startswith("moved 0 incidents and 0 pages")) == (0, True)
    code, said = run(tmp_path, "restore", str(tmp_path / "copy.db"))
    assert (code, "pager.db.before-" in said) == (0, True)
    holder = LockFile(tmp_path / "pager.db-lock")
    assert holder.take()
    code, said = run(tmp_path, "restore", str(tmp_path / "copy.db"))
    holder.release()
    assert code == 2
    assert "stop it first" in said


# Damage, and a full disk


async def grown(store: Database) -> None:
    await save(store, [resolved(number, NOW) for number in range(1, 200)])
    await store.close()


@pytest.mark.parametrize("place", [0, 100, 4096 * 3 + 5])
async def test_a_damaged_file_is_refused_with_its_name_and_the_way_out(file, tmp_path, place):
    await grown(file)
    with (tmp_path / "pager.db").open("r+b") as file:
        file.seek(place)
        file.write(bytes(range(255, 155, -1)))
    again = Database("sqlite:///pager.db", tmp_path)
    with pytest.raises(UsageError, match=r"the database .*pager\.db is damaged: .*agentpager db restore BACKUP"):
        await again.open(lease_at=NOW)
    await again.close()


async def test_damage_that_is_found_after_the_start_fails_every_ping(file, monkeypatch):
    await file.close()
    late = threading.Event()
    monkeypatch.setattr(files, "damage", lambda path: late.wait(30) and "row 7 is missing")
    monkeypatch.setattr("bot.store.sqlite._CHECK_SECONDS", 0.01)
    again = Database("sqlite:///pager.db", file.path.parent)
    await again.open(lease_at=NOW)
    await again.ping()
    late.set()
    assert again._home.look is not None
    assert again._home.look.within(30) == "row 7 is missing"
    with pytest.raises(UsageError, match="is damaged: row 7 is missing"):
        await again.ping()
    await again.close()


async def test_a_full_disk_turns_up_in_the_ping_and_all_goes_on_when_there_is_space_again(file):
    await save(file, [opened()])
    async with file._writer.connect() as connection:
        full = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {full}")
        await connection.rollback()
    big = Entry(at=NOW, actor="x", action="x", subject="x", why="x" * 100_000)
    with pytest.raises(sa.exc.OperationalError, match="disk is full"):
        await save(file, [resolved(2, NOW)], entries=[big])
    assert await file.incident("INC-2") is None
    assert [incident.id for incident in await file.unresolved()] == ["INC-1"]
    async with file._writer.connect() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        await connection.rollback()
    await save(file, [resolved(2, NOW)], entries=[big])
    assert await file.incident("INC-2") == resolved(2, NOW)


# An older schema


def test_a_database_of_the_first_release_is_brought_here_with_its_rows(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'pager.db'}")
    old = resolved(1, after(minutes=30)).model_copy(update={"revision": 4})
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0001")
        connection.exec_driver_sql(
            "INSERT INTO incidents (id, number, key, state, revision, next_at, opened_at, doc)"
            " VALUES ('INC-1', 1, 'k', 'resolved', 4, NULL, 0, ?)",
            (old.model_dump_json(),),
        )
        for name, shown in (("a", 3), ("b", 4)):
            doc = page("INC-1").model_copy(update={"id": name, "shown_revision": shown, "person": "ana"})
            connection.exec_driver_sql(
                "INSERT INTO pages (id, incident, kind, state, due_at, shown_revision, doc)"
                " VALUES (?, 'INC-1', 'card', 'sent', 0, ?, ?)",
                (name, shown, doc.model_dump_json()),
            )
    with engine.begin() as connection:
        migrate.upgrade(connection)
        incident = connection.exec_driver_sql("SELECT resolved_at, version FROM incidents").one()
        pages = connection.exec_driver_sql("SELECT id, behind, person, channel FROM pages ORDER BY id").all()
        counters = {row.name: row.value for row in connection.exec_driver_sql("SELECT name, value FROM counters")}
    assert incident[0] == pytest.approx(after(minutes=30).timestamp(), abs=0.01)
    assert [tuple(row) for row in pages] == [("a", 1, "ana", "#c"), ("b", 0, "ana", "#c")]
    assert counters == {"version": 0, "incidents.resolved": 1, "pages.sent": 2}
    with engine.begin() as connection:
        command.downgrade(migrate._config(connection), "0001")
        migrate.upgrade(connection)
    engine.dispose()


async def test_a_database_of_a_newer_release_is_refused_in_plain_words(file):
    await file.close()
    with raw(file.path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    again = Database("sqlite:///pager.db", file.path.parent)
    with pytest.raises(UsageError, match="written by a newer release"):
        await again.open(lease_at=NOW)
    await again.close()


async def test_rows_are_counted_as_they_come_and_change_and_go(store):
    await save(store, [opened(), resolved(2, NOW), resolved(3, NOW)], [page("INC-2"), page("INC-3", PageState.DUE)])
    await save(store, [resolved(1, NOW)])
    assert await store.counts() == {"incidents": {"resolved": 3}, "pages": {"sent": 1, "due": 1}}
    async with store.transaction() as tx:
        assert await tx.remove_incidents({"INC-2": 1, "INC-3": 99}) == ["INC-2"]
    assert await store.counts() == {"incidents": {"resolved": 2}, "pages": {"due": 1}}


# What moves out


async def test_what_is_long_over_moves_out_with_all_that_belongs_to_it_and_the_audit_stays(store, tmp_path):
    entry = Entry(at=NOW, actor="agentpager", action="incident.cleared", subject="INC-1")
    many = [resolved(number, after(minutes=number)) for number in range(1, 41)]
    pages = [page("INC-1"), page("INC-2"), page("INC-3", PageState.UNKNOWN), page(None)]
    await save(store, many, pages, [entry])
    await save(store, [opened().model_copy(update={"id": "INC-41", "key": "live"})])
    async with store.transaction() as tx:
        await tx.save_rendering("INC-2", Rendered(title="What to do", rendered_at=NOW))
    target = tmp_path / "old" / "2026.jsonl.gz"
    moved = await Archive(store).move(after(minutes=31), target, after(days=800))
    assert (moved.incidents, moved.pages) == (29, 3)
    rows = archive.read(target)
    assert [row["incident"]["id"] for row in rows if "incident" in row] == [
        f"INC-{number}"
        for number in range(1, 31)
        if number != 3  # a page of it has an unknown outcome
    ]
    second = next(row for row in rows if row.get("incident", {}).get("id") == "INC-2")
    assert Incident.model_validate(second["incident"]) == many[1]
    assert [Page.model_validate(one).id for one in second["pages"]] == ["INC-2.1.card"]
    assert second["runbook"]["title"] == "What to do"
    assert [row["page"]["id"] for row in rows if "page" in row] == ["notice.1.card"]
    assert await store.incident("INC-1") is None
    assert await store.pages_of("INC-1") == []
    assert await store.rendering("INC-2") is None
    assert await store.incident("INC-3") == many[2]
    assert await store.incident("INC-31") == many[30]
    assert await store.broken_audit_row() is None
    told = [row for _, row, _ in await store.audit_rows() if row.action == "store.archived"]
    assert [row.detail["incidents"] for row in told] == ["10", "10", "9"]
    assert (await store.audit_rows())[0][1] == entry
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_the_newest_incident_stays_so_that_no_number_is_given_twice(store, tmp_path):
    await save(store, [resolved(1, NOW), resolved(2, NOW)])
    await Archive(store).move(after(days=1), tmp_path / "old.jsonl.gz", after(days=1))
    async with store.transaction() as tx:
        assert await tx.last_number() == 2
    assert await store.incident("INC-1") is None


async def test_nothing_leaves_the_database_when_the_file_cannot_be_written(store, tmp_path):
    await save(store, [resolved(1, NOW), resolved(2, NOW)])
    (tmp_path / "blocked").write_text("a file, no folder")
    with pytest.raises(OSError, match="blocked"):
        await Archive(store).move(after(days=1), tmp_path / "blocked" / "old.jsonl.gz", after(days=1))
    assert await store.incident("INC-1") == resolved(1, NOW)


# What is going on, in memory


async def test_what_another_process_saves_is_seen_and_what_is_taken_back_is_not(store, place):
    other = place.database()
    await other.open()
    await save(store, [opened()], [page("INC-1", PageState.DUE)])
    assert [incident.id for incident in await other.unresolved()] == ["INC-1"]

    async def taken_back() -> None:
        async with other.transaction() as tx:
            await tx.save_incidents([resolved(1, NOW)])
            assert await tx.live_incidents() == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await taken_back()
    assert await other.unresolved() == [opened()]
    changed = opened().model_copy(update={"title": "changed since"})
    await save(other, [changed])  # the version that was taken back is given again
    assert await store.unresolved() == [changed]
    async with store.transaction() as tx:
        assert await tx.live_incidents() == [changed]
        await tx.save_pages([page("INC-1")])
    assert await other.waiting(NOW + timedelta(days=1)) == []
    await other.close()


async def test_a_message_is_behind_from_the_change_of_its_incident_until_it_shows_it(store, place):
    card = page("INC-1").model_copy(update={"shown_revision": 1})
    await save(store, [opened()], [card])
    over = resolved(1, NOW).model_copy(update={"revision": 2})
    await save(store, [over])
    assert await store.outdated() == [(card, over)]
    await store.close()
    again = place.database()
    await again.open()
    assert await again.outdated() == [(card, over)], "after a start too"
    async with again.transaction() as tx:
        await tx.save_pages([card.model_copy(update={"shown_revision": 2})])
    assert await again.outdated() == []
    await again.close()


async def test_one_that_opens_again_stands_in_its_place(store):
    several = [opened().model_copy(update={"id": f"INC-{n}", "key": f"{n}"}) for n in (1, 2, 10)]
    await save(store, several)
    await save(store, [resolved(2, NOW)])
    await save(store, [several[1]])
    async with store.transaction() as tx:
        assert [incident.id for incident in await tx.live_incidents()] == ["INC-1", "INC-2", "INC-10"]
