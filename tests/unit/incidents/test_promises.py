"""Promised times: what counts as an answer, what time does not count, when a promise is broken."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import WORLD, after, ended, observe, opened

from bot.incidents import people
from bot.incidents.escalation import restart
from bot.incidents.model import Event, Incident, Promise, Severity, State, Suppression, SuppressionKind
from bot.incidents.promises import lasted, next_look, standings, timed, unnoticed

MINUTE = timedelta(minutes=1)
SLA = {
    "critical": Promise(ack=15 * MINUTE, resolve=60 * MINUTE),
    "warning": Promise(ack=60 * MINUTE),
}
HIDDEN = (Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced by ana"),)


def at(minute: float, incident: Incident, sla=SLA, **update) -> Incident:
    return timed(incident.model_copy(update=update), sla, after(minutes=minute))


def fresh(**update) -> Incident:
    return at(0, opened(), **update)


def acked(incident: Incident, minute: float) -> Incident:
    return at(minute, people.ack(incident, "person:ana", after(minutes=minute)).incident)


def cleared(incident: Incident, minute: float) -> Incident:
    now = after(minutes=minute)
    (decision,) = observe([ended(alert, now) for alert in incident.alerts], [incident], now)
    return at(minute, decision.incident)


def states(incident: Incident, minute: float) -> dict[str, str]:
    return {one.what: one.state for one in standings(incident, after(minutes=minute))}


def test_the_promise_of_its_severity_is_kept_with_the_incident():
    assert fresh().promised == Promise(ack=15 * MINUTE, resolve=60 * MINUTE)
    assert fresh(severity=Severity.WARNING).promised == Promise(ack=60 * MINUTE)
    assert fresh(severity=Severity.INFO).promised == Promise()
    later = at(5, fresh(), sla={"critical": Promise(ack=MINUTE)})
    assert later.promised == Promise(ack=15 * MINUTE, resolve=60 * MINUTE), "a reload changes no running incident"


def test_a_worse_severity_has_its_own_promise_from_the_opening_on():
    worse = at(20, fresh(severity=Severity.WARNING), severity=Severity.CRITICAL)
    assert states(worse, 20) == {"ack": "broken", "resolve": "running"}


def test_nothing_promised_is_nothing_broken():
    assert standings(at(0, opened(), sla={}), after(days=9)) == []
    assert next_look(at(0, opened(), sla={}), after(days=9)) is None


@pytest.mark.parametrize(("minute", "state"), [(15, "kept"), (15.1, "broken")])
def test_an_ack_at_the_promised_minute_keeps_the_promise(minute, state):
    incident = acked(fresh(), minute)
    assert incident.answered_after == minute * MINUTE
    assert incident.answered_by == "person:ana"
    assert states(incident, 59)["ack"] == state


@pytest.mark.parametrize(("minute", "expected"), [(15, []), (16, ["ack"]), (61, ["ack", "resolve"])])
def test_what_nobody_answers_is_broken_when_its_time_is_over(minute, expected):
    assert [one.what for one in unnoticed(fresh(), after(minutes=minute))] == expected


def test_the_end_without_an_ack_is_an_answer():
    incident = cleared(fresh(), 10)
    assert (incident.answered_after, incident.answered_by) == (None, None)
    assert states(incident, 600) == {"ack": "kept", "resolve": "kept"}
    assert states(cleared(fresh(), 20), 600) == {"ack": "broken", "resolve": "kept"}


def test_closing_by_hand_is_an_answer():
    closed = at(4, people.resolve(fresh(), "person:ben", after(minutes=4)).incident)
    assert (closed.answered_after, closed.answered_by) == (4 * MINUTE, "person:ben")
    assert states(closed, 600) == {"ack": "kept", "resolve": "kept"}


def test_passing_is_no_answer():
    declined = at(4, people.decline(fresh(), "person:ana", WORLD, after(minutes=4)).incident)
    assert declined.answered_after is None


def test_only_the_first_ack_counts():
    first = acked(fresh(), 4)
    released = at(6, people.release(first, "person:ana", WORLD, after(minutes=6)).incident)
    assert acked(released, 30).answered_after == 4 * MINUTE


def test_time_in_which_it_is_suppressed_does_not_count():
    hidden = at(5, fresh(), suppressed=HIDDEN)
    assert next_look(hidden, after(minutes=50)) is None
    assert unnoticed(hidden, after(minutes=500)) == []
    assert [one.due_at for one in standings(hidden, after(minutes=6))] == [None, None]
    shown = at(105, hidden, suppressed=())
    assert (shown.hidden_for, shown.hidden_since) == (100 * MINUTE, None)
    assert [one.due_at for one in standings(shown, after(minutes=105))] == [after(minutes=115), after(minutes=160)]
    assert states(acked(shown, 114), 120) == {"ack": "kept", "resolve": "running"}
    assert acked(shown, 114).answered_after == 14 * MINUTE
    assert [one.what for one in unnoticed(shown, after(minutes=116))] == ["ack"]


def test_an_incident_that_ends_while_it_is_suppressed_has_waited_for_the_rest_only():
    incident = cleared(at(5, fresh(), suppressed=HIDDEN), 500)
    assert lasted(incident, after(days=9)) == 5 * MINUTE
    assert states(incident, 9000) == {"ack": "kept", "resolve": "kept"}


def test_a_second_suppression_adds_to_the_first():
    incident = at(10, at(5, fresh(), suppressed=HIDDEN), suppressed=())
    incident = at(30, at(20, incident, suppressed=HIDDEN), suppressed=())
    assert incident.hidden_for == 15 * MINUTE
    assert lasted(incident, after(minutes=40)) == 25 * MINUTE


def test_an_incident_that_opens_suppressed_waits_for_nobody_yet():
    incident = fresh(suppressed=HIDDEN)
    assert lasted(incident, after(hours=9)) == timedelta()


def test_a_pause_before_it_opens_again_counts():
    over = cleared(acked(fresh(), 1), 50)
    assert states(over, 100)["resolve"] == "kept"
    again = at(55, restart(over, Event.REOPENED, "came back", WORLD, after(minutes=55)).incident)
    assert again.state is State.OPEN
    assert states(again, 59) == {"ack": "kept", "resolve": "running"}
    assert states(again, 61) == {"ack": "kept", "resolve": "broken"}


def test_what_is_written_down_is_broken_for_good_and_not_found_again():
    incident = fresh().model_copy(update={"breached": ("ack",)})
    assert unnoticed(incident, after(minutes=30)) == []
    assert states(acked(incident, 1), 2)["ack"] == "broken"


def test_the_next_look_is_when_the_next_promise_ends():
    assert next_look(fresh(), after(minutes=1)) == after(minutes=15)
    assert next_look(acked(fresh(), 3), after(minutes=4)) == after(minutes=60)
    assert next_look(cleared(fresh(), 3), after(minutes=4)) is None
    assert next_look(fresh(), after(minutes=16)) == after(minutes=60)


def test_saving_twice_changes_nothing_more():
    once = fresh(suppressed=HIDDEN)
    assert timed(once, SLA, after(minutes=9)) is once
