"""One run of an action step as a durable row: it exists, approved, before the first byte leaves."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from bot.runbooks.model import Approve
from bot.runbooks.rendered import RenderedCall
from bot.schema import Model


class RunState(StrEnum):
    ASKED = "asked"  # waits for approval
    APPROVED = "approved"  # due to be sent
    SENDING = "sending"  # claimed; after a crash it is sent again with the same key
    DONE = "done"  # the webhook took it
    FAILED = "failed"  # the webhook refused it for good, or never answered well
    REFUSED = "refused"  # somebody said no
    EXPIRED = "expired"  # nobody agreed in time


class Approval(Model):
    """`by` is an actor: `person:ana`."""

    at: datetime
    by: str


class Run(Model):
    """`id` is also the idempotency key of the request: however often it is sent, it is one change. `call` is the exact
    request that was shown when somebody asked for it; of an undo, `undoes` is the run that it takes back. `asked_of`
    are the people whose word counted when it was asked for. `due_at` is when it is next sent, or, while it waits for
    approval, when that runs out. `unsure` says that an attempt may have been carried out although no answer came.
    `answer` is the status and the first part of what the webhook said, or why there was no answer."""

    id: str
    incident: str
    runbook: str
    step: str
    title: str
    kind: Literal["action", "undo"] = "action"
    call: RenderedCall
    undo: RenderedCall | None = None
    approve: Approve
    state: RunState
    asked_by: str
    asked_at: datetime
    asked_of: tuple[str, ...] = ()
    reason: str = ""
    undoes: str = ""
    approvals: tuple[Approval, ...] = ()
    refused_by: str | None = None
    approved_at: datetime | None = None
    due_at: datetime | None = None
    attempt: int = 0
    unsure: bool = False
    ended_at: datetime | None = None
    answer: str = ""

    @property
    def over(self) -> bool:
        return self.state in {RunState.DONE, RunState.FAILED, RunState.REFUSED, RunState.EXPIRED}
