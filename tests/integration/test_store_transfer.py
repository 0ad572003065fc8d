"""Everything from one database to another: nothing is left behind, nothing is changed, nothing is overwritten."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from core_world import NOW, after, opened
from postgres_server import Server
from store_rows import CHANGE, ENTRY, EVIDENCE, MINUTE, PAGE, RUN, SILENCE

from bot.cli.main import cli
from bot.errors import UsageError
from bot.incidents.model import State
from bot.runbooks.rendered import Rendered
from bot.store import tables, transfer
from bot.store.database import Database

CONFIG = """
oncall: {{files: [oncall.yaml]}}
slack: {{bot_token: x, app_token: y}}
store: {{url: "{url}"}}
"""
ONCALL = 'people: {ana: {name: Ana, slack: U0ANA}}\nfallback: "person:ana"\n'
STRANGE = "tab\t, newline\n, \\N, \\., 'quote', \"quote\", Köln 🏠, \x00"


def run(folder: Path, url: str, *words: str) -> tuple[int, str]:
    (folder / "agentpager.yaml").write_text(CONFIG.format(url=url))
    (folder / "oncall.yaml").write_text(ONCALL)
    result = CliRunner().invoke(cli, [*words, "--config", str(folder / "agentpager.yaml")])
    return result.exit_code, result.output


async def fill(url: str, folder: Path) -> None:
    """A row or more in every table."""
    store = Database(url, folder)
    await store.open(lease_at=NOW)
    async with store.transaction() as tx:
        over = opened().model_copy(update={"id": "INC-2", "key": "2", "state": State.RESOLVED, "next_at": None})
        await tx.save_incidents([opened(), over, opened().model_copy(update={"id": "INC-10", "key": STRANGE})])
        await tx.add_pages([PAGE.model_copy(update={"id": name}) for name in ("INC-1.9", "INC-1.10", "notice.a")])
        await tx.append_audit([ENTRY, ENTRY.model_copy(update={"why": STRANGE, "at": after(seconds=1.123456)})])
        await tx.save_rule_state("alerts.yaml;g", NOW, {"text": STRANGE})
        await tx.first_time("click", NOW)
        await tx.save_silence(SILENCE)
        await tx.save_snapshot("x", STRANGE.replace("\x00", ""))
        await tx.save_feed("https://example.com/a.ics", "{}")
        await tx.key("ack-links", "0" * 64)
        await tx.save_rendering("INC-1", Rendered(title=STRANGE, rendered_at=NOW))
        await tx.save_run(RUN)
        await tx.save_rota_change(CHANGE)
        await tx.add_minute(MINUTE)
        await tx.add_evidence(EVIDENCE)
        await tx.add_evidence(EVIDENCE)
    await store.close()


async def told(url: str, folder: Path) -> dict[str, object]:
    """What a server finds there; it goes on with it."""
    store = Database(url, folder)
    await store.open(lease_at=NOW)
    try:
        async with store.transaction() as tx:
            await tx.add_evidence(EVIDENCE)  # its number is the next one
        return {
            "incidents": [await store.incident(name) for name in ("INC-1", "INC-2", "INC-10")],
            "pages": [page.id for page in await store.pages_of("INC-1")],
            "audit": [row for _, row, _ in await store.audit_rows()],
            "broken": await store.broken_audit_row(),
            "counts": await store.counts(),
            "state": await store.rule_state(),
            "silences": await store.silences(NOW),
            "snapshot": await store.snapshot("x"),
            "rendering": await store.rendering("INC-1"),
            "runs": await store.runs_of("INC-1"),
            "rota": await store.rota_changes(NOW),
            "hours": await store.agent_hours(NOW.replace(minute=0), after(hours=1)),
            "evidence": len(await store.evidence()),
            "key": await store.key("ack-links"),
            "deliveries": await store.feeds(),
        }
    finally:
        await store.close()


def every_table_has_rows(moved: transfer.Moved) -> bool:
    every = set(tables.metadata.tables) - {"lease", "replicas", "counters"}
    return set(moved.rows) == every and all(moved.rows.values())


def test_from_sqlite_to_postgresql_and_back_nothing_is_left_behind_or_changed(postgres: Server, tmp_path):
    first, there, back = f"sqlite:///{tmp_path}/first.db", postgres.url(postgres.empty()), f"sqlite:///{tmp_path}/b.db"
    asyncio.run(fill(first, tmp_path))
    moved = transfer.copy(first, there)
    assert every_table_has_rows(moved), "a table without rows is not tried here"
    assert moved.broken is None
    assert transfer.copy(there, back).rows == moved.rows
    found = asyncio.run(told(first, tmp_path))
    assert found["pages"] == ["INC-1.9", "INC-1.10", "notice.a"], "in the order in which they were added"
    assert (len(found["audit"]), found["evidence"]) == (2, 3)  # type: ignore[arg-type]
    assert asyncio.run(told(there, tmp_path)) == found
    assert asyncio.run(told(back, tmp_path)) == found


def test_the_commands_back_postgresql_up_and_restore_it_into_an_empty_one(postgres: Server, tmp_path):
    url, file = postgres.url(postgres.empty()), tmp_path / "backup.db"
    asyncio.run(fill(url, tmp_path))
    code, said = run(tmp_path, url, "db", "backup", str(file))
    assert (code, "a sound copy of postgresql://" in said) == (0, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup.db"]
    assert run(tmp_path, url, "db", "backup", str(file))[0] == 2, "nothing is overwritten"
    code, said = run(tmp_path, url, "db", "restore", str(file))
    assert code == 2
    assert "not empty" in said
    fresh = postgres.url(postgres.empty())
    code, said = run(tmp_path, fresh, "db", "restore", str(file))
    assert code == 0
    assert "each read back and compared" in said
    assert asyncio.run(told(fresh, tmp_path)) == asyncio.run(told(url, tmp_path))
    assert asyncio.run(told(f"sqlite:///{file}", tmp_path))["broken"] is None, "it is a database by itself"
    code, said = run(tmp_path, fresh, "audit", "verify")
    assert (code, said.startswith("2 rows, the chain is whole")) == (0, True)
    code, said = run(tmp_path, fresh, "db", "archive", "--before", "2020-01-01", "--to", str(tmp_path / "old.gz"))
    assert (code, said.startswith("moved 0 incidents")) == (0, True)
    assert run(tmp_path, fresh, "db", "upgrade") == (0, "the database is up to date\n")


def test_a_database_in_use_is_neither_copied_nor_filled(postgres: Server, tmp_path):
    url, file = postgres.url(postgres.migrated()), f"sqlite:///{tmp_path}/file.db"
    asyncio.run(fill(file, tmp_path))

    async def beside(source: str, target: str, busy: str) -> str:
        store = Database(busy, tmp_path)
        await store.open(lease_at=NOW)
        with pytest.raises(UsageError) as caught:
            await asyncio.to_thread(transfer.copy, source, target)
        await store.close()
        return str(caught.value)

    assert "stop every replica first" in asyncio.run(beside(file, url, url))
    assert "stop every replica first" in asyncio.run(beside(url, f"sqlite:///{tmp_path}/new.db", url))
    assert "stop it first" in asyncio.run(beside(file, url, file))


def test_what_does_not_arrive_as_it_was_is_not_kept(postgres: Server, tmp_path):
    name = postgres.migrated()
    file = f"sqlite:///{tmp_path}/file.db"
    asyncio.run(fill(file, tmp_path))
    with postgres.connect(name) as connection:
        connection.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
                           "$$ BEGIN NEW.doc = NEW.doc || ' '; RETURN NEW; END $$")  # fmt: skip
        connection.execute("CREATE TRIGGER f BEFORE INSERT ON silences FOR EACH ROW EXECUTE FUNCTION f()")
    with pytest.raises(UsageError, match="silences did not arrive as it was; nothing was changed"):
        transfer.copy(file, postgres.url(name))
    with postgres.connect(name) as connection:
        counted = connection.execute("SELECT (SELECT count(*) FROM incidents), (SELECT count(*) FROM audit)").fetchone()
    assert counted == (0, 0)


def test_a_forged_row_is_told_and_copied_as_it_is(postgres: Server, tmp_path):
    asyncio.run(fill(f"sqlite:///{tmp_path}/file.db", tmp_path))
    with closing(sqlite3.connect(tmp_path / "file.db", isolation_level=None)) as forger:
        forger.execute("DROP TRIGGER audit_no_update")
        forger.execute("UPDATE audit SET doc = replace(doc, 'ana', 'ben') WHERE sequence = 1")
    to = postgres.url(postgres.empty())
    code, said = run(tmp_path, "sqlite:///file.db", "db", "copy", "--to", to)
    assert code == 0
    assert "row 1 of the audit log was changed before" in said


def test_a_file_of_an_older_release_is_copied_and_stays_as_it_is(postgres: Server, tmp_path):
    """As the release before this one left it."""
    asyncio.run(fill(f"sqlite:///{tmp_path}/file.db", tmp_path))
    with closing(sqlite3.connect(tmp_path / "file.db", isolation_level=None)) as older:
        older.execute("DROP TABLE replicas")
        older.execute("UPDATE alembic_version SET version_num = '0005'")
    before = sa.create_engine(f"sqlite:///{tmp_path}/file.db")
    assert every_table_has_rows(transfer.copy(f"sqlite:///{tmp_path}/file.db", postgres.url(postgres.empty())))
    assert not sa.inspect(before).has_table("replicas")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
