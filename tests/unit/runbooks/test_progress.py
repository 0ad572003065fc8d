"""What comes next: where the last mark leads, what the checks point to, the next in line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW

from bot.errors import UsageError
from bot.incidents.model import StepMark
from bot.runbooks import progress
from bot.runbooks.rendered import CheckResult, Rendered, RenderedChoice, RenderedStep, Verdict

CHOICES = (RenderedChoice(label="Credential", goto="rotate", likely=True), RenderedChoice(label="Neither", goto="up"))
STEPS = (
    RenderedStep(number=1, id="crm", kind="check", title="CRM", check=CheckResult(verdict=Verdict.FAIL, value="62 %")),
    RenderedStep(number=2, id="which", kind="decision", title="Which?", choices=CHOICES),
    RenderedStep(number=3, id="look", kind="manual", title="Look", on_fail="up"),
    RenderedStep(number=4, id="rotate", kind="command", title="Rotate", verify="crm"),
    RenderedStep(number=5, id="up", kind="escalate", title="Up"),
    RenderedStep(number=6, id="hand", kind="handoff", title="Hand over"),
)


def rendered(likely=None, **changes):
    return Rendered(**{"runbook": "b", "steps": STEPS, "likely_step": likely, "rendered_at": NOW} | changes)


def mark(step, state="done", text="", minutes=0):
    at = NOW + timedelta(minutes=minutes)
    return StepMark(step=step, state=state, at=at, by="person:ana", text=text)


@pytest.mark.parametrize(
    ("likely", "marks", "following"),
    [
        (None, [], "which"),  # the first that asks for hands
        (4, [], "rotate"),
        (4, [mark("rotate")], "up"),  # the next in line after the likely one
        (4, [mark("look")], "rotate"),
        (4, [mark("which", text="Neither")], "up"),  # a person's answer beats what the checks say
        (4, [mark("which", text="Neither"), mark("up")], "hand"),
        (None, [mark("which", text="Credential")], "rotate"),
        (None, [mark("which", text="credential "), mark("rotate")], "up"),
        (None, [mark("which", text="gone")], "look"),
        (None, [mark("look", "failed")], "up"),
        (None, [mark("look", "skipped")], "rotate"),
        (None, [mark("rotate"), mark("look", "failed"), mark("up")], "hand"),
        (None, [mark("hand")], None),  # handed over: nothing is left to do
        (None, [mark("up"), mark("hand", "skipped")], "which"),  # what was jumped over
        (None, [mark(step.id) for step in STEPS[1:]], None),
        (None, [mark("look", "undone")], "which"),
        (4, [mark("rotate", "asked")], "up"),  # it waits for others
    ],
)
def test_what_comes_next(likely, marks, following):
    step = progress.next_step(rendered(likely), marks)
    assert (step.id if step else None) == following


@pytest.mark.parametrize(
    ("text", "marked", "following"),
    [
        ("One", ["a"], "after"),  # not b: that is for the other answer
        ("Other", ["b"], "after"),
        ("One", ["a", "after"], "up"),
        ("gone", ["a"], "b"),
    ],
)
def test_what_another_answer_would_have_led_to_is_passed_over(text, marked, following):
    choices = (
        RenderedChoice(label="One", goto="a"),
        RenderedChoice(label="Other", goto="b"),
        RenderedChoice(label="Neither", goto="up"),
    )
    steps = (
        RenderedStep(number=1, id="which", kind="decision", title="Which?", choices=choices),
        RenderedStep(number=2, id="a", kind="manual", title="A"),
        RenderedStep(number=3, id="b", kind="manual", title="B"),
        RenderedStep(number=4, id="after", kind="manual", title="After"),
        RenderedStep(number=5, id="up", kind="escalate", title="Up"),
    )
    marks = [mark("which", text=text), *map(mark, marked)]
    assert progress.next_step(rendered(steps=steps), marks).id == following


def test_a_decision_may_lead_to_a_step_whose_condition_does_not_hold():
    hidden = rendered(steps=(*STEPS[:3], *STEPS[4:]), hidden=(STEPS[3],))
    assert progress.next_step(hidden, [mark("which", text="Credential")]).id == "rotate"
    assert progress.next_step(hidden, [mark("which", text="Credential"), mark("rotate")]).id == "up"


def test_a_marked_step_stays_although_its_condition_is_over():
    hidden = rendered(steps=(*STEPS[:3], *STEPS[4:]), hidden=(STEPS[3],))
    assert [step.id for step in progress.shown(hidden, [])] == ["crm", "which", "look", "up", "hand"]
    assert [step.id for step in progress.shown(hidden, [mark("rotate")])] == [step.id for step in STEPS]


def test_what_people_do_is_counted_and_checks_are_not():
    marks = [mark("which", text="Neither"), mark("look", "failed"), mark("rotate", "skipped"), mark("up", "undone")]
    assert progress.counted(rendered(), marks) == progress.Counts(done=1, skipped=1, failed=1, total=5)


def test_a_step_is_known_by_number_and_id_hidden_or_not():
    hidden = rendered(steps=STEPS[:3], hidden=STEPS[3:])
    assert [progress.named(hidden, name, "INC-7").id for name in ("2", "rotate", " 4 ")] == [
        "which",
        "rotate",
        "rotate",
    ]


@pytest.mark.parametrize(
    ("runbook", "name", "told"),
    [
        (rendered(), "rotat", 'runbook b has no step "rotat"; did you mean "rotate"?'),
        (rendered(), "", "runbook b has no step"),
        (None, "rotate", "INC-7 has no runbook"),
        (Rendered(rendered_at=NOW), "rotate", "INC-7 has no runbook"),
    ],
)
def test_an_unknown_step_is_named_with_the_way_out(runbook, name, told):
    with pytest.raises(UsageError, match=told.replace("?", r"\?")):
        progress.named(runbook, name, "INC-7")


@pytest.mark.parametrize(("text", "goto"), [("CREDENTIAL", "rotate"), ("up", "up"), ("Neither", "up"), ("?", None)])
def test_a_choice_is_known_by_its_label_or_its_target(text, goto):
    choice = progress.choice_of(STEPS[1], text)
    assert (choice.goto if choice else None) == goto


@pytest.mark.parametrize(
    ("made", "minutes", "shown"),
    [(mark("rotate"), 1, True), (mark("rotate"), 0, False), (mark("rotate", "failed"), 1, False)],
)
def test_a_check_shows_whether_a_step_has_helped_only_when_it_ran_after_it(made, minutes, shown):
    later = rendered(rendered_at=NOW + timedelta(minutes=minutes))
    assert (progress.verified(later, STEPS[3], made) is not None) is shown


def test_a_verdict_is_told_with_value_and_expectation():
    check = STEPS[0].model_copy(update={"check": CheckResult(verdict=Verdict.PASS, value="2 %", want="< 5 %")})
    assert progress.verdict_of(check) == "check 1 · CRM passes: 2 % (want < 5 %)"
    assert progress.verdict_of(STEPS[0]) == "check 1 · CRM still fails: 62 %"
