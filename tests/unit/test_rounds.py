"""When a group's turns are missed, and how much each round tells."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import numpy as np
import pytest

from bot.promql.engine import Engine
from bot.promql.store import SeriesStore
from bot.rounds import InTime, Pace
from bot.rules.evaluate import GroupState, Tell
from bot.rules.load import read
from bot.rules.record import StoreRecorder


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


RULES = """
groups:
  - name: g
    rules:
      - {alert: Slow, expr: "max_over_time(up[5m:1s]) > 0"}
      - {alert: Quick, expr: "up > 0"}
"""


def test_a_rule_that_takes_too_long_fails_and_the_others_of_its_group_are_evaluated():
    store = SeriesStore(3600)
    store.append("t", 1000.0, np.array([store.intern({"__name__": "up", "agent": "a"})]), np.array([1.0]))
    ticks, asked = count(), []
    querier = InTime(Engine(store), 50.0, lambda: asked.append(1), lambda: float(next(ticks)))  # each look a second
    group = GroupState(read(RULES, "r.yaml")[0], querier, StoreRecorder(store))
    found = group.evaluate(datetime.fromtimestamp(1001, UTC))
    assert [(one.rule, one.message) for one in found.failures] == [("Slow", "query timed out in expression evaluation")]
    assert [alert.name for alert in found.alerts] == ["Quick"]
    assert len(asked) == 2
