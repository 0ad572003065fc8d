from __future__ import annotations

from itertools import product

import pytest
from core_world import NOW, alert, ended, no_data, opened

from bot.errors import ConflictError
from bot.incidents.model import Alert, Event, Severity, State, next_state

OPN, ACK, RES = State.OPEN, State.ACKED, State.RESOLVED
# Rows are events, columns the states they find: what an incident becomes, None where the move is forbidden.
TABLE = {
    #                      open acked resolved
    Event.FIRED: (OPN, ACK, None),
    Event.WORSENED: (OPN, OPN, None),
    Event.ESCALATED: (OPN, OPN, None),
    Event.DECLINED: (OPN, OPN, None),
    Event.ACKED: (ACK, ACK, None),
    Event.RELEASED: (None, OPN, None),
    Event.ACK_ASKED: (None, ACK, None),
    Event.ACK_EXPIRED: (None, OPN, None),
    Event.CLEARED: (RES, RES, None),
    Event.RESOLVED: (RES, RES, None),
    Event.STILL_FIRING: (None, None, OPN),
    Event.REOPENED: (None, None, OPN),
    Event.SUPPRESSED: (OPN, ACK, None),
    Event.UNSUPPRESSED: (OPN, ACK, None),
    Event.SNOOZED: (ACK, ACK, None),
    Event.SNOOZE_ENDED: (None, OPN, None),
    Event.TAKEN: (None, ACK, None),
    Event.HANDED: (OPN, OPN, None),
    Event.NOTED: (OPN, ACK, RES),
    Event.MARKED: (OPN, ACK, RES),
    Event.STEPPED: (OPN, ACK, RES),
    Event.REPORTED: (OPN, ACK, RES),
}
CELLS = [(event, state, TABLE[event][column]) for event, (column, state) in product(Event, enumerate((OPN, ACK, RES)))]


@pytest.mark.parametrize(("event", "state", "becomes"), [cell for cell in CELLS if cell[2] is not None])
def test_every_legal_move(event, state, becomes):
    assert next_state(state, event) is becomes


@pytest.mark.parametrize(("event", "state"), [cell[:2] for cell in CELLS if cell[2] is None])
def test_every_forbidden_move_names_the_state_and_the_event(event, state):
    with pytest.raises(ConflictError, match=f"^this incident is {state}; it cannot be {event}$"):
        next_state(state, event)


@pytest.mark.parametrize(
    ("label", "severity", "wakes"),
    [
        ("critical", Severity.CRITICAL, True),
        ("warning", Severity.WARNING, True),
        ("info", Severity.INFO, False),
        ("none", Severity.NONE, False),
        ("", Severity.CRITICAL, True),  # not given
        ("CRITICAL", Severity.CRITICAL, True),
        ("page", Severity.CRITICAL, True),  # unknown words wake: silence must be asked for
    ],
)
def test_severity(label, severity, wakes):
    one = alert(labels={"severity": label})
    assert one.severity is severity
    assert one.severity.wakes is wakes


def test_what_goes_on_is_shown_worst_first_then_oldest_and_not_in_the_order_of_arrival():
    alerts = [
        alert("B"),
        alert("A"),
        alert("Old", labels={"severity": "warning"}, starts_at=NOW.replace(hour=1)),
        alert("Held", labels={"severity": "warning"}),
        ended(alert("Over"), NOW),
    ]
    held = [no_data(one) if one.name == "Held" else one for one in alerts]
    assert names(*held) == names(*reversed(held)) == ["A", "B", "Old", "Held"]


def names(*alerts: Alert) -> list[str]:
    return [one.name for one in opened().model_copy(update={"alerts": alerts}).going_on]


@pytest.mark.parametrize(("state", "next_at", "over"), [(OPN, None, False), (RES, NOW, False), (RES, None, True)])
def test_an_incident_is_over_when_nothing_will_happen_to_it(state, next_at, over):
    assert opened().model_copy(update={"state": state, "next_at": next_at}).over is over
