"""Marks of steps: who may say what, twice is harmless, escalations page and hand-offs are written down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_world import BOOK, WORLD, after, opened, woken

from bot.errors import ConflictError, UsageError
from bot.incidents import people, steps
from bot.incidents.decision import Task, World
from bot.incidents.model import Event, State, StepMark
from bot.incidents.steps import AlreadyError, Named
from bot.oncall.model import Policy, Step, Team

ROTATE = Named("rotate", "step 3 · Rotate the token")
UP = Named("up", "step 6 · Get help")
ANA, BEN = "person:ana", "person:ben"


def marked(incident, state="done", *, step=ROTATE, text="", by=ANA, minutes=1):
    return steps.mark(incident, by, step, state, text, after(minutes=minutes)).incident


@pytest.mark.parametrize(("state", "word"), [("done", "done"), ("skipped", "skipped"), ("failed", "failed")])
def test_a_mark_is_kept_with_person_and_time_and_told(state, word):
    before = opened()
    decision = steps.mark(before, ANA, ROTATE, state, " as\x00 told ", after(minutes=2))
    assert decision.incident.progress == (
        StepMark(step="rotate", state=state, at=after(minutes=2), by=ANA, text="as told"),
    )
    assert (decision.event, decision.actor) == (Event.STEPPED, ANA)
    assert decision.why == f"step 3 · Rotate the token: {word}, as told"
    assert (decision.wake, decision.say, decision.cancel) == ((), (), False)
    assert decision.incident.revision == before.revision + 1  # the messages show it


@pytest.mark.parametrize("state", State)
def test_steps_are_marked_in_every_state_and_change_none(state):
    incident = opened().model_copy(update={"state": state})
    assert marked(incident).state is state


def test_the_last_mark_of_a_step_counts_and_stands_last():
    incident = marked(marked(opened(), step=UP), "failed")
    again = marked(marked(incident, step=UP, state="skipped"), "done", by=BEN, minutes=5)
    assert [(mark.step, mark.state, mark.by) for mark in again.progress] == [
        ("up", "skipped", ANA),
        ("rotate", "done", BEN),
    ]


def test_the_same_step_twice_is_nothing_new_and_says_who_was_first():
    with pytest.raises(AlreadyError, match=r"^step 3 · Rotate the token is done already: ana, 02:01 UTC$") as refused:
        marked(marked(opened()), by=BEN, minutes=2)
    assert refused.value.holder == ANA


def test_another_answer_to_the_same_question_is_something_new():
    assert marked(marked(opened(), text="Provider"), text="Credential").progress[0].text == "Credential"
    with pytest.raises(AlreadyError, match=r"done already \(Provider\)"):
        marked(marked(opened(), text="Provider"), text="Provider")


def test_a_slip_of_the_thumb_can_be_taken_back_once():
    undone = marked(marked(opened()), "undone")
    assert undone.progress[0].state == "undone"
    for incident in (undone, opened()):
        with pytest.raises(AlreadyError, match="is not marked"):
            marked(incident, "undone")
    assert marked(undone).progress[0].state == "done"


@pytest.mark.parametrize(("state", "why"), [("asked", "waits for approval"), ("running", "is being carried out")])
def test_nothing_becomes_of_an_action_while_it_is_under_way(state, why):
    mark = StepMark.model_validate({"step": "rotate", "state": state, "at": after(), "by": ANA})
    with pytest.raises(ConflictError, match=why):
        marked(opened().model_copy(update={"progress": (mark,)}))


@pytest.mark.parametrize(("state", "text"), [("asked", ""), ("open", ""), ("", ""), ("done", "x" * 1001)])
def test_what_no_person_can_say_is_refused(state, text):
    with pytest.raises(UsageError):
        marked(opened(), state, text=text)


def test_a_hand_off_is_marked_and_its_answers_become_notes():
    decision = steps.hand_off(opened(), ANA, ROTATE, "What changed?: the token\nLeft: replay", after())
    assert [note.text for note in decision.incident.notes] == ["What changed?: the token\nLeft: replay"]
    assert decision.incident.progress[0].state == "done"
    assert decision.why == "step 3 · Rotate the token: done\nWhat changed?: the token\nLeft: replay"


def test_long_answers_are_kept_whole_in_several_notes():
    answers = "a" * 700 + "\n" + "b" * 700 + "\n" + "c" * 2300
    kept = steps.hand_off(opened(), ANA, ROTATE, answers, after()).incident.notes
    assert all(len(note.text) <= 1000 for note in kept)
    assert "".join(note.text for note in kept).replace("\n", "") == answers.replace("\n", "")


def test_a_hand_off_without_an_answer_is_refused():
    with pytest.raises(UsageError, match="needs an answer"):
        steps.hand_off(opened(), ANA, ROTATE, " \n ", after())


# Escalating


def escalated(incident, to, *, by=ANA, world=WORLD):
    return steps.escalate(incident, by, UP, to, world, after(minutes=3))


def test_an_escalation_without_a_target_pages_the_next_level_and_marks_the_step():
    decision = escalated(opened(), "")
    assert woken(decision) == ["ben", "cat"]
    assert decision.event is Event.ESCALATED
    assert decision.incident.progress == (StepMark(step="up", state="done", at=after(minutes=3), by=ANA),)
    assert decision.why.endswith("; step 6 · Get help")


LADDER = Policy(
    id="payments",
    steps=tuple(Step(notify=(f"person:{name}",), wait="5m") for name in ("ana", "ben", "cat")),
    repeat=1,
)


def laddered(**changes):
    return opened().model_copy(update={"policy": LADDER, **changes})


@pytest.mark.parametrize(
    ("to", "step", "who"),
    [("level:3", 0, "cat"), ("level:2", 0, "ben"), ("level:3", 1, "cat"), ("level:9", 0, "cat")],
)
def test_a_level_is_paged_directly(to, step, who):
    assert woken(escalated(laddered(step=step), to)) == [who]


@pytest.mark.parametrize(
    ("to", "changes"),
    [
        ("level:1", {"step": 0}),
        ("level:2", {"step": 1}),
        ("level:9", {"step": 2}),
        ("level:3", {"step": 0, "round": 1}),
        ("level:3", {"step": 3, "round": 2, "exhausted": True}),
    ],
)
def test_who_asks_for_a_level_that_was_paged_meanwhile_does_not_wake_the_one_after_it(to, changes):
    with pytest.raises(ConflictError, match="has been paged already; escalate it to page the next one"):
        escalated(laddered(**changes), to)


@pytest.mark.parametrize(
    ("to", "changes", "level"),
    [
        ("level:2", {"step": 0}, "level:2"),
        ("level:3", {"step": 0}, "level:3"),
        ("level:2", {"step": 1}, "level:3"),
        ("level:2", {"step": 2}, ""),
        ("level:9", {"step": 0}, "level:3"),
        ("", {"step": 0}, "level:2"),
        ("level:2", {"step": 0, "round": 1}, ""),
    ],
)
def test_the_level_that_would_be_paged_now_is_known(to, changes, level):
    assert steps.level_next(laddered(**changes), to) == level


HELPERS = BOOK.model_copy(update={"teams": BOOK.teams | {"help": Team(id="help", members=("ben", "cat", "dan"))}})


def test_a_team_is_asked_for_help_although_one_of_them_has_it_already():
    held = people.ack(opened(), BEN, after(minutes=1)).incident
    decision = escalated(held, "team:help", world=replace(WORLD, book=HELPERS))
    assert (woken(decision), decision.incident.assigned) == (["cat", "dan"], "cat")
    assert [told.person for told in decision.tell] == ["ben"]
    lone = BOOK.model_copy(update={"teams": {"help": Team(id="help", members=("ben",))}})
    with pytest.raises(ConflictError, match="has INC-1 already"):
        escalated(held, "team:help", world=replace(WORLD, book=lone))


def test_a_team_is_asked_for_help_although_one_of_them_has_left_since():
    incident = opened().model_copy(update={"book_id": "begun"})
    now = HELPERS.model_copy(update={"people": {name: one for name, one in BOOK.people.items() if name != "ben"}})
    world = replace(WORLD, book=now, book_id="now", books={"begun": HELPERS})
    decision = escalated(incident, "team:help", world=world)
    assert (woken(decision), decision.incident.assigned) == (["ben", "cat", "dan"], "cat")


def test_a_person_is_handed_the_incident():
    decision = escalated(opened(), "person:dan")
    assert (woken(decision), decision.incident.assigned, decision.event) == (["dan"], "dan", Event.HANDED)
    assert decision.incident.progress[0].step == "up"


def test_a_team_is_whoever_its_policy_pages_first_without_the_one_who_asks():
    book = BOOK.model_copy(update={"escalation_policies": {"payments": LADDER}})
    decision = escalated(opened(), "team:payments", by=BEN, world=World({}, book, "#x"))
    assert woken(decision) == ["ana"]
    assert "ben asks team:payments for help: ana" in decision.why


def test_a_team_without_a_policy_is_all_its_members():
    teams = {
        "crm": BOOK.teams["payments"].model_copy(update={"id": "crm", "members": ("cat", "dan"), "escalation": None})
    }
    world = World({}, BOOK.model_copy(update={"teams": teams}), "#x")
    decision = escalated(opened(), "team:crm", world=world)
    assert woken(decision) == ["cat", "dan"]
    assert decision.incident.assigned == "cat"


@pytest.mark.parametrize(
    "to", ["level:x", "level:0", "person:zoe", "team:nope", "schedule:nope", "nobody", "channel:#x"]
)
def test_nobody_behind_the_target_is_said_and_nothing_is_marked(to):
    with pytest.raises(UsageError):
        escalated(opened(), to)


def test_who_alone_is_on_duty_there_is_told_so():
    teams = {"solo": BOOK.teams["payments"].model_copy(update={"id": "solo", "members": ("ana",), "escalation": None})}
    with pytest.raises(UsageError, match="besides you"):
        escalated(opened(), "team:solo", world=World({}, BOOK.model_copy(update={"teams": teams}), "#x"))


def test_a_second_click_on_the_escalation_wakes_nobody_again():
    first = escalated(opened(), "").incident
    with pytest.raises(AlreadyError):
        escalated(first, "", by=BEN)


def test_what_is_over_is_not_escalated():
    with pytest.raises(ConflictError):
        escalated(people.resolve(opened(), ANA, after()).incident, "")


# Readers and reports


def test_a_reader_is_counted_once_and_the_messages_stay():
    once = steps.opened(opened(), ANA)
    twice = steps.opened(once.incident, ANA)
    assert (once.incident.readers, twice.incident.readers) == ((ANA,), (ANA,))
    assert (once.event, twice.incident.revision) == (None, opened().revision)


def reported(incident=None, step=ROTATE, kind="wrong", text="the path has moved"):
    return steps.report(
        incident or opened(), ANA, "tool-errors", step, kind, text, "Ana Ruiz", "#payments-agents", after(minutes=4)
    )


def test_a_wrong_step_is_kept_and_filed():
    decision = reported()
    (fault,) = decision.incident.faults
    assert (fault.by, fault.runbook, fault.step, fault.kind, fault.text, fault.at) == (
        ANA,
        "tool-errors",
        "rotate",
        "wrong",
        "the path has moved",
        after(minutes=4),
    )
    assert decision.event is Event.REPORTED
    assert decision.tasks == (
        Task(
            "#payments-agents",
            "Runbook tool-errors, step 3 · Rotate the token: is wrong\nthe path has moved\n\n"
            f"Said by Ana Ruiz while working on {decision.incident.id}.",
        ),
    )


def test_a_missing_step_is_of_the_whole_runbook():
    decision = reported(step=None, kind="missing")
    assert decision.incident.faults[0].step == ""
    assert decision.tasks[0].text.startswith("Runbook tool-errors: lacks something\n")


@pytest.mark.parametrize(("kind", "text"), [("bad", "x"), ("wrong", " "), ("wrong", "x" * 1001)])
def test_a_report_that_says_nothing_is_refused(kind, text):
    with pytest.raises(UsageError):
        reported(kind=kind, text=text)


def test_reports_have_an_end():
    incident = opened()
    for _ in range(50):
        incident = reported(incident).incident
    with pytest.raises(ConflictError, match="50 reports"):
        reported(incident)
