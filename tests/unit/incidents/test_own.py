"""Alerts of agentpager's own: told, told again, over."""

from __future__ import annotations

from core_world import NOW, after, alert

from bot.incidents.model import AlertState, Severity
from bot.incidents.own import OwnAlert, reported

ANA = OwnAlert("no page to Ana", "gone", Severity.CRITICAL, {"person": "ana"}, "team:payments")
BEN = OwnAlert("no page to Ben", "a bot", Severity.WARNING, {"person": "ben"})


def tell(*told, known=(), now=NOW, held=lambda _: False, name="OwnerUnreachable"):
    return reported(name, told, known, "person:dan", now, held)


def states(alerts):
    return {one.labels["person"]: one.state for one in alerts}


def test_an_own_alert_has_the_labels_that_all_others_have():
    (one,) = tell(ANA)
    assert one.labels == {
        "alertname": "OwnerUnreachable",
        "person": "ana",
        "severity": "critical",
        "owner": "team:payments",
    }
    assert one.annotations == {"summary": "no page to Ana", "description": "gone"}
    assert (one.state, one.starts_at) == (AlertState.FIRING, NOW)


def test_without_an_owner_it_is_the_fallbacks():
    assert tell(BEN)[0].labels["owner"] == "person:dan"


def test_told_again_it_is_the_same_run_although_severity_and_owner_have_changed():
    known = tell(ANA)
    milder = OwnAlert(ANA.summary, ANA.description, Severity.WARNING, ANA.labels, "team:other")
    (again,) = tell(milder, known=known, now=after(hours=1))
    assert (again.fingerprint, again.starts_at) == (known[0].fingerprint, NOW)
    assert again.labels["severity"] == "warning"


def test_what_is_told_no_more_has_ended():
    found = tell(BEN, known=tell(ANA, BEN), now=after(hours=1))
    assert states(found) == {"ben": AlertState.FIRING, "ana": AlertState.RESOLVED}
    assert [one.ends_at for one in found] == [None, after(hours=1)]


def test_what_is_held_stays_as_it_was():
    assert tell(known=tell(ANA), held=lambda one: one.labels["person"] == "ana") == []


def test_alerts_of_other_names_and_of_rules_are_left_alone():
    known = [*tell(ANA, name="Other"), alert("OwnerUnreachable")]
    assert tell(known=known) == []
