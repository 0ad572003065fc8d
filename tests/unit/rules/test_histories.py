"""Rules over random histories of results, beside a model that keeps each alert as a handful of plain variables."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.promql.space import Space
from bot.promql.strings import Pool
from bot.promql.value import Vector
from bot.rules.evaluate import GroupState, Tell
from tests.rulekit import Answers, Written, after, make_group

ROOMS = ("a", "b", "c")
STEP = 15  # seconds between rounds
EXPR = "heat > 5"

# A round: the rooms that are hot, and whether the series can be seen at all.
rounds = st.lists(st.tuples(st.sets(st.sampled_from(ROOMS)), st.booleans(), st.booleans()), min_size=1, max_size=25)


class Steady(Answers):
    """Answers on the same rows every time, present or not, as the engine does while no series joins."""

    def __init__(self) -> None:
        super().__init__()
        rows = [{"__name__": "heat", "room": room} for room in ROOMS]
        self.space = Space.of(Pool(), rows)

    def instant(self, expr, t):
        hot = {labels["room"]: value for labels, value in self.result.get(expr.text, [])}
        values = np.array([hot.get(room, 0.0) for room in ROOMS])
        return Vector(self.space, values, np.array([room in hot for room in ROOMS]), t)


queriers = st.sampled_from([Answers, Steady])


class Model:
    """One alert after the documentation of rules: `for`, `keep_firing_for`, and an alert held while data is missing."""

    def __init__(self, hold: int, keep: int) -> None:
        self.hold, self.keep = hold, keep
        self.phase, self.since, self.fired, self.kept, self.ended = "inactive", None, None, None, None
        self.seen = False

    def step(self, now: int, hot: bool, visible: bool) -> None:
        if hot:
            self.holds(now)
        elif self.phase == "pending":
            self.phase = "inactive"
        elif self.phase in {"firing", "no_data"}:
            self.does_not_hold(now, visible)
        if self.phase == "firing" and hot and visible:
            self.seen = True

    def holds(self, now: int) -> None:
        if self.phase == "inactive":
            self.phase, self.since, self.seen = "pending", now, False
        elif self.phase == "no_data":
            self.phase = "firing"
        self.kept = None
        if self.phase == "pending" and now - self.since >= self.hold:
            self.phase, self.fired, self.ended = "firing", now, None

    def does_not_hold(self, now: int, visible: bool) -> None:
        if self.seen and not visible:
            self.phase = "no_data"
            return
        self.kept = now if self.kept is None else self.kept
        if now - self.kept < self.keep:
            self.phase = "firing"
        else:
            self.phase, self.ended = "inactive", now
            self.kept = None

    def told(self, now: int):
        if self.phase in {"firing", "no_data"}:
            return (self.phase, self.fired, None)
        if self.ended is not None and now - self.ended <= 900:
            return ("resolved", self.fired, self.ended)
        return None


def seconds(at):
    return None if at is None else round((at - after(0)).total_seconds())


def picture(alerts):
    return {a.labels["room"]: (a.state.value, seconds(a.starts_at), seconds(a.ends_at)) for a in alerts}


@given(rounds, st.sampled_from([0, 15, 40]), st.sampled_from([0, 30]), queriers)
@settings(max_examples=200, deadline=None)
def test_alerts_take_the_way_of_the_model(history, hold, keep, querier):
    answers, written = querier(), Written()
    rule = {"alert": "Hot", "expr": EXPR, "for": f"{hold}s", "keep_firing_for": f"{keep}s"}
    group = GroupState(make_group(rule), answers, written)
    models = {room: Model(hold, keep) for room in ROOMS}
    for number, (hot, visible, changed_order) in enumerate(history):
        now = number * STEP
        rooms = sorted(hot, reverse=changed_order)
        answers.result[EXPR] = [({"__name__": "heat", "room": room}, float(number)) for room in rooms]
        answers.here[EXPR] = (0,) if visible else ()
        everything = group.evaluate(after(now))
        for room, model in models.items():
            model.step(now, room in hot, visible)
        expected = {room: told for room, model in models.items() if (told := model.told(now))}
        assert picture(everything.alerts) == expected
        pending = {room for room, model in models.items() if model.phase == "pending"}
        ((_, alerting, _),) = group.rules
        assert {a.labels["room"] for a in alerting.active.values() if not a.alarms} == pending


@given(rounds, st.sampled_from([0, 15]), queriers)
@settings(max_examples=200, deadline=None)
def test_whoever_follows_the_changes_knows_what_whoever_is_told_everything_knows(history, hold, querier):
    answers = querier()
    rule = {"alert": "Hot", "expr": EXPR, "for": f"{hold}s"}
    whole, changes = (GroupState(make_group(rule), answers, Written()) for _ in range(2))
    known = {}
    for number, (hot, visible, _) in enumerate(history):
        answers.result[EXPR] = [({"room": room}, float(number)) for room in sorted(hot)]
        answers.here[EXPR] = (0,) if visible else ()
        now = after(number * STEP)
        tell = Tell.SUMMARY if number % 4 == 0 else Tell.CHANGES
        told = changes.evaluate(now, tell=tell)
        known |= picture(told.alerts)
        everything = whole.evaluate(now)
        assert {room: known[room] for room in picture(everything.alerts)} == picture(everything.alerts)
        if tell is Tell.SUMMARY:
            alarming = {alert.fingerprint for alert in everything.alerts if alert.ends_at is None}
            assert set(told.still) == alarming


@given(rounds, queriers)
@settings(max_examples=100, deadline=None)
def test_series_end_when_their_alert_does_and_not_before(history, querier):
    answers, written = querier(), Written()
    group = GroupState(make_group({"alert": "Hot", "expr": EXPR, "for": "20s"}), answers, written)
    alive = set()
    for number, (hot, _, _) in enumerate(history):
        answers.result[EXPR] = [({"room": room}, 1.0) for room in sorted(hot)]
        written.samples.clear()
        written.stale.clear()
        group.evaluate(after(number * STEP))
        now_written = {frozenset(labels.items()) for _, labels, _ in written.samples}
        ended = {frozenset(labels.items()) for _, labels in written.stale}
        assert ended == alive - now_written
        alive = now_written


@given(
    st.lists(st.sets(st.sampled_from(ROOMS)), min_size=1, max_size=12),
    st.integers(0, 11),
    st.sampled_from([0, 40]),
    queriers,
)
@settings(max_examples=100, deadline=None)
def test_a_reload_in_between_changes_nothing(history, at, hold, querier):
    answers = querier()
    rules = make_group({"alert": "Hot", "expr": EXPR, "for": f"{hold}s"}, {"record": "x", "expr": "heat"})
    steady, reloaded = GroupState(rules, answers, one := Written()), GroupState(rules, answers, other := Written())
    for number, hot in enumerate(history):
        now = after(number * STEP)
        if number == at:
            fresh = GroupState(rules, answers, other)
            fresh.adopt(reloaded, now)
            reloaded = fresh
        answers.result[EXPR] = answers.result["heat"] = [({"room": room}, float(number)) for room in sorted(hot)]
        first, second = steady.evaluate(now), reloaded.evaluate(now)
        assert picture(first.alerts) == picture(second.alerts)
    assert sorted(map(repr, one.samples)) == sorted(map(repr, other.samples))
    assert sorted(map(repr, one.stale)) == sorted(map(repr, other.stale))
