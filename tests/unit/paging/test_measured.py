"""What a test of a page has shown, from its rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW

from bot.paging import measured
from bot.paging.model import Page, PageKind, PageState


def row(channel="U0ANA", state=PageState.SENT, due=0.0, sent=None, claimed=None, **changes) -> Page:
    fields = {
        "id": f"INC-1.1.page.{channel}",
        "incident": "INC-1",
        "kind": PageKind.PAGE,
        "person": "ana",
        "channel": channel,
        "state": state,
        "due_at": NOW + timedelta(seconds=due),
        "planned_at": NOW + timedelta(seconds=due),
        "sent_at": NOW + timedelta(seconds=sent) if sent is not None else None,
        "claimed_at": NOW + timedelta(seconds=claimed) if claimed is not None else None,
        "reason": "a test",
    }
    return Page(**fields | changes)


def at(seconds: float):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("rows", "acked", "told", "passed"),
    [
        ([row(sent=0.8)], at(7.8), "passed: Slack had it after 0.8 s; acknowledged 7.0 s later", True),
        ([row(sent=2)], None, "not answered: Slack had it after 2.0 s", False),
        (
            [row(sent=1), row("email:ana@example.com", due=180, sent=185)],
            at(200),
            "passed: Slack had it after 1.0 s; mail had it after 5.0 s; acknowledged 3 min later",
            True,
        ),
        (
            [row(sent=1), row("webhook:phone", PageState.CANCELLED, due=180)],
            at(21),
            "passed: Slack had it after 1.0 s; acknowledged 20 s later",
            True,
        ),
        (
            [row(state=PageState.SENDING, claimed=1)],
            at(3),
            "passed: Slack had it, and has not confirmed when; acknowledged 2.0 s later",
            True,
        ),
        (
            [row(state=PageState.DUE)],
            at(3),
            "proves nothing: it was acknowledged before anything had gone out (nothing was sent)",
            False,
        ),
        (
            [row(state=PageState.FAILED, error="user_not_found: chat.postMessage")],
            at(3),
            "proves nothing: it was acknowledged before anything had gone out (Slack refused it (user_not_found))",
            False,
        ),
        (
            [
                row(state=PageState.FAILED, error="user_not_found: x"),
                row("webhook:phone", sent=30, planned_at=at(29)),
            ],
            at(50),
            "passed: Slack refused it (user_not_found); phone had it after 1.0 s; acknowledged 20 s later",
            True,
        ),
    ],
)
def test_the_result_says_each_way_and_claims_nothing_that_was_not_seen(rows, acked, told, passed):
    found = measured.measure(rows, acked)
    assert (measured.told(found), found.passed) == (told, passed)


def test_other_messages_of_the_incident_do_not_count():
    rows = [row(sent=1), row("#agent-pages", kind=PageKind.NOTICE, sent=9)]
    assert [way.by for way in measured.measure(rows, None).ways] == ["slack"]


def test_the_evidence_has_seconds_by_way():
    rows = [row(sent=0.8123), row("webhook:phone", PageState.FAILED, error="500: no")]
    assert measured.detail(measured.measure(rows, at(2.8123))) == {
        "delivered_slack": "0.812",
        "failed_phone": "500: no",
        "acknowledged": "2.000",
    }


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        ([], 0),
        ([row(state=PageState.DUE, due=90)], 0),  # it is for later
        ([row(state=PageState.DUE, due=-40), row("U0BEN", state=PageState.SENDING, due=-5)], 40),
        # An attempt puts it off; since when it should have gone out stays.
        ([row(state=PageState.DUE, due=-70).model_copy(update={"due_at": at(10)})], 70),
        ([row(state=PageState.UNKNOWN, due=-30, kind=PageKind.CARD)], 0),  # wakes nobody
    ],
)
def test_how_long_somebody_should_have_been_woken_by_now(rows, seconds):
    assert measured.overdue(rows, NOW) == timedelta(seconds=seconds)
