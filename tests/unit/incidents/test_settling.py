"""What suppression, waiting, re-opening and flapping do to an incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from core_world import NOW, WORLD, after, alert, ended, no_data, observe, opened, woken

from bot.agents.model import Stage
from bot.incidents import grouping, people
from bot.incidents.decision import Decision, Say, World
from bot.incidents.model import Event, Incident, Severity, State, SuppressionKind
from bot.incidents.policy import IncidentRules
from bot.incidents.silences import Silence
from bot.paging.model import PageKind
from bot.paging.plan import pages_for, repeated

WARNING = alert("Slow", labels={"severity": "warning"})
CRITICAL = alert("Down")


def silence(*matchers: str, **changes) -> Silence:
    fields = {
        "id": "SIL-1",
        "matchers": matchers or ('agent="refund-agent"',),
        "starts_at": NOW,
        "ends_at": after(hours=2),
        "created_at": NOW,
        "created_by": "person:ana",
        "reason": "known",
        "max_severity": Severity.CRITICAL,
    }
    return Silence.model_validate(fields | changes)


SILENCED = replace(WORLD, silences=(silence(),))


def world(*silences: Silence, **rules) -> World:
    return replace(WORLD, silences=silences, rules=IncidentRules.model_validate(rules))


def one(decisions: list[Decision]) -> Decision:
    (decision,) = decisions
    return decision


def resuppressed(incident: Incident, at, new: World = WORLD) -> Decision:
    return one(grouping.resuppress([incident], new, at))


def due(incident: Incident, at, new: World = WORLD) -> Decision:
    return one(grouping.come_due(incident, None, new, at))


# Hidden from the start


def test_a_hidden_alert_opens_an_incident_that_wakes_nobody_and_posts_nothing():
    decision = one(observe([CRITICAL], world=SILENCED))
    incident = decision.incident
    assert (decision.event, decision.wake, decision.channels, decision.say) == (Event.FIRED, (), (), ())
    assert (incident.state, incident.paged_at, incident.announced) == (State.OPEN, None, False)
    assert incident.next_at == after(hours=2), "the known end"
    (reason,) = incident.suppressed
    assert (reason.kind, reason.by) == (SuppressionKind.SILENCE, "SIL-1")
    assert reason.why in decision.why
    assert incident.alerts[0].suppressed == (reason,)


def test_when_that_ends_and_it_still_fires_somebody_is_woken_from_the_first_level_with_card_and_runbook():
    decision = due(opened(CRITICAL, world=SILENCED), after(hours=2), SILENCED)
    assert decision.event is Event.UNSUPPRESSED
    assert woken(decision) == ["ana"]
    assert decision.say == (Say.CARD, Say.RUNBOOK)
    assert decision.incident.suppressed == ()
    assert decision.incident.next_at == after(hours=2, minutes=5)
    assert decision.why.startswith("no longer hidden (silenced by ana")


def test_a_silence_that_is_ended_early_wakes_somebody_at_once():
    decision = resuppressed(opened(CRITICAL, world=SILENCED), after(minutes=1))
    assert (decision.event, woken(decision)) == (Event.UNSUPPRESSED, ["ana"])


def test_when_one_reason_ends_the_others_still_hide():
    twice = world(silence(), silence(id="SIL-2", ends_at=after(hours=3)))
    decision = due(opened(CRITICAL, world=twice), after(hours=2), twice)
    assert (decision.event, decision.wake) == (Event.FIRED, ())
    assert decision.why == "Down is hidden: silenced by ana until 2026-11-04 05:00 UTC: known (SIL-2)"
    assert [found.by for found in decision.incident.suppressed] == ["SIL-2"]
    assert decision.incident.next_at == after(hours=3)


def test_a_hidden_incident_that_clears_says_nothing_that_wakes():
    incident = opened(CRITICAL, world=SILENCED)
    decision = one(observe([ended(CRITICAL, after(minutes=9))], [incident], after(minutes=9), world=SILENCED))
    assert (decision.event, decision.wake, decision.incident.suppressed) == (Event.CLEARED, (), ())


def test_missing_data_is_hidden_too_and_pages_when_that_ends():
    incident = opened(no_data(CRITICAL), world=SILENCED)
    assert incident.suppressed
    assert woken(due(incident, after(hours=2))) == ["ana"]


def test_hidden_information_posts_its_card_when_it_is_no_longer_hidden():
    note = alert("Note", labels={"severity": "info"})
    incident = opened(note, world=SILENCED)
    decision = due(incident, after(hours=2))
    assert (decision.event, decision.wake, decision.say) == (Event.UNSUPPRESSED, (), (Say.CARD,))


# Hidden later


def test_hiding_a_paged_incident_takes_back_what_was_not_sent_and_stops_the_ladder():
    decision = resuppressed(opened(CRITICAL), after(minutes=1), SILENCED)
    assert (decision.event, decision.cancel, decision.wake) == (Event.SUPPRESSED, True, ())
    assert (decision.incident.state, decision.incident.next_at) == (State.OPEN, after(hours=2))


def test_and_after_it_the_ladder_begins_again():
    incident = resuppressed(opened(CRITICAL), after(minutes=1), SILENCED).incident
    decision = due(incident, after(hours=2))
    assert (decision.event, woken(decision), decision.incident.step) == (Event.UNSUPPRESSED, ["ana"], 0)
    assert decision.say == (Say.ESCALATED,), "the card is there already"


def test_one_visible_alert_keeps_the_incident_paging_and_the_hidden_one_is_told():
    new = world(silence('alertname="Slow"'))
    before = opened(CRITICAL, WARNING)
    decision = resuppressed(before, after(minutes=1), new)
    assert (decision.event, decision.incident.suppressed) == (Event.FIRED, ())
    assert decision.incident.next_at == before.next_at
    assert decision.why.startswith("Slow is hidden: silenced by ana")


def test_an_inhibited_alert_is_hidden_only_as_long_as_its_source_fires():
    rule = {"name": "r", "source_matchers": ['alertname="Down"'], "target_matchers": ['alertname="Slow"']}
    new = world(inhibit_rules=[rule])
    slow = alert("Slow", labels={"agent": "", "owner": "ana"})
    down, hidden = (decision.incident for decision in observe([CRITICAL, slow], world=new))
    assert (down.suppressed, hidden.next_at, hidden.announced) == ((), None, False)
    at = after(minutes=1)
    cleared, uncovered = observe([ended(CRITICAL, at), slow], [down, hidden], at, world=new)
    assert (cleared.event, uncovered.event, woken(uncovered)) == (Event.CLEARED, Event.UNSUPPRESSED, ["ana"])


def test_a_hidden_alert_neither_worsens_nor_names_an_incident():
    new = world(silence('alertname="Down"'))
    incident = people.ack(opened(WARNING), "person:ana", after(minutes=1)).incident
    decision = one(observe([WARNING, CRITICAL], [incident], after(minutes=2), world=new))
    assert (decision.event, decision.incident.state) == (Event.FIRED, State.ACKED)
    assert (decision.incident.severity, decision.incident.title) == (Severity.WARNING, "Slow of refund-agent")


def test_but_it_does_once_it_is_no_longer_hidden():
    new = world(silence('alertname="Down"'))
    incident = people.ack(opened(WARNING), "person:ana", after(minutes=1)).incident
    joined = one(observe([WARNING, CRITICAL], [incident], after(minutes=2), world=new)).incident
    decision = resuppressed(joined, after(minutes=3))
    assert (decision.event, woken(decision)) == (Event.WORSENED, ["ana"])
    assert decision.incident.severity is Severity.CRITICAL


INFO = alert("Note", labels={"severity": "info"})


@pytest.mark.parametrize(("known", "joins"), [(INFO, WARNING), (INFO, CRITICAL), (WARNING, CRITICAL)])
@pytest.mark.parametrize("acked_while_hidden", [False, True])
def test_an_ack_is_not_of_what_joined_while_all_was_hidden(known, joins, acked_while_hidden):
    new = world(silence('agent="refund-agent"', max_severity=Severity.CRITICAL))
    if acked_while_hidden:
        incident = people.ack(opened(known, world=new), "person:ana", NOW).incident
    else:
        acked = people.ack(opened(known), "person:ana", NOW).incident
        incident = resuppressed(acked, after(minutes=1), new).incident
    joined = one(observe([known, joins], [incident], after(minutes=2), world=new)).incident
    assert (joined.state, joined.severity) == (State.ACKED, known.severity)
    shown = resuppressed(joined, after(minutes=3))
    assert (shown.event, woken(shown)) == (Event.WORSENED, ["ana"])


def test_a_critical_alert_that_is_not_hidden_ends_the_hiding_of_a_warning():
    new = world(silence(max_severity=Severity.WARNING))
    incident = opened(WARNING, world=new)
    assert incident.suppressed
    decision = one(observe([WARNING, CRITICAL], [incident], after(minutes=1), world=new))
    assert (decision.event, woken(decision)) == (Event.UNSUPPRESSED, ["ana"])
    assert decision.incident.severity is Severity.CRITICAL


# Acks and hands while it is hidden


def test_an_ack_that_runs_out_while_it_is_hidden_asks_and_pages_nobody():
    incident = people.ack(opened(CRITICAL), "person:ana", after(minutes=1)).incident
    hidden = resuppressed(incident, after(minutes=2), SILENCED).incident
    assert (hidden.state, hidden.next_at) == (State.ACKED, after(hours=2))
    shown = due(hidden, after(hours=2))
    assert (shown.event, shown.wake, shown.incident.state) == (Event.UNSUPPRESSED, (), State.ACKED)
    asked = due(shown.incident, after(hours=2))
    assert asked.event is Event.ACK_ASKED


def test_an_ack_that_still_holds_goes_on_after_the_hiding():
    short = replace(WORLD, silences=(silence(ends_at=after(minutes=10)),))
    incident = people.ack(opened(CRITICAL), "person:ana", after(minutes=1)).incident
    hidden = resuppressed(incident, after(minutes=2), short).incident
    assert due(hidden, after(minutes=10)).incident.next_at == after(minutes=61)


@pytest.mark.parametrize(
    "act",
    [
        lambda incident, at: people.decline(incident, "person:ana", SILENCED, at),
        lambda incident, at: people.release(
            people.ack(incident, "person:ana", at).incident, "person:ana", SILENCED, at
        ),
    ],
)
def test_whoever_passes_on_a_hidden_incident_wakes_nobody_before_it_is_no_longer_hidden(act):
    decision = act(opened(CRITICAL, world=SILENCED), after(minutes=1))
    assert (decision.wake, decision.incident.state, decision.incident.next_at) == ((), State.OPEN, after(hours=2))
    assert woken(due(decision.incident, after(hours=2))) == ["ana"]


def test_an_ack_of_a_hidden_incident_does_not_run_out_before_the_hiding_ends():
    incident = people.ack(opened(CRITICAL, world=SILENCED), "person:ana", after(minutes=1)).incident
    decision = due(incident, after(minutes=61), SILENCED)
    assert (decision.wake, decision.say, decision.incident.state) == ((), (), State.ACKED)
    assert decision.incident.next_at == after(hours=2)


def test_closed_by_hand_and_hidden_it_stays_closed_and_watched():
    closed = people.resolve(opened(CRITICAL), "person:ana", after(minutes=1)).incident
    decision = due(closed, after(minutes=61), SILENCED)
    assert (decision.event, decision.incident.state) == (None, State.RESOLVED)
    assert after(minutes=61) < decision.incident.next_at <= after(hours=2)
    later = due(decision.incident, after(hours=2))
    assert (later.event, woken(later)) == (Event.STILL_FIRING, ["ana"])


# Waiting for others

WAITS = world(grouping=[{"group_wait": "30s"}])


def test_a_first_page_waits_for_others_and_nothing_is_posted_before():
    decision = one(observe([WARNING], world=WAITS))
    assert (decision.wake, decision.say) == ((), ())
    assert (decision.incident.paged_at, decision.incident.next_at) == (None, after(seconds=30))


def test_after_the_wait_all_of_them_are_one_page():
    incident = opened(WARNING, world=WAITS)
    other = alert("Slower", labels={"severity": "warning"})
    joined = one(observe([WARNING, other], [incident], after(seconds=9), world=WAITS))
    assert (joined.wake, joined.incident.next_at) == ((), after(seconds=30))
    decision = due(joined.incident, after(seconds=30), WAITS)
    assert (decision.event, woken(decision), decision.say) == (Event.FIRED, ["ana"], (Say.CARD, Say.RUNBOOK))
    assert len(decision.incident.alerts) == 2
    assert decision.incident.next_at == after(seconds=30, minutes=5)


def test_critical_alerts_do_not_wait():
    assert woken(one(observe([CRITICAL], world=WAITS))) == ["ana"]
    decision = one(observe([WARNING, CRITICAL], [opened(WARNING, world=WAITS)], after(seconds=9), world=WAITS))
    assert (woken(decision), decision.say) == (["ana"], (Say.CARD, Say.RUNBOOK))


def test_what_ends_within_the_wait_wakes_nobody():
    incident = opened(WARNING, world=WAITS)
    decision = one(observe([ended(WARNING, after(seconds=9))], [incident], after(seconds=9), world=WAITS))
    assert (decision.event, decision.wake) == (Event.CLEARED, ())


def test_an_incident_that_waits_and_is_hidden_pages_when_it_no_longer_is():
    incident = opened(WARNING, world=WAITS)
    hidden = resuppressed(incident, after(seconds=9), SILENCED)
    assert hidden.event is Event.SUPPRESSED
    assert due(hidden.incident, after(hours=2)).say == (Say.CARD, Say.RUNBOOK)


# Told of those that joined later


def news(decision: Decision) -> list:
    return [page for page in pages_for(decision, WORLD.book, NOW) if page.kind is PageKind.NEWS]


def named(name: str):
    return alert(name, labels={"severity": "warning"})


def test_alerts_that_join_later_are_told_together_once_in_an_interval():
    first = one(observe([CRITICAL, named("A")], [opened(CRITICAL)], after(minutes=1)))
    (page,) = news(first)
    assert (page.due_at, page.text, page.channel) == (after(minutes=5), "A of refund-agent", "#refunds")
    second = one(observe([CRITICAL, named("A"), named("B")], [first.incident], after(minutes=2)))
    (other,) = news(second)
    assert (other.due_at, other.text) == (after(minutes=5), "A of refund-agent\nB of refund-agent")
    assert repeated(page, [other]), "the line that was not sent yet is taken back"


def test_the_next_line_comes_an_interval_later_and_names_only_what_is_new():
    first = one(observe([CRITICAL, named("A")], [opened(CRITICAL)], after(minutes=1)))
    second = one(observe([CRITICAL, named("A"), named("B")], [first.incident], after(minutes=6)))
    (page,), (other,) = news(first), news(second)
    assert (other.due_at, other.text) == (after(minutes=10), "B of refund-agent")
    assert not repeated(page, [other])


def test_after_a_long_time_news_is_told_at_once():
    decision = one(observe([CRITICAL, named("A")], [opened(CRITICAL)], after(minutes=30)))
    assert [page.due_at for page in news(decision)] == [after(minutes=30)]


def test_hidden_alerts_are_no_news():
    new = world(silence('alertname="A"'))
    decision = one(observe([CRITICAL, named("A")], [opened(CRITICAL)], after(minutes=1), world=new))
    assert news(decision) == []


# It comes back


def back(incident: Incident, at, *, new: World = WORLD, one_alert=CRITICAL) -> Decision:
    fresh = one_alert.model_copy(update={"starts_at": at})
    found = grouping.observe(fresh.group, [fresh], [], new, at, iter(range(90, 99)).__next__, cleared=[incident])
    return one(found)


def cleared(incident: Incident, at, new: World = WORLD) -> Incident:
    decision = one(observe([ended(found, at) for found in incident.going_on], [incident], at, world=new))
    assert decision.event is Event.CLEARED
    return decision.incident


def test_within_the_window_the_same_incident_opens_again_and_pages_from_the_first_level():
    incident = cleared(opened(CRITICAL), after(minutes=1))
    decision = back(incident, after(minutes=3))
    assert (decision.event, decision.incident.id, decision.incident.state) == (Event.REOPENED, "INC-1", State.OPEN)
    assert (woken(decision), decision.incident.step) == (["ana"], 0)
    assert (decision.incident.resolved_at, decision.incident.how_resolved) == (None, "")
    assert decision.why == "Down fired again, 2 min after it had cleared"
    assert decision.incident.opened_at == NOW


def test_which_incident_may_open_again_is_asked_by_key():
    live = [opened(CRITICAL)]
    assert grouping.missing_keys([CRITICAL], live, WORLD) == set()
    assert grouping.missing_keys([CRITICAL, ended(WARNING, NOW)], [], WORLD) == {
        "agent=refund-agent owner=team:payments"
    }
    orphan = alert("Lost", labels={"agent": "new-agent"})
    assert grouping.missing_keys([orphan], live, WORLD) == {
        "agent=new-agent owner=person:dan",
        "alert=AlertUnowned owner=person:dan",
    }


def pushed(expires, **changes):
    return alert(group="alertmanager", expires_at=after(seconds=expires), **changes)


def test_what_is_sent_again_within_a_minute_does_not_end_by_its_old_end():
    # vmalert with an interval of 10 s says that it ends in 40 s, each time.
    first = opened(pushed(40))
    (decision,) = observe([pushed(50)], [first], after(seconds=10), group="alertmanager")
    assert [one.expires_at for one in decision.incident.alerts] == [after(seconds=50)]
    assert (decision.event, decision.say, decision.incident.revision) == (None, (), first.revision)
    assert decision.incident.observed_at == first.observed_at
    # Prometheus says so of four minutes: no need to write that down each time.
    assert observe([pushed(250)], [opened(pushed(240))], after(seconds=10), group="alertmanager") == []


def test_so_it_is_with_what_is_hidden():
    silence = Silence(
        id="SIL-1",
        matchers=('agent="refund-agent"',),
        starts_at=NOW,
        ends_at=after(hours=1),
        created_by="person:ana",
        created_at=NOW,
        reason="known",
        max_severity=Severity.CRITICAL,
    )
    world = replace(WORLD, silences=(silence,))
    first = opened(pushed(40), world=world)
    (decision,) = observe([pushed(50)], [first], after(seconds=10), group="alertmanager", world=world)
    assert [one.expires_at for one in decision.incident.alerts] == [after(seconds=50)]


def test_the_key_is_that_of_the_alert_at_the_stage_of_its_agent():
    agents = {"refund-agent": WORLD.agents["refund-agent"].model_copy(update={"stage": Stage.CRAWL})}
    rules = IncidentRules.model_validate({"grouping": [{"group_by": ["agent", "severity"]}]})
    world = replace(WORLD, agents=agents, rules=rules)
    (decision,) = observe([CRITICAL], world=world)
    assert grouping.missing_keys([CRITICAL], [], world) == {decision.incident.key}


def test_it_comes_back_hidden_when_it_is_hidden_then():
    decision = back(cleared(opened(CRITICAL), after(minutes=1)), after(minutes=3), new=SILENCED)
    assert (decision.event, decision.wake, decision.incident.state) == (Event.REOPENED, (), State.OPEN)
    assert decision.incident.next_at == after(hours=2)
    assert woken(due(decision.incident, after(hours=2))) == ["ana"]


# Flapping


def flapping() -> Incident:
    incident = opened(CRITICAL)
    for minute in (2, 4, 6):
        incident = back(cleared(incident, after(minutes=minute - 1)), after(minutes=minute)).incident
    return incident


def test_the_third_return_within_an_hour_still_pages_and_is_called_flapping():
    incident = flapping()
    assert incident.flapping
    assert incident.paged_at == after(minutes=6)
    assert incident.reopened == (after(minutes=2), after(minutes=4), after(minutes=6))


def test_returns_that_are_long_past_do_not_count():
    incident = opened(CRITICAL).model_copy(update={"reopened": (after(minutes=-59), after(minutes=-58))})
    again = back(cleared(incident, NOW), after(minutes=3)).incident
    assert (again.flapping, again.reopened) == (False, (after(minutes=3),))


def test_a_flapping_incident_does_not_clear_before_it_was_quiet():
    incident = flapping()
    at = after(minutes=7)
    decision = one(observe([ended(incident.alerts[0], at)], [incident], at))
    assert (decision.event, decision.incident.state) == (Event.FIRED, State.OPEN)
    assert decision.incident.quiet_at == at + timedelta(minutes=15)
    assert decision.incident.next_at == incident.next_at, "the ladder goes on: nobody has it yet"
    assert decision.incident.deadline == min(incident.next_at, at + timedelta(minutes=15))


def quiet(incident: Incident, at) -> Incident:
    return one(observe([ended(found, at) for found in incident.going_on], [incident], at)).incident


def test_a_flip_of_a_flapping_incident_pages_nobody():
    incident = quiet(people.ack(flapping(), "person:ana", after(minutes=6)).incident, after(minutes=7))
    fired = CRITICAL.model_copy(update={"starts_at": after(minutes=8)})
    decision = one(observe([fired], [incident], after(minutes=8)))
    assert (decision.event, decision.wake, decision.incident.state) == (Event.FIRED, (), State.ACKED)
    assert decision.incident.quiet_at is None
    assert len(decision.incident.reopened) == 4


def test_after_the_quiet_it_clears():
    incident = quiet(flapping(), after(minutes=7))
    decision = due(incident, after(minutes=22))
    assert (decision.event, decision.incident.state, decision.incident.flapping) == (
        Event.CLEARED,
        State.RESOLVED,
        False,
    )
    assert decision.why == "quiet long enough"


def test_nobody_is_forgotten_while_it_flaps():
    incident = quiet(flapping(), after(minutes=7))
    decision = due(incident, incident.next_at)
    assert (decision.event, woken(decision)) == (Event.ESCALATED, ["ben", "cat"])
    assert decision.incident.quiet_at == incident.quiet_at


def test_a_silence_that_ends_in_the_quiet_pages_nobody():
    incident = resuppressed(flapping(), after(minutes=7), SILENCED).incident
    still = quiet(incident, after(minutes=110))
    decision = due(still, after(minutes=120))
    assert (decision.wake, decision.incident.next_at) == ((), None)
    assert due(decision.incident, after(minutes=125)).event is Event.CLEARED
