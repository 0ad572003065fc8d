"""When a group's turns are missed, and how much each round tells."""

from __future__ import annotations

import pytest

from bot.rounds import Pace
from bot.rules.evaluate import Tell


@pytest.mark.parametrize(
    ("begins", "missed"),
    [
        ((100.0, 105.0, 110.0), [0, 0, 0]),
        ((100.0, 105.2, 109.9), [0, 0, 0]),  # the clock of turns is never exact
        ((100.0, 110.0, 115.0), [0, 1, 0]),
        ((100.0, 120.0), [0, 3]),
        ((100.0, 100.5), [0, 0]),  # just after a reload
    ],
)
def test_turns_that_passed_while_a_group_was_busy_are_counted(begins, missed):
    pace = Pace(5.0)
    assert [pace.begin(now) for now in begins] == missed


def test_all_that_goes_on_is_summed_up_at_once_and_then_each_minute():
    pace = Pace(30.0)
    told = [pace.tell(now) for now in (100.0, 100.5, 130.0, 160.0, 190.0, 219.9)]
    assert [how is Tell.SUMMARY for how in told] == [True, False, False, True, False, True]
