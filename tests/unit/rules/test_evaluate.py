import gc
import json
import weakref

import pytest

from bot.incidents.model import AlertState
from bot.joint import Update, decode, encode
from bot.rules.evaluate import GroupState, Surroundings
from tests.rulekit import NOW, Written, after, failed, make_group

HOT = {
    "alert": "Hot",
    "expr": "heat > 5",
    "labels": {"severity": "critical"},
    "annotations": {"summary": "{{ $labels.room }} is {{ $value }}"},
}
ROOM = [({"__name__": "heat", "room": "a"}, 7.0)]


def rule(**keys):
    return {**HOT, **keys}


def states(evaluation):
    return [(alert.labels.get("room"), alert.state.value) for alert in evaluation.alerts]


def test_without_for_an_alert_fires_at_once(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    (alert,) = group.evaluate(NOW).alerts
    assert alert.labels == {"alertname": "Hot", "room": "a", "severity": "critical"}
    assert alert.annotations == {"summary": "a is 7"}
    assert (alert.state, alert.value, alert.starts_at, alert.group) == (AlertState.FIRING, 7.0, NOW, "f.yaml;g")
    assert alert.ends_at is None


@pytest.mark.parametrize(("seconds", "told"), [(59, []), (60, [("a", "firing")]), (61, [("a", "firing")])])
def test_an_alert_fires_exactly_when_for_is_over(group_of, answers, seconds, told):
    group = group_of(rule(**{"for": "1m"}))
    answers.result["heat > 5"] = ROOM
    assert states(group.evaluate(NOW)) == []
    assert states(group.evaluate(after(seconds))) == told


def test_a_pending_alert_that_misses_one_round_starts_anew(group_of, answers):
    group = group_of(rule(**{"for": "1m"}))
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"] = []
    group.evaluate(after(30))
    answers.result["heat > 5"] = ROOM
    group.evaluate(after(45))
    assert states(group.evaluate(after(104))) == []
    assert states(group.evaluate(after(105))) == [("a", "firing")]


def test_a_resolved_alert_is_told_for_fifteen_minutes(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"] = []
    (alert,) = group.evaluate(after(60)).alerts
    assert (alert.state, alert.starts_at, alert.ends_at) == (AlertState.RESOLVED, NOW, after(60))
    assert states(group.evaluate(after(60 + 900))) == [("a", "resolved")]
    assert states(group.evaluate(after(60 + 901))) == []


def test_a_resolution_is_still_told_while_the_alert_is_pending_again(group_of, answers):
    group = group_of(rule(**{"for": "1m"}))
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    group.evaluate(after(60))
    answers.result["heat > 5"] = []
    group.evaluate(after(70))
    answers.result["heat > 5"] = ROOM
    assert states(group.evaluate(after(80))) == [("a", "resolved")]
    (alert,) = group.evaluate(after(140)).alerts
    assert (alert.state, alert.starts_at) == (AlertState.FIRING, after(140))


def test_keep_firing_for_holds_an_alert_that_is_no_longer_true(group_of, answers):
    group = group_of(rule(keep_firing_for="2m"))
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"] = []
    assert states(group.evaluate(after(60))) == [("a", "firing")]
    assert states(group.evaluate(after(179))) == [("a", "firing")]
    assert states(group.evaluate(after(180))) == [("a", "resolved")]


def test_being_true_again_restarts_keep_firing_for(group_of, answers):
    group = group_of(rule(keep_firing_for="2m"))
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"] = []
    group.evaluate(after(60))
    answers.result["heat > 5"] = ROOM
    group.evaluate(after(120))
    answers.result["heat > 5"] = []
    assert states(group.evaluate(after(150))) == [("a", "firing")]
    assert states(group.evaluate(after(269))) == [("a", "firing")]
    assert states(group.evaluate(after(270))) == [("a", "resolved")]


def test_data_that_vanishes_does_not_resolve(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    (alert,) = group.evaluate(after(60)).alerts
    assert (alert.state, alert.starts_at, alert.ends_at) == (AlertState.NO_DATA, NOW, None)
    assert states(group.evaluate(after(86400))) == [("a", "no_data")]


def missing(policy, group_of, answers):
    """A group whose one alert has fired and lost its data a minute ago."""
    group = group_of(rule(annotations={"no_data": policy} if policy else {}))
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    return group


@pytest.mark.parametrize(
    ("policy", "state", "told"),
    [
        ("", AlertState.NO_DATA, True),
        ("keep, alert", AlertState.NO_DATA, True),
        ("keep", AlertState.NO_DATA, False),
        ("alert", AlertState.RESOLVED, True),
        ("ok", AlertState.RESOLVED, False),
    ],
)
def test_the_rule_says_what_missing_data_means(group_of, answers, written, policy, state, told):
    group = missing(policy, group_of, answers)
    (alert,) = group.evaluate(after(60)).alerts
    assert alert.state is state
    assert alert.ends_at == (after(60) if state is AlertState.RESOLVED else None)
    expected = [(after(60).timestamp(), {"rule": "Hot", "room": "a"}, 1.0)] if told else []
    assert written.named("agentpager_alert_no_data") == expected


def test_the_series_of_missing_data_ends_when_the_data_is_back(group_of, answers, written):
    group = missing("", group_of, answers)
    group.evaluate(after(60))
    answers.here["heat > 5"] = (0,)
    group.evaluate(after(120))
    ended = [(t, labels) for t, labels in written.stale if labels["__name__"] == "agentpager_alert_no_data"]
    assert ended == [
        (after(120).timestamp(), {"__name__": "agentpager_alert_no_data", "rule": "Hot", "room": "a"}),
    ]


@pytest.mark.parametrize(("back", "told"), [(ROOM, "firing"), ([], "resolved")])
def test_data_that_comes_back_decides_again(group_of, answers, back, told):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    group.evaluate(after(60))
    answers.result["heat > 5"], answers.here["heat > 5"] = back, (0,)
    assert states(group.evaluate(after(120))) == [("a", told)]


def test_a_range_that_outlives_its_series_still_ends_in_no_data(group_of, answers):
    """The window keeps an alert true for a while after the target died; what was seen before must not be forgotten."""
    expr = "rate(errors[5m]) > 1"
    group = group_of(rule(expr=expr))
    answers.result[expr] = ROOM
    group.evaluate(NOW)
    answers.here[expr] = ()
    assert states(group.evaluate(after(60))) == [("a", "firing")]
    answers.result[expr] = []
    assert states(group.evaluate(after(400))) == [("a", "no_data")]


def test_one_of_two_series_gone_is_no_data(group_of, answers):
    expr = "a > 1 and b > 2"
    group = group_of(rule(expr=expr))
    answers.result[expr] = ROOM
    group.evaluate(NOW)
    answers.result[expr], answers.here[expr] = [], (0,)
    assert states(group.evaluate(after(15))) == [("a", "no_data")]


def test_a_selector_that_never_had_data_is_not_missed(group_of, answers):
    expr = "a > 1 or b > 2"
    group = group_of(rule(expr=expr))
    answers.result[expr], answers.here[expr] = ROOM, (1,)
    group.evaluate(NOW)
    answers.result[expr] = []
    assert states(group.evaluate(after(15))) == [("a", "resolved")]


def test_absent_resolves_when_its_series_comes(group_of, answers):
    expr = "absent(heat)"
    group = group_of(rule(expr=expr))
    answers.result[expr] = [({}, 1.0)]
    assert states(group.evaluate(NOW)) == [(None, "firing")]
    answers.result[expr] = []
    assert states(group.evaluate(after(15))) == [(None, "resolved")]


def test_a_human_ends_an_alert_held_without_data(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    (alert,) = group.evaluate(after(15)).alerts
    assert group.release("0000000000000000", after(16)) is False
    assert group.release(alert.fingerprint, after(16)) is True
    assert states(group.evaluate(after(30))) == [("a", "resolved")]


def test_a_human_does_not_end_an_alert_that_is_firing(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    (alert,) = group.evaluate(NOW).alerts
    assert group.release(alert.fingerprint, after(1)) is False


def test_a_failing_rule_keeps_its_alerts_and_says_so(group_of, answers, written):
    group = group_of(HOT, rule(alert="Cold", expr="cold"))
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"] = failed("over the sample limit")
    evaluation = group.evaluate(after(15))
    assert states(evaluation) == [("a", "firing")]
    assert [(f.index, f.rule, f.message) for f in evaluation.failures] == [(0, "Hot", "over the sample limit")]
    labels = {"group": "g", "file": "f.yaml"}
    assert written.named("agentpager_rule_failing")[-2:] == [
        (after(15).timestamp(), {"rule": "Hot", **labels}, 1.0),
        (after(15).timestamp(), {"rule": "Cold", **labels}, 0.0),
    ]


def test_a_bug_below_is_a_failing_rule_and_the_next_rule_runs(group_of, answers):
    group = group_of(rule(alert="Bug", expr="x"), HOT)
    answers.result["x"] = ZeroDivisionError("division by zero")
    answers.result["heat > 5"] = ROOM
    evaluation = group.evaluate(NOW)
    assert evaluation.failures[0].message == "ZeroDivisionError: division by zero"
    assert states(evaluation) == [("a", "firing")]


def test_two_results_with_the_same_labels_are_an_error(group_of, answers):
    group = group_of(rule(labels={"room": "all"}))
    answers.result["heat > 5"] = [({"room": "a"}, 7.0), ({"room": "b"}, 8.0)]
    evaluation = group.evaluate(NOW)
    assert evaluation.alerts == ()
    assert (
        evaluation.failures[0].message == "vector contains metrics with the same labelset after applying alert labels"
    )


@pytest.mark.parametrize(("limit", "failures"), [(0, 0), (2, 0), (1, 1)])
def test_more_alerts_than_the_limit_is_an_error_that_keeps_the_old_ones(group_of, answers, limit, failures):
    group = group_of(HOT, limit=limit)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"] = [*ROOM, ({"room": "b"}, 9.0)]
    evaluation = group.evaluate(after(15))
    assert len(evaluation.failures) == failures
    assert states(evaluation) == ([("a", "firing")] if failures else [("a", "firing"), ("b", "firing")])


def test_a_template_that_fails_at_run_time_says_why_in_its_place(group_of, answers):
    group = group_of(rule(annotations={"summary": "{{ humanize $labels.room }}"}))
    answers.result["heat > 5"] = ROOM
    (alert,) = group.evaluate(NOW).alerts
    assert alert.annotations["summary"].startswith("<error expanding template: error calling humanize")


def test_annotations_follow_the_value(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"] = [({"room": "a"}, 9.5)]
    (alert,) = group.evaluate(after(15)).alerts
    assert (alert.annotations["summary"], alert.value, alert.starts_at) == ("a is 9.5", 9.5, NOW)


def test_templates_see_the_sample_and_the_server_not_the_rules_own_labels(answers, written):
    added = rule(
        labels={"severity": "critical", "where": "{{ $labels.room }}-{{ $externalLabels.dc }}{{ $labels.severity }}"}
    )
    group = GroupState(make_group(added), answers, written, Surroundings({"dc": "eu"}, "http://x/p"))
    answers.result["heat > 5"] = ROOM
    assert group.evaluate(NOW).alerts[0].labels["where"] == "a-eu"


def test_templates_see_the_metric_name_and_the_alert_does_not_carry_it(group_of, answers):
    group = group_of(rule(annotations={"summary": "{{ $labels.__name__ }}"}))
    answers.result["heat > 5"] = ROOM
    (alert,) = group.evaluate(NOW).alerts
    assert (alert.annotations["summary"], "__name__" in alert.labels) == ("heat", False)


def test_a_label_that_renders_empty_is_no_label(group_of, answers):
    group = group_of(rule(labels={"room": "", "x": "{{ $labels.nope }}"}))
    answers.result["heat > 5"] = ROOM
    assert group.evaluate(NOW).alerts[0].labels == {"alertname": "Hot"}


def test_group_labels_apply_and_the_rules_own_win(group_of, answers):
    group = group_of(HOT, labels={"severity": "info", "team": "x"})
    answers.result["heat > 5"] = ROOM
    assert group.evaluate(NOW).alerts[0].labels == {
        "alertname": "Hot",
        "room": "a",
        "severity": "critical",
        "team": "x",
    }


def test_severity_none_stays_inside(group_of, answers, written):
    group = group_of({"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none"}})
    answers.result["vector(1)"] = [({}, 1.0)]
    assert group.evaluate(NOW).alerts == ()
    assert written.named("ALERTS") == [
        (NOW.timestamp(), {"alertname": "Watchdog", "alertstate": "firing", "severity": "none"}, 1.0)
    ]


def test_a_label_that_comes_to_nothing_has_its_templates_text_in_alerts(group_of, answers, written):
    labels = {"severity": "critical", "floor": "{{ $labels.floor }}", "none": ""}
    group = group_of(rule(labels=labels, **{"for": "0s"}))
    answers.result["heat > 5"] = ROOM
    (alert,) = group.evaluate(NOW).alerts
    assert "floor" not in alert.labels
    shown = {"alertname": "Hot", "room": "a", "severity": "critical", "floor": "{{ $labels.floor }}"}
    assert written.named("ALERTS") == [(NOW.timestamp(), {**shown, "alertstate": "firing"}, 1.0)]
    assert [labels for _, labels, _ in written.named("ALERTS_FOR_STATE")] == [shown]


def test_alerts_are_written_as_series_and_end_with_a_stale_marker(group_of, answers, written):
    group = group_of(rule(**{"for": "1m"}))
    answers.result["heat > 5"] = ROOM
    t = NOW.timestamp()
    group.evaluate(NOW)
    group.evaluate(after(60))
    answers.result["heat > 5"] = []
    group.evaluate(after(120))
    labels = {"alertname": "Hot", "room": "a", "severity": "critical"}
    assert written.named("ALERTS") == [
        (t, {**labels, "alertstate": "pending"}, 1.0),
        (t + 60, {**labels, "alertstate": "firing"}, 1.0),
    ]
    assert written.named("ALERTS_FOR_STATE") == [(t, labels, t), (t + 60, labels, t)]
    assert written.stale == [
        (t + 60, {"__name__": "ALERTS", **labels, "alertstate": "pending"}),
        (t + 120, {"__name__": "ALERTS", **labels, "alertstate": "firing"}),
        (t + 120, {"__name__": "ALERTS_FOR_STATE", **labels}),
    ]


def test_an_alert_held_without_data_is_firing_to_other_rules(group_of, answers, written):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    group.evaluate(after(15))
    assert written.named("ALERTS")[-1][1]["alertstate"] == "firing"


def test_recording_rules_write_in_order_and_mark_what_vanished(group_of, answers, written):
    group = group_of({"record": "room:heat", "expr": "max by (room) (heat)", "labels": {"unit": "c"}})
    answers.result["max by (room) (heat)"] = [({"room": "a"}, 7.0), ({"room": "b"}, 8.0)]
    group.evaluate(NOW)
    answers.result["max by (room) (heat)"] = [({"room": "b"}, 9.0)]
    group.evaluate(after(15))
    t = NOW.timestamp()
    assert written.named("room:heat") == [
        (t, {"room": "a", "unit": "c"}, 7.0),
        (t, {"room": "b", "unit": "c"}, 8.0),
        (t + 15, {"room": "b", "unit": "c"}, 9.0),
    ]
    assert written.stale == [(t + 15, {"__name__": "room:heat", "room": "a", "unit": "c"})]


def test_a_recording_rule_that_makes_one_series_of_two_is_an_error(group_of, answers, written):
    group = group_of({"record": "x", "expr": "heat", "labels": {"room": ""}})
    answers.result["heat"] = [({"room": "a"}, 7.0), ({"room": "b"}, 8.0)]
    assert (
        group.evaluate(NOW).failures[0].message
        == "vector contains metrics with the same labelset after applying rule labels"
    )
    assert written.named("x") == []


def test_query_offset_moves_the_question_and_what_is_written(group_of, answers, written):
    group = group_of(HOT, query_offset="1m")
    answers.result["heat > 5"] = ROOM
    assert group.evaluate(NOW).alerts[0].starts_at == NOW
    assert answers.asked == [("heat > 5", NOW.timestamp() - 60)]
    assert written.named("ALERTS")[0][0] == NOW.timestamp() - 60


def test_an_early_look_moves_alerts_and_writes_nothing(group_of, answers, written):
    group = group_of({"record": "x", "expr": "heat"}, HOT)
    answers.result["heat > 5"] = answers.result["heat"] = ROOM
    assert states(group.evaluate(NOW, early=True)) == [("a", "firing")]
    assert (written.samples, [text for text, _ in answers.asked]) == ([], ["heat > 5"])


# Restart


def restarted(group, evaluation, at, *rules, **keys):
    """A new process that got the saved state through JSON."""
    message = Update(group="g", evaluated_at=NOW, alerts=(), state=evaluation.state)
    state = decode(encode(message)).state
    fresh = GroupState(make_group(*rules, **keys), group._querier, Written())
    fresh.restore(state, at)
    return fresh


def test_pending_time_survives_a_restart_and_the_gap_does_not_count(group_of, answers):
    slow = rule(**{"for": "1m"})
    group = group_of(slow)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    saved = group.evaluate(after(40))
    fresh = restarted(group, saved, after(70), slow)
    assert states(fresh.evaluate(after(70))) == []
    assert states(fresh.evaluate(after(89))) == []
    assert states(fresh.evaluate(after(90))) == [("a", "firing")]


def test_a_gap_longer_than_for_restarts_pending(group_of, answers):
    slow = rule(**{"for": "1m"})
    group = group_of(slow)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    saved = group.evaluate(after(40))
    fresh = restarted(group, saved, after(40 + 61), slow)
    assert states(fresh.evaluate(after(101))) == []
    assert states(fresh.evaluate(after(160))) == []
    assert states(fresh.evaluate(after(161))) == [("a", "firing")]


def test_a_firing_alert_comes_back_as_it_was_however_long_the_gap(group_of, answers):
    slow = rule(**{"for": "1m"})
    group = group_of(slow)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    saved = group.evaluate(after(60))
    fresh = restarted(group, saved, after(7200), slow)
    (alert,) = fresh.evaluate(after(7200)).alerts
    assert (alert.state, alert.starts_at, alert.annotations) == (AlertState.FIRING, after(60), {"summary": "a is 7"})


def test_an_empty_store_after_a_restart_resolves_nothing(group_of, answers):
    expr = "rate(errors[10m]) > 1"
    group = group_of(rule(expr=expr))
    answers.result[expr] = ROOM
    saved = group.evaluate(NOW)
    fresh = restarted(group, saved, after(5), rule(expr=expr))
    answers.result[expr], answers.here[expr] = [], ()
    assert states(fresh.evaluate(after(5))) == [("a", "firing")]
    answers.here[expr] = (0,)
    assert states(fresh.evaluate(after(5 + 599))) == [("a", "firing")]
    assert states(fresh.evaluate(after(5 + 600))) == [("a", "resolved")]


def test_an_instant_rule_resolves_as_soon_as_its_data_is_back(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    saved = group.evaluate(NOW)
    fresh = restarted(group, saved, after(5), HOT)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    assert states(fresh.evaluate(after(5))) == [("a", "firing")]
    answers.here["heat > 5"] = (0,)
    assert states(fresh.evaluate(after(10))) == [("a", "resolved")]


def test_data_that_never_comes_back_after_a_restart_is_no_data_in_the_end(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    saved = group.evaluate(NOW)
    fresh = restarted(group, saved, NOW, HOT)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    assert states(fresh.evaluate(after(299))) == [("a", "firing")]
    assert states(fresh.evaluate(after(300))) == [("a", "no_data")]


def test_pending_time_does_not_pass_while_a_restarted_store_is_filling(group_of, answers):
    expr = "rate(errors[5m]) > 1"
    slow = rule(expr=expr, **{"for": "1m"})
    group = group_of(slow)
    answers.result[expr] = ROOM
    group.evaluate(NOW)
    saved = group.evaluate(after(40))
    fresh = restarted(group, saved, after(40), slow)
    answers.result[expr], answers.here[expr] = [], ()
    fresh.evaluate(after(50))
    fresh.evaluate(after(100))
    answers.result[expr], answers.here[expr] = ROOM, (0,)
    assert states(fresh.evaluate(after(110))) == []
    assert states(fresh.evaluate(after(120))) == [("a", "firing")]


def test_rules_on_recorded_series_wait_for_what_those_need(answers, written):
    expr = "room:errors:rate10m > 1"
    around = Surroundings(recorded_seconds={"room:errors:rate10m": 600.0})
    group = GroupState(make_group(rule(expr=expr)), answers, written, around)
    answers.result[expr] = ROOM
    saved = group.evaluate(NOW).state
    fresh = GroupState(make_group(rule(expr=expr)), answers, written, around)
    fresh.restore(saved, NOW)
    answers.result[expr] = []
    assert states(fresh.evaluate(after(599))) == [("a", "firing")]
    assert states(fresh.evaluate(after(600))) == [("a", "resolved")]


def test_alerts_of_a_rule_that_is_gone_end(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    saved = group.evaluate(NOW)
    fresh = restarted(group, saved, after(5), rule(alert="Other", expr="other"))
    (alert,) = fresh.evaluate(after(5)).alerts
    assert (alert.name, alert.state, alert.ends_at) == ("Hot", AlertState.RESOLVED, after(5))
    assert states(fresh.evaluate(after(906))) == []


def test_state_is_given_out_only_when_it_changed(group_of, answers):
    group = group_of(HOT)
    assert group.evaluate(NOW).state is None
    answers.result["heat > 5"] = ROOM
    state = group.evaluate(after(1)).state
    assert json.loads(json.dumps(state))["evaluated_at"] == after(1).timestamp()
    answers.result["heat > 5"] = [({"room": "a"}, 8.0)]
    assert group.evaluate(after(2)).state is None
    answers.result["heat > 5"] = []
    assert group.evaluate(after(3)).state is not None
    assert group.evaluate(after(4)).state is None


def test_while_something_is_pending_state_is_saved_every_five_seconds(group_of, answers):
    group = group_of(rule(**{"for": "1h"}))
    answers.result["heat > 5"] = ROOM
    given = [group.evaluate(after(second)).state is not None for second in range(12)]
    assert [second for second, saved in enumerate(given) if saved] == [0, 5, 10]


def test_a_rule_that_is_gone_is_saved_as_gone(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    saved = group.evaluate(NOW)
    fresh = restarted(group, saved, after(5), rule(alert="Other", expr="other"))
    assert fresh.evaluate(after(5)).state["rules"] == {}


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"version": 2, "evaluated_at": 0, "rules": {}},
        {"version": 1, "evaluated_at": 0, "rules": {"Hot{severity='critical'}": {"expr": "x", "alerts": [{}]}}},
        {"version": 1, "evaluated_at": "x", "rules": []},
    ],
)
def test_a_state_that_cannot_be_read_is_a_value_error_naming_the_group(group_of, state):
    with pytest.raises(ValueError, match=r"saved state of group f\.yaml;g cannot be read"):
        group_of(HOT).restore(state, NOW)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_json_does_not_know_survive(group_of, answers, value):
    group = group_of(HOT)
    answers.result["heat > 5"] = [({"room": "a"}, value)]
    fresh = restarted(group, group.evaluate(NOW), after(1), HOT)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    assert str(fresh.evaluate(after(1)).alerts[0].value) == str(value)


# Reload


def test_a_reload_keeps_alerts_of_rules_that_stay(group_of, answers, written):
    slow = rule(**{"for": "1m"})
    group = group_of(slow)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    fresh = GroupState(make_group(slow, rule(alert="New", expr="new")), answers, written)
    fresh.adopt(group, after(30))
    assert states(fresh.evaluate(after(60))) == [("a", "firing")]


def test_a_group_that_a_reload_replaced_is_freed_without_the_garbage_collector(group_of, answers):
    total = {"record": "heat:sum", "expr": "sum(heat)"}
    answers.result |= {"heat > 5": ROOM, "sum(heat)": [({}, 7.0)]}
    old, new = group_of(HOT, total), group_of(HOT, total)
    old.evaluate(NOW)
    new.adopt(old, after(15))
    new.evaluate(after(15))
    gone = [weakref.ref(one) for one in (old, *(rule for _, rule, _ in old.rules if rule is not None))]
    gc.disable()
    try:
        del old
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


def test_a_reload_ends_alerts_and_series_of_rules_that_went(group_of, answers, written):
    group = group_of(HOT, {"record": "x", "expr": "y"})
    answers.result["heat > 5"], answers.result["y"] = ROOM, ROOM
    group.evaluate(NOW)
    fresh = GroupState(make_group(rule(alert="New", expr="new")), answers, written)
    fresh.adopt(group, after(30))
    assert states(fresh.evaluate(after(60))) == [("a", "resolved")]
    assert sorted(labels["__name__"] for _, labels in written.stale) == [
        "ALERTS",
        "ALERTS_FOR_STATE",
        "agentpager_rule_failing",
        "agentpager_rule_failing",
        "x",
    ]


def test_a_group_that_went_ends_everything(group_of, answers, written):
    group = group_of(HOT)
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    evaluation = group.retire(after(10))
    assert states(evaluation) == [("a", "resolved")]
    assert evaluation.state is not None
    assert sorted(labels["__name__"] for _, labels in written.stale) == [
        "ALERTS",
        "ALERTS_FOR_STATE",
        "agentpager_rule_failing",
    ]


def test_an_edited_expression_is_not_believed_before_it_has_its_data(group_of, answers, written):
    group = group_of(rule(expr="rate(a[5m]) > 1"))
    answers.result["rate(a[5m]) > 1"] = ROOM
    group.evaluate(NOW)
    fresh = GroupState(make_group(rule(expr="rate(b[5m]) > 1")), answers, written)
    fresh.adopt(group, after(10))
    assert states(fresh.evaluate(after(20))) == [("a", "firing")]
    assert states(fresh.evaluate(after(310))) == [("a", "resolved")]


# As Prometheus does it


def test_without_our_hold_an_alert_whose_series_vanish_ends(answers, written):
    group = GroupState(make_group(HOT), answers, written, Surroundings(hold_without_data=False))
    answers.result["heat > 5"] = ROOM
    group.evaluate(NOW)
    answers.result["heat > 5"], answers.here["heat > 5"] = [], ()
    assert states(group.evaluate(after(15))) == [("a", "resolved")]
