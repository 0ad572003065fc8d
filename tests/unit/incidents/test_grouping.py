from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import AGENTS, BOOK, CHANNEL, GROUP, NOW, WORLD, after, alert, ended, no_data, observe, opened, woken

from bot.agents.model import Agent
from bot.incidents import grouping, people
from bot.incidents.decision import Decision, Say, World
from bot.incidents.escalation import due
from bot.incidents.model import AlertState, Event, Incident, Severity, State
from bot.incidents.policy import IncidentRules


def one(decisions: list[Decision]) -> Decision:
    (decision,) = decisions
    return decision


def settled(incidents: list[Incident], decisions: list[Decision]) -> list[Incident]:
    """The incidents as the store would hold them afterwards, without those that are over."""
    by_id = {incident.id: incident for incident in incidents} | {d.incident.id: d.incident for d in decisions}
    return [incident for incident in by_id.values() if not incident.over]


# Opening


@pytest.mark.parametrize(
    ("stage", "severity"), [("pilot", "critical"), ("crawl", "warning"), ("walk", "critical"), ("run", "critical")]
)
def test_at_the_stage_crawl_what_is_critical_is_a_warning(stage, severity):
    agents = {"refund-agent": Agent(id="refund-agent", owner="team:payments", stage=stage)}
    incident = one(observe([alert()], world=World(agents, BOOK, CHANNEL))).incident
    assert incident.severity == severity
    assert ("severity_why" in incident.alerts[0].annotations) is (stage == "crawl")


def test_an_alert_opens_an_incident_pages_the_owner_and_says_so():
    decision = one(observe([alert()]))
    incident = decision.incident
    assert decision.event is Event.FIRED
    assert decision.why == "ErrorsHigh fired; owner of agent refund-agent"
    assert woken(decision) == ["ana"]
    assert decision.say == (Say.CARD, Say.RUNBOOK)
    assert (incident.id, incident.state, incident.revision, incident.severity) == (
        "INC-1",
        State.OPEN,
        1,
        Severity.CRITICAL,
    )
    assert (incident.owner, incident.policy_id, incident.channel) == ("team:payments", "payments", "#refunds")
    assert incident.title == "ErrorsHigh of refund-agent"
    assert incident.alerts == (alert(),)


@pytest.mark.parametrize(
    ("agents", "labels", "channel"),
    [
        (AGENTS, {}, "#refunds"),
        ({"refund-agent": Agent(id="refund-agent", owner="team:payments")}, {}, "#payments-agents"),
        ({"refund-agent": Agent(id="refund-agent", owner="person:ana")}, {}, CHANNEL),
        ({}, {"agent": "", "owner": "team:payments"}, "#payments-agents"),
    ],
)
def test_the_channel_is_the_agents_else_the_teams_else_the_default(agents, labels, channel):
    assert opened(alert(labels=labels), world=World(agents, BOOK, CHANNEL)).channel == channel


def test_two_alerts_of_one_agent_are_one_incident_with_the_worse_severity():
    decision = one(observe([alert("Slow", labels={"severity": "warning"}), alert("Down")]))
    assert decision.incident.severity is Severity.CRITICAL
    assert decision.incident.title == "Down of refund-agent"
    assert [held.name for held in decision.incident.alerts] == ["Slow", "Down"]


def test_another_owner_means_another_incident():
    decisions = observe([alert(), alert(labels={"owner": "person:cat"})])
    assert [decision.incident.key for decision in decisions] == [
        "agent=refund-agent owner=team:payments",
        "agent=refund-agent owner=person:cat",
    ]


def test_alerts_without_an_agent_are_grouped_by_name_and_owner():
    keys = [
        decision.incident.key
        for decision in observe(
            [
                alert("A", labels={"agent": "", "owner": "ana", "host": "1"}),
                alert("A", labels={"agent": "", "owner": "ana", "host": "2"}),
                alert("B", labels={"agent": "", "owner": "ana"}),
            ]
        )
    ]
    assert keys == ["alert=A owner=person:ana", "alert=B owner=person:ana"]


@pytest.mark.parametrize(
    ("group_by", "labels", "key"),
    [
        (["agent", "cause"], {"cause": "cost"}, "agent=refund-agent cause=cost owner=team:payments"),
        (["agent", "cause"], {}, "agent=refund-agent owner=team:payments"),
        (["agent", "cause"], {"agent": "", "owner": "ana", "cause": "cost"}, "alert=A cause=cost owner=person:ana"),
        (["agent"], {"cause": "cost"}, "agent=refund-agent owner=team:payments"),
        (["provider"], {"provider": "openai"}, "provider=openai owner=team:payments"),
        (["provider"], {}, "owner=team:payments"),
        ([], {}, "owner=team:payments"),
        (["..."], {}, "agent=refund-agent alertname=A severity=critical owner=team:payments"),
        (["cause"], {"cause": 'a "b" owner=c'}, r'cause="a \"b\" owner=c" owner=team:payments'),
    ],
)
def test_alerts_with_equal_labels_and_one_owner_are_one_incident(group_by, labels, key):
    rules = IncidentRules.model_validate({"grouping": [{"group_by": group_by}]})
    assert opened(alert("A", labels=labels), world=World(AGENTS, BOOK, CHANNEL, rules)).key == key


def test_an_incident_that_is_not_grouped_by_agent_is_of_no_agent_and_in_its_teams_channel():
    rules = IncidentRules.model_validate({"grouping": [{"group_by": ["provider"]}]})
    incident = opened(alert(labels={"provider": "openai"}), world=World(AGENTS, BOOK, CHANNEL, rules))
    assert (incident.agent, incident.channel, incident.policy_id) == (None, "#payments-agents", "payments")


def test_the_first_entry_whose_matchers_hold_says_how_to_group():
    entries = [
        {"matchers": ['severity="warning"'], "group_by": ["tool"]},
        {"matchers": ['agent="refund-agent"'], "group_by": ["alertname"]},
    ]
    world = World(AGENTS, BOOK, CHANNEL, IncidentRules.model_validate({"grouping": entries}))
    keys = {
        severity: opened(alert(labels={"severity": severity, "tool": "search"}), world=world).key
        for severity in ("warning", "critical")
    }
    assert keys == {
        "warning": "tool=search owner=team:payments",
        "critical": "alertname=ErrorsHigh owner=team:payments",
    }
    other = alert(labels={"agent": "other", "owner": "ana"})
    assert opened(other, world=world).key == "agent=other owner=person:ana", "the default is left"


def test_alerts_about_agentpager_itself_are_grouped_by_name_whatever_the_rules_say():
    rules = IncidentRules.model_validate({"grouping": [{"group_by": ["..."]}]})
    decisions = observe([alert(labels={"agent": "new"})], world=World(AGENTS, BOOK, CHANNEL, rules))
    assert decisions[1].incident.key == "alert=AlertUnowned owner=person:dan"


@pytest.mark.parametrize("severity", ["info", "none"])
def test_info_wakes_nobody_and_none_is_not_even_shown(severity):
    decisions = observe([alert(labels={"severity": severity})])
    if severity == "none":
        assert decisions == []
    else:
        decision = one(decisions)
        assert (decision.wake, decision.say, decision.incident.next_at) == ((), (Say.CARD,), None)


def test_an_alert_that_has_ended_before_it_was_seen_opens_nothing():
    assert observe([ended(alert(), NOW)]) == []


def test_an_alert_first_seen_without_data_pages():
    assert woken(one(observe([no_data(alert())]))) == ["ana"]


@pytest.mark.parametrize(
    ("summary", "title"),
    [
        ("  two\n lines  ", "two lines"),
        ("", "ErrorsHigh"),
        ("x" * 121, "x" * 119 + "…"),
        ("x" * 120, "x" * 120),
    ],
)
def test_the_title_is_one_short_line(summary, title):
    assert opened(alert(annotations={"summary": summary})).title == title


def test_an_alert_without_any_name_has_a_title():
    assert opened(alert("", annotations={})).title == "unnamed alert"


# While it goes on


def test_the_same_report_again_changes_nothing():
    assert observe([alert()], [opened()], after(seconds=15)) == []
    assert observe([alert()], [opened()], after(minutes=10)) == []


def test_a_nan_that_stays_nan_changes_nothing():
    incident = opened(alert(value=float("nan")))
    assert observe([alert(value=float("nan"))], [incident], after(minutes=10)) == []


def test_new_values_alone_are_worth_an_edit_once_a_minute():
    incident = opened()
    assert observe([alert(value=0.5)], [incident], after(seconds=59)) == []
    decision = one(observe([alert(value=0.5)], [incident], after(seconds=60)))
    assert decision.event is None
    assert (decision.wake, decision.say, decision.cancel) == ((), (), False)
    assert decision.incident.alerts[0].value == 0.5
    assert (decision.incident.revision, decision.incident.observed_at) == (2, after(seconds=60))
    assert observe([alert(value=0.6)], [decision.incident], after(seconds=119)) == []


def test_an_alert_joins_without_waking_anybody_again():
    decision = one(observe([alert(), alert("Other")], [opened()], after(minutes=1)))
    assert (decision.event, decision.why, decision.wake) == (Event.FIRED, "Other joined", ())
    assert decision.incident.next_at == after(minutes=5)


def test_the_report_of_another_group_does_not_touch_these_alerts():
    assert observe([], [opened()], after(minutes=1), group="other.yaml;other") == []


def test_two_groups_that_report_in_turn_do_not_count_as_change():
    other = alert("Other", group="other.yaml;other")
    incident = opened(alert(), other)
    for minutes in range(2, 10, 2):
        assert observe([alert()], [incident], after(minutes=minutes)) == []
        assert observe([other], [incident], after(minutes=minutes + 1), group="other.yaml;other") == []


# Missing data


def test_an_alert_that_is_not_reported_any_more_is_held_not_resolved():
    decision = one(observe([], [opened()], after(minutes=1)))
    assert decision.incident.state is State.OPEN
    assert decision.incident.alerts[0].state is AlertState.NO_DATA
    assert (decision.why, decision.cancel) == ("ErrorsHigh is no_data", False)
    assert decision.incident.next_at == after(minutes=5)
    assert observe([], [decision.incident], after(minutes=10)) == []


def test_no_data_is_held_and_said():
    decision = one(observe([no_data(alert())], [opened()], after(minutes=1)))
    assert decision.incident.state is State.OPEN
    assert decision.why == "ErrorsHigh is no_data"


def test_data_that_returns_is_news_but_wakes_nobody():
    held = one(observe([], [opened()], after(minutes=1))).incident
    decision = one(observe([alert()], [held], after(minutes=2)))
    assert (decision.why, decision.wake) == ("ErrorsHigh is firing", ())


def test_a_rule_gone_from_the_configuration_ends_its_alert():
    decision = one(observe([], [opened()], after(minutes=1), rules=frozenset({"Other"})))
    assert decision.event is Event.CLEARED


def test_a_rule_that_is_still_configured_holds_its_alert():
    decision = one(observe([], [opened()], after(minutes=1), rules=frozenset({"ErrorsHigh"})))
    assert decision.incident.state is State.OPEN


def test_a_group_gone_from_the_configuration_ends_its_alerts():
    kept = grouping.drop_groups([opened()], frozenset({GROUP}), WORLD, after(minutes=1))
    gone = grouping.drop_groups([opened()], frozenset({"other.yaml;other"}), WORLD, after(minutes=1))
    assert kept == []
    assert one(gone).event is Event.CLEARED


# Clearing


def test_an_incident_clears_when_its_last_alert_has_ended():
    incident = opened(alert(), alert("Other"))
    first = one(observe([ended(alert(), after(minutes=1)), alert("Other")], [incident], after(minutes=1)))
    assert (first.event, first.why) == (Event.FIRED, "ErrorsHigh is resolved")
    last = one(observe([ended(alert("Other"), after(minutes=2))], [first.incident], after(minutes=2)))
    assert (last.event, last.why, last.say, last.cancel) == (
        Event.CLEARED,
        "every alert has ended",
        (Say.RESOLVED,),
        True,
    )
    cleared = last.incident
    assert (cleared.state, cleared.how_resolved, cleared.next_at, cleared.over) == (
        State.RESOLVED,
        "cleared",
        None,
        True,
    )


def test_an_acked_incident_clears_too():
    acked = people.ack(opened(), "person:ana", NOW).incident
    assert one(observe([ended(alert(), NOW)], [acked])).event is Event.CLEARED


def test_one_alert_ends_and_another_of_the_same_agent_fires_in_one_report():
    decision = one(observe([ended(alert(), NOW), alert("Other")], [opened()]))
    assert decision.incident.state is State.OPEN
    assert decision.incident.id == "INC-1"


def test_after_it_cleared_the_next_firing_is_a_new_incident():
    cleared = one(observe([ended(alert(), NOW)], [opened()])).incident
    assert cleared.over
    again = one(observe([alert(starts_at=after(hours=1))], [], after(hours=1)))
    assert woken(again) == ["ana"]


def test_a_resolved_alert_told_again_for_a_while_changes_nothing():
    incident = opened(alert(), alert("Other"))
    report = [ended(alert(), after(minutes=1)), alert("Other")]
    first = one(observe(report, [incident], after(minutes=1))).incident
    assert observe(report, [first], after(minutes=2)) == []


def test_ended_alerts_do_not_pile_up_for_ever():
    incident = opened(alert("Steady"))
    for number in range(300):
        churn = alert(labels={"pod": f"pod-{number}"})
        at = after(minutes=number)
        for report in ([alert("Steady"), churn], [alert("Steady"), ended(churn, at)]):
            for decision in observe(report, [incident], at):
                incident = decision.incident
    assert len(incident.alerts) <= 60
    assert incident.severity is Severity.CRITICAL


def test_the_severity_an_incident_had_once_is_kept_when_its_worst_alert_has_ended():
    incident = opened(alert("Down"), alert("Slow", labels={"severity": "warning"}))
    report = [ended(alert("Down"), NOW), alert("Slow", labels={"severity": "warning"})]
    assert one(observe(report, [incident])).incident.severity is Severity.CRITICAL


# Worsening


def warning(name: str = "Slow"):
    return alert(name, labels={"severity": "warning"})


def test_an_acked_incident_that_worsens_opens_again_from_the_first_step():
    acked = people.ack(opened(warning()), "person:ben", NOW).incident
    decision = one(observe([warning(), alert("Down")], [acked], after(minutes=1)))
    assert decision.event is Event.WORSENED
    assert decision.why == "Down raised it to critical"
    assert woken(decision) == ["ana"]
    assert (decision.incident.state, decision.incident.acked_by) == (State.OPEN, None)


def test_an_acked_incident_that_another_alert_as_bad_joins_stays_acked():
    acked = people.ack(opened(), "person:ana", NOW).incident
    decision = one(observe([alert(), alert("Other")], [acked], after(minutes=1)))
    assert (decision.incident.state, decision.wake) == (State.ACKED, ())


def test_an_open_incident_that_worsens_pages_anew_as_urgently_as_it_is_now():
    """Whoever was told of a warning quietly, and the levels that are for critical only, have not heard of this."""
    second = due(opened(warning()), WORLD, after(minutes=5))
    assert second is not None
    decision = one(observe([warning(), alert("Down")], [second.incident], after(minutes=6)))
    assert (decision.event, decision.incident.severity) == (Event.WORSENED, Severity.CRITICAL)
    assert (woken(decision), decision.cancel) == (["ana"], True)
    assert decision.incident.next_at == after(minutes=11)
    again = observe([warning(), alert("Down"), alert("Other")], [decision.incident], after(minutes=7))
    assert [each.wake for each in again] == [()], "as bad as what they know: no second page"


def test_an_incident_that_nobody_answered_and_that_worsens_asks_no_fewer_than_before():
    alone = opened(warning()).model_copy(update={"step": 2, "round": 2, "exhausted": True, "widened": 1})
    decision = one(observe([warning(), alert("Down")], [alone], after(minutes=1)))
    assert (decision.event, woken(decision)) == (Event.WORSENED, ["dan", "ana", "ben", "cat"])


def info(name: str = "Note"):
    return alert(name, labels={"severity": "info"})


@pytest.mark.parametrize("acked", [False, True])
def test_an_info_incident_that_worsens_pages_and_gets_its_runbook(acked):
    incident = opened(info())
    if acked:
        incident = people.ack(incident, "person:ben", NOW).incident
    decision = one(observe([info(), alert("Down")], [incident], after(minutes=1)))
    assert decision.event is Event.WORSENED
    assert woken(decision) == ["ana"]
    assert Say.RUNBOOK in decision.say
    assert Say.CARD not in decision.say


def test_an_info_incident_that_was_passed_on_and_given_back_pages_when_it_worsens():
    passed = people.decline(opened(info()), "person:ana", WORLD, NOW).incident
    quiet = people.release(people.ack(passed, "person:ben", NOW).incident, "person:ben", WORLD, NOW).incident
    decision = one(observe([info(), alert("Down")], [quiet], after(minutes=1)))
    assert woken(decision) == ["ana"]
    assert decision.incident.next_at == after(minutes=6)


# Closed by hand


def closed(*alerts):
    return people.resolve(opened(*alerts), "person:ana", NOW).incident


def test_the_alert_it_was_closed_over_does_not_open_it_again_at_once():
    assert observe([alert()], [closed()], after(minutes=1)) == []
    decision = one(observe([alert(value=0.9)], [closed()], after(minutes=2)))
    assert (decision.event, decision.incident.state, decision.wake) == (None, State.RESOLVED, ())


def test_when_the_alert_ends_it_is_over():
    decision = one(observe([ended(alert(), after(minutes=1))], [closed()], after(minutes=1)))
    assert decision.event is None
    assert decision.incident.over


def test_another_alert_of_the_agent_is_a_new_incident():
    decision = one(observe([alert(), alert("Other")], [closed()], after(minutes=1)))
    assert (decision.incident.id, decision.event) == ("INC-2", Event.FIRED)
    assert [held.name for held in decision.incident.alerts] == ["Other"]


def test_a_new_run_of_the_same_alert_is_a_new_incident_and_the_old_one_is_over():
    again = alert(starts_at=after(minutes=30))
    decisions = observe([again], [closed()], after(minutes=30))
    old, new = sorted(decisions, key=lambda decision: decision.incident.id)
    assert old.incident.id == "INC-1"
    assert old.incident.over
    assert (new.incident.id, woken(new)) == ("INC-2", ["ana"])


def test_what_a_human_closed_joins_the_incident_that_has_opened_since_when_it_goes_on():
    """Two unresolved incidents of one key may never be: this one would otherwise open beside the other."""
    watched = closed()
    other = one(observe([alert(), alert("Other")], [watched], after(minutes=1))).incident
    decisions = grouping.carry_over(watched, other, WORLD, after(hours=1))
    (over,) = [decision for decision in decisions if decision.incident.id == "INC-1"]
    (joined,) = [decision for decision in decisions if decision.incident.id == "INC-2"]
    assert over.incident.over
    assert joined.why == "ErrorsHigh joined"
    assert {held.name for held in joined.incident.going_on} == {"ErrorsHigh", "Other"}
    assert joined.incident.state is State.OPEN


# Alerts without an owner


def orphan(name: str = "ErrorsHigh", agent: str = "new-agent", **changes):
    return alert(name, labels={"agent": agent}, **changes)


def test_an_alert_without_an_owner_pages_the_fallback_and_says_why_in_a_second_incident():
    first, second = observe([orphan()])
    assert woken(first) == ["dan"]
    assert first.incident.owner_why == "agent new-agent is not registered, so the fallback has it"
    assert second.incident.title == "Nobody owns new-agent"
    assert (second.incident.owner, second.incident.severity) == ("person:dan", Severity.WARNING)
    assert second.incident.alerts[0].name == "AlertUnowned"


def test_two_alerts_without_an_owner_for_one_cause_are_told_once():
    assert len(observe([orphan(), orphan("Other")])) == 2


def test_the_second_incident_is_not_missed_by_the_next_report():
    incidents = [decision.incident for decision in observe([orphan()])]
    assert observe([orphan()], incidents, after(minutes=1)) == []


def test_the_second_incident_ends_with_the_alert():
    incidents = [decision.incident for decision in observe([orphan()])]
    decisions = observe([ended(orphan(), after(minutes=1))], incidents, after(minutes=1))
    assert [decision.event for decision in decisions] == [Event.CLEARED, Event.CLEARED]


def test_the_second_incident_ends_when_the_agent_has_got_an_owner():
    incidents = [decision.incident for decision in observe([orphan()])]
    registered = World({**AGENTS, "new-agent": Agent(id="new-agent", owner="ana")}, BOOK, CHANNEL)
    decision = one(observe([orphan()], incidents, after(minutes=1), world=registered))
    assert (decision.incident.id, decision.event) == ("INC-2", Event.CLEARED)


def test_each_cause_ends_by_itself():
    incidents = [decision.incident for decision in observe([orphan(), orphan(agent="second-agent")])]
    decisions = observe([ended(orphan(), NOW), orphan(agent="second-agent")], incidents, after(minutes=1))
    unowned = next(d.incident for d in decisions if d.incident.title.startswith("Nobody owns"))
    assert unowned.state is State.OPEN
    assert [held.state for held in unowned.alerts] == [AlertState.RESOLVED, AlertState.FIRING]


def test_it_is_a_long_story_and_no_incident_is_lost_in_it():
    incidents: list[Incident] = []
    for minute, report in enumerate(
        [[alert()], [alert(), orphan()], [ended(alert(), NOW), orphan()], [orphan()], [ended(orphan(), NOW)]]
    ):
        incidents = settled(incidents, observe(report, incidents, after(minutes=minute)))
    assert incidents == []


def test_refreshing_for_a_day_costs_one_edit_a_minute_at_most():
    incident, edits = opened(), 0
    for tick in range(1, 4 * 60 * 24):
        at = NOW + timedelta(seconds=15 * tick)
        for decision in observe([alert(value=float(tick))], [incident], at):
            incident, edits = decision.incident, edits + 1
    assert edits == 60 * 24 - 1
