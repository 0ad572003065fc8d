from datetime import timedelta

import pytest

from bot.labels import Matcher, Op
from bot.rules.view import Wanted, alerts_json, first_page, rules_json
from tests.rulekit import NOW, after, failed

HOT = {
    "alert": "Hot",
    "expr": "heat > 5",
    "for": "1m",
    "keep_firing_for": "2m",
    "labels": {"severity": "info"},
    "annotations": {"summary": "{{ $value }}"},
}


def test_rules_and_alerts_look_as_in_prometheus(group_of, answers):
    group = group_of(HOT, {"record": "x", "expr": "heat", "labels": {"a": "b"}}, interval="30s", limit=7)
    answers.result["heat > 5"] = [({"room": "a"}, 7.5)]
    group.evaluate(NOW)
    answers.result["heat"] = failed("too much")
    group.evaluate(after(0.25))
    shown = rules_json([group], timedelta(seconds=15))
    alert = {
        "labels": {"alertname": "Hot", "room": "a", "severity": "info"},
        "annotations": {"summary": "7.5"},
        "state": "pending",
        "activeAt": "2026-11-21T02:00:00Z",
        "value": "7.5e+00",
    }
    assert shown == {
        "groups": [
            {
                "name": "g",
                "file": "f.yaml",
                "interval": 30.0,
                "limit": 7,
                "evaluationTime": 0,
                "lastEvaluation": "2026-11-21T02:00:00.25Z",
                "rules": [
                    {
                        "name": "Hot",
                        "query": "heat > 5",
                        "labels": {"severity": "info"},
                        "health": "ok",
                        "evaluationTime": 0,
                        "lastEvaluation": "2026-11-21T02:00:00.25Z",
                        "type": "alerting",
                        "state": "pending",
                        "duration": 60.0,
                        "keepFiringFor": 120.0,
                        "annotations": {"summary": "{{ $value }}"},
                        "alerts": [alert],
                    },
                    {
                        "name": "x",
                        "query": "heat",
                        "labels": {"a": "b"},
                        "health": "err",
                        "lastError": "too much",
                        "evaluationTime": 0,
                        "lastEvaluation": "2026-11-21T02:00:00.25Z",
                        "type": "recording",
                    },
                ],
            }
        ]
    }
    assert alerts_json([group]) == {"alerts": [alert]}


def test_a_rule_never_evaluated_is_unknown(group_of):
    (group,) = rules_json([group_of(HOT)], timedelta(seconds=15))["groups"]
    rule = group["rules"][0]
    assert (rule["health"], rule["lastEvaluation"], rule["state"], group["interval"]) == (
        "unknown",
        "0001-01-01T00:00:00Z",
        "inactive",
        15.0,
    )


def test_held_and_kept_alerts_say_so(group_of, answers):
    group = group_of({**HOT, "for": "0s"})
    answers.result["heat > 5"] = [({"room": "a"}, 7.5)]
    group.evaluate(NOW)
    answers.result["heat > 5"] = []
    group.evaluate(after(1))
    (kept,) = alerts_json([group])["alerts"]
    assert (kept["state"], kept["keepFiringSince"], "noData" in kept) == ("firing", "2026-11-21T02:00:01Z", False)
    answers.here["heat > 5"] = ()
    group.evaluate(after(2))
    (held,) = alerts_json([group])["alerts"]
    assert (held["state"], held["noData"]) == ("firing", True)


LOUD = {"alert": "Loud", "expr": "noise > 5", "labels": {"severity": "page"}}
COUNTED = {"record": "x", "expr": "heat", "labels": {"severity": "info"}}


def shown(of, **wanted):
    found = rules_json(of, timedelta(seconds=15), Wanted(**wanted))["groups"]
    return {group["name"]: [rule["name"] for rule in group["rules"]] for group in found}


def test_only_the_rules_that_are_asked_for(group_of):
    groups = [group_of(HOT, COUNTED, name="g"), group_of(LOUD, name="h")]
    assert shown(groups) == {"g": ["Hot", "x"], "h": ["Loud"]}
    assert shown(groups, kind="alert") == {"g": ["Hot"], "h": ["Loud"]}
    assert shown(groups, kind="record") == {"g": ["x"]}  # a group of which nothing is left is left out
    assert shown(groups, names=frozenset({"Loud", "x"})) == {"g": ["x"], "h": ["Loud"]}
    assert shown(groups, groups=frozenset({"h"})) == {"h": ["Loud"]}
    assert shown(groups, files=frozenset({"other.yaml"})) == {}
    page = (Matcher("severity", Op.EQUAL, "page"),)
    nothing = (Matcher("severity", Op.EQUAL, "none"),)
    assert shown(groups, matcher_sets=(page, nothing)) == {"h": ["Loud"]}


def test_alerts_can_be_left_out_of_rules(group_of, answers):
    group = group_of(HOT)
    answers.result["heat > 5"] = [({"room": "a"}, 7.5)]
    group.evaluate(NOW)
    ((rule,),) = [group["rules"] for group in rules_json([group], timedelta(), Wanted(alerts=False))["groups"]]
    assert (rule["state"], rule["alerts"]) == ("pending", None)


def test_groups_page_by_page(group_of):
    rules = rules_json([group_of(HOT, name=name) for name in "abc"], timedelta())
    first = first_page(rules, 2, "")
    assert [group["name"] for group in first["groups"]] == ["a", "b"]
    # SHA-1 of "f.yaml;c", as Prometheus makes its tokens.
    assert first["groupNextToken"] == "f81d32d207b40faf1cb8c98da91430db7cbdf98b"
    second = first_page(rules, 2, first["groupNextToken"])
    assert [group["name"] for group in second["groups"]] == ["c"]
    assert "groupNextToken" not in second
    with pytest.raises(ValueError, match="were rule groups changed"):
        first_page(rules, 2, "gone")
