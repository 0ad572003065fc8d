"""Twelve mistakes that on-call software makes, each as a double that puts it into the running code. The suite has to
catch every one of them (test_teeth.py), or it proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from apscheduler.schedulers.asyncio import AsyncIOScheduler

import bot.delivery
import bot.outbox
import bot.pipeline
import bot.scheduler
import bot.slack.web
import bot.store.sqlite
import bot.store.transaction
from bot.audit.model import Entry
from bot.incidents.model import Incident
from bot.paging import attempt
from bot.paging.model import Page, PageState
from bot.store.database import Database
from bot.store.sqlite import Sqlite
from bot.store.transaction import Transaction


@contextmanager
def mark_before_send() -> Iterator[None]:
    """The row says sent before the message has left: a crash in between loses it."""
    real = attempt.taken

    def taken(page: Page, now: datetime, lead: str | None) -> Page:
        return real(page, now, lead).model_copy(update={"state": PageState.SENT})

    async def claim(tx: Transaction, page: Page, now: datetime) -> Page:
        claimed = taken(page, now, page.lead)
        await tx.save_page(claimed)
        return claimed

    with patch.object(attempt, "taken", taken), patch.object(Transaction, "claim", claim):
        yield


@contextmanager
def sdk_retry_on() -> Iterator[None]:
    """The SDK's own client, as it comes: it posts again by itself when an answer is lost."""
    real = bot.slack.web._Client

    def with_its_defaults(**settings: Any) -> Any:
        settings.pop("retry_handlers")
        return real(**settings)

    with patch.object(bot.slack.web, "_Client", with_its_defaults):
        yield


@contextmanager
def synchronous_normal() -> Iterator[None]:
    """SQLite is told not to wait for the disk."""
    real = bot.store.sqlite._engine

    def engine(*args: Any, **more: Any) -> Any:
        made = real(*args, **more)

        @sa.event.listens_for(made.sync_engine, "connect")
        def _connected(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.close()

        return made

    with patch.object(bot.store.sqlite, "_engine", engine):
        yield


@contextmanager
def no_settle_wait() -> Iterator[None]:
    """History is asked at once, while the request may still land."""
    with patch.object(attempt, "SETTLE", timedelta()):
        yield


@contextmanager
def no_epoch_check() -> Iterator[None]:
    """A process that was stopped for a while goes on as if it were alone."""
    with patch.object(Sqlite, "epoch", property(lambda self: None, lambda self, epoch: None), create=True):
        yield


@contextmanager
def ack_not_rechecked_at_claim() -> Iterator[None]:
    """What was decided when the page was written counts for ever."""
    real = {name: getattr(bot.delivery, name) for name in ("claim", "claim_together")}

    claiming: ContextVar[bool] = ContextVar("claiming", default=False)
    careful = attempt.wanted

    def blindly(work: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **more: Any) -> Any:
            token = claiming.set(True)  # claims run side by side: what they forget must not leave this task
            try:
                return await work(*args, **more)
            finally:
                claiming.reset(token)

        return run

    patches = [patch.object(bot.delivery, name, blindly(work)) for name, work in real.items()]
    patches.append(patch.object(attempt, "wanted", lambda page, one: claiming.get() or careful(page, one)))
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


@contextmanager
def wall_clock_for_intervals() -> Iterator[None]:
    """How long Slack has to be left alone is counted on a clock that people set."""
    fake: Any = bot.outbox.time
    with patch.object(fake, "monotonic", fake.time):
        yield


@contextmanager
def default_misfire_grace() -> Iterator[None]:
    """APScheduler, as it comes: a turn that is more than a second late is left out."""

    def with_its_defaults(**settings: Any) -> AsyncIOScheduler:
        settings.pop("job_defaults")
        return AsyncIOScheduler(**settings)

    with patch.object(bot.scheduler, "AsyncIOScheduler", with_its_defaults):
        yield


@contextmanager
def deadline_in_memory() -> Iterator[None]:
    """Only the process that wrote a deadline knows that it comes."""
    known: set[str] = set()
    overdue, save = Database.overdue, Transaction.save_incidents
    one = Transaction.save_incident

    async def remembered(self: Database, now: datetime) -> list[str]:
        return [name for name in await overdue(self, now) if name in known]

    async def saved(self: Transaction, incidents: Sequence[Incident]) -> None:
        known.update(incident.id for incident in incidents)
        await save(self, incidents)

    async def saved_one(self: Transaction, incident: Incident) -> None:
        known.add(incident.id)
        await one(self, incident)

    with (
        _forgets(known),
        patch.object(Database, "overdue", remembered),
        patch.object(Transaction, "save_incidents", saved),
        patch.object(Transaction, "save_incident", saved_one),
    ):
        yield


@contextmanager
def clicks_remembered_in_memory() -> Iterator[None]:
    """Which clicks have been worked in is forgotten with the process."""
    known: set[str] = set()

    async def first_time(self: Transaction, event_key: str, now: datetime) -> bool:
        first = event_key not in known
        known.add(event_key)
        return first

    with _forgets(known), patch.object(Transaction, "first_time", first_time):
        yield


@contextmanager
def refused_counts_as_sent() -> Iterator[None]:
    """channel_not_found is an answer, so it must have been delivered."""
    real = attempt.after_failure

    def after_failure(page: Page, error: Any, now: datetime) -> tuple[Page, attempt.Verdict]:
        if error.permanent and error.code not in attempt.CLIENT_REFUSALS:
            return attempt.landed(page, page.channel, "0.0", 0, now), attempt.Verdict.SENT
        return real(page, error, now)

    with patch.object(attempt, "after_failure", after_failure):
        yield


@contextmanager
def audit_is_updated() -> Iterator[None]:
    """A row of the audit trail is put right afterwards."""
    real = Transaction.append_audit

    async def append(self: Transaction, entries: Sequence[Entry]) -> None:
        await real(self, entries)
        await self._connection.execute(sa.text("UPDATE audit SET doc = replace(doc, 'ErrorsHigh', 'Nothing')"))

    with patch.object(Transaction, "append_audit", append):
        yield


@contextmanager
def _forgets(memory: set[str]) -> Iterator[None]:
    """What is kept in memory only is gone when a process starts."""
    real = Database.__init__

    def made(self: Database, *args: Any, **more: Any) -> None:
        memory.clear()
        real(self, *args, **more)

    with patch.object(Database, "__init__", made):
        yield
