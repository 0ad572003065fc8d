"""Rules whose samples are elsewhere: what is asked, that it comes to the same as with the samples at hand, and what
becomes of alerts while nothing is answered."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import numpy as np
import pytest

from bot.errors import EngineDownError, QueryError
from bot.incidents.model import AlertState
from bot.promql.answers import Answers
from bot.promql.api import instant_json
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.rules.asked import Asked, known_here, projected
from bot.rules.evaluate import GroupState, Surroundings
from bot.rules.record import StoreRecorder
from tests.rulekit import NOW, Written, after, make_group

EVERY = timedelta(seconds=15)


class There:
    """An engine elsewhere: its store, and answers that have been text on their way."""

    def __init__(self) -> None:
        self.store = SeriesStore(7200)
        self.asked: list[str] = []
        self.fails: QueryError | None = None
        self._answers = Answers()

    def scrape(self, at, *series, writer="agents"):
        ids = np.array([self.store.intern(dict(labels)) for labels, _ in series])
        self.store.append(writer, at.timestamp(), ids, np.array([value for _, value in series], dtype=float))

    def end(self, at, *labels):
        self.store.mark_stale(at.timestamp(), np.array([self.store.intern(dict(one)) for one in labels]))

    def answer(self, question, t):
        self.asked.append(question)
        if self.fails is not None:
            return self.fails
        try:
            data = json.loads(json.dumps(instant_json(Engine(self.store).instant(parse(question), t))))
            return self._answers.instant(question, data, t)
        except QueryError as error:
            return error


def elsewhere(*rules, here=None, record=None, **keys):
    asked = Asked(Engine(SeriesStore(7200) if here is None else here))
    return GroupState(make_group(*rules, **keys), asked, record or Written(), Surroundings(asked_every=EVERY))


def round_of(group, there, at):
    group.asked.begin()
    left = group.look(at)
    while left:
        left = group.asked.learn({q: there.answer(q, group.asked_at(at)) for q in group.asked.taken()}) or group.look(
            at, left
        )
    return group.finish(at, 0.0)


def told(evaluation):
    return [(alert.name, alert.labels.get("agent"), alert.state.value) for alert in evaluation.alerts]


def metric(name, agent="a", **labels):
    return {"__name__": name, "agent": agent, **labels}


# The same as with the samples at hand ---------------------------------------------------------------------------------

SAME = [
    {"alert": "Hot", "expr": "heat > 5", "annotations": {"summary": "{{ $labels.agent }} {{ $value }}"}},
    {"alert": "Long", "expr": "heat > 5", "for": "30s", "keep_firing_for": "30s"},
    {"alert": "Errors", "expr": "sum by (agent) (rate(errors_total[1m])) > 0.5"},
    {"alert": "Either", "expr": "heat > 8 or on (agent) cold > 8"},
    {"alert": "Both", "expr": "heat > 5 and on (agent) cold > 5"},
    {"alert": "Ratio", "expr": "heat / on (agent) group_left () max by (agent) (cold) > 1"},
    {"alert": "Gone", "expr": 'absent(heat{agent="a"})'},
    {"alert": "Moved", "expr": "heat offset 30s > 5"},
    {"alert": "Worst", "expr": "topk(1, heat) > 2"},
    {"alert": "Odd", "expr": "odd != 1"},
    {"alert": "Number", "expr": "scalar(heat{agent='a'}) > bool 5", "annotations": {"summary": "{{ $value }}"}},
    {"alert": "Nothing", "expr": "vector(1)", "labels": {"severity": "none"}},
    {"alert": "Twice", "expr": "heat > 1", "labels": {"agent": "all"}},
]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_samples_do_the_alerts_are_those_of_the_engine_here(seed):
    draw = random.Random(seed)
    there = There()
    embedded = GroupState(make_group(*SAME), Engine(there.store), Written())
    asking = elsewhere(*SAME)
    series = [metric(name, agent, **more) for agent in "ab" for name, more in (
        ("heat", {}), ("cold", {"room": "1"}), ("errors_total", {"kind": "x"}), ("errors_total", {}), ("odd", {})
    )]  # fmt: skip
    total = 0
    alive = list(series)
    for step in range(1, 30):
        at = after(15 * step)
        total += draw.choice([0, 0, 20])
        if draw.random() < 0.2:
            gone = [one for one in alive if draw.random() < 0.4]
            if gone:
                there.end(at, *gone)
            alive = [one for one in series if one not in gone]
        values = [
            float("nan") if one["__name__"] == "odd" and draw.random() < 0.3
            else total if one["__name__"] == "errors_total"
            else draw.choice([0, 3, 6, 9])
            for one in alive
        ]  # fmt: skip
        there.scrape(at, *zip(alive, values, strict=True))
        ours, theirs = embedded.evaluate(at), round_of(asking, there, at)
        assert [alert.model_dump_json() for alert in theirs.alerts] == [one.model_dump_json() for one in ours.alerts]
        assert theirs.failures == ours.failures
        assert theirs.state == ours.state


def test_all_questions_of_a_group_are_there_at_once_and_each_once():
    group = elsewhere(
        {"alert": "A", "expr": "heat > 5"}, {"alert": "B", "expr": "heat > 5"}, {"alert": "C", "expr": "cold > 5"}
    )
    group.asked.begin()
    assert group.look(NOW) == [0, 1, 2]
    assert group.asked.taken() == ["heat > 5", "cold > 5"]


# What is asked --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "labels", "question"),
    [
        (
            "x > 1",
            [{"agent": "a", "alertname": "X", "__name__": "x"}],
            'group by (agent) ({__name__="x",agent=~"a|"})',
        ),
        ('x{agent=~"a.*"} > 1', [{}], 'group({__name__="x",agent=~"a.*"})'),
        (
            "rate(x[5m] offset 1m) > 1",
            [{"agent": "b", "env": "p"}, {"agent": "a.b"}],
            'group by (agent, env) ({__name__="x",agent=~"a\\\\.b|b|"} offset 60000ms)',
        ),
        ("x @ 100 > 1", [{"a b": "1"}], 'group by ("a b") ({__name__="x","a b"=~"1|"} @ 100.000)'),
    ],
)
def test_live_series_are_asked_for_no_closer_than_the_labels_can_tell(expr, labels, question):
    assert projected(parse(expr).selectors[0], labels) == question


def test_many_values_of_a_label_are_not_named():
    labels = [{"agent": str(number)} for number in range(17)]
    assert projected(parse("x").selectors[0], labels) == 'group by (agent) ({__name__="x"})'


@pytest.mark.parametrize(
    ("expr", "here"),
    [
        ("agentpager_rule_failing == 1", True),
        ('agentpager_engine_up == 0 or ALERTS{alertname="X"}', True),
        ("agent_registry_next_review_timestamp_seconds < time()", True),
        ("vector(1)", True),
        ("up == 0", False),
        ("x and on (agent) agent_registry_info", False),
        ('{job="x"}', False),
    ],
)
def test_what_the_watcher_writes_itself_is_asked_here(expr, here):
    assert known_here(parse(expr)) is here


def test_rules_about_agentpager_itself_need_no_answer():
    here = SeriesStore(7200)
    StoreRecorder(here)(NOW.timestamp(), [({"__name__": "agentpager_engine_up", "url": "u"}, 0.0)], [])
    there = There()
    there.fails = EngineDownError("gone")
    group = elsewhere(
        {"alert": "Down", "expr": "agentpager_engine_up == 0"}, {"alert": "X", "expr": "x > 1"}, here=here
    )
    found = round_of(group, there, NOW)
    assert [alert.name for alert in found.alerts] == ["Down"]
    assert there.asked == ["x > 1"]


# What the engine has to have ------------------------------------------------------------------------------------------


def test_series_that_nobody_records_fail_their_rule_and_are_looked_for_once_a_minute():
    there = There()
    group = elsewhere({"record": "agent:heat", "expr": "max by (agent) (heat)", "labels": {"kind": "x"}})
    assert round_of(group, there, NOW).failures == ()  # there is nothing to record
    there.asked.clear()
    there.scrape(after(30), (metric("heat"), 1))
    assert round_of(group, there, after(30)).failures == ()
    assert there.asked == []
    (failure,) = round_of(group, there, after(60)).failures
    assert failure.message.startswith("agent:heat is not on the engine: its own ruler")
    there.scrape(after(75), (metric("heat"), 1), (metric("agent:heat", kind="y"), 1))
    assert len(round_of(group, there, after(75)).failures) == 1
    there.scrape(after(90), (metric("heat"), 1), (metric("agent:heat", kind="x"), 1), writer="ruler")
    assert round_of(group, there, after(90)).failures == ()


def test_a_rule_that_joins_on_the_registry_fails_where_the_engine_does_not_have_it():
    here, there = SeriesStore(7200), There()
    info = metric("agent_registry_info", stage="walk")
    group = elsewhere({"alert": "Hot", "expr": "heat > 5 and on (agent) agent_registry_info"}, here=here)
    there.scrape(NOW, (metric("heat"), 7))
    assert round_of(group, there, NOW).failures == ()  # we have none either
    StoreRecorder(here)(after(60).timestamp(), [(info, 1.0)], [])
    there.scrape(after(60), (metric("heat"), 7))
    (failure,) = round_of(group, there, after(60)).failures
    assert failure.message.startswith("agent_registry_info is not on the engine: let it scrape /metrics")
    there.scrape(after(75), (metric("heat"), 7), (info, 1))
    assert told(round_of(group, there, after(75))) == [("Hot", "a", "firing")]


# While nothing is answered --------------------------------------------------------------------------------------------


def failing(written):
    return [value for _, _, value in written.named("agentpager_rule_failing")][-1]


@pytest.mark.parametrize(("down", "at_fault"), [(True, 0.0), (False, 1.0)])
def test_without_an_answer_alerts_stay_and_the_rule_is_to_blame_only_while_others_are_answered(down, at_fault):
    there, written = There(), Written()
    group = elsewhere({"alert": "Hot", "expr": "heat > 5"}, record=written)
    there.scrape(NOW, (metric("heat"), 7))
    assert told(round_of(group, there, NOW)) == [("Hot", "a", "firing")]
    there.fails = EngineDownError("no answer")
    group.asked.engine_down = down
    found = round_of(group, there, after(15))
    assert told(found) == [("Hot", "a", "firing")]
    assert [one.message for one in found.failures] == ["no answer"]
    assert failing(written) == at_fault
    there.fails = None
    there.scrape(after(30), (metric("heat"), 1))
    assert told(round_of(group, there, after(30))) == [("Hot", "a", "resolved")]
    assert failing(written) == 0


def test_a_rule_that_was_wrong_before_the_engine_went_stays_wrong():
    there, written = There(), Written()
    group = elsewhere({"alert": "Hot", "expr": "heat > 5"}, record=written)
    there.fails = QueryError("too many samples", "execution")
    round_of(group, there, NOW)
    there.fails, group.asked.engine_down = EngineDownError("no answer"), True
    round_of(group, there, after(15))
    assert failing(written) == 1


def test_what_is_known_of_missing_data_is_asked_too_and_without_that_answer_nothing_ends():
    there = There()
    group = elsewhere({"alert": "Hot", "expr": "heat > 5"})
    there.scrape(NOW, (metric("heat"), 7))
    round_of(group, there, NOW)
    there.end(after(15), metric("heat"))
    answers = there.answer
    there.answer = lambda q, t: EngineDownError("gone") if q.startswith("group") else answers(q, t)
    assert told(round_of(group, there, after(15))) == [("Hot", "a", "firing")]
    there.answer = answers
    assert told(round_of(group, there, after(30))) == [("Hot", "a", "no_data")]


ERRORS = {"alert": "Errors", "expr": "sum by (agent) (rate(errors_total[1m])) > 0.5"}


def counted(there, first, last):
    for second in range(first, last + 1, 15):
        there.scrape(after(second), (metric("errors_total"), second * 2.0))


@pytest.mark.parametrize(
    ("away", "states"),
    [
        # Of the two minutes nothing was scraped: the range is empty, which says nothing until it has been filled.
        (120, {180: "firing", 195: "firing", 240: "resolved"}),
        # A few seconds: the range has samples of before and after, and what it says counts.
        (30, {105: "resolved"}),
    ],
)
def test_an_engine_that_was_away_is_not_believed_before_its_ranges_are_full(away, states):
    there = There()
    group = elsewhere(ERRORS)
    counted(there, 0, 60)
    assert told(round_of(group, there, after(60))) == [("Errors", "a", "firing")]
    there.fails = EngineDownError("no answer")
    for second in range(75, 60 + away, 15):
        round_of(group, there, after(second))
    there.fails = None
    for second in range(60 + away, max(states) + 1, 15):
        there.scrape(after(second), (metric("errors_total"), 0.0))  # begun anew, and well
        found = told(round_of(group, there, after(second)))
        if second in states:
            assert found == [("Errors", "a", states[second])], second


def test_an_engine_that_was_away_is_not_believed_because_we_were_restarted_meanwhile():
    there = There()
    group = elsewhere(ERRORS)
    counted(there, 0, 60)
    state = round_of(group, there, after(60)).state
    there.fails = EngineDownError("no answer")
    for second in range(75, 180, 15):
        state = round_of(group, there, after(second)).state or state
    there.fails = None
    again = elsewhere(ERRORS)
    again.restore(json.loads(json.dumps(state)), after(175), after(165))
    states = {}
    for second in range(180, 256, 15):
        there.scrape(after(second), (metric("errors_total"), 0.0))  # begun anew, and well
        states[second] = [one for *_, one in told(round_of(again, there, after(second)))]
    assert states[180] == states[225] == ["firing"]
    assert states[240] == ["resolved"]


def test_after_a_restart_of_ours_the_engine_is_believed_at_once():
    there = There()
    group = elsewhere(ERRORS, {"alert": "Hot", "expr": "heat > 5"})
    counted(there, 0, 60)
    there.scrape(after(60), (metric("heat"), 7), writer="heat")
    state = round_of(group, there, after(60)).state
    for second in range(75, 136, 15):
        there.scrape(after(second), (metric("errors_total"), 120.0))
    there.end(after(75), metric("heat"))
    again = elsewhere(ERRORS, {"alert": "Hot", "expr": "heat > 5"})
    again.restore(json.loads(json.dumps(state)), after(135))
    found = round_of(again, there, after(135))
    assert sorted(told(found)) == [("Errors", "a", "resolved"), ("Hot", "a", "no_data")]


def test_pending_time_goes_on_over_a_restart_with_samples_elsewhere():
    rule = {"alert": "Hot", "expr": "heat > 5", "for": "1m"}
    there = There()
    group = elsewhere(rule)
    there.scrape(NOW, (metric("heat"), 7))
    state = round_of(group, there, NOW).state
    again = elsewhere(rule)
    again.restore(json.loads(json.dumps(state)), after(30))
    there.scrape(after(60), (metric("heat"), 7))
    assert round_of(again, there, after(60)).alerts == ()  # the half minute in which nobody looked does not count
    there.scrape(after(90), (metric("heat"), 7))
    assert [one.state for one in round_of(again, there, after(90)).alerts] == [AlertState.FIRING]
