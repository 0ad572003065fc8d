"""Expected values: Alertmanager's documentation of `inhibit_rule`."""

from __future__ import annotations

import pytest
from core_world import after, alert, ended, no_data
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.inhibition import Inhibition
from bot.incidents.model import AlertState, SuppressionKind
from bot.incidents.policy import InhibitRule

OUTAGE = InhibitRule(
    name="provider outage",
    source_matchers=('alertname="ProviderDown"',),
    target_matchers=('depends_on="provider"',),
    equal=("provider",),
)


def down(provider="openai", **changes):
    return alert("ProviderDown", labels={"agent": "gateway", "provider": provider}, **changes)


def dependant(name="Slow", **labels):
    return alert(name, labels={"depends_on": "provider", "provider": "openai"} | labels)


def hidden(*alerts, rules=(OUTAGE,)):
    found = Inhibition(rules).inhibited(alerts)
    return [one.name for one in alerts if one.fingerprint in found]


def test_while_the_source_fires_its_targets_are_hidden_and_told_why():
    found = Inhibition([OUTAGE]).inhibited([down(), dependant()])
    ((reason,),) = found.values()
    assert list(found) == [dependant().fingerprint]
    assert (reason.kind, reason.by, reason.until) == (SuppressionKind.INHIBITION, "provider outage", None)
    assert reason.why == 'ProviderDown of gateway fires, which explains it (inhibit rule "provider outage")'


def test_without_a_source_nothing_is_hidden():
    assert hidden(dependant()) == []


@pytest.mark.parametrize(
    ("source", "target", "same"),
    [
        ({"provider": "openai"}, {"provider": "openai"}, True),
        ({"provider": "openai"}, {"provider": "mistral"}, False),
        ({"provider": "openai"}, {"provider": ""}, False),
        ({"provider": ""}, {"provider": ""}, True),  # missing on both sides
    ],
)
def test_every_label_of_equal_has_one_value_and_a_missing_one_is_empty(source, target, same):
    assert hidden(down(source["provider"]), dependant(**target)) == (["Slow"] if same else [])


def test_without_equal_one_source_hides_every_target():
    rule = OUTAGE.model_copy(update={"equal": ()})
    assert hidden(down("openai"), dependant(provider="mistral"), rules=[rule]) == ["Slow"]


def test_missing_data_of_a_source_is_not_its_end():
    assert hidden(no_data(down()), dependant()) == ["Slow"]


def test_an_alert_that_matches_both_sides_does_not_inhibit_itself():
    rule = InhibitRule(name="all", source_matchers=('severity="critical"',), target_matchers=('agent=~".+"',))
    assert hidden(alert("A"), rules=[rule]) == []


def test_two_alerts_that_match_both_sides_do_not_inhibit_each_other_but_are_by_one_of_the_source_side_alone():
    rule = InhibitRule(name="both", source_matchers=('alertname=~"A|B|Root"',), target_matchers=('leaf="yes"',))
    a, b = alert("A", labels={"leaf": "yes"}), alert("B", labels={"leaf": "yes"})
    assert hidden(a, b, rules=[rule]) == []
    assert hidden(a, b, alert("Root"), rules=[rule]) == ["A", "B"]
    assert hidden(a, alert("Leaf", labels={"leaf": "yes"}), rules=[rule]) == ["Leaf"]


def test_a_source_that_is_itself_inhibited_still_inhibits():
    rules = [
        InhibitRule(name="1", source_matchers=('alertname="A"',), target_matchers=('alertname="B"',)),
        InhibitRule(name="2", source_matchers=('alertname="B"',), target_matchers=('alertname="C"',)),
    ]
    assert hidden(alert("A"), alert("B"), alert("C"), rules=rules) == ["B", "C"]


def circle(*names):
    pairs = zip(names, (*names[1:], names[0]), strict=True)
    return [
        InhibitRule(name=f"{a}-{b}", source_matchers=(f'alertname="{a}"',), target_matchers=(f'alertname="{b}"',))
        for a, b in pairs
    ]


def test_alerts_that_inhibit_each_other_leave_the_worst_to_wake_somebody():
    a, b = alert("A", labels={"severity": "warning"}), alert("B")
    assert hidden(a, b, rules=circle("A", "B")) == ["A"]


def test_of_two_as_bad_the_older_one_wakes_somebody():
    young, old = alert("A", starts_at=after(minutes=1)), alert("B")
    assert hidden(young, old, rules=circle("A", "B")) == ["A"]


def test_a_circle_with_a_cause_outside_is_hidden_whole():
    outside = InhibitRule(name="root", source_matchers=('alertname="Root"',), target_matchers=('alertname="A"',))
    assert hidden(alert("A"), alert("B"), alert("Root"), rules=[*circle("A", "B"), outside]) == ["A", "B"]


def test_what_an_alert_is_to_the_rules_is_asked_again_when_its_labels_change():
    inhibition = Inhibition([OUTAGE])
    same = alert("Slow", fingerprint="f")
    assert inhibition.inhibited([down(), same]) == {}
    changed = dependant().model_copy(update={"fingerprint": "f"})
    assert list(inhibition.inhibited([down(), changed])) == ["f"]


def test_what_ended_is_not_asked():
    assert ended(down(), after()).state is AlertState.RESOLVED
    assert hidden(dependant()) == []


NAMES = "ABCDE"
RULES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=8)


@given(RULES, st.sets(st.sampled_from(NAMES), min_size=1))
def test_some_alert_is_never_hidden_and_every_hidden_one_has_a_visible_cause_behind_it(pairs, names):
    rules = [
        InhibitRule(name=str(n), source_matchers=(f'alertname="{a}"',), target_matchers=(f'alertname="{b}"',))
        for n, (a, b) in enumerate(pairs)
    ]
    alerts = [alert(name) for name in sorted(names)]
    gone = set(hidden(*alerts, rules=rules))
    explained = names - gone
    assert explained
    while more := {b for a, b in pairs if a in explained and b in names and a != b} - explained:
        explained |= more
    assert gone <= explained
    assert all(any(b == name and a in names and a != b for a, b in pairs) for name in gone)
