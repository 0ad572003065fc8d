from datetime import timedelta

from bot.rules.view import alerts_json, rules_json
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
