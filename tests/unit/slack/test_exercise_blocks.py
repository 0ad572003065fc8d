"""How a test of a page looks: never like something that is wrong, in Slack, in a mail and when it is over."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from core_world import WORLD as CORE
from fake_slack import layout_problem
from slack_world import ANA, BOOK, NOW, page

from bot.incidents import exercise, people
from bot.incidents.decision import World
from bot.incidents.exercise import Target
from bot.paging.model import PageKind
from bot.paging.words import subject_of, tell
from bot.slack.blocks import draw, plain_message

WORLD = World({}, BOOK, CORE.channel)
HOSTILE = "<!channel> *b* https://evil.example " + "x" * 100_000


def a_test_of_ana(asker: str = "ana", name: str = "Ana Ruiz"):
    return exercise.test(Target("person", "ana"), f"person:{asker}", name, 7, WORLD, NOW).incident


def drawn(incident, book=BOOK) -> dict:
    return draw(page(PageKind.PAGE), incident, None, book, NOW)


def over(incident, result: str):
    return exercise.over(incident, result, NOW + timedelta(seconds=9)).incident


def test_it_says_test_first_and_nothing_of_severity_or_escalation():
    message = drawn(a_test_of_ana())
    assert message["text"].startswith("🧪 TEST page: nothing is wrong.")
    shown = json.dumps(message, ensure_ascii=False)
    assert "🧪 TEST PAGE · nothing is wrong" in shown
    assert "nobody else is woken" in shown
    for word in ("CRITICAL", "🔴", "If no ack", "asked for it"):
        assert word not in shown


def test_its_only_button_acknowledges():
    buttons = [one for block in drawn(a_test_of_ana())["blocks"] for one in block.get("elements", []) if "value" in one]
    assert [(one["action_id"], one["value"]) for one in buttons] == [("inc.ack", "INC-7|1")]


def test_who_asked_for_it_is_named_where_it_is_somebody_else():
    assert "*Ben Cole* asked for it." in json.dumps(drawn(a_test_of_ana("ben", "Ben Cole")))


@pytest.mark.parametrize(
    ("acked", "result", "sign", "said"),
    [
        (
            True,
            "passed: Slack had it after 0.8 s; acknowledged 7.0 s later",
            "✅ TEST PASSED",
            "Slack had it after 0.8 s; acknowledged 7.0 s later.",
        ),
        (False, "not answered: Slack had it after 2.0 s", "⚪ TEST NOT ANSWERED", "Slack had it after 2.0 s."),
        (True, "proves nothing: nothing was sent", "⚠️ TEST PROVES NOTHING", "Nothing was sent."),
    ],
)
def test_its_end_says_what_it_has_shown(acked, result, sign, said):
    incident = a_test_of_ana()
    incident = people.ack(incident, "person:ana", NOW).incident if acked else incident
    message = drawn(over(incident, result))
    assert message["text"] == f"{sign}. {said} INC-7"
    assert ("Acknowledged by *Ana Ruiz*." in json.dumps(message)) is acked
    assert "inc.ack" not in json.dumps(message)


def test_one_closed_by_hand_claims_nothing():
    incident = people.resolve(a_test_of_ana(), "person:ana", NOW).incident
    assert drawn(incident)["text"] == "⚪ TEST CLOSED. Closed by hand, so it shows nothing. INC-7"


def test_a_mail_says_so_too():
    incident = a_test_of_ana()
    told = tell(page(PageKind.PAGE), incident, None, ANA, None)
    assert told.subject == "🧪 TEST Test page: nothing is wrong · INC-7"
    assert told.paragraphs[0][0].startswith("This is only a test, nothing is wrong. Ana Ruiz, you are paged:")
    assert subject_of(incident) == told.subject


def test_hostile_names_and_results_are_no_markup_and_fit():
    book = BOOK.model_copy(
        update={"people": BOOK.people | {"ben": BOOK.people["ben"].model_copy(update={"name": HOSTILE})}}
    )
    incident = people.ack(a_test_of_ana("ben", HOSTILE), "person:ben", NOW).incident
    for one in (a_test_of_ana("ben", HOSTILE), over(incident, f"passed: {HOSTILE}")):
        message = drawn(one, book)
        shown = json.dumps(message)
        assert layout_problem(message) == ""
        assert "<!channel>" not in shown
        assert "<https" not in shown
        assert "<!channel>" not in plain_message(message, one, None)["text"]
