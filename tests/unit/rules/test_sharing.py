"""A group whose alerts another replica evaluates, and one that is taken over from it."""

from __future__ import annotations

import json

from bot.incidents.model import AlertState
from bot.rules.evaluate import Tell
from tests.rulekit import NOW, after, failed

HOT = {"alert": "Hot", "expr": "heat > 5", "for": "1m", "labels": {"severity": "critical"}}
MEAN = {"record": "heat:mean", "expr": "avg(heat)"}
ROOM = [({"__name__": "heat", "room": "a"}, 7.0)]
DAYS = after(-86400)


def saved(group, answers, *seconds):
    """What a replica has saved that saw the room get hot at the first of these."""
    answers.result["heat > 5"] = ROOM
    states = [group.evaluate(after(at)).state for at in seconds]
    return json.loads(json.dumps([state for state in states if state is not None][-1]))


def test_alerts_of_another_replica_are_seen_and_written_but_neither_evaluated_nor_told(group_of, answers, written):
    state = saved(group_of(HOT, MEAN), answers, 0, 60)
    answers.result = {"avg(heat)": [({}, 6.0)]}
    answers.asked.clear()
    group = group_of(HOT, MEAN)
    written.samples.clear()
    group.mirror(state, after(62))
    evaluation = group.evaluate(after(75), tell=Tell.SUMMARY)
    assert (evaluation.alerts, evaluation.still, evaluation.state) == ((), None, None)
    assert [text for text, _ in answers.asked] == ["avg(heat)"]
    ((_, labels, value),) = written.named("ALERTS")
    assert (labels["room"], labels["alertstate"], value) == ("a", "firing", 1.0)
    assert [value for _, _, value in written.named("heat:mean")] == [6.0]


def test_a_newer_state_goes_on_with_the_same_series_and_an_empty_one_ends_them(group_of, answers, written):
    state = saved(group_of(HOT), answers, 0, 60)
    group = group_of(HOT)
    group.mirror(state, after(62))
    group.evaluate(after(75))
    group.mirror(state, after(80))
    written.stale.clear()
    group.evaluate(after(90))
    assert written.stale == []
    group.mirror(None, after(95))
    group.evaluate(after(105))
    assert {labels["__name__"] for _, labels in written.stale} == {"ALERTS", "ALERTS_FOR_STATE"}


def test_a_rule_that_fails_elsewhere_is_shown_as_failing_here(group_of, answers, written):
    other = group_of(HOT)
    answers.result["heat > 5"] = failed("broken")
    state = other.evaluate(NOW).state
    assert state is not None
    group = group_of(HOT)
    group.mirror(json.loads(json.dumps(state)), NOW)
    written.samples.clear()
    group.evaluate(after(15))
    assert [value for _, _, value in written.named("agentpager_rule_failing")] == [1.0]
    answers.result["heat > 5"] = []
    assert other.evaluate(after(15)).state is not None, "that it works again is saved too"


def test_for_goes_on_over_a_change_of_hands_as_if_nothing_had_happened(group_of, answers):
    state = saved(group_of(HOT), answers, 0, 15)
    group = group_of(HOT)
    group.mirror(state, after(16))
    group.take_up(state, after(15), DAYS)
    for at in (30, 45):  # nobody has played these rounds
        group.look(after(at), early=True)
    (alert,) = group.evaluate(after(60), tell=Tell.SUMMARY).alerts
    assert (alert.state, alert.starts_at) == (AlertState.FIRING, after(60))


def test_a_round_that_is_caught_up_with_tells_nothing_and_loses_nothing(group_of, answers):
    state = saved(group_of(HOT), answers, 0, 15)
    group = group_of(HOT)
    group.take_up(state, after(15), DAYS)
    for at in (30, 45, 60):
        group.look(after(at), early=True)
    (alert,) = group.evaluate(after(63), tell=Tell.SUMMARY).alerts
    assert (alert.state, alert.starts_at) == (AlertState.FIRING, after(60))


def test_what_ended_while_nobody_looked_has_ended(group_of, answers):
    """There are samples of all that time, so nothing has to be held."""
    state = saved(group_of(HOT), answers, 0, 60)
    group = group_of(HOT)
    answers.result["heat > 5"] = []
    group.take_up(state, after(60), DAYS)
    evaluation = group.evaluate(after(75), tell=Tell.SUMMARY)
    assert [alert.state for alert in evaluation.alerts] == [AlertState.RESOLVED]


def test_where_the_watcher_has_just_begun_a_firing_alert_is_held(group_of, answers):
    state = saved(group_of(HOT), answers, 0, 60)
    group = group_of(HOT)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    group.take_up(state, after(70), after(65))
    assert group.evaluate(after(75), tell=Tell.SUMMARY).still != ()
