"""What is told to whoever submits a window that was drawn before something happened."""

from __future__ import annotations

from datetime import timedelta

import pytest
from slack_world import BOOK, NOW, alert, incident

from bot.incidents.model import Severity, State
from bot.slack.windows.frame import Memory
from bot.slack.windows.meanwhile import meanwhile

ACKED = {"state": State.ACKED, "acked_by": "person:ana", "acked_at": NOW - timedelta(seconds=3)}
ENDED = {"state": State.RESOLVED, "resolved_at": NOW - timedelta(seconds=20)}


def since(before: dict, after: dict) -> list[str]:
    memory = Memory("INC-7").seeing(incident(**before))
    return meanwhile(memory, incident(**{"revision": 2, **after}), BOOK, NOW)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, ACKED, ["*Ana Ruiz* has INC-7 for 3 s."]),
        (ACKED, {**ACKED, "acked_by": "person:ben"}, ["*Ben Cole* has INC-7 for 3 s."]),
        (ACKED, {}, ["INC-7 is open, *Ana Ruiz* has it no more: people are paged for it."]),
        ({}, {**ENDED, "how_resolved": "cleared"}, ["INC-7 cleared by itself 20 s ago."]),
        (
            ACKED,
            {**ENDED, "how_resolved": "human", "resolved_by": "person:ben"},
            ["INC-7 was closed by *Ben Cole* 20 s ago."],
        ),
        ({"severity": Severity.WARNING}, {}, ["It got worse: it is critical now."]),
        ({}, {"alerts": (alert(), alert("SpendHigh"))}, ["1 alert joined it."]),
        ({}, {"alerts": (alert(), alert("A"), alert("B"))}, ["2 alerts joined it."]),
    ],
)
def test_what_somebody_would_decide_differently_for_is_told(before, after, told):
    assert since(before, after) == told


@pytest.mark.parametrize(
    "after", [{}, {"severity": Severity.WARNING}, {"alerts": ()}, {"step": 1}, {"notes": ()}, {"mark": "noise"}]
)
def test_what_changes_nothing_or_gets_better_is_not(after):
    assert since({}, after) == []


def test_the_same_revision_is_not_looked_at():
    memory = Memory("INC-7").seeing(incident())
    assert meanwhile(memory, incident(**ACKED), BOOK, NOW) == []


def test_a_window_that_saw_nothing_is_not_held_up():
    assert meanwhile(Memory("INC-7"), incident(revision=9, **ACKED), BOOK, NOW) == []


def test_of_very_many_alerts_a_newcomer_is_not_counted_wrongly():
    many = tuple(alert(f"A{number}", fingerprint=f"{number:08x}") for number in range(150))
    assert since({"alerts": many}, {"alerts": many}) == []
