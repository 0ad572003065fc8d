"""What a test of somebody's page has shown: by which ways it went out, how soon, and how soon it was answered. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.paging.model import Page, PageKind, PageState

_ON_ITS_WAY = {PageState.SENDING, PageState.UNKNOWN}


@dataclass(frozen=True)
class Way:
    """One way to a person. `took` is from when the message was due until the other side had it; None when it has not
    said so."""

    by: str
    state: PageState
    took: timedelta | None
    error: str = ""


@dataclass(frozen=True)
class Measured:
    """`answered` is from the first delivery until the ack; None when nobody has answered."""

    ways: tuple[Way, ...]
    answered: timedelta | None

    @property
    def passed(self) -> bool:
        """Somebody answered what had gone out: an ack of what was never sent shows nothing."""
        gone = any(way.took is not None or way.state in _ON_ITS_WAY for way in self.ways)
        return self.answered is not None and gone


def measure(pages: Sequence[Page], acked_at: datetime | None) -> Measured:
    """`pages` are all rows of the test's incident."""
    told = [page for page in pages if page.kind is PageKind.PAGE]
    begun = min((page.sent_at for page in told if page.sent_at is not None), default=None)
    if begun is None:
        begun = min((page.claimed_at for page in told if page.claimed_at is not None), default=None)
    answered = max(acked_at - (begun or acked_at), timedelta()) if acked_at is not None else None
    return Measured(tuple(_way(page) for page in told), answered)


def overdue(on_their_way: Sequence[Page], now: datetime) -> timedelta:
    """For how long the page that waits longest should have woken somebody by now."""
    pages = (page for page in on_their_way if page.kind is PageKind.PAGE)
    return max((now - min(page.planned_at or page.due_at, now) for page in pages), default=timedelta())


def told(measured: Measured) -> str:
    """The result in one line, for people and for the audit log."""
    ways = "; ".join(filter(None, (_told_way(way) for way in measured.ways))) or "nothing was sent"
    if measured.answered is None:
        return f"not answered: {ways}"
    if not measured.passed:
        return f"proves nothing: it was acknowledged before anything had gone out ({ways})"
    return f"passed: {ways}; acknowledged {seconds(measured.answered)} later"


def detail(measured: Measured) -> dict[str, str]:
    """For the audit row: seconds by way."""
    found = {f"delivered_{way.by}": f"{way.took.total_seconds():.3f}" for way in measured.ways if way.took is not None}
    found |= {f"failed_{way.by}": way.error for way in measured.ways if way.state is PageState.FAILED}
    if measured.answered is not None:
        found["acknowledged"] = f"{measured.answered.total_seconds():.3f}"
    return found


def seconds(span: timedelta) -> str:
    """`0.8 s`, `12 s`, `3 min`."""
    number = span.total_seconds()
    if number < 10:
        return f"{number:.1f} s"
    return f"{round(number)} s" if number < 120 else f"{round(number / 60)} min"


def by_of(page: Page) -> str:
    """`slack`, `email` or the name of the webhook."""
    if page.by_slack:
        return "slack"
    kind, _, name = page.channel.partition(":")
    return name if kind == "webhook" else kind


def _way(page: Page) -> Way:
    took = max(page.sent_at - (page.planned_at or page.due_at), timedelta()) if page.sent_at is not None else None
    return Way(by_of(page), page.state, took, page.error)


def _told_way(way: Way) -> str:
    name = {"slack": "Slack", "email": "mail"}.get(way.by, way.by)
    if way.took is not None:
        return f"{name} had it after {seconds(way.took)}"
    if way.state is PageState.FAILED:
        return f"{name} refused it ({way.error.partition(':')[0] or 'no reason given'})"
    if way.state in _ON_ITS_WAY:
        return f"{name} had it, and has not confirmed when"
    return ""  # not due before the answer came
