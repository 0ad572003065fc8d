from __future__ import annotations

import pytest
from core_world import BOOK, NOW, WORLD, after, alert, observe, opened, woken

from bot.errors import ConflictError, UsageError
from bot.incidents import people
from bot.incidents.decision import Say, Told
from bot.incidents.escalation import due
from bot.incidents.model import Event, State, Suppression, SuppressionKind
from bot.paging.model import PageKind
from bot.paging.plan import pages_for


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


def test_when_everybody_declines_somebody_is_woken_or_still_to_answer():
    incident = opened()
    for actor in ("person:ana", "person:ben", "person:cat", "person:dan") * 5:
        try:
            decision = people.decline(incident, actor, WORLD, NOW)
        except ConflictError:  # said before, in this round
            continue
        assert decision.wake or set(decision.incident.declined) < set(BOOK.people)
        assert decision.incident.next_at is not None
        incident = decision.incident


def test_passing_on_twice_wakes_one_level():
    incident = people.decline(opened(), "person:ana", WORLD, NOW).incident
    with pytest.raises(ConflictError, match=r"^ana has passed INC-1 on already; nobody else is woken for it again$"):
        people.decline(incident, "person:ana", WORLD, NOW)
    had = people.ack(incident, "person:ana", NOW).incident
    assert people.decline(had, "person:ana", WORLD, NOW).wake, "after all it had been theirs"


def test_once_everybody_is_paged_each_who_cannot_take_it_wakes_nobody_again_until_none_is_left():
    incident = opened().model_copy(
        update={"step": 2, "round": 5, "exhausted": True, "widened": 2, "next_at": after(minutes=15)}
    )
    for name in ("ana", "ben", "cat"):
        decision = people.decline(incident, f"person:{name}", WORLD, after(minutes=1))
        assert (decision.event, decision.wake, decision.channels) == (Event.DECLINED, (), ())
        assert decision.incident.next_at == after(minutes=15)
        incident = decision.incident
    assert incident.declined == ("ana", "ben", "cat")
    again = due(incident, WORLD, after(minutes=15))
    assert again is not None
    assert woken(again) == ["dan"], "who could not is left out of the next round, as ever"
    assert people.decline(incident, "person:dan", WORLD, after(minutes=1)).wake


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


def test_the_cause_and_a_note_are_kept_with_the_end():
    decision = people.resolve(acked(), "person:ana", after(minutes=2), "provider", "status page says so")
    assert decision.why == "resolved by hand: a provider or dependency"
    (note,) = decision.incident.notes
    assert note.text == "Cause: a provider or dependency. status page says so"
    assert people.resolve(acked(), "person:ana", after(minutes=2)).incident.notes == ()


def test_a_cause_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match='"weather" is no cause; write one of change, provider'):
        people.resolve(acked(), "person:ana", after(minutes=2), "weather")


def test_nobody_resolves_twice():
    closed = people.resolve(opened(), "person:ana", NOW).incident
    with pytest.raises(ConflictError):
        people.resolve(closed, "person:ben", NOW)


@pytest.mark.parametrize(("actor", "text"), [("person:ana", "ana"), ("cli:root", "cli:root"), (None, "nobody")])
def test_how_an_actor_is_called(actor, text):
    assert people.short(actor) == text


# Snoozing


def snoozed(hours: float = 2, by: str = "person:ana"):
    return people.snooze(opened(), by, after(hours=hours), NOW).incident


def test_a_snooze_holds_it_unasked_until_its_time():
    decision = people.snooze(opened(), "person:ana", after(hours=9), after(minutes=1))
    incident = decision.incident
    assert (decision.event, decision.actor, decision.cancel, decision.wake) == (Event.SNOOZED, "person:ana", True, ())
    assert decision.why == "snoozed until 2026-11-04 11:00 UTC"
    assert (incident.state, incident.acked_by, incident.acked_at) == (State.ACKED, "person:ana", after(minutes=1))
    assert incident.snoozed_until == incident.ack_expires_at == incident.next_at == after(hours=9)
    assert due(incident, WORLD, after(hours=8, minutes=59)) is None


def test_when_a_snooze_is_over_the_ladder_begins_at_its_first_level():
    over = due(snoozed(), WORLD, after(hours=2))
    assert over is not None
    assert (over.event, over.why, woken(over)) == (Event.SNOOZE_ENDED, "the snooze of ana is over", ["ana"])
    incident = over.incident
    assert (incident.state, incident.step, incident.round) == (State.OPEN, 0, 0)
    assert (incident.snoozed_until, incident.acked_by) == (None, None)


def test_something_worse_wakes_at_once_through_a_snooze():
    warning = opened(alert("Slow", labels={"severity": "warning"}))
    quiet = people.snooze(warning, "person:ana", after(hours=8), NOW).incident
    (worse,) = observe([alert("Slow", labels={"severity": "warning"}), alert()], [quiet], after(minutes=3))
    assert (worse.event, woken(worse)) == (Event.WORSENED, ["ana"])
    assert (worse.incident.state, worse.incident.snoozed_until) == (State.OPEN, None)


def test_an_ack_ends_a_snooze_and_is_asked_about_as_ever():
    held = people.ack(snoozed(8), "person:ana", after(minutes=5)).incident
    assert (held.snoozed_until, held.next_at) == (None, after(hours=1, minutes=5))


def test_a_snooze_may_be_made_longer_by_whoever_has_it_and_nobody_else():
    assert people.snooze(snoozed(), "person:ana", after(hours=5), after(hours=1)).incident.acked_at == NOW
    with pytest.raises(ConflictError, match=r"^INC-1 is not yours to snooze: ana has it$"):
        people.snooze(snoozed(), "person:ben", after(hours=5), NOW)


@pytest.mark.parametrize(
    ("until", "words"),
    [
        (NOW, "2026-11-04 02:00 UTC is past; name a time to come, such as 2h or 09:00"),
        (after(minutes=-1), "is past"),
        (after(days=7, seconds=1), "a snooze lasts 7 days at most; for longer silence the alert"),
    ],
)
def test_a_snooze_into_the_past_or_for_ever_is_refused(until, words):
    with pytest.raises(UsageError, match=words):
        people.snooze(opened(), "person:ana", until, NOW)
    assert people.snooze(opened(), "person:ana", after(days=7), NOW).incident.next_at == after(days=7)


def test_a_resolved_incident_cannot_be_snoozed():
    closed = people.resolve(opened(), "person:ana", NOW).incident
    with pytest.raises(ConflictError, match="this incident is resolved; it cannot be snoozed"):
        people.snooze(closed, "person:ana", after(hours=1), NOW)


# Taking over


def test_taking_over_tells_the_one_who_had_it_quietly():
    decision = people.take_over(acked("person:ana"), "person:ben", after(minutes=7))
    incident = decision.incident
    assert (decision.event, decision.why, decision.actor) == (Event.TAKEN, "taken over from ana", "person:ben")
    assert (decision.wake, decision.cancel) == ((), True)
    assert decision.tell == (Told("ana", "ben has taken over INC-1 from you"),)
    assert (incident.state, incident.acked_by, incident.acked_at) == (State.ACKED, "person:ben", after(minutes=7))
    assert (incident.next_at, incident.revision) == (after(hours=1, minutes=7), 3)


def test_taking_over_a_snoozed_one_ends_the_snooze():
    taken = people.take_over(snoozed(8), "person:ben", after(minutes=7)).incident
    assert (taken.snoozed_until, taken.next_at) == (None, after(hours=1, minutes=7))


@pytest.mark.parametrize("before", [opened(), acked("person:ben")])
def test_taking_what_nobody_else_has_is_an_ack(before):
    decision = people.take_over(before, "person:ben", after(minutes=1))
    assert (decision.event, decision.tell) == (Event.ACKED, ())


def test_the_one_at_the_command_line_is_not_told():
    assert people.take_over(acked("cli:root"), "person:ben", NOW).tell == ()


# Handing over


def handed(incident=None, to: str = "cat", by: str = "person:ana"):
    return people.hand_over(incident or acked(), by, to, WORLD, after(minutes=30))


def test_whoever_it_is_handed_to_is_paged_now():
    decision = handed()
    incident = decision.incident
    assert (decision.event, decision.why, decision.cancel) == (Event.HANDED, "ana hands it to cat", True)
    assert [(one.person, one.why) for one in decision.wake] == [("cat", "ana hands it to you")]
    assert decision.tell == ()
    assert (incident.state, incident.assigned, incident.acked_by) == (State.OPEN, "cat", None)
    assert incident.next_at == after(minutes=35)


def test_a_note_goes_with_it_and_wakes_them_knowing_it():
    decision = people.hand_over(acked(), "person:ana", "cat", WORLD, after(minutes=30), "tried a restart,\nno luck")
    assert [one.why for one in decision.wake] == ["ana hands it to you: tried a restart, no luck"]
    assert [(one.by, one.text) for one in decision.incident.notes] == [("person:ana", "tried a restart,\nno luck")]


def test_without_an_answer_of_theirs_the_ladder_begins():
    decision = due(handed().incident, WORLD, after(minutes=35))
    assert decision is not None
    assert (decision.event, decision.why) == (Event.ESCALATED, "no ack from cat in 5 min, so from the first level")
    assert (woken(decision), decision.incident.step, decision.incident.assigned) == (["ana"], 0, None)


def test_their_ack_makes_it_theirs():
    held = people.ack(handed().incident, "person:cat", after(minutes=31)).incident
    assert (held.state, held.acked_by, held.assigned) == (State.ACKED, "person:cat", None)


def test_whoever_declines_what_they_were_handed_wakes_the_first_level():
    decision = people.decline(handed().incident, "person:cat", WORLD, after(minutes=31))
    assert (woken(decision), decision.incident.assigned, decision.incident.step) == (["ana"], None, 0)


def test_the_one_it_is_taken_from_is_named_and_told():
    decision = handed(by="person:ben")
    assert decision.why == "ben hands it from ana to cat"
    assert decision.tell == (Told("ana", "ben has handed INC-1 from you to cat"),)


@pytest.mark.parametrize("name", ["cat", "Cat", "person:cat", "@cat", "<@U0CAT>", "<@U0CAT|cat>"])
def test_people_are_named_by_id_name_or_mention(name):
    assert woken(handed(to=name)) == ["cat"]


def test_a_first_name_will_do_where_one_person_has_it():
    ruiz = {"ana": BOOK.people["ana"].model_copy(update={"id": "ana", "name": "Maria Ruiz"})}
    book = BOOK.model_copy(update={"people": BOOK.people | ruiz})
    assert people.person_named("maria", book) == "ana"
    twice = book.model_copy(
        update={"people": book.people | {"eve": book.people["ana"].model_copy(update={"id": "eve"})}}
    )
    with pytest.raises(UsageError):
        people.person_named("maria", twice)


def test_nobody_of_that_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r'^there is no person "bem" in oncall/; did you mean "ben"\?$'):
        handed(to="bem")


def test_it_is_handed_neither_to_oneself_nor_to_who_has_it():
    with pytest.raises(ConflictError, match="Ana has INC-1 already"):
        handed(acked("person:ana"), to="ana", by="person:ben")
    with pytest.raises(UsageError, match="to have it yourself, take it"):
        handed(opened(), to="ana", by="person:ana")


@pytest.mark.parametrize("act", ["hand", "escalate"])
def test_nobody_is_paged_by_hand_for_what_is_hidden(act):
    why = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced by ben until tomorrow (SIL-1)")
    hidden = opened().model_copy(update={"suppressed": (why,)})
    with pytest.raises(ConflictError, match="nobody is paged for INC-1 now: silenced by ben until tomorrow"):
        handed(hidden) if act == "hand" else people.escalate_now(hidden, "person:ana", WORLD, NOW)


# Escalating by hand


def test_whoever_asks_for_the_next_level_gets_it_now():
    decision = people.escalate_now(opened(), "person:ana", WORLD, after(minutes=1))
    assert (decision.event, decision.why, decision.actor) == (
        Event.ESCALATED,
        "ana asks for the next level",
        "person:ana",
    )
    assert (woken(decision), decision.incident.next_at) == (["ben", "cat"], after(minutes=11))


def test_escalating_what_somebody_has_opens_it_again_and_tells_them():
    decision = people.escalate_now(acked("person:ana"), "person:ben", WORLD, after(minutes=1))
    assert decision.why == "ben asks for the next level; ana had it"
    assert (woken(decision), decision.incident.state, decision.incident.acked_by) == (["ben", "cat"], State.OPEN, None)
    assert decision.tell == (Told("ana", "ben has escalated INC-1, which you had"),)


def test_nobody_escalates_what_is_resolved():
    closed = people.resolve(opened(), "person:ana", NOW).incident
    with pytest.raises(ConflictError, match="cannot be escalated"):
        people.escalate_now(closed, "person:ana", WORLD, NOW)


def test_a_quiet_message_is_a_row_of_its_own():
    pages = pages_for(people.take_over(acked(), "person:ben", NOW), BOOK, NOW)
    assert [(page.kind, page.person, page.channel, page.text) for page in pages] == [
        (PageKind.NOTICE, "ana", "U0ANA", "ben has taken over INC-1 from you")
    ]
