"""Fills a database with incidents: thousands that are open, and as many as one likes that are long over.

The rows are those the pager writes, made by text from one of each kind and put into the file as they are.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.audit.chain import GENESIS, link_text
from bot.audit.model import Entry
from bot.incidents.model import Alert, AlertState, Incident, Severity, State
from bot.oncall.model import Policy, Step
from bot.paging.model import Page, PageKind, PageState
from bot.store.database import Database

_DAY = 1000  # incidents that share their instants
_POLICY = Policy(
    id="o",
    steps=(Step(notify=("person:ana",), wait=timedelta(hours=24)),),
    repeat=1,
    fallback_wait=timedelta(hours=24),
)


def fill(path: Path, past: int, going_on: int, now: datetime) -> None:
    """`past` incidents resolved one day after the other, then `going_on` open ones that nobody has taken."""
    asyncio.run(_migrated(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        chain = _Chain()
        days = range(0, past, _DAY)
        for number, first in enumerate(days):
            at = now - timedelta(days=len(days) - number)
            _write(connection, range(first + 1, min(first + _DAY, past) + 1), _Kind(at, State.RESOLVED), chain)
        for first in range(past, past + going_on, _DAY):
            numbers = range(first + 1, min(first + _DAY, past + going_on) + 1)
            _write(connection, numbers, _Kind(now, State.OPEN), chain)
        for table in ("incidents", "pages"):
            connection.execute(
                f"INSERT OR REPLACE INTO counters SELECT '{table}.' || state, count(*) FROM {table} GROUP BY state"
            )
        connection.execute("UPDATE counters SET value = 1 WHERE name = 'version'")
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")


async def _migrated(path: Path) -> None:
    store = Database(f"sqlite:///{path}", path.parent)
    await store.open()
    await store.close()


class _Chain:
    def __init__(self) -> None:
        self.sequence, self.hash = 0, GENESIS

    def row(self, at: float, subject: str, text: str) -> tuple[int, float, str, str, str]:
        self.sequence, self.hash = self.sequence + 1, link_text(self.hash, text)
        return self.sequence, at, subject, text, self.hash


class _Kind:
    """The texts of a day's incidents; `@` stands for the number."""

    def __init__(self, at: datetime, state: State) -> None:
        self.at, self.state = at, state
        alert = Alert(
            fingerprint="f@",
            group="past.yaml;past",
            state=AlertState.FIRING if state is State.OPEN else AlertState.RESOLVED,
            labels={"alertname": "ToolErrors", "agent": "agent-@", "severity": "critical", "tool": "search"},
            annotations={"summary": "agent-@: 38 errors of search", "description": "More than 5 errors a minute."},
            value=38.0,
            starts_at=at,
            ends_at=None if state is State.OPEN else at + timedelta(minutes=30),
        )
        self.incident = Incident(
            id="INC-@", key="agent=agent-@ owner=team:o", revision=3, state=state, severity=Severity.CRITICAL,
            agent="agent-@", title="agent-@: 38 errors of search", owner="team:o", owner_why="the agent's owner",
            channel="#agent-pages", policy=_POLICY, policy_id="o", fallback="person:ana", step=0, opened_at=at,
            observed_at=at, paged_at=at, alerts=(alert,),
            next_at=at + timedelta(hours=24) if state is State.OPEN else None,
            resolved_at=None if state is State.OPEN else at + timedelta(minutes=30),
            how_resolved="" if state is State.OPEN else "cleared",
        ).model_dump_json()  # fmt: skip
        self.page = self._page(PageKind.PAGE, "U0ANA", "D0ANA", "ana")
        self.card = self._page(PageKind.CARD, "#agent-pages", "C0PAGES", None)
        self.entries = [
            (name, self._entry(name, action))
            for name, action in (
                ("INC-@", "incident.fired"),
                ("INC-@.1.page.ana", "page.sent"),
                ("INC-@", "incident.cleared"),
            )
        ]

    def _entry(self, subject: str, action: str) -> str:
        detail = {"step": "0", "round": "0", "revision": "3"}
        entry = Entry(
            at=self.at, actor="agentpager", action=action, subject=subject, why="ToolErrors fires", detail=detail
        )
        return entry.model_dump_json()

    def _page(self, kind: PageKind, channel: str, landed: str, person: str | None) -> tuple[str, str]:
        name = f"INC-@.1.{kind}" + (f".{person}" if person else "")
        page = Page(
            id=name, incident="INC-@", kind=kind, person=person, channel=channel, state=PageState.SENT, attempt=1,
            due_at=self.at, claimed_at=self.at, sent_at=self.at, slack_channel=landed, ts=stamp("@", kind),
            shown_revision=3, reason="person:ana is named in the policy",
        )  # fmt: skip
        return name, page.model_dump_json()


def stamp(number: int | str, kind: PageKind) -> str:
    """The address of a message in its channel."""
    return f"1{number}.{'1' if kind is PageKind.PAGE else '2'}"


def _write(connection: sqlite3.Connection, numbers: range, kind: _Kind, chain: _Chain) -> None:
    at = kind.at.timestamp()
    over = kind.state is State.RESOLVED
    connection.executemany(
        "INSERT INTO incidents (id, number, key, state, revision, next_at, opened_at, resolved_at, version, doc)"
        " VALUES (?, ?, ?, ?, 3, ?, ?, ?, 1, ?)",
        (
            (f"INC-{n}", n, f"agent=agent-{n} owner=team:o", kind.state.value, None if over else at + 86400, at,
             at + 1800 if over else None, kind.incident.replace("@", str(n)))
            for n in numbers
        ),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO pages (id, incident, kind, state, person, channel, due_at, slack_channel, ts, shown_revision,"
        " version, behind, doc) VALUES (?, ?, ?, 'sent', ?, ?, ?, ?, ?, 3, 1, 0, ?)",
        _pages(numbers, kind, at),
    )
    rows = (
        chain.row(at, subject.replace("@", str(n)), text.replace("@", str(n)))
        for n in numbers
        for subject, text in kind.entries[: 3 if over else 2]
    )
    connection.executemany("INSERT INTO audit (sequence, at, subject, doc, hash) VALUES (?, ?, ?, ?, ?)", rows)


def _pages(numbers: range, kind: _Kind, at: float) -> Iterator[tuple[object, ...]]:
    for n in numbers:
        for (name, doc), what, channel, landed in (
            (kind.page, PageKind.PAGE, "U0ANA", "D0ANA"),
            (kind.card, PageKind.CARD, "#agent-pages", "C0PAGES"),
        ):
            person = "ana" if what is PageKind.PAGE else None
            yield (
                name.replace("@", str(n)), f"INC-{n}", what.value, person, channel, at, landed, stamp(n, what),
                doc.replace("@", str(n)),
            )  # fmt: skip


def today() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
