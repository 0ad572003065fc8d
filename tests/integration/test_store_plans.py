"""What the running server asks of the database is answered from an index, however many incidents are past."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from core_world import NOW, after, opened
from store_rows import CHANGE, ENTRY, EVIDENCE, MINUTE, PAGE, RUN, SILENCE

from bot.runbooks.rendered import Rendered
from bot.store.database import Database
from bot.store.history import History
from bot.store.transaction import Transaction

# Of a person's command or report, of the start or the end, or of how a transaction is made.
APART = {
    "open",
    "close",
    "transaction",
    "audit_rows",
    "broken_audit_row",
    "audit",
    "verified",
    "opened",
    "runbook_uses",
    "lock",
    "unlock",
    "reading",
    "announce",
    "doubt",
    "on_change",
    "as_of",
    "away",
}
# What is in these is going on: they stay small.
LIVE = {"incidents_unresolved", "incidents_one_per_key", "pages_waiting", "pages_behind"}
SMALL = LIVE | {"incidents_next_at", "action_runs_due_at"}
BIG = {"incidents", "pages", "audit", "evidence", "agent_hours"}

READS: dict[str, tuple[object, ...]] = {
    "renew": (NOW,), "ping": (), "replicas": (), "live": (), "unresolved": (), "recent": (1,), "incident": ("INC-9",),
    "incident_of_message": ("D1", "1.1"), "incidents_of_message": ("D1", "1.1"),
    "waiting": (NOW,), "next_due": (), "overdue": (NOW,), "interrupted": (),
    "on_their_way": (), "page": ("INC-1.1.page.ana",), "outdated": (), "pages_led_by": ("INC-1.1.page.ana",),
    "storm_messages": (NOW,), "card_of": ("INC-1",), "addresses": (), "pages_of": ("INC-1",), "rule_state": (["g"],),
    "rule_states_saved_at": (),
    "rendering": ("INC-1",), "silences": (NOW,), "waiting_silences": (NOW,), "snapshot": ("x",), "key": ("x",),
    "feeds": (), "counts": (), "due_runs": (NOW,), "runs_of": ("INC-1",), "rota_changes": (NOW,),
    "run": ("RUN-1",), "deliveries": (NOW,), "remember_deliveries": (["x"], NOW),
    "agent_hours": (NOW, after(hours=1), "refund-agent"), "counted_until": (NOW,), "agent_sums": (NOW,),
    "evidence": ("refund-agent", "drill"), "latest_evidence": ("refund-agent", "drill"),
}  # fmt: skip
HISTORY: dict[str, tuple[object, ...]] = {
    "audit_of": ("INC-1",), "audit_after": (0, 1), "told_of": (["INC-1"],),
    "audit_head": (), "count_opened": (NOW, NOW), "unresolved_versions": (NOW,),
    "incidents": (["INC-1"],),
    "ended_lately": (NOW, NOW), "page_known": ("INC-1.1.page.ana",),
}  # fmt: skip
WRITES: dict[str, tuple[object, ...]] = {
    "live_incidents": (), "incident": ("INC-9",), "unresolved_with": ("key",), "cleared_since": (NOW, {"key"}),
    "last_number": (), "save_incident": (opened(),), "save_incidents": ([opened()],), "add_pages": ([PAGE],),
    "save_page": (PAGE,), "save_pages": ([PAGE],), "page": (PAGE.id,), "owed": ([PAGE.id],), "all_owed": (),
    "owed_at": ("U0ANA",), "pages_of": ("INC-1",), "pages_of_each": (["INC-1"],), "claim": (PAGE, NOW),
    "append_audit": ([ENTRY],), "first_time": ("click", NOW), "prove_writable": (), "forget_clicks": (NOW,),
    "save_rule_state": ("g", NOW, {}), "save_rendering": ("INC-1", Rendered(rendered_at=NOW)), "silences": (NOW,),
    "silence": ("SIL-1",), "last_silence": (), "save_silence": (SILENCE,), "save_snapshot": ("x", "{}"),
    "save_feed": ("x", "{}"), "key": ("x", "fresh"), "replace_key": ("x", "new"),
    "run": ("RUN-1",), "runs_of": ("INC-1",), "waiting_runs": (), "save_run": (RUN,), "rota_changes": (NOW,),
    "last_rota_change": (),
    "save_rota_change": (CHANGE,), "remove_incidents": ({"INC-1": 9},), "remove_pages": (["x"],), "pages": (["x"],),
    "add_evidence": (EVIDENCE,), "add_minute": (MINUTE,), "forget_agent_hours": (after(hours=1),),
}  # fmt: skip


def asked(kind: type) -> set[str]:
    return {name for name, it in vars(kind).items() if callable(it) and not name.startswith("_")} - APART - {"known"}


@pytest.mark.parametrize(
    ("kind", "calls"), [(Database, READS), (History, HISTORY), (Transaction, WRITES)], ids=lambda it: str(it)[:12]
)
def test_every_question_is_among_those_that_are_tried_here(kind, calls):
    assert asked(kind) == set(calls)


async def everything_asked(url: str, folder: Path) -> dict[str, object]:
    """The statements of the running server, each with values of one call."""
    store = Database(url, folder)
    await store.open()
    statements: dict[str, object] = {}
    for engine in (store._writer, store._readers):
        listener = _listener(statements)
        sa.event.listen(engine.sync_engine, "before_cursor_execute", listener)
    async with store.transaction() as tx:
        for name, arguments in WRITES.items():
            await getattr(tx, name)(*arguments)
    for name, arguments in READS.items():
        await getattr(store, name)(*arguments)
    for name, arguments in HISTORY.items():
        await getattr(store.history, name)(*arguments)
    again = Database(url, folder)  # reads what is going on for the first time
    sa.event.listen(again._readers.sync_engine, "before_cursor_execute", _listener(statements))
    await again.unresolved()
    await again.close()
    await store.close()
    assert len(statements) > 50
    return statements


async def test_no_question_of_the_running_server_goes_through_what_is_past(tmp_path):
    statements = await everything_asked("sqlite:///pager.db", tmp_path)
    slow = {}
    with closing(sqlite3.connect(tmp_path / "pager.db")) as connection:
        for statement, values in statements.items():
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            if bad := [step for step in plan if _goes_through_all(step, statement)]:
                slow[statement] = bad
    assert slow == {}


def _listener(statements: dict[str, object]):
    def note(_connection, _cursor, statement, values, _context, many) -> None:
        if statement.lstrip().split()[0] in {"SELECT", "UPDATE", "DELETE", "INSERT", "WITH"}:
            statements[statement] = values[0] if many else values

    return note


def _goes_through_all(step: str, statement: str) -> bool:
    words = step.split()
    if "(opened_at<?)" in step or "(resolved_at<?)" in step:
        return "LIMIT" not in statement  # nearly everything opened before today
    if words[0] != "SCAN" or words[1] not in BIG:
        return False
    return words[-1] not in LIVE and "LIMIT" not in statement


async def test_the_same_holds_on_postgresql(postgres, tmp_path):
    """Its tables are empty here: it is told to scan only where there is no other way."""
    name = postgres.migrated()
    statements = await everything_asked(postgres.url(name), tmp_path)
    slow = {}
    with postgres.connect(name) as connection:
        connection.execute("SET enable_seqscan = off")
        for statement, values in statements.items():
            ((plans,),) = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}", values).fetchall()
            if bad := [found for plan in plans for found in _scans(plan["Plan"], limited=False)]:
                slow[statement] = bad
        ((plans,),) = connection.execute("EXPLAIN (FORMAT JSON) SELECT id FROM pages WHERE kind = 'card'").fetchall()
        assert _scans(plans[0]["Plan"], limited=False), "the test sees a scan"
    assert slow == {}


def _scans(node: dict[str, Any], *, limited: bool) -> list[str]:
    limited = limited or node["Node Type"] == "Limit"
    found = [scan for below in node.get("Plans", ()) for scan in _scans(below, limited=limited)]
    index = node.get("Index Name", "")
    whole = node["Node Type"] == "Seq Scan" or (index and "Index Cond" not in node and index not in SMALL)
    if whole and not limited and node.get("Relation Name", node.get("Index Name", "").partition("_")[0]) in BIG:
        found.append(f"{node['Node Type']} {index}")
    return found


def test_the_test_sees_a_scan(tmp_path):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE pages (id TEXT PRIMARY KEY, state TEXT)")
        ((*_, step),) = connection.execute("EXPLAIN QUERY PLAN SELECT id FROM pages WHERE state = 'due'").fetchall()
    assert _goes_through_all(step, "SELECT id FROM pages WHERE state = 'due'")
