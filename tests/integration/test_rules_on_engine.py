"""Rule groups on the real store and engine: what a vanished target does, recorded series in the same round."""

from __future__ import annotations

import numpy as np
import pytest

from bot.incidents.model import AlertState
from bot.promql.engine import Engine
from bot.promql.store import SeriesStore
from bot.rules.evaluate import GroupState
from bot.rules.load import builtin
from bot.rules.record import StoreRecorder
from tests.rulekit import NOW, after, make_group


@pytest.fixture
def store():
    return SeriesStore(7200)


def scrape(store, at, **series):
    """One scrape of agent a: `name=value`."""
    ids = np.array([store.intern({"__name__": name, "agent": "a"}) for name in series])
    store.append("a", at.timestamp(), ids, np.array(list(series.values()), dtype=float))


def group_on(store, *rules):
    return GroupState(make_group(*rules), Engine(store), StoreRecorder(store))


def told(evaluation):
    return [(alert.name, alert.state) for alert in evaluation.alerts]


def test_a_target_that_dies_leaves_its_alerts_held_and_its_own_down_alert(store):
    group = group_on(
        store,
        {"alert": "Hot", "expr": "heat > 5"},
        {"alert": "Errors", "expr": "sum by (agent) (rate(errors_total[1m])) > 1"},
        {"alert": "Down", "expr": "max by (agent) (up) == 0"},
    )
    for second in range(0, 61, 5):
        scrape(store, after(second), heat=7, errors_total=second * 10, up=1)
    assert told(group.evaluate(after(60))) == [("Hot", AlertState.FIRING), ("Errors", AlertState.FIRING)]
    store.mark_stale(
        after(65).timestamp(), np.array([store.intern({"__name__": n, "agent": "a"}) for n in ("heat", "errors_total")])
    )
    scrape(store, after(65), up=0)
    assert told(group.evaluate(after(66))) == [
        ("Hot", AlertState.NO_DATA),
        ("Errors", AlertState.FIRING),
        ("Down", AlertState.FIRING),
    ]
    scrape(store, after(125), up=0)
    assert told(group.evaluate(after(126)))[1] == ("Errors", AlertState.NO_DATA)
    scrape(store, after(130), heat=1, errors_total=0, up=1)
    assert told(group.evaluate(after(131))) == [
        ("Hot", AlertState.RESOLVED),
        ("Errors", AlertState.RESOLVED),
        ("Down", AlertState.RESOLVED),
    ]


def test_missing_data_is_an_alert_of_its_own_that_ends_with_it(store):
    group = group_on(store, {"alert": "Hot", "expr": "heat > 5", "labels": {"severity": "critical"}})
    (rule,) = [rule for rule in builtin()[0].rules if rule.alert == "RuleNoData"]
    built_in = group_on(store, rule.model_dump(by_alias=True, exclude_unset=True))
    scrape(store, NOW, heat=7)
    group.evaluate(NOW)
    store.mark_stale(after(15).timestamp(), np.array([store.intern({"__name__": "heat", "agent": "a"})]))
    for second in range(15, 140, 15):
        group.evaluate(after(second))
        assert built_in.evaluate(after(second)).alerts == () or second >= 135
    group.evaluate(after(150))
    (alert,) = built_in.evaluate(after(150)).alerts
    assert alert.labels == {"alertname": "RuleNoData", "severity": "warning", "rule": "Hot", "agent": "a"}
    assert alert.annotations["summary"] == "No data for Hot of a"
    scrape(store, after(165), heat=1)
    group.evaluate(after(165))
    assert told(built_in.evaluate(after(165))) == [("RuleNoData", AlertState.RESOLVED)]


def test_another_agents_data_does_not_count_as_this_ones(store):
    group = group_on(store, {"alert": "Hot", "expr": "max by (agent) (heat) > 5"})
    scrape(store, NOW, heat=7)
    other = np.array([store.intern({"__name__": "heat", "agent": "b"})])
    store.append("b", NOW.timestamp(), other, np.array([1.0]))
    group.evaluate(NOW)
    store.mark_stale(after(5).timestamp(), np.array([store.intern({"__name__": "heat", "agent": "a"})]))
    store.append("b", after(5).timestamp(), other, np.array([1.0]))
    assert told(group.evaluate(after(6))) == [("Hot", AlertState.NO_DATA)]


def test_a_rule_sees_what_an_earlier_rule_of_its_group_recorded_in_the_same_round(store):
    group = group_on(
        store,
        {"record": "agent:heat", "expr": "max by (agent) (heat)"},
        {"alert": "Hot", "expr": "agent:heat > 5"},
        {"alert": "Meta", "expr": 'ALERTS{alertname="Hot", alertstate="firing"} == 1'},
    )
    scrape(store, NOW, heat=7)
    found = [(alert.labels["alertname"], alert.labels["agent"]) for alert in group.evaluate(NOW).alerts]
    assert found == [("Hot", "a"), ("Meta", "a")]


def test_of_two_rules_that_write_different_values_into_one_series_the_second_fails(store):
    group = group_on(
        store,
        {"record": "most", "expr": "max(heat)"},
        {"record": "most", "expr": "max(heat) + 0"},
        {"record": "most", "expr": "max(heat) * 2"},
    )
    scrape(store, NOW, heat=7)
    (failure,) = group.evaluate(NOW).failures
    assert (failure.index, failure.rule) == (2, "most")
    assert failure.message == (
        f"duplicate sample for timestamp {NOW.timestamp() * 1000:.0f}; overrides not allowed: existing 7, new value 14"
    )


def test_a_rule_may_not_go_on_with_a_series_that_an_earlier_rule_has_just_ended(store):
    group = group_on(store, {"record": "most", "expr": "heat < 5"}, {"record": "most", "expr": "heat > 5"})
    scrape(store, NOW, heat=1)
    assert group.evaluate(NOW).failures == ()
    scrape(store, after(1), heat=7)
    (failure,) = group.evaluate(after(1)).failures
    assert "existing NaN, new value 7" in failure.message
    assert group.evaluate(after(2)).failures == ()


def test_a_rule_that_errors_is_a_series_that_the_built_in_alert_sees(store):
    group = group_on(
        store,
        {"alert": "Twice", "expr": 'label_replace(heat, "agent", "x", "", "")'},
        {"alert": "RuleFailing", "expr": "agentpager_rule_failing == 1"},
    )
    scrape(store, NOW, heat=7)
    store.append("b", NOW.timestamp(), np.array([store.intern({"__name__": "heat", "agent": "b"})]), np.array([1.0]))
    group.evaluate(NOW)
    (alert,) = group.evaluate(after(1)).alerts
    assert (alert.name, alert.labels["rule"]) == ("RuleFailing", "Twice")
