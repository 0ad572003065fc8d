"""How an action looks: the whole request, who has to agree, and only the buttons that make sense; safe for any data."""

from __future__ import annotations

import json

import pytest
from core_world import BOOK, NOW, after, opened
from fake_slack import layout_problem

from bot.actions.allowed import MOST, problem_of
from bot.actions.model import Approval, Run, RunState
from bot.actions.runs import Wish
from bot.incidents.model import State
from bot.ports import Proposal
from bot.runbooks.model import Approve
from bot.runbooks.rendered import RenderedCall
from bot.settings import ActionWebhook
from bot.slack.approval_blocks import blocks_of, text_of, visible, window

CALL = RenderedCall(webhook="agent-control", method="POST", path="/agents/a/pause", body='{"why": "INC-1"}')
UNDO = CALL.model_copy(update={"path": "/agents/a/resume", "body": ""})
INCIDENT = opened()
NASTY = "*b* `c` <!channel> <@U0ANA> <https://evil.example|x> & \u202e\u200b\x00 ~s~ _i_ @here #general"


def run(state=RunState.ASKED, **changes) -> Run:
    given = {"id": "RUN-1", "incident": "INC-1", "runbook": "book", "step": "pause", "title": "Pause the agent"}
    given |= {"call": CALL, "undo": UNDO, "approve": Approve(min=1), "state": state, "asked_by": "person:ana"}
    given |= {"asked_at": NOW, "asked_of": ("ben", "cat"), "due_at": after(minutes=15)}
    return Run(**given | changes)


def said(blocks) -> str:
    return json.dumps(blocks, ensure_ascii=False)


def shown(one: Run, person="ben", incident=INCIDENT) -> str:
    blocks = blocks_of(one, incident, BOOK, person, NOW)
    assert layout_problem({"blocks": blocks, "text": "x"}) == ""
    return said(blocks)


def buttons(one: Run, person="ben", incident=INCIDENT) -> list[str]:
    found = [block for block in blocks_of(one, incident, BOOK, person, NOW) if block["type"] == "actions"]
    return [element["action_id"] for block in found for element in block["elements"]]


def proposal(**changes) -> Proposal:
    given = {"run_id": "RUN-1", "runbook": "book", "step": "pause", "title": "Pause", "kind": "action", "call": CALL}
    wish = Wish(**given | {"undo": UNDO, "approve": Approve(), "actor": "person:ana", "token": "t"})
    return Proposal(
        **{"incident": INCIDENT, "wish": wish, "may": {"ana": "on call"}, "enough": True, "earlier": ()} | changes
    )


def test_whoever_is_asked_sees_the_request_whole_and_can_say_yes_or_no():
    text = shown(run(reason="customers wait"))
    assert "<@U0BEN> *Ana* asks for this on INC-1" in text
    assert 'POST /agents/a/pause\\n{\\"why\\": \\"INC-1\\"}' in text
    assert "customers wait" in text
    assert "One has to agree, until" in text
    assert "*Undo:* POST /agents/a/resume" in text
    assert buttons(run()) == ["act.approve", "act.refuse"]
    assert text_of(run(), INCIDENT, BOOK, "ben") == (
        "🔐 Ana asks you to approve: Pause the agent. Until 02:15 UTC. INC-1"
    )


def test_whoever_asked_sees_how_it_goes_and_can_take_it_back():
    assert "<@" not in shown(run(), "ana"), "nobody is woken by what they did themselves"
    assert buttons(run(), "ana") == ["act.refuse"]
    assert text_of(run(), INCIDENT, BOOK, "ana") == "⏳ Waits for approval: Pause the agent. INC-1"


@pytest.mark.parametrize(
    ("one", "words", "expected"),
    [
        (run(RunState.APPROVED, approvals=(Approval(at=NOW, by="person:ben"),)), "*Ben* agreed", []),
        (run(RunState.SENDING, attempt=3, answer="no answer in time"), "Attempt 3 of 8: no answer in time", []),
        (run(RunState.DONE, answer="200 ok", ended_at=NOW), "200 ok", ["act.undo"]),
        (run(RunState.DONE, answer="200 ok", undo=None), "It cannot be taken back from here", []),
        (run(RunState.DONE, kind="undo", undo=None, answer="200"), "Undo: Pause the agent", []),
        (run(RunState.FAILED, answer="403"), "As far as is known, nothing was changed", []),
        (run(RunState.FAILED, answer="500", unsure=True), "It may have been carried out all the same", ["act.undo"]),
        (run(RunState.REFUSED, refused_by="person:cat", ended_at=NOW), "*Cat* refused it", []),
        (run(RunState.EXPIRED), "Nobody agreed in time. Nothing was sent", []),
    ],
)
def test_every_state_says_what_it_is_and_offers_what_is_left(one, words, expected):
    for person in ("ben", "ana"):
        assert words in shown(one, person)
        assert buttons(one, person) == expected


def test_nobody_can_agree_once_the_incident_is_over_but_to_an_undo():
    over = INCIDENT.model_copy(update={"state": State.RESOLVED})
    assert buttons(run(), incident=over) == []
    assert buttons(run(kind="undo", undo=None), incident=over) == ["act.approve", "act.refuse"]


@pytest.mark.parametrize(
    ("asked_of", "approvals", "minimum", "words"),
    [
        (("ben",), (), 1, "Ben has to agree, until"),
        (("ben", "cat"), (), 1, "One has to agree, until"),
        (("ben", "cat"), (), 2, "2 of these have to agree, until"),
        (("ben", "cat", "dan"), (Approval(at=NOW, by="person:ben"),), 2, "1 more of these has to agree, until"),
    ],
)
def test_who_is_still_waited_for(asked_of, approvals, minimum, words):
    text = shown(run(asked_of=asked_of, approvals=approvals, approve=Approve(min=minimum)), "dan")
    assert words in text


def test_who_has_agreed_is_not_waited_for():
    one = run(asked_of=("ben", "cat", "dan"), approvals=(Approval(at=NOW, by="person:ben"),), approve=Approve(min=2))
    assert "|02:15 UTC>: Cat, Dan." in shown(one, "dan")


def test_what_cannot_be_seen_is_shown_as_json_writes_it():
    assert visible('{"a": "x\u202ey\u200b`\U000e0001"}') == r'{"a": "x\u202ey\u200b\u0060\udb40\udc01"}'
    assert json.loads(visible('{"a": "x\u202e`"}')) == {"a": "x\u202e`"}


def test_a_body_that_may_be_sent_is_shown_to_its_last_sign():
    service = ActionWebhook.model_validate({"url": "https://c.example.com", "allow": [{"path": "/x"}]})
    for filler in ("x", '"', "é", "\\", "漢"):
        call = CALL.model_copy(update={"path": "/x", "body": filler * (MOST - 5) + "THEND"})
        assert problem_of(call, {"agent-control": service}) == ""
        text = shown(run(call=call, reason="r" * 300, answer="a" * 500, title="t" * 150))
        assert "THEND" in text
        assert "left out" not in text


def test_too_many_special_signs_are_refused_before_they_could_be_cut():
    service = ActionWebhook.model_validate({"url": "https://c.example.com", "allow": [{"path": "/x"}]})
    for filler in ("&", "<", "`", "\u202e"):
        most = next(
            count
            for count in range(MOST, 0, -10)
            if not problem_of(
                CALL.model_copy(update={"path": "/x", "body": filler * count}), {"agent-control": service}
            )
        )
        text = shown(run(call=CALL.model_copy(update={"path": "/x", "body": filler * most})))
        assert "left out" not in text


def strings(value) -> list[str]:
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            return [value["text"]]
        return [text for inner in value.values() for text in strings(inner)]
    return [text for inner in value for text in strings(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("state", list(RunState))
def test_nothing_from_data_mentions_links_or_formats(state):
    one = run(
        state, title=NASTY, runbook=NASTY, reason=NASTY, answer=NASTY, asked_by=f"cli:{NASTY}", unsure=True,
        call=CALL.model_copy(update={"webhook": NASTY, "path": f"/{NASTY}", "body": NASTY}),
        undo=UNDO.model_copy(update={"path": f"/{NASTY}"}), refused_by=f"cli:{NASTY}",
    )  # fmt: skip
    for text in strings(blocks_of(one, INCIDENT, BOOK, "ben", NOW)):
        assert text.count("<") == text.count("<@U0BEN>") + text.count("<!date^")
        assert "<!channel>" not in text
        assert "`" not in text.replace("```", "")
    push = text_of(one, INCIDENT, BOOK, "ben")
    assert len(push) <= 150
    assert "<" not in push


def test_the_window_shows_the_request_and_whose_word_it_needs():
    view = window(proposal(), BOOK, NOW)
    assert view["submit"]["text"] == "Send"
    assert view["private_metadata"] == "INC-1|pause|action|t"
    assert "yours is enough" in said(view)
    theirs = window(proposal(enough=False, may={"ben": "lead", "cat": "on call"}), BOOK, NOW)
    assert theirs["submit"]["text"] == "Ask them"
    assert "1 of Ben (lead), Cat (on call) within 15 min" in said(theirs)


def test_the_window_says_what_was_done_before():
    earlier = [run(RunState.FAILED, answer="500", unsure=True)]
    assert "It may have been carried out all the same" in said(window(proposal(earlier=earlier), BOOK, NOW))


def test_a_window_that_cannot_be_submitted_says_why():
    view = window(proposal(problem="agent-control does not allow it"), BOOK, NOW)
    assert "submit" not in view
    assert "agent-control does not allow it" in said(view)


def test_a_drill_is_named_where_somebody_decides():
    drill = INCIDENT.model_copy(update={"exercise": "drill"})
    words = "This is a drill, but the request is real"
    assert words in shown(run(), incident=drill)
    assert words in said(window(proposal(incident=drill), BOOK, NOW))
    assert words not in shown(run())
