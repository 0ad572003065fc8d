"""What becomes of a page after each attempt to send it. Pure: the outbox carries these decisions out.

    due ──claim──► sending ──accepted──► sent
     ▲                │ refused, told to wait: due again, later
     │                │ refused for good: failed
     │                └ unknown outcome, crash: unknown
     └──── not in the channel's history once it can no longer land ────┘
Source of the protocol: intent row, settle time, history check; see docs/architecture.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from bot.errors import RemoteError
from bot.incidents.model import Incident, Severity, State
from bot.paging.model import Page, PageKind, PageState

SETTLE = timedelta(seconds=20)  # after this a request of ours can no longer land
UNREADABLE = timedelta(seconds=120)  # give up reading history and risk one duplicate
_BACKOFF_CAP = timedelta(seconds=10)
_REFUSED_AGAIN = timedelta(seconds=30)
UNREACHABLE = "unreachable"  # our own code for: no connection, so nothing was sent

# What must not go out while everything in the incident is hidden.
_ROUSING = frozenset({PageKind.PAGE, PageKind.ESCALATED, PageKind.REMINDER, PageKind.NEWS})

# Refusals of the whole client, not of one message: the page stays due until somebody mends the token.
CLIENT_REFUSALS = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "missing_scope",
        "no_permission",
    }
)


class Verdict(StrEnum):
    SENT = "sent"
    TOLD_TO_WAIT = "told_to_wait"
    RETRY = "retry"
    CLIENT_REFUSED = "client_refused"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_LANDED = "not_landed"
    ASSUMED_LOST = "assumed_lost"


def wanted(page: Page, incident: Incident | None) -> bool:
    """Whether this page is still to be sent: nothing wakes a person once somebody has the incident."""
    if incident is None:
        return True
    if incident.suppressed and page.kind in _ROUSING:
        return False
    if page.kind in {PageKind.PAGE, PageKind.ESCALATED}:
        return incident.state is State.OPEN
    if page.kind is PageKind.REMINDER:
        return incident.state is State.ACKED and incident.ack_asked
    if page.kind is PageKind.RESOLVED:
        return incident.state is State.RESOLVED
    if page.kind in {PageKind.RUNBOOK, PageKind.NEWS, PageKind.CHART}:
        return incident.state is not State.RESOLVED
    return True


def taken(page: Page, now: datetime, lead: str | None) -> Page:
    """Claimed for sending, alone or behind the page that leads the message."""
    update = {"state": PageState.SENDING, "attempt": page.attempt + 1, "claimed_at": now, "error": "", "lead": lead}
    return page.model_copy(update=update)


def landed(page: Page, channel: str, ts: str, revision: int, now: datetime) -> Page:
    """Sent: it stands at this address and shows this revision of its incident."""
    update = {"state": PageState.SENT, "sent_at": now, "slack_channel": channel or None, "ts": ts or None}
    return page.model_copy(update=update | {"shown_revision": revision, "error": ""})


def cancelled(page: Page, why: str) -> Page:
    return page.model_copy(update={"state": PageState.CANCELLED, "error": why})


def priority(page: Page, incident: Incident | None) -> tuple[int, int, int, datetime]:
    """Pages before cards before everything else; an incident's first page before those that repeat one, critical
    before warning, then the longest due."""
    order = {PageKind.PAGE: 0, PageKind.REMINDER: 1, PageKind.CARD: 1, PageKind.APPROVAL: 1}
    order |= {PageKind.NOTICE: 2, PageKind.ESCALATED: 2, PageKind.CHART: 4}
    critical = incident is not None and incident.severity is Severity.CRITICAL
    repeats = page.kind is PageKind.PAGE and (page.step > 0 or page.round > 0)
    return order.get(page.kind, 3), int(repeats), 0 if critical else 1, page.due_at


def after_failure(page: Page, error: RemoteError, now: datetime) -> tuple[Page, Verdict]:
    text = f"{error.code}: {error}" if error.code else str(error)
    if error.unknown:
        settled = max(now, (page.claimed_at or now) + SETTLE)
        return page.model_copy(update={"state": PageState.UNKNOWN, "due_at": settled, "error": text}), Verdict.UNKNOWN
    if error.retry_after_seconds is not None:
        due_at = now + timedelta(seconds=error.retry_after_seconds)
        return _again(page, due_at - now, text, now), Verdict.TOLD_TO_WAIT
    if error.code in CLIENT_REFUSALS:
        return _again(page, _REFUSED_AGAIN, text, now), Verdict.CLIENT_REFUSED
    if error.permanent:
        return page.model_copy(update={"state": PageState.FAILED, "error": text}), Verdict.REFUSED
    delay = min(timedelta(seconds=2 ** min(page.attempt - 1, 10)), _BACKOFF_CAP)
    return _again(page, delay, text, now), Verdict.RETRY


def after_crash(page: Page) -> Page:
    """A row found in `sending` at start: its request may still land until SETTLE after it was claimed."""
    claimed = page.claimed_at or page.due_at
    return page.model_copy(
        update={"state": PageState.UNKNOWN, "due_at": claimed + SETTLE, "error": "stopped while sending"}
    )


def after_search(page: Page, error: RemoteError | None, now: datetime) -> tuple[Page, Verdict]:
    """History was read without finding the page (`error` None), or could not be read."""
    if error is None:
        return _again(page, timedelta(), page.error, now), Verdict.NOT_LANDED
    claimed = page.claimed_at or now
    if error.permanent or now - claimed >= UNREADABLE:
        return _again(page, timedelta(), str(error), now), Verdict.ASSUMED_LOST
    wait = timedelta(seconds=error.retry_after_seconds or 5)
    return page.model_copy(update={"due_at": now + wait, "error": str(error)}), Verdict.UNKNOWN


def _again(page: Page, delay: timedelta, error: str, now: datetime) -> Page:
    """By itself: with whom it goes out together is decided when it is claimed."""
    return page.model_copy(update={"state": PageState.DUE, "due_at": now + delay, "error": error, "lead": None})
