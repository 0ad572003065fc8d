"""When a group's turns are missed, and how much each round tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest

from bot.joint import decode
from bot.promql.answers import Answers
from bot.promql.engine import Engine
from bot.promql.store import SeriesStore
from bot.rounds import InTime, Pace, Rounds, phase, turn_before
from bot.rules.asked import Asked
from bot.rules.evaluate import GroupState, Surroundings, Tell
from bot.rules.load import read
from bot.rules.model import Group
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


# With the samples elsewhere -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "seconds"), [("tools", 3.9162), ("slow", 5.6031)])
def test_a_group_has_its_turn_when_prometheus_gives_it_one(name, seconds):
    """Seconds after each tenth second at which Debian's Prometheus 2.42 evaluates these groups of /tmp/q/ph/r.yaml."""
    assert phase(Group(name=name, file="/tmp/q/ph/r.yaml"), 10.0) == pytest.approx(seconds, abs=1e-4)


@pytest.mark.parametrize(("now", "turn"), [(13.9, 13.9), (14.0, 13.9), (23.8, 13.9), (23.95, 23.9)])
def test_the_turn_before(now, turn):
    found = turn_before(datetime.fromtimestamp(now, UTC), 10.0, 3.9)
    assert found.timestamp() == pytest.approx(turn, abs=1e-5)


class There:
    """Has `heat` of one agent; may be asked to do something between question and answer."""

    up = True

    def __init__(self, between=lambda: None):
        self.asked = []
        self._between = between

    async def instants(self, questions, t, seconds, all_seconds):
        self.asked.append((questions, t))
        self._between()
        row = {"resultType": "vector", "result": [{"metric": {"agent": "a"}, "value": [t, "7"]}]}
        return {question: Answers().instant(question, row, t) for question in questions}


HOT = "groups: [{name: g, interval: 10s, rules: [{alert: Hot, expr: heat > 5}, {alert: Cold, expr: heat < 9}]}]"


def rounds_at(now, there):
    sent = []

    async def send(line):
        sent.append(decode(line))

    store = SeriesStore(3600)
    rounds = Rounds(Engine(store), lambda: now, send)
    group = read(HOT, "r.yaml")[0]
    around = Surroundings(asked_every=timedelta(seconds=10))
    rounds.groups = {"g": GroupState(group, Asked(Engine(store)), StoreRecorder(store), around)}
    rounds.elsewhere = there
    rounds.follow({"g": 10.0})
    turn = turn_before(now, 10.0, phase(group, 10.0))
    return rounds, sent, turn


async def test_all_rules_of_a_group_are_asked_at_the_instant_of_its_turn():
    there = There()
    turn = rounds_at(datetime.fromtimestamp(1_700_000_000, UTC), there)[2]
    rounds, sent, _ = rounds_at(turn + timedelta(milliseconds=300), there)
    await rounds.regular("g")
    first, second = there.asked
    assert first == (["heat > 5", "heat < 9"], turn.timestamp())
    assert second == (['group by (agent) ({__name__="heat",agent=~"a|"})'], turn.timestamp())
    (update,) = sent
    assert [(alert.name, alert.starts_at) for alert in update.alerts] == [("Hot", turn), ("Cold", turn)]


async def test_a_round_out_of_turn_or_a_late_one_asks_about_now():
    there = There()
    turn = rounds_at(datetime.fromtimestamp(1_700_000_000, UTC), there)[2]
    now = turn + timedelta(seconds=4)
    rounds, _, _ = rounds_at(now, there)
    await rounds.regular("g")
    assert there.asked[0][1] == now.timestamp()


async def test_a_group_that_a_reload_replaces_while_it_waits_for_answers_tells_nothing():
    now = datetime.fromtimestamp(1_700_000_000, UTC)
    there = There(lambda: rounds.groups.update(g=rounds_at(now, There())[0].groups["g"]))
    rounds, sent, _ = rounds_at(now, there)
    await rounds.regular("g")
    assert sent == []
    assert len(there.asked) == 1
