"""Steps below messages and in the window: what is shown when, and that nothing breaks Slack's layout."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from fake_slack import layout_problem
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from slack_world import BOOK, NOW, incident, page, rendered

from bot.incidents.model import State, StepMark
from bot.paging.model import PageKind
from bot.runbooks.model import Approve
from bot.runbooks.rendered import CheckResult, RenderedCall, RenderedChoice, RenderedLink, RenderedStep, Verdict
from bot.slack import runbook_view, steps
from bot.slack.blocks import draw
from bot.slack.kit import BLOCKS_LIMIT, TOTAL_LIMIT

CALL = RenderedCall(webhook="control", method="POST", path="/agents/a/pause", body='{"why": "x"}')
DECISION = RenderedStep(
    number=5,
    id="which",
    kind="decision",
    title="Which?",
    choices=(RenderedChoice(label="Credential", goto="rotate", likely=True), RenderedChoice(label="None", goto="gone")),
)
ACTION = RenderedStep(number=6, id="pause", kind="action", title="Pause", call=CALL, undo=CALL, approve=Approve())
UP = RenderedStep(number=7, id="up", kind="escalate", title="Up", to="level:2", after=timedelta(minutes=20))
HAND = RenderedStep(number=8, id="hand", kind="handoff", title="Hand over", questions=("What is left?",))


def mark(step, state="done", *, by="person:ana", seconds=0, text=""):
    return StepMark(step=step, state=state, at=NOW - timedelta(seconds=seconds), by=by, text=text)


def acked(*marks, **changes):
    return incident(state=State.ACKED, revision=2, acked_by="person:ana", acked_at=NOW, progress=marks, **changes)


def with_steps(*more, likely=None, **changes):
    return rendered(steps=(*rendered().steps, *more), likely_step=likely, **changes)


def buttons(block):
    return [(one["text"]["text"], one["action_id"], one["value"]) for one in block["elements"]] if block else None


def below(one, *marks):
    """The buttons below a message when this step comes next."""
    done = [mark(step.id, seconds=9 - index) for index, step in enumerate(rendered().steps) if step.kind != "check"]
    return buttons(steps.next_buttons(acked(*done, *marks), with_steps(one)))


# Below messages


def test_the_likely_step_comes_first_with_one_button():
    drawn = draw(page(PageKind.CARD), acked(), rendered(), BOOK, NOW)["blocks"]
    told = next(block for block in drawn if "*Next:*" in json.dumps(block))
    assert told["text"]["text"].startswith("*Next:* 3 · CRM token expired, rotate it\non the bastion:\n```agentctl")
    assert buttons(drawn[drawn.index(told) + 1]) == [("Step 3 done", "step.done", "INC-7|2|rotate")]


def test_what_was_done_is_told_with_person_and_time():
    told = steps.progress_line(acked(mark("rotate", seconds=120)), rendered(), BOOK, NOW)
    at = "<!date^1795140960^{time}|02:16 UTC>"
    assert told == f"*Runbook 1/2 done.* ✅ 3 · CRM token expired, rotate it: done by Ana Ruiz at {at}"


def test_who_is_paged_next_sees_how_far_the_others_came():
    drawn = draw(page(), incident(progress=(mark("rotate", "failed"),)), rendered(), BOOK, NOW)["blocks"]
    assert "*Runbook 0/2 done, 1 failed.* ❌ 3 · CRM token expired" in json.dumps(drawn, ensure_ascii=False)


def test_a_resolved_message_says_how_far_the_runbook_was_followed():
    over = incident(state=State.RESOLVED, resolved_at=NOW, how_resolved="cleared", progress=(mark("rotate"),))
    assert "Runbook 1/2 done." in json.dumps(draw(page(PageKind.CARD), over, rendered(), BOOK, NOW)["blocks"])


@pytest.mark.parametrize(
    ("checked", "seconds", "told"),
    [
        (-30, 10, "⏳ Its check runs again…"),
        (-30, 90, ""),  # it never answered: nothing is claimed
        (0, 10, "Since then: ❌ tool crm.lookup healthy: 62 % (want &lt; 5 %) (checked just now)"),
    ],
)
def test_whether_a_step_has_helped_is_said_once_its_check_has_run(checked, seconds, told):
    rotate = rendered().steps[2].model_copy(update={"verify": "crm"})
    book = rendered(
        steps=(*rendered().steps[:2], rotate),
        rendered_at=NOW + timedelta(seconds=checked - (0 if checked == 0 else seconds)),
    )
    line = steps.progress_line(acked(mark("rotate", seconds=seconds)), book, BOOK, NOW)
    assert line.partition("\n")[2] == told


def test_a_question_has_its_answers_as_buttons():
    assert below(DECISION) == [
        ("Credential", "step.choose.0", "INC-7|2|which|Credential"),
        ("None", "step.choose.1", "INC-7|2|which|None"),
    ]


def test_a_step_that_acts_asks_first():
    assert below(ACTION) == [("Run step 6…", "act.ask", "INC-7|2|pause")]
    assert below(ACTION.model_copy(update={"call": None})) is None  # it could not be made up
    (up,) = steps.next_buttons(acked(mark("rotate"), mark("wiki")), with_steps(UP))["elements"]
    assert (up["text"]["text"], up["action_id"]) == ("Escalate to level 2", "step.escalate")
    assert up["confirm"]["title"]["text"] == "Page level 2?"
    assert up["value"] == "INC-7|2|up|level:2"
    (later,) = steps.next_buttons(acked(mark("rotate"), mark("wiki"), step=1), with_steps(UP))["elements"]
    assert (later["text"]["text"], later["value"]) == ("Escalate to the next level", "INC-7|2|up|next")
    assert below(HAND) == [("Write the hand-off…", "step.handoff", "INC-7|2|hand")]


def test_when_nothing_is_left_it_says_so():
    done = acked(mark("rotate"), mark("wiki"))
    assert steps.next_lines(done, rendered(), BOOK, NOW)[-1] == "Nothing is left to do in the runbook."
    assert steps.next_buttons(done, rendered()) is None


@pytest.mark.parametrize(("minutes", "told"), [(5, "That is at "), (30, "That time is over since ")])
def test_until_when_to_wait_before_escalating_is_told(minutes, told):
    one = acked(mark("rotate"), mark("wiki"), opened_at=NOW - timedelta(minutes=minutes))
    lines = steps.next_lines(one, with_steps(UP), BOOK, NOW)
    assert "Pages level 2, if nothing has helped within 20 min." in lines
    assert lines[-1].startswith(told)


# In the window


def in_window(one, *marks):
    return buttons(steps.window_buttons(acked(*marks), one, likely=False))


def test_a_step_can_be_done_skipped_failed_or_noted():
    value = "INC-7|2|rotate"
    assert in_window(rendered().steps[2]) == [
        ("Done", "step.done", value),
        ("Skip", "step.skip", value),
        ("Failed", "step.fail", value),
        ("Note…", "step.note", value),
    ]


@pytest.mark.parametrize("state", ["done", "skipped", "failed"])
def test_a_mark_can_be_taken_back(state):
    assert [action for _, action, _ in in_window(rendered().steps[2], mark("rotate", state))] == [
        "step.undo",
        "step.note",
    ]


def test_a_check_is_done_by_the_machine():
    assert in_window(rendered().steps[0]) is None


@pytest.mark.parametrize(
    ("state", "by", "actions"),
    [
        ("asked", "person:ana", ["step.note"]),
        ("running", "person:ana", ["step.note"]),
        ("done", "agentpager", ["act.undo", "step.note"]),
        ("done", "person:ana", ["step.undo", "step.note"]),  # done by hand: there is nothing to take back
        ("failed", "agentpager", ["act.ask", "step.note"]),
        ("skipped", "person:ana", ["act.ask", "step.note"]),
        ("undone", "agentpager", ["act.ask", "step.skip", "step.fail", "step.note"]),
    ],
)
def test_an_action_is_only_taken_back_by_its_own_request(state, by, actions):
    assert [action for _, action, _ in in_window(ACTION, mark("pause", state, by=by))] == actions


def shown(window):
    return "\n".join(block["text"]["text"] for block in window["blocks"] if block["type"] in {"section", "header"})


def test_the_window_shows_requests_choices_and_questions():
    told = shown(runbook_view.window(acked(), with_steps(DECISION, ACTION, UP, HAND), BOOK, NOW))
    assert "• Credential: go to step 3 · CRM token expired, rotate it ← likely" in told
    assert "• None: go to gone" in told
    assert '```POST /agents/a/pause```\nwith ```{"why": "x"}```' in told
    assert "Approval by whoever is on call for it. It can be undone." in told
    assert "• What is left?" in told


def test_a_marked_step_that_is_hidden_now_stays_in_the_window():
    hidden = rendered(steps=rendered().steps[:2], hidden=rendered().steps[2:], likely_step=None)
    assert "3 · CRM token expired" not in shown(runbook_view.window(acked(), hidden, BOOK, NOW))
    told = shown(runbook_view.window(acked(mark("rotate")), hidden, BOOK, NOW))
    assert "3 · CRM token expired" in told
    assert "4 · CRM on-call" not in told


def test_a_choice_that_leads_to_a_hidden_step_shows_it():
    hidden = rendered(steps=(DECISION,), hidden=(rendered().steps[2],), likely_step=None)
    assert "← *next*" in shown(runbook_view.window(acked(mark("which", text="Credential")), hidden, BOOK, NOW))


@pytest.mark.parametrize("book", [None, rendered(runbook="", steps=(), problem="no runbook matches X")])
def test_a_window_without_a_runbook_says_why(book):
    assert "There is no runbook for INC-7" in shown(runbook_view.window(acked(), book, BOOK, NOW))


def test_the_page_of_a_step_is_known():
    many = rendered(
        steps=tuple(RenderedStep(number=n, id=f"s{n}", kind="manual", title="x") for n in range(1, 31)),
        likely_step=None,
    )
    assert [runbook_view.page_of(many.steps[index], acked(), many) for index in (0, 14, 15, 29)] == [0, 0, 1, 1]
    assert runbook_view.window(acked(), many, BOOK, NOW, page=99)["private_metadata"] == "INC-7|2|1"


@pytest.mark.parametrize(
    "value", ["INC-7|2|rotate", "INC-7|2|rotate|a|b", "INC-7||rotate", "INC-7|2|", "INC-7", "", "|||||"]
)
def test_a_value_is_read_as_it_was_written_and_nonsense_is_harmless(value):
    reference, step, choice = steps.read_value(value)
    if value.startswith("INC-7|") and "rotate" in value:
        assert (reference, step) == ("INC-7", "rotate")
        assert choice == value.partition("rotate")[2].removeprefix("|")
    else:
        assert step == ""


EVIL = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["<!channel> <@U02ABCDEF>", "*b* `c` ```d```", "x" * 4000, "\u202e\x00\x1b[31m", "|" * 50, "&" * 4000]
    ),
)


@given(text=EVIL, count=st.integers(1, 30))
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25, deadline=None)
@example(text="<!channel>" * 10_000, count=8)
def test_no_text_breaks_the_layout_or_mentions_anybody(text, count):
    made = []
    kinds = ["manual", "check", "command", "link", "decision", "action", "escalate", "handoff"]
    check = CheckResult(verdict=Verdict.ERROR, value=text, want=text, error=text)
    for number in range(1, count + 1):
        kind = kinds[number % len(kinds)]
        made.append(
            RenderedStep(
                number=number, id=f"s{number}", kind=kind, title=text, text=text, command=text, run_on=text, to=text,
                check=check if kind == "check" else None,
                choices=tuple(RenderedChoice(label=text[:200], goto=text[:80], likely=True) for _ in range(12)),
                call=RenderedCall(webhook=text, method="POST", path=text, body=text), approve=Approve(by=(text,)),
                questions=(text,) * 12,
            )
        )  # fmt: skip
    book = rendered(
        title=text, summary=text, impact=text, problem=text, owner=text, steps=tuple(made), likely_step=None,
        links=(RenderedLink(title=text, url="https://x.example/" + text),) * 20,
    )  # fmt: skip
    one = acked(mark("s1", text=text[:1000]), mark("s3", "failed", by=f"cli:{text[:200]}"))
    for kind in (PageKind.PAGE, PageKind.CARD, PageKind.RUNBOOK):
        message = draw(page(kind), one, book, BOOK, NOW)
        assert layout_problem(message) == ""
        assert len(message["blocks"]) <= BLOCKS_LIMIT
        assert len(json.dumps(message["blocks"], ensure_ascii=False)) <= TOTAL_LIMIT + 400
    views = [runbook_view.window(one, book, BOOK, NOW, page=number, notice=text) for number in (0, 1)]
    views += [runbook_view.report_view("INC-7", book), runbook_view.failed("INC-7", text)]
    views += [form("INC-7", step) for step in made[:8] for form in (runbook_view.note_view, runbook_view.hand_off_view)]
    for view in views:
        assert _problem(view) is None
        assert not [one for one in _texts(view) if "<!channel" in one or "<@U02ABCDEF" in one]


def _texts(value):
    """Everything that is shown; not the values of buttons, which only we read."""
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for name, one in value.items() if name != "value" for text in _texts(one)]
    return []


def _problem(view):
    """What Slack would refuse of a view."""
    blocks = view["blocks"]
    if not 1 <= len(blocks) <= 100 or len(json.dumps(view, ensure_ascii=False)) > 200_000:
        return "too large"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        return "block ids repeat"
    texts = [view["title"], view.get("submit"), view.get("close")]
    if any(text is not None and not 1 <= len(text["text"]) <= 24 for text in texts):
        return "title, submit or close"
    for block in blocks:
        if block["type"] == "input":
            if not 1 <= len(block["label"]["text"]) <= 2000 or len(block.get("hint", {}).get("text", "")) > 2000:
                return "label"
            options = block["element"].get("options", [])
            if len(options) > 100 or any(not 1 <= len(one["text"]["text"]) <= 75 for one in options):
                return "options"
    others = [block for block in blocks if block["type"] != "input"]
    return next((told for one in others if (told := layout_problem({"blocks": [one]}))), None)
