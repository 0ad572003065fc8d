"""What may become of the run of an action: every event in every state."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, after, opened

from bot.actions import runs
from bot.actions.model import Run, RunState
from bot.actions.runs import Wish
from bot.errors import ConflictError, RemoteError, UsageError
from bot.incidents.model import State
from bot.runbooks.model import Approve
from bot.runbooks.rendered import RenderedCall, RenderedStep

CALL = RenderedCall(webhook="agent-control", method="POST", path="/agents/a/pause", body='{"why": "x"}')
UNDO = CALL.model_copy(update={"path": "/agents/a/resume", "body": ""})
MAY = {"ana": "on call", "ben": "lead"}
THREE = MAY | {"cat": "lead"}
INCIDENT = opened()
ANYBODY = Approve()


def wish(actor="person:ana", approve=ANYBODY, **changes) -> Wish:
    given = {"run_id": "RUN-1", "runbook": "book", "step": "pause", "title": "Pause", "kind": "action", "call": CALL}
    return Wish(**given | {"undo": UNDO, "approve": approve, "actor": actor} | changes)


def ask(given=None, earlier=(), may=MAY, incident=INCIDENT, now=NOW) -> Run:
    return runs.ask(incident, given or wish(), earlier, may, now)


def waiting(**approve) -> Run:
    """Asked for by Ana; her own word is not enough."""
    return ask(wish(approve=Approve(**{"min": 1, "self": False} | approve)), may=THREE)


def sending(attempt=1) -> Run:
    run = ask()
    for _ in range(attempt):
        run = runs.claimed(run.model_copy(update={"state": RunState.APPROVED}), NOW)
    return run


def in_state(state: RunState) -> Run:
    return waiting().model_copy(update={"state": state})


def agree(run, actor="person:ben", now=NOW, incident=INCIDENT, may=MAY) -> Run:
    return runs.agree(run, incident, actor, may, now)


# --- asking ---------------------------------------------------------------------------------------------------------


def test_the_word_of_who_asks_is_enough_where_the_runbook_says_so():
    run = ask()
    assert (run.state, run.due_at, [one.by for one in run.approvals]) == (RunState.APPROVED, NOW, ["person:ana"])
    assert (run.call, run.undo, run.asked_of) == (CALL, UNDO, ("ana", "ben"))


@pytest.mark.parametrize(
    ("actor", "approve"),
    [
        ("person:ana", Approve(min=2)),
        ("person:ana", Approve(self=False)),
        ("person:cat", ANYBODY),
        ("cli:root", ANYBODY),
    ],
)
def test_otherwise_it_waits_for_its_time_to_live(actor, approve):
    run = ask(wish(actor, approve))
    assert (run.state, run.due_at) == (RunState.ASKED, after(minutes=15))


def test_an_operator_whose_name_is_that_of_a_person_is_not_that_person():
    assert ask(wish("cli:ana")).state is RunState.ASKED
    assert ask(wish("ana")).approvals == ()


@pytest.mark.parametrize(
    ("approve", "may", "told"),
    [
        (Approve(), {}, "there is nobody"),
        (Approve(min=3), MAY, "there are 2"),
        (Approve(self=False), {"ana": "on call"}, "there is nobody"),
        (Approve(min=2, self=False), MAY, "there is 1"),
    ],
)
def test_what_not_enough_people_could_ever_agree_to_is_not_asked(approve, may, told):
    with pytest.raises(UsageError, match=told):
        ask(wish(approve=approve), may=may)


def test_one_at_a_time_for_a_step_and_it_says_who_was_first():
    first = waiting()
    with pytest.raises(ConflictError, match=r"ana has asked for it already \(70 s ago\): it waits for 1 more to agree"):
        ask(wish("person:ben"), [first], now=after(seconds=70))
    assert ask(wish(step="other"), [first]).step == "other"
    over = first.model_copy(update={"state": RunState.REFUSED})
    assert ask(wish("person:ben"), [over]).asked_by == "person:ben"


def test_what_was_shown_is_what_is_asked_for():
    shown = runs.token_of(CALL, [])
    assert ask(wish(token=shown)).call == CALL
    with pytest.raises(ConflictError, match="has changed since you looked at it"):
        ask(wish(token=shown, call=CALL.model_copy(update={"body": "{}"})))
    with pytest.raises(ConflictError, match="ben has just asked for it"):
        ask(wish(token=shown), [in_state(RunState.DONE).model_copy(update={"asked_by": "person:ben"})])


@pytest.mark.parametrize("field", ["webhook", "method", "path", "body"])
def test_every_part_of_a_request_is_in_its_token(field):
    assert runs.token_of(CALL.model_copy(update={field: "other"}), []) != runs.token_of(CALL, [])


def test_nothing_is_asked_for_when_the_incident_is_over_but_an_undo():
    over = INCIDENT.model_copy(update={"state": State.RESOLVED})
    with pytest.raises(ConflictError, match="is resolved"):
        ask(incident=over)
    assert ask(wish(kind="undo", undoes="RUN-0"), incident=over).kind == "undo"


def test_a_test_of_a_page_sends_nothing():
    with pytest.raises(ConflictError, match="is a test of a page"):
        ask(incident=INCIDENT.model_copy(update={"exercise": "test"}))


def test_only_a_step_with_a_request_can_be_asked_for():
    step = RenderedStep(number=2, id="look", kind="check", title="Look")
    with pytest.raises(UsageError, match='step 2 "look" is no action'):
        runs.action_of(step, "book", "person:ana", "RUN-1", "")
    lost = RenderedStep(number=3, id="pause", kind="action", title="Pause")
    with pytest.raises(UsageError, match="a value is not there"):
        runs.action_of(lost, "book", "person:ana", "RUN-1", "")


# --- agreeing and refusing ------------------------------------------------------------------------------------------


def test_it_is_due_with_the_last_word_that_it_needs():
    once = agree(waiting(min=2), "person:ben", may=THREE)
    assert (once.state, len(once.approvals)) == (RunState.ASKED, 1)
    twice = agree(once, "person:cat", after(seconds=5), may=THREE)
    assert (twice.state, twice.due_at, twice.approved_at) == (RunState.APPROVED, after(seconds=5), after(seconds=5))


def test_the_same_person_counts_once():
    once = agree(waiting(min=2), "person:ben", may=THREE)
    with pytest.raises(ConflictError, match="you have agreed already; it needs 1 more"):
        agree(once, "person:ben")


@pytest.mark.parametrize("actor", ["person:cat", "cli:ben", "api", "ben", ""])
def test_whoever_may_not_agree_changes_nothing(actor):
    with pytest.raises(UsageError, match="nothing was done"):
        agree(waiting(), actor)


def test_who_asks_may_not_agree_where_the_runbook_wants_somebody_else():
    with pytest.raises(UsageError, match="somebody else has to"):
        agree(waiting(), "person:ana")


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.ASKED])
def test_nobody_can_say_anything_once_it_is_settled(state):
    for say in (agree, lambda run: runs.refuse(run, "person:ben", MAY, NOW)):
        with pytest.raises(ConflictError, match="too late"):
            say(in_state(state))


def test_nor_after_its_time_even_before_that_is_written_down():
    with pytest.raises(ConflictError, match="the time to agree"):
        agree(waiting(), now=after(minutes=15))
    assert agree(waiting(), now=after(minutes=14, seconds=59)).state is RunState.APPROVED


def test_nor_once_the_incident_is_over():
    with pytest.raises(ConflictError, match="has been resolved"):
        agree(waiting(), incident=INCIDENT.model_copy(update={"state": State.RESOLVED}))


@pytest.mark.parametrize("actor", ["person:ben", "person:ana"])
def test_one_no_ends_it_also_from_who_asked(actor):
    refused = runs.refuse(waiting(), actor, {"ben": "lead"}, NOW)
    assert (refused.state, refused.refused_by, refused.due_at) == (RunState.REFUSED, actor, None)


def test_a_stranger_cannot_refuse_either():
    with pytest.raises(UsageError, match="nothing was done"):
        runs.refuse(waiting(), "person:cat", MAY, NOW)


# --- sending --------------------------------------------------------------------------------------------------------


def test_an_approval_is_not_acted_on_when_it_is_old():
    run = ask()
    assert not runs.too_late(run, after(minutes=10))
    assert runs.too_late(run, after(minutes=10, seconds=1))
    never = runs.given_up(run, after(hours=2))
    assert (never.state, never.answer) == (RunState.EXPIRED, "not sent: the approval is older than 10 minutes")
    tried = runs.given_up(runs.after_crash(sending(), NOW), after(hours=2))
    assert (tried.state, tried.unsure) == (RunState.FAILED, True)


@pytest.mark.parametrize(("attempt", "pause"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60)])
def test_pauses_grow_to_a_minute(attempt, pause):
    again = runs.after_failure(sending(attempt), RemoteError("no answer", unknown=True), NOW)
    assert (again.state, again.due_at) == (RunState.APPROVED, after(seconds=pause))


def test_eight_attempts_are_the_most():
    last = runs.after_failure(sending(8), RemoteError("no answer", unknown=True), NOW)
    assert (last.state, last.answer) == (RunState.FAILED, "given up after 8 attempts: no answer")


def test_what_the_webhook_asks_us_to_wait_is_waited_unless_the_approval_would_be_old():
    again = runs.after_failure(sending(), RemoteError("429", code="429", retry_after_seconds=30), NOW)
    assert again.due_at == after(seconds=30)
    late = runs.after_failure(sending(), RemoteError("429", code="429", retry_after_seconds=601), NOW)
    assert late.state is RunState.FAILED
    assert "it would take too long" in late.answer


@pytest.mark.parametrize(
    ("error", "unsure"),
    [
        (RemoteError("no answer in time", unknown=True), True),
        (RemoteError("500", code="500"), True),
        (RemoteError("503", code="503", retry_after_seconds=5), True),
        (RemoteError("429", code="429", retry_after_seconds=5), False),
        (RemoteError("unreachable", code="webhook_unreachable"), False),
        (RemoteError("403", code="403", permanent=True), False),
    ],
)
def test_what_may_have_been_done_is_said_and_never_forgotten(error, unsure):
    first = runs.after_failure(sending(), error, NOW)
    assert first.unsure is unsure
    second = runs.after_failure(runs.claimed(first, NOW), RemoteError("403", code="403", permanent=True), NOW)
    assert (second.state, second.unsure) == (RunState.FAILED, unsure)


def test_a_key_that_is_still_worked_on_is_asked_again_but_a_conflict_of_the_first_request_is_final():
    conflict = RemoteError("409", code="409", permanent=True)
    assert runs.after_failure(sending(1), conflict, NOW).state is RunState.FAILED
    assert runs.after_failure(sending(2), conflict, NOW).state is RunState.APPROVED


def test_a_crash_keeps_the_key_and_says_that_it_may_have_been_done():
    again = runs.after_crash(sending(), after(minutes=1))
    assert (again.id, again.state, again.unsure) == ("RUN-1", RunState.APPROVED, True)
    assert again.due_at == after(minutes=1)


# --- taking back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(RunState))
def test_only_what_was_done_is_taken_back(state):
    run = in_state(state)
    if state is RunState.DONE:
        undo = runs.undo_of(run, "person:ben", "RUN-2", "")
        assert (undo.call, undo.undo, undo.undoes, undo.approve) == (UNDO, None, "RUN-1", run.approve)
    else:
        with pytest.raises(ConflictError, match="has not been carried out"):
            runs.undo_of(run, "person:ben", "RUN-2", "")


def test_what_may_have_been_done_can_be_taken_back():
    run = in_state(RunState.FAILED).model_copy(update={"unsure": True})
    assert runs.undo_of(run, "person:ben", "RUN-2", "").kind == "undo"


def test_an_undo_is_not_undone_and_needs_a_way():
    with pytest.raises(UsageError, match="is an undo itself"):
        runs.undo_of(in_state(RunState.DONE).model_copy(update={"kind": "undo"}), "person:ben", "RUN-2", "")
    with pytest.raises(UsageError, match="names no undo"):
        runs.undo_of(in_state(RunState.DONE).model_copy(update={"undo": None}), "person:ben", "RUN-2", "")


def test_the_same_run_is_taken_back_once():
    done = in_state(RunState.DONE)
    undone = in_state(RunState.DONE).model_copy(update={"id": "RUN-2", "kind": "undo", "undoes": "RUN-1"})
    with pytest.raises(ConflictError, match="has been taken back already"):
        ask(runs.undo_of(done, "person:ben", "RUN-3", ""), [done, undone])


# --- what is shown of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind", "mark"),
    [
        (RunState.ASKED, "action", "asked"),
        (RunState.APPROVED, "action", "running"),
        (RunState.SENDING, "action", "running"),
        (RunState.DONE, "action", "done"),
        (RunState.FAILED, "action", "failed"),
        (RunState.REFUSED, "action", "failed"),
        (RunState.EXPIRED, "action", "failed"),
        (RunState.ASKED, "undo", None),
        (RunState.APPROVED, "undo", "running"),
        (RunState.SENDING, "undo", "running"),
        (RunState.DONE, "undo", "undone"),
        (RunState.FAILED, "undo", "failed"),
        (RunState.REFUSED, "undo", None),
        (RunState.EXPIRED, "undo", None),
    ],
)
def test_the_mark_at_the_step_in_every_state(state, kind, mark):
    made = runs.mark_of(in_state(state).model_copy(update={"kind": kind}), NOW)
    assert (made.state if made else None) == mark


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_has_its_words(state):
    assert runs.told(in_state(state)) != ""


# --- the clock ------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_takes_the_run_with_it():
    moved = runs.moved(ask(), timedelta(hours=1))
    assert (moved.due_at, moved.approved_at) == (after(hours=1), after(hours=1))
    assert not runs.too_late(moved, after(hours=1, minutes=9))


def test_nothing_waits_longer_than_its_whole_wait():
    far = waiting().model_copy(update={"due_at": after(days=3)})
    assert runs.bounded(far, NOW).due_at == after(minutes=15)
    near = waiting()
    assert runs.bounded(near, NOW) is near
