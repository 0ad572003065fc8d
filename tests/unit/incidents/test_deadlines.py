"""Somebody sets the clock: every step waits as long as it was meant to; what was promised for a time of day stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, WORLD, after, opened
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents import people
from bot.incidents.deadlines import bounded, moved
from bot.incidents.escalation import due
from bot.incidents.model import Suppression, SuppressionKind
from bot.paging import deadlines as pages
from bot.paging.model import Page, PageKind

QUIET = timedelta(minutes=15)
DAY = timedelta(days=1)
HIDDEN = (Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced", until=after(hours=3)),)


def acked():
    return people.ack(opened(), "person:ana", NOW).incident


@given(st.integers(-86400, 86400), st.integers(0, 299))
def test_a_step_waits_as_long_as_it_was_meant_to_whatever_the_clock_is_set_to(jump, waited):
    """`waited` seconds after the page the clock is set by `jump`."""
    incident = moved(opened(), timedelta(seconds=jump))
    then = after(seconds=waited + jump)
    left = timedelta(seconds=300 - waited)
    assert due(incident, WORLD, then + left - timedelta(seconds=1)) is None
    decision = due(incident, WORLD, then + left)
    assert decision is not None
    assert decision.why == "no ack in 5 min"


def test_an_ack_of_what_is_hidden_holds_as_long_as_any_other():
    """A clock set back by a day must not make it an ack of a day."""
    taken = people.ack(opened().model_copy(update={"suppressed": HIDDEN}), "person:ana", NOW).incident
    assert moved(taken, -DAY).next_at == after(hours=1) - DAY
    assert bounded(taken, NOW - DAY, QUIET).next_at == after(hours=1) - DAY


def test_an_ack_holds_as_long_as_it_was_meant_to():
    incident = moved(acked(), DAY)
    assert (incident.next_at, incident.ack_expires_at) == (after(days=1, hours=1), after(days=1, hours=1))
    assert (incident.acked_at, incident.opened_at) == (NOW, NOW), "what has happened stays when it happened"
    assert incident.revision == acked().revision + 1, "messages show other times now"


def test_a_snooze_ends_at_the_time_it_was_promised_for():
    incident = moved(people.snooze(opened(), "person:ana", after(hours=6), NOW).incident, -DAY)
    assert (incident.next_at, incident.ack_expires_at, incident.snoozed_until) == (after(hours=6),) * 3


def test_so_does_what_hides_an_incident():
    hidden = opened().model_copy(update={"suppressed": HIDDEN, "next_at": after(hours=3)})
    assert moved(hidden, DAY).next_at == after(hours=3)


def test_values_are_brought_up_to_date_as_often_as_before():
    assert moved(opened(), -DAY).observed_at == after(days=-1)


# What cannot be known after a start of the machine


@pytest.mark.parametrize(
    ("incident", "wait"),
    [
        (opened(), timedelta(minutes=5)),
        (opened().model_copy(update={"step": 1}), timedelta(minutes=10)),
        (opened().model_copy(update={"step": 2, "exhausted": True}), timedelta(minutes=15)),
        (people.hand_over(opened(), "person:ana", "cat", WORLD, NOW).incident, timedelta(minutes=5)),
        (acked(), timedelta(hours=1)),
        (acked().model_copy(update={"ack_asked": True}), timedelta(minutes=5)),
        (people.resolve(opened(), "person:ana", NOW).incident, timedelta(hours=1)),
    ],
)
def test_no_deadline_lies_further_away_than_its_whole_wait(incident, wait):
    late = incident.model_copy(update={"next_at": NOW + wait + timedelta(seconds=1)})
    assert bounded(late, NOW, QUIET).next_at == NOW + wait
    right = incident.model_copy(update={"next_at": NOW + wait})
    assert bounded(right, NOW, QUIET) is right


def test_a_promise_for_a_time_of_day_is_not_bounded():
    snoozed = people.snooze(opened(), "person:ana", after(days=6), NOW).incident
    hidden = opened().model_copy(update={"suppressed": HIDDEN, "next_at": after(hours=3)})
    assert bounded(snoozed, NOW, QUIET) is snoozed
    assert bounded(hidden, NOW, QUIET) is hidden


def test_a_quiet_time_is_bounded_too():
    flapping = opened().model_copy(update={"quiet_at": after(days=1)})
    assert bounded(flapping, NOW, QUIET).quiet_at == NOW + QUIET


# Pages


def page(**changes) -> Page:
    fields = {"id": "INC-1.1.page.ana", "incident": "INC-1", "kind": PageKind.PAGE, "channel": "U0ANA", "due_at": NOW}
    return Page(**fields | {"reason": "on call"} | changes)


def test_a_page_waits_as_long_as_it_was_meant_to():
    later = pages.moved(page(due_at=after(minutes=3), planned_at=NOW, claimed_at=after(seconds=-5)), -DAY)
    assert (later.due_at, later.planned_at) == (after(days=-1, minutes=3), after(days=-1))
    assert later.claimed_at == after(days=-1, seconds=-5)


def test_no_page_waits_a_day():
    assert pages.bounded(page(due_at=after(days=1)), NOW).due_at == NOW
    rule = page(due_at=after(minutes=30))
    assert pages.bounded(rule, NOW) is rule
