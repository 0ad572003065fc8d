from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from core_world import BOOK, CHANNEL, NOW, PEOPLE, WORLD, after, alert, no_data, observe, opened, woken

from bot.incidents import people
from bot.incidents.decision import Say, World, ack_timeout, book_of
from bot.incidents.escalation import due
from bot.incidents.model import Event, Severity, State
from bot.oncall.model import Book, Layer, Policy, Schedule, Step
from bot.paging.plan import pages_for


def world(book: Book) -> World:
    return World(WORLD.agents, book, WORLD.channel)


def with_steps(*steps: tuple[str, ...], repeat: int = 0) -> World:
    policy = Policy(
        id="payments",
        steps=tuple(Step(notify=targets, wait=timedelta(minutes=5)) for targets in steps),
        repeat=repeat,
        fallback_wait=timedelta(minutes=15),
    )
    return world(BOOK.model_copy(update={"escalation_policies": {"payments": policy}}))


def ladder(around: World, changes: int) -> list[tuple[int, list[str], int, int]]:
    """What happens when nobody ever answers: (minute, who is woken, step, round)."""
    incident = opened(world=around)
    seen = []
    for _ in range(changes):
        assert incident.next_at is not None
        assert due(incident, around, incident.next_at - timedelta(microseconds=1)) is None
        decision = due(incident, around, incident.next_at)
        assert decision is not None
        assert decision.event is Event.ESCALATED
        minute = round((incident.next_at - NOW).total_seconds() / 60)
        incident = decision.incident
        seen.append((minute, woken(decision), incident.step, incident.round))
    return seen


def test_steps_in_order_rounds_repeated_then_the_fallback_its_team_and_everybody_for_ever():
    assert ladder(WORLD, 8) == [
        (5, ["ben", "cat"], 1, 0),
        (15, ["ana"], 0, 1),
        (20, ["ben", "cat"], 1, 1),
        (30, ["dan"], 2, 2),
        (45, ["dan", "ana", "ben"], 2, 3),
        (60, ["dan", "ana", "ben", "cat"], 2, 4),
        (75, ["dan", "ana", "ben", "cat"], 2, 5),
        (90, ["dan", "ana", "ben", "cat"], 2, 6),
    ]


def exhausted(widened: int, around: World = WORLD, **changes):
    """An incident whose policy has run out, as it is before the page that widens it to `widened`."""
    update = {"exhausted": True, "step": 2, "round": 4, "widened": widened - 1, "next_at": NOW}
    return opened(world=around).model_copy(update=update | changes)


def channels_of(widened: int) -> tuple[tuple[str, ...], str]:
    decision = due(exhausted(widened), WORLD, NOW)
    assert decision is not None
    return decision.channels, decision.why.partition("; ")[2]


def test_the_teams_channel_is_asked_with_the_team_and_the_default_one_with_everybody():
    assert channels_of(1) == (("#payments-agents",), "nobody answered: fallback and team")
    assert channels_of(2) == (("#payments-agents", CHANNEL), "nobody answered: everybody")
    assert channels_of(3) == channels_of(2)


def test_a_person_who_owns_it_has_the_teams_they_are_in_and_the_cards_channel():
    alone = due(exhausted(1, owner="person:ben"), WORLD, NOW)
    assert alone is not None
    assert (woken(alone), alone.channels) == (["dan", "ana", "ben"], ("#payments-agents",))
    stray = due(exhausted(1, owner="person:cat"), WORLD, NOW)
    assert stray is not None
    assert (woken(stray), stray.channels) == (["dan"], ("#refunds",))


def test_whoever_passes_on_the_fallbacks_page_widens_it_and_is_left_out_once():
    decision = people.decline(exhausted(1), "person:dan", WORLD, NOW)
    assert (woken(decision), decision.incident.widened) == (["ana", "ben"], 1)
    following = due(decision.incident, WORLD, after(minutes=15))
    assert following is not None
    assert woken(following) == ["dan", "ana", "ben", "cat"]


def test_an_incident_that_begins_anew_is_narrow_again():
    wide = due(exhausted(2), WORLD, NOW)
    assert wide is not None
    held = people.ack(wide.incident, "person:ana", NOW).incident
    fresh = people.release(held, "person:ana", WORLD, NOW)
    assert (fresh.incident.widened, fresh.incident.exhausted, woken(fresh)) == (0, False, ["ana"])


def test_the_first_page_goes_to_the_first_step_at_once():
    incident = opened()
    assert (incident.step, incident.round, incident.paged_at, incident.next_at) == (0, 0, NOW, after(minutes=5))


def test_no_repeat_means_one_round():
    around = with_steps(("person:ana",), ("person:ben",))
    assert ladder(around, 3) == [(5, ["ben"], 1, 0), (10, ["dan"], 2, 1), (25, ["dan", "ana", "ben"], 2, 2)]


def test_an_empty_step_is_passed_over_at_once_and_said_so():
    around = with_steps(("person:nobody",), ("person:ben",))
    incident = opened(world=around)
    assert (incident.step, incident.paged_at) == (1, NOW)


def test_the_reason_of_a_skipped_step_reaches_the_audit():
    around = with_steps(("person:ana",), ("schedule:none", "team:none"), ("person:ben",))
    decision = due(opened(world=around), around, after(minutes=5))
    assert decision is not None
    assert woken(decision) == ["ben"]
    assert decision.why == (
        "no ack in 5 min; level 2 skipped (schedule:none: no such schedule; team:none: no such team)"
    )


def test_a_ladder_without_anybody_goes_to_the_fallback_at_once():
    around = with_steps(("person:nobody",), ("team:nobody",), repeat=3)
    incident = opened(world=around)
    assert incident.exhausted
    assert incident.next_at == after(minutes=15)


def test_a_schedule_is_asked_when_the_step_comes_not_when_the_incident_opens():
    rota = Schedule(id="primary", layers=(Layer(people=("cat", "dan"), handoff="Wed 02:03", start=date(2026, 10, 28)),))
    around = with_steps(("person:ana",), ("schedule:primary",))
    around = world(around.book.model_copy(update={"schedules": {"primary": rota}}))
    decision = due(opened(world=around), around, after(minutes=5))
    assert decision is not None
    assert woken(decision) == ["dan"]  # on duty since 02:03, two minutes before this step


def test_the_fallback_is_never_nobody():
    incident = opened(world=with_steps(("person:ana",)))
    left = world(BOOK.model_copy(update={"people": {"ben": PEOPLE["ben"]}, "fallback": "person:dan"}))
    for minutes in (5, 20, 35):
        decision = due(incident, left, after(minutes=minutes))
        assert decision is not None
        assert woken(decision) == ["ben"]
        incident = decision.incident


def test_an_incident_keeps_the_policy_it_started_with():
    changed = with_steps(("person:dan",), ("person:dan",))
    decision = due(opened(), changed, after(minutes=5))
    assert decision is not None
    assert woken(decision) == ["ben", "cat"]


def test_escalation_says_in_the_thread_who_is_woken_next():
    decision = due(opened(), WORLD, after(minutes=5))
    assert decision is not None
    assert decision.say == (Say.ESCALATED,)
    assert decision.why == "no ack in 5 min"


def test_a_page_that_is_hours_late_is_sent_once_and_the_next_wait_starts_now():
    decision = due(opened(), WORLD, after(hours=8))
    assert decision is not None
    assert woken(decision) == ["ben", "cat"]
    assert decision.incident.next_at == after(hours=8, minutes=10)
    assert due(decision.incident, WORLD, after(hours=8)) is None
    assert decision.why == "no ack in 8 h; 7 h late"


@pytest.mark.parametrize(("late", "wait"), [(60, 5), (61, 60)])
def test_after_a_sleep_short_steps_come_a_minute_apart(late, wait):
    policy = Policy(id="payments", steps=(Step(notify=("person:ana",), wait=timedelta(seconds=5)),) * 3)
    around = world(BOOK.model_copy(update={"escalation_policies": {"payments": policy}}))
    decision = due(opened(world=around), around, after(seconds=5 + late))
    assert decision is not None
    assert decision.incident.next_at == after(seconds=5 + late + wait)


# The snapshot


def kept(steps, present: Book, **books: Book):
    """An incident that opened with the book `old`, and the world after a reload."""
    then = with_steps(*steps)
    incident = opened(world=replace(then, book_id="old"))
    return incident, World(WORLD.agents, present, WORLD.channel, book_id="new", books={"old": then.book, **books})


def rota(*names: str) -> dict[str, Schedule]:
    layer = Layer(people=names, handoff="Mon 09:00", start=date(2026, 1, 5), every="52w")
    return {"schedules": {"primary": Schedule(id="primary", layers=(layer,))}}


def test_a_reload_changes_neither_rota_nor_team_of_a_running_incident():
    then = with_steps(("person:ana",), ("schedule:primary", "team:payments"))
    then = world(then.book.model_copy(update=rota("cat")))
    incident = opened(world=replace(then, book_id="old"))
    team = then.book.teams["payments"].model_copy(update={"members": ("dan",)})
    now_book = then.book.model_copy(update=rota("dan") | {"teams": {"payments": team}})
    reloaded = World(WORLD.agents, now_book, WORLD.channel, book_id="new", books={"old": then.book})
    decision = due(incident, reloaded, after(minutes=5))
    assert decision is not None
    assert woken(decision) == ["cat", "ana", "ben"]
    fresh = due(opened(world=replace(reloaded, book=then.book)), reloaded, after(minutes=5))
    assert fresh is not None
    assert woken(fresh) == ["dan"], "an incident that opened after the reload has the new rota"


def test_who_has_left_the_book_is_still_paged_for_what_started_with_them():
    left = BOOK.model_copy(update={"people": {"dan": PEOPLE["dan"], "ana": PEOPLE["ana"]}})
    incident, around = kept([("person:ana",), ("person:ben",)], left)
    decision = due(incident, around, after(minutes=5))
    assert decision is not None
    assert woken(decision) == ["ben"]
    page = pages_for(decision, book_of(decision.incident, around), NOW)[0]
    assert (page.person, page.channel) == ("ben", PEOPLE["ben"].slack)


def test_a_new_address_counts_at_once():
    moved = PEOPLE["ben"].model_copy(update={"slack": "U0NEW"})
    incident, around = kept(
        [("person:ana",), ("person:ben",)], BOOK.model_copy(update={"people": PEOPLE | {"ben": moved}})
    )
    decision = due(incident, around, after(minutes=5))
    assert decision is not None
    assert pages_for(decision, book_of(decision.incident, around), NOW)[0].channel == "U0NEW"


def test_everybody_are_those_of_now():
    left = BOOK.model_copy(update={"people": {"dan": PEOPLE["dan"], "ana": PEOPLE["ana"]}})
    incident, around = kept([("person:ana",), ("person:ben",)], left)
    decision = due(incident.model_copy(update={"exhausted": True, "step": 2, "widened": 2}), around, after(minutes=5))
    assert decision is not None
    assert woken(decision) == ["dan", "ana", "ben"], "Ben of the team it started with; Cat has left"


def test_without_its_snapshot_the_book_of_now_counts_and_it_is_said():
    incident, around = kept([("person:ana",), ("team:payments",)], BOOK)
    decision = due(incident, replace(around, books={}), after(minutes=5))
    assert decision is not None
    assert woken(decision) == ["ana", "ben"]
    assert decision.why == "no ack in 5 min; the snapshot of its rotas cannot be read, so those of now count"


def test_a_page_to_somebody_without_an_address_goes_to_the_channel():
    decision = due(opened(), WORLD, after(minutes=5))
    assert decision is not None
    book = BOOK.model_copy(update={"people": {"cat": PEOPLE["cat"]}})
    assert [page.channel for page in pages_for(decision, book, NOW)] == ["#refunds", PEOPLE["cat"].slack, "#refunds"]


# An ack


def acked(by: str = "person:ana", at=NOW, **alerts):
    return people.ack(opened(**alerts), by, at).incident


def test_an_ack_is_asked_about_then_runs_out_and_the_ladder_starts_again():
    incident = acked()
    assert due(incident, WORLD, after(minutes=59)) is None
    asked = due(incident, WORLD, after(hours=1))
    assert asked is not None
    assert (asked.event, asked.say, asked.wake) == (Event.ACK_ASKED, (Say.REMINDER,), ())
    assert asked.incident.state is State.ACKED
    assert due(asked.incident, WORLD, after(hours=1, minutes=4)) is None
    expired = due(asked.incident, WORLD, after(hours=1, minutes=5))
    assert expired is not None
    assert expired.event is Event.ACK_EXPIRED
    assert woken(expired) == ["ana"]
    again = expired.incident
    assert (again.state, again.step, again.round, again.acked_by, again.ack_asked) == (State.OPEN, 0, 0, None, False)


def test_an_answer_to_the_question_keeps_it_for_another_timeout():
    asked = due(acked(), WORLD, after(hours=1))
    assert asked is not None
    kept = people.ack(asked.incident, "person:ana", after(hours=1, minutes=2)).incident
    assert kept.ack_asked is False
    assert kept.next_at == after(hours=2, minutes=2)
    assert kept.acked_at == NOW


def test_an_ack_from_the_command_line_has_nobody_to_ask_and_runs_out():
    expired = due(acked("cli:root"), WORLD, after(hours=1))
    assert expired is not None
    assert expired.event is Event.ACK_EXPIRED


@pytest.mark.parametrize(("severity", "hours"), [("critical", 1), ("warning", 4)])
def test_the_ack_timeout_of_the_policy(severity, hours):
    (decision,) = observe([alert(labels={"severity": severity})])
    assert ack_timeout(decision.incident) == timedelta(hours=hours)


def test_after_a_restart_an_exhausted_ladder_begins_at_its_first_step():
    incident = opened().model_copy(update={"exhausted": True, "step": 2, "round": 5})
    released = people.release(people.ack(incident, "person:dan", NOW).incident, "person:dan", WORLD, NOW)
    assert woken(released) == ["ana"]
    assert released.incident.exhausted is False


# Closed by hand


def test_closed_by_hand_while_its_alerts_go_on_it_opens_again_after_an_ack_timeout():
    closed = people.resolve(opened(), "person:ana", NOW).incident
    assert due(closed, WORLD, after(minutes=59)) is None
    again = due(closed, WORLD, after(hours=1))
    assert again is not None
    assert again.event is Event.STILL_FIRING
    assert woken(again) == ["ana"]
    reopened = again.incident
    assert (reopened.state, reopened.resolved_at, reopened.resolved_by, reopened.how_resolved) == (
        State.OPEN,
        None,
        None,
        "",
    )


def test_closed_by_hand_while_only_data_is_missing_it_stays_closed():
    incident = opened()
    silent = incident.model_copy(update={"alerts": tuple(no_data(one) for one in incident.alerts)})
    closed = people.resolve(silent, "person:ana", NOW).incident
    decision = due(closed, WORLD, after(hours=1))
    assert decision is not None
    assert decision.wake == ()
    assert decision.incident.over


def test_nothing_is_due_of_an_incident_without_a_deadline():
    assert due(opened().model_copy(update={"next_at": None}), WORLD, after(days=300)) is None


# Info incidents wake nobody, whatever people do to them


def info():
    return opened(alert(labels={"severity": "info"}))


def test_an_ack_of_an_info_incident_never_runs_out():
    incident = people.ack(info(), "person:ana", NOW).incident
    assert incident.severity is Severity.INFO
    assert (incident.next_at, incident.ack_expires_at) == (None, None)


def test_a_released_info_incident_wakes_nobody():
    released = people.release(people.ack(info(), "person:ana", NOW).incident, "person:ana", WORLD, after(minutes=1))
    assert (released.wake, released.incident.state, released.incident.next_at) == ((), State.OPEN, None)
    assert (released.incident.acked_by, released.incident.acked_at) == (None, None)


def test_an_info_incident_closed_by_hand_opens_again_without_waking_anybody():
    closed = people.resolve(info(), "person:ana", NOW).incident
    assert closed.next_at is not None
    again = due(closed, WORLD, closed.next_at)
    assert again is not None
    assert (again.wake, again.incident.state, again.incident.next_at) == ((), State.OPEN, None)


def test_whoever_passes_on_an_info_incident_asks_for_somebody_to_be_woken():
    assert woken(people.decline(info(), "person:ana", WORLD, NOW)) == ["ben", "cat"]
