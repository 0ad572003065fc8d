"""What a drill is: whom it wakes, what may be done to it, and that nothing is taken for one which is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from core_world import AGENTS, BOOK, NOW, POLICY, WORLD, after, alert, opened, woken

from bot.agents.model import Agent, Stage
from bot.errors import ConflictError, UsageError
from bot.incidents import drill, escalation, grouping, people, steps
from bot.incidents.decision import Say
from bot.incidents.drill import Drills
from bot.incidents.model import BY_HAND, AlertState, Severity, State, StepMark
from bot.incidents.policy import IncidentRules, InhibitRule
from bot.oncall.model import Step

STEP = steps.Named("stop", "step 2 · Stop it")


def begun(agent: str = "refund-agent", drills: Drills | None = None, world=WORLD, **more):
    return drill.begun(drills or Drills(), agent, "person:dan", "Dan", world, NOW, **more)


def fired(agent: str = "refund-agent", number: int = 1, **changes):
    labels = {"agent": agent, "drill": f"DRILL-{number}"}
    return alert(drill.ALERT, group=drill.RULE_GROUP, labels=labels, starts_at=after(seconds=1), **changes)


def started(world=WORLD, now=NOW, **more):
    drills, one = begun(world=world, **more)
    assert drill.of_alert(fired(), drills) == one
    return drill.opened(one, fired(), 7, world, now)


# It begins, or says why not


@pytest.mark.parametrize(
    ("agents", "named", "told"),
    [
        (AGENTS, "refund-agnt", 'there is no agent "refund-agnt"; did you mean "refund-agent"'),
        (
            {"refund-agent": Agent(id="refund-agent", owner="team:payments", stage=Stage.RETIRED)},
            "refund-agent",
            "refund-agent is retired: nobody is paged for it any more",
        ),
        (
            {"refund-agent": Agent(id="refund-agent", owner="team:gone")},
            "refund-agent",
            'nobody answers for refund-agent: owner "team:gone" of agent refund-agent is unknown',
        ),
    ],
)
def test_what_cannot_be_drilled_says_why(agents, named, told):
    with pytest.raises(UsageError) as refused:
        begun(named, world=replace(WORLD, agents=agents))
    assert told in str(refused.value)


def test_nobody_on_call_is_told_with_the_way_out():
    empty = POLICY.model_copy(update={"steps": (Step(notify=("schedule:none",), wait=timedelta(minutes=5)),)})
    world = replace(WORLD, book=BOOK.model_copy(update={"escalation_policies": {"payments": empty}}))
    with pytest.raises(UsageError) as refused:
        begun(world=world)
    assert "(schedule:none: no such schedule); put somebody on call" in str(refused.value)


def test_a_runbook_that_there_is_not_is_told_with_the_nearest():
    with pytest.raises(UsageError) as refused:
        begun(runbook="tool-eror", runbooks={"tool-errors"})
    assert 'there is no runbook "tool-eror"; did you mean "tool-errors"' in str(refused.value)


def test_there_is_one_of_an_agent_at_a_time_and_numbers_go_on():
    drills, first = begun()
    with pytest.raises(ConflictError) as refused:
        begun(drills=drills)
    assert "DRILL-1 of refund-agent is under way, asked for by Dan" in str(refused.value)
    again, second = begun(drills=drills.without(first))
    assert (first.id, second.id) == ("DRILL-1", "DRILL-2")
    assert [one.id for one in again.running] == ["DRILL-2"]


# Its alert


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {"agent": "refund-agent", "drill": "DRILL-1", "instance": "10.0.0.7:80"}},  # a target exposes it
        {"labels": {"agent": "other-agent", "drill": "DRILL-1"}},
        {"labels": {"agent": "refund-agent", "drill": "DRILL-9"}},
        {"state": AlertState.RESOLVED},
        {"state": AlertState.NO_DATA},
    ],
)
def test_an_alert_of_no_drill_under_way_opens_none(changes):
    drills, _ = begun()
    fields = {"labels": {"agent": "refund-agent", "drill": "DRILL-1"}} | changes
    assert drill.of_alert(alert(drill.ALERT, group=drill.RULE_GROUP, **fields), drills) is None


def test_only_the_rule_that_is_always_there_raises_alerts_of_drills():
    assert drill.belongs(fired(), drill.RULE_GROUP)
    assert not drill.belongs(fired(), "alerts/mine.yaml;mine")
    assert not drill.belongs(alert(), drill.RULE_GROUP)


def test_the_first_level_is_woken_with_card_and_runbook_as_for_a_critical_alert():
    decision = started()
    incident = decision.incident
    assert woken(decision) == ["ana"]
    assert decision.say == (Say.CARD, Say.RUNBOOK)
    assert (incident.exercise, incident.severity, incident.agent) == ("drill", Severity.CRITICAL, "refund-agent")
    assert (incident.owner, incident.policy_id, incident.channel) == ("team:payments", "payments", "#refunds")
    assert (incident.next_at, len(incident.policy.steps)) == (after(minutes=10), 1)


def test_at_the_stage_crawl_it_is_a_warning():
    agents = {"refund-agent": AGENTS["refund-agent"].model_copy(update={"stage": Stage.CRAWL})}
    assert started(replace(WORLD, agents=agents)).incident.severity is Severity.WARNING


def test_a_level_that_reaches_nobody_is_passed_over_as_it_would_be_in_earnest():
    steps_ = (Step(notify=("schedule:none",), wait=timedelta(minutes=5)), *POLICY.steps[1:])
    book = BOOK.model_copy(update={"escalation_policies": {"payments": POLICY.model_copy(update={"steps": steps_})}})
    assert woken(started(replace(WORLD, book=book))) == ["ben", "cat"]


def test_nothing_hides_it_and_it_hides_nothing():
    both = InhibitRule(
        name="both",
        source_matchers=('severity="critical"',),
        target_matchers=('severity="critical"',),
        equal=("agent",),
    )
    world = replace(WORLD, rules=IncidentRules(inhibit_rules=(both,)))
    incident = started(world).incident
    assert [one.group for one in incident.alerts] == [BY_HAND]
    real = opened(alert("Real"))
    assert grouping.resuppress([incident, real], world, NOW) == []


def test_a_report_of_its_group_and_a_reload_leave_it_alone():
    incident = started().incident
    assert grouping.observe(drill.RULE_GROUP, [], [incident], WORLD, NOW, lambda: 9, frozenset()) == []
    assert grouping.drop_groups([incident], frozenset(), WORLD, NOW) == []


def test_a_real_alert_of_the_agent_opens_its_own_incident():
    incident = started().incident
    (decision,) = grouping.observe("g", [alert()], [incident], WORLD, NOW, lambda: 9)
    assert (decision.incident.id, decision.incident.exercise, woken(decision)) == ("INC-9", "", ["ana"])


# What people do to it


def test_the_ack_of_a_drill_lasts_until_its_step_is_due():
    before = started().incident
    ack = drill.checked(people.ack(before, "person:ana", after(seconds=20)), before, {"ana"})
    assert ack.incident.next_at == after(minutes=10, seconds=20)
    assert not drill.shown(ack.incident)


def test_only_whom_it_wakes_can_pass_it():
    before = started().incident
    for decision in (
        people.ack(before, "person:ben", NOW),
        people.ack(before, "cli:root", NOW),
        steps.mark(before, "person:ben", STEP, "done", "", NOW),
    ):
        with pytest.raises(ConflictError) as refused:
            drill.checked(decision, before, {"ana"})
        assert "what somebody else does shows nothing" in str(refused.value)


def test_whatever_wakes_others_or_puts_it_off_is_refused():
    before = started().incident
    held = drill.checked(people.ack(before, "person:ana", NOW), before, {"ana"}).incident
    for decision, was in (
        (people.decline(before, "person:ana", WORLD, NOW), before),
        (people.escalate_now(before, "person:ana", WORLD, NOW), before),
        (people.hand_over(before, "person:ana", "ben", WORLD, NOW), before),
        (people.snooze(before, "person:ana", after(hours=2), NOW), before),
        (people.release(held, "person:ana", WORLD, NOW), held),
        (steps.escalate(held, "person:ana", STEP, "", WORLD, NOW), held),
    ):
        with pytest.raises(ConflictError) as refused:
            drill.checked(decision, was, {"ana"})
        assert "INC-7 is a drill: acknowledge it" in str(refused.value)


@pytest.mark.parametrize(("state", "enough"), [("done", True), ("skipped", True), ("failed", True), ("undone", False)])
def test_it_has_gone_all_the_way_with_an_ack_and_a_step(state, enough):
    incident = started().incident
    mark = StepMark(step="stop", state=state, at=NOW, by="person:ana")
    stepped = incident.model_copy(update={"progress": (mark,)})
    assert not drill.shown(stepped)
    assert drill.shown(stepped.model_copy(update={"state": State.ACKED})) is enough


def test_what_agentpager_marks_itself_is_no_step_of_a_person():
    mark = StepMark(step="pause", state="done", at=NOW, by="agentpager")
    incident = started().incident.model_copy(update={"progress": (mark,), "state": State.ACKED})
    assert not drill.shown(incident)


# Its end


def test_without_the_ladder_there_is_no_next_level():
    assert drill.next_level(started().incident, WORLD, after(minutes=10)) is None


def test_the_whole_ladder_is_climbed_once_and_goes_no_further():
    incident = started(whole_ladder=True).incident
    assert incident.next_at == after(minutes=5)
    second = drill.next_level(incident, WORLD, after(minutes=5))
    assert second is not None
    assert (woken(second), second.channels) == (["ben", "cat"], ())
    assert drill.next_level(second.incident, WORLD, after(minutes=15)) is None


def test_the_end_is_kept_and_whoever_asked_is_told():
    decision = drill.over(started().incident, "not passed: nobody acknowledged it in time", after(minutes=10))
    assert decision.incident.state is State.RESOLVED
    assert decision.incident.going_on == ()
    assert [(one.person, one.text) for one in decision.tell] == [
        ("dan", "DRILL of refund-agent not passed: nobody acknowledged it in time")
    ]
    assert escalation.still_firing(decision.incident) is False


@pytest.mark.parametrize(("minutes", "late"), [(1.9, False), (2, True), (-60, True)])
def test_an_alert_that_does_not_come_is_not_waited_for(minutes, late):
    _, one = begun()
    assert drill.late(one, after(minutes=minutes)) is late
