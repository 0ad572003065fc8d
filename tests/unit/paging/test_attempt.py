from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, after, alert, opened

from bot.errors import RemoteError
from bot.incidents.model import State, Suppression, SuppressionKind
from bot.paging.attempt import CLIENT_REFUSALS, Verdict, after_crash, after_failure, after_search, priority, wanted
from bot.paging.model import Page, PageKind, PageState


def page(kind: PageKind = PageKind.PAGE, **changes) -> Page:
    fields = {
        "id": "INC-1.1.page.ana",
        "incident": "INC-1",
        "kind": kind,
        "person": "ana",
        "channel": "U0ANA",
        "state": PageState.SENDING,
        "attempt": 1,
        "due_at": NOW,
        "claimed_at": NOW,
        "reason": "because",
    }
    return Page(**fields | changes)


NO_ANSWER = RemoteError("no answer in time", unknown=True)


@pytest.mark.parametrize(
    ("error", "verdict", "state", "due_at"),
    [
        (NO_ANSWER, Verdict.UNKNOWN, PageState.UNKNOWN, after(seconds=20)),
        (RemoteError("x", code="internal_error", unknown=True), Verdict.UNKNOWN, PageState.UNKNOWN, after(seconds=20)),
        (RemoteError("x", retry_after_seconds=7), Verdict.TOLD_TO_WAIT, PageState.DUE, after(seconds=8)),
        (RemoteError("x", code="channel_not_found", permanent=True), Verdict.REFUSED, PageState.FAILED, NOW),
        (RemoteError("cannot connect"), Verdict.RETRY, PageState.DUE, after(seconds=2)),
        *(
            (RemoteError("x", code=code, permanent=True), Verdict.CLIENT_REFUSED, PageState.DUE, after(seconds=31))
            for code in sorted(CLIENT_REFUSALS)
        ),
    ],
)
def test_every_verdict(error, verdict, state, due_at):
    """The failure is known one second after the claim."""
    changed, given = after_failure(page(), error, after(seconds=1))
    assert (given, changed.state, changed.due_at) == (verdict, state, due_at)
    assert changed.error


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10), (5000, 10)])
def test_retries_come_slower_and_slower_but_never_slower_than_ten_seconds(attempt, seconds):
    changed, _ = after_failure(page(attempt=attempt), RemoteError("cannot connect"), NOW)
    assert changed.due_at == after(seconds=seconds)


def test_an_unknown_outcome_known_late_is_settled_at_once():
    changed, _ = after_failure(page(), NO_ANSWER, after(seconds=45))
    assert changed.due_at == after(seconds=45)


def test_unknown_wins_over_permanent():
    """What may have been done is looked up first, whatever else is said."""
    both = RemoteError("x", permanent=True, unknown=True)
    assert after_failure(page(), both, NOW)[1] is Verdict.UNKNOWN


def test_a_crash_while_sending_is_settled_twenty_seconds_after_the_claim():
    changed = after_crash(page())
    assert (changed.state, changed.due_at, changed.error) == (
        PageState.UNKNOWN,
        after(seconds=20),
        "stopped while sending",
    )


@pytest.mark.parametrize(
    ("error", "seconds", "verdict", "state", "due"),
    [
        (None, 20, Verdict.NOT_LANDED, PageState.DUE, 20),
        (RemoteError("x", permanent=True, code="missing_scope"), 20, Verdict.ASSUMED_LOST, PageState.DUE, 20),
        (RemoteError("x"), 20, Verdict.UNKNOWN, PageState.UNKNOWN, 25),
        (RemoteError("x", retry_after_seconds=9), 20, Verdict.UNKNOWN, PageState.UNKNOWN, 29),
        (RemoteError("x", unknown=True), 119, Verdict.UNKNOWN, PageState.UNKNOWN, 124),
        (RemoteError("x", unknown=True), 120, Verdict.ASSUMED_LOST, PageState.DUE, 120),
    ],
)
def test_what_history_says(error, seconds, verdict, state, due):
    changed, given = after_search(page(state=PageState.UNKNOWN), error, after(seconds=seconds))
    assert (given, changed.state, changed.due_at) == (verdict, state, after(seconds=due))


KINDS = {
    #                     open   acked  acked and asked, resolved
    PageKind.PAGE: (True, False, False, False),
    PageKind.ESCALATED: (True, False, False, False),
    PageKind.REMINDER: (False, False, True, False),
    PageKind.CARD: (True, True, True, True),
    PageKind.RUNBOOK: (True, True, True, False),
    PageKind.RESOLVED: (False, False, False, True),
    PageKind.NEWS: (True, True, True, False),
    PageKind.NOTICE: (True, True, True, True),
    PageKind.CHART: (True, True, True, False),
    PageKind.APPROVAL: (True, True, True, True),  # an undo is asked for when all is over, too
    PageKind.TASK: (True, True, True, True),
    PageKind.SHIFT: (True, True, True, True),
    PageKind.HANDOVER: (True, True, True, True),
    PageKind.DIGEST: (True, True, True, True),
    PageKind.STATUS: (True, True, True, True),
}
ROUSING = {PageKind.PAGE, PageKind.ESCALATED, PageKind.REMINDER, PageKind.NEWS, PageKind.RESOLVED}


@pytest.mark.parametrize("kind", list(PageKind))
@pytest.mark.parametrize(
    ("column", "state", "asked"),
    [(0, State.OPEN, False), (1, State.ACKED, False), (2, State.ACKED, True), (3, State.RESOLVED, False)],
)
def test_which_page_is_still_wanted(kind, column, state, asked):
    incident = opened().model_copy(update={"state": state, "ack_asked": asked})
    assert wanted(page(kind), incident) is KINDS[kind][column]


@pytest.mark.parametrize("kind", list(PageKind))
@pytest.mark.parametrize(("state", "asked"), [(State.OPEN, False), (State.ACKED, True)])
def test_nothing_that_rouses_anybody_is_wanted_while_everything_is_hidden(kind, state, asked):
    silence = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced")
    incident = opened().model_copy(update={"state": state, "ack_asked": asked, "suppressed": (silence,)})
    assert wanted(page(kind), incident) is (kind not in ROUSING)


@pytest.mark.parametrize("kind", list(PageKind))
def test_a_page_without_an_incident_is_always_wanted(kind):
    assert wanted(page(kind, incident=None), None)


def test_the_order_in_which_pages_leave():
    critical, warning = opened(), opened(alert(labels={"severity": "warning"}))
    queue = [
        (page(PageKind.RUNBOOK), critical),
        (page(PageKind.RESOLVED), critical),
        (page(PageKind.NOTICE), None),
        (page(PageKind.ESCALATED), critical),
        (page(PageKind.CARD, due_at=after(seconds=1)), critical),
        (page(PageKind.CARD), critical),
        (page(PageKind.REMINDER), warning),
        (page(PageKind.PAGE), warning),
        (page(PageKind.PAGE, due_at=after(seconds=1)), critical),
        (page(PageKind.PAGE), critical),
    ]
    order = sorted(queue, key=lambda of: priority(*of))
    assert [(of.kind, of.due_at - NOW) for of, _ in order] == [
        (PageKind.PAGE, timedelta()),
        (PageKind.PAGE, timedelta(seconds=1)),
        (PageKind.PAGE, timedelta()),
        (PageKind.CARD, timedelta()),
        (PageKind.CARD, timedelta(seconds=1)),
        (PageKind.REMINDER, timedelta()),
        (PageKind.ESCALATED, timedelta()),
        (PageKind.NOTICE, timedelta()),
        (PageKind.RUNBOOK, timedelta()),
        (PageKind.RESOLVED, timedelta()),
    ]
