from __future__ import annotations

import pytest
from core_world import NOW, WORLD, after, opened, woken

from bot.errors import ConflictError
from bot.incidents import people
from bot.incidents.decision import Say
from bot.incidents.escalation import due
from bot.incidents.model import Event, State


def acked(by: str = "person:ana"):
    return people.ack(opened(), by, NOW).incident


def test_an_ack_takes_it_and_stops_everything():
    decision = people.ack(opened(), "person:ana", after(minutes=1))
    incident = decision.incident
    assert (decision.event, decision.actor, decision.cancel, decision.wake) == (Event.ACKED, "person:ana", True, ())
    assert (incident.state, incident.acked_by, incident.acked_at) == (State.ACKED, "person:ana", after(minutes=1))
    assert incident.ack_expires_at == incident.next_at == after(hours=1, minutes=1)
    assert incident.revision == 2


def test_an_ack_again_by_the_same_person_holds_on_for_longer():
    again = people.ack(acked(), "person:ana", after(minutes=50))
    assert again.why == "still on it"
    assert (again.incident.acked_at, again.incident.next_at) == (NOW, after(hours=1, minutes=50))


def test_somebody_elses_ack_is_not_taken_away():
    with pytest.raises(ConflictError, match=r"^INC-1 is taken already: ana has it$"):
        people.ack(acked(), "person:ben", after(minutes=1))


def test_nobody_acks_what_is_resolved():
    closed = people.resolve(opened(), "person:ana", NOW).incident
    with pytest.raises(ConflictError, match="this incident is resolved; it cannot be acked"):
        people.ack(closed, "person:ana", NOW)


def test_whoever_declines_wakes_the_next_step_now():
    decision = people.decline(opened(), "person:ana", WORLD, after(minutes=1))
    assert (decision.event, decision.why) == (Event.DECLINED, "ana can't take it")
    assert woken(decision) == ["ben", "cat"]
    assert decision.incident.next_at == after(minutes=11)
    assert decision.say == (Say.ESCALATED,)


def test_whoever_declined_is_passed_over_until_the_next_round():
    incident = people.decline(opened(), "person:ben", WORLD, NOW).incident
    assert incident.declined == ("ben",)
    assert [r.person for r in _climb(opened(), "person:ben").wake] == ["cat"]
    second_round = due(incident, WORLD, incident.next_at)
    assert second_round is not None
    assert (second_round.incident.round, second_round.incident.declined) == (1, ())
    third = due(second_round.incident, WORLD, second_round.incident.next_at)
    assert third is not None
    assert woken(third) == ["ben", "cat"]


def _climb(incident, actor):
    return people.decline(incident, actor, WORLD, NOW)


def test_a_step_that_all_have_declined_is_skipped_with_the_reason():
    incident = opened().model_copy(update={"declined": ("cat",)})
    decision = people.decline(incident, "person:ben", WORLD, NOW)
    assert woken(decision) == ["ana"]
    assert decision.incident.round == 1
    assert decision.why == "ben can't take it; level 2 skipped (ben cannot take it; cat cannot take it)"


def test_when_everybody_declines_somebody_is_woken_all_the_same():
    incident = opened()
    for actor in ("person:ana", "person:ben", "person:cat", "person:dan") * 5:
        decision = people.decline(incident, actor, WORLD, NOW)
        assert decision.wake
        incident = decision.incident


def test_who_has_it_may_pass_it_on():
    decision = people.decline(acked(), "person:ana", WORLD, after(minutes=1))
    assert woken(decision) == ["ben", "cat"]
    assert (decision.incident.state, decision.incident.acked_by) == (State.OPEN, None)


def test_nobody_else_may_pass_it_on():
    with pytest.raises(ConflictError, match=r"^INC-1 is not yours to pass on: ana has it$"):
        people.decline(acked(), "person:ben", WORLD, NOW)


def test_a_release_starts_the_ladder_again():
    decision = people.release(acked("person:ben"), "person:ben", WORLD, after(minutes=1))
    assert (decision.event, decision.why, decision.actor) == (Event.RELEASED, "released by ben", "person:ben")
    assert woken(decision) == ["ana"]
    assert (decision.incident.state, decision.incident.step, decision.incident.round) == (State.OPEN, 0, 0)


@pytest.mark.parametrize("state", [State.OPEN, State.RESOLVED])
def test_only_what_is_acked_can_be_released(state):
    with pytest.raises(ConflictError):
        people.release(opened().model_copy(update={"state": state}), "person:ana", WORLD, NOW)


@pytest.mark.parametrize("before", [opened(), acked()])
def test_whoever_resolves_closes_it_and_it_is_watched_while_its_alerts_go_on(before):
    decision = people.resolve(before, "person:ben", after(minutes=2))
    incident = decision.incident
    assert (decision.event, decision.say, decision.cancel) == (Event.RESOLVED, (Say.RESOLVED,), True)
    assert (incident.state, incident.resolved_by, incident.how_resolved) == (State.RESOLVED, "person:ben", "human")
    assert incident.next_at == after(hours=1, minutes=2)


def test_nobody_resolves_twice():
    closed = people.resolve(opened(), "person:ana", NOW).incident
    with pytest.raises(ConflictError):
        people.resolve(closed, "person:ben", NOW)


@pytest.mark.parametrize(("actor", "text"), [("person:ana", "ana"), ("cli:root", "cli:root"), (None, "nobody")])
def test_how_an_actor_is_called(actor, text):
    assert people.short(actor) == text
