"""What a drill has shown, from its incident and its pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, WORLD, after, alert

from bot.incidents import drill
from bot.incidents.drill import Drills
from bot.incidents.model import State, StepMark
from bot.paging import legs
from bot.paging.model import Page, PageKind, PageState


def page(**changes) -> Page:
    fields = {
        "id": "INC-7.1.page.ana",
        "incident": "INC-7",
        "kind": PageKind.PAGE,
        "person": "ana",
        "channel": "U0ANA",
        "state": PageState.SENT,
        "due_at": after(seconds=2),
        "claimed_at": after(seconds=3),
        "sent_at": after(seconds=4),
        "reason": "on call",
    }
    return Page(**fields | changes)


def incident(**changes):
    drills, one = drill.begun(Drills(), "refund-agent", "person:dan", "Dan", WORLD, NOW)
    labels = {"agent": "refund-agent", "drill": "DRILL-1"}
    fired = alert(drill.ALERT, group=drill.RULE_GROUP, labels=labels, starts_at=after(seconds=1))
    assert drills.running == (one,)
    return drill.opened(one, fired, 7, WORLD, after(seconds=2)).incident.model_copy(update=changes)


ACKED = {"state": State.ACKED, "acked_by": "person:ana", "acked_at": after(seconds=20)}
STEPPED = {"progress": (StepMark(step="stop", state="done", at=after(seconds=50), by="person:ana"),)}
CARD = page(id="INC-7.1.card", kind=PageKind.CARD, person=None, channel="#refunds", sent_at=after(seconds=2.5))


@pytest.mark.parametrize(
    ("found", "pages", "passed", "told"),
    [
        (
            incident(**ACKED | STEPPED),
            [page(), CARD],
            True,
            "passed in 50 s: fired after 1.0 s, routed after 2.0 s, sent after 3.0 s, delivered after 4.0 s, "
            "acknowledged after 20 s, first step after 50 s",
        ),
        (
            incident(),
            [page(), CARD],
            False,
            "not passed: nobody acknowledged it in time; fired after 1.0 s, routed after 2.0 s, sent after 3.0 s, "
            "delivered after 4.0 s",
        ),
        (
            incident(**ACKED),
            [page()],
            False,
            "not passed: no step of the runbook was marked within 10 min of the ack; fired after 1.0 s, "
            "routed after 2.0 s, sent after 3.0 s, delivered after 4.0 s, acknowledged after 20 s",
        ),
        (
            incident(),
            [page(state=PageState.FAILED, sent_at=None, error="user_not_found: gone"), CARD],
            False,
            "not passed: it was refused (user_not_found); fired after 1.0 s, routed after 2.0 s, sent after 3.0 s",
        ),
        (
            incident(),
            [page(state=PageState.DUE, claimed_at=None, sent_at=None)],
            False,
            "not passed: nothing was sent; fired after 1.0 s, routed after 2.0 s",
        ),
        (
            incident(**ACKED | STEPPED | {"state": State.RESOLVED, "resolved_by": "person:ben"}),
            [page()],
            False,
            "not passed: closed by hand, so it shows nothing; fired after 1.0 s, routed after 2.0 s, sent after 3.0 s, "
            "delivered after 4.0 s, acknowledged after 20 s, first step after 50 s",
        ),
    ],
)
def test_the_way_is_told_leg_by_leg(found, pages, passed, told):
    way = legs.way_of(found, pages)
    assert (way.passed, legs.told(way)) == (passed, told)


def test_a_clock_that_is_behind_makes_no_leg_end_before_the_drill_was_asked_for():
    found = incident()
    early = found.alerts[0].model_copy(update={"starts_at": NOW - timedelta(milliseconds=300)})
    way = legs.way_of(found.model_copy(update={"alerts": (early,)}), [])
    assert way.after(legs.FIRED) == timedelta()


def test_an_ack_before_the_delivery_was_confirmed_counts_as_far_as_it_went():
    found = incident(**ACKED | STEPPED)
    way = legs.way_of(found, [page(state=PageState.UNKNOWN, sent_at=None)])
    assert (way.passed, way.missing) == (False, "delivered")


def test_evidence_names_who_passed_and_the_seconds_of_each_leg():
    found = incident(**ACKED | STEPPED)
    shown = legs.evidence_of(found, legs.way_of(found, [page()]), after(seconds=50))
    assert (shown.kind, shown.agent, shown.passed, shown.person) == ("drill", "refund-agent", True, "ana")
    assert shown.detail["drill"] == "DRILL-1"
    assert shown.detail["seconds"] == {
        "fired": 1.0,
        "routed": 2.0,
        "sent": 3.0,
        "delivered": 4.0,
        "acked": 20.0,
        "first step": 50.0,
    }
