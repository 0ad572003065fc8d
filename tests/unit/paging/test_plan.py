from __future__ import annotations

import pytest
from core_world import BOOK, NOW, WORLD, after, alert, observe, opened

from bot.incidents import people
from bot.incidents.decision import Decision, Say
from bot.incidents.escalation import due
from bot.incidents.model import Event
from bot.paging.model import Page, PageKind, PageState
from bot.paging.plan import may_reroute, pages_for, repeated, rerouted, same_decision


def rows(pages: list[Page]) -> list[tuple[str, str]]:
    return [(page.id, page.channel) for page in pages]


def first() -> Decision:
    (decision,) = observe([alert()])
    return decision


def escalated() -> Decision:
    decision = due(opened(), WORLD, after(minutes=5))
    assert decision is not None
    return decision


def test_the_first_decision_pages_the_person_and_shows_card_and_runbook():
    assert rows(pages_for(first(), BOOK, NOW)) == [
        ("INC-1.1.page.ana", "U0ANA"),
        ("INC-1.1.card", "#refunds"),
        ("INC-1.1.runbook", "#refunds"),
    ]


def test_a_step_of_two_people_is_two_pages_and_one_line_in_the_thread():
    pages = pages_for(escalated(), BOOK, after(minutes=5))
    assert rows(pages) == [
        ("INC-1.2.page.ben", "U0BEN"),
        ("INC-1.2.page.cat", "U0CAT"),
        ("INC-1.2.escalated", "#refunds"),
    ]
    assert {(page.step, page.round, page.due_at, page.state) for page in pages} == {
        (1, 0, after(minutes=5), PageState.DUE)
    }
    assert [page.reason for page in pages] == ["named in the policy", "named in the policy", "no ack in 5 min"]


def test_a_reminder_goes_to_the_person_who_acked():
    acked = people.ack(opened(), "person:cat", NOW).incident
    asked = due(acked, WORLD, after(hours=1))
    assert asked is not None
    (page,) = pages_for(asked, BOOK, NOW)
    assert (page.kind, page.person, page.channel) == (PageKind.REMINDER, "cat", "U0CAT")


def test_somebody_who_has_left_the_book_gets_no_reminder():
    acked = people.ack(opened(), "person:who-left", NOW).incident
    asked = due(acked, WORLD, after(hours=1))
    assert asked is not None
    assert pages_for(asked, BOOK, NOW) == []


def test_no_page_has_the_same_id_twice_over_a_whole_night():
    decisions, incident = [first()], first().incident
    for _ in range(50):
        assert incident.next_at is not None
        decision = due(incident, WORLD, incident.next_at)
        assert decision is not None
        decisions.append(decision)
        incident = decision.incident
    ids = [page.id for decision in decisions for page in pages_for(decision, BOOK, NOW)]
    assert len(ids) == len(set(ids)) > 100


@pytest.mark.parametrize("say", list(Say))
def test_every_word_that_a_decision_may_say_is_a_kind_of_page(say):
    decision = Decision(opened().model_copy(update={"acked_by": "person:ana"}), Event.FIRED, "because", say=(say,))
    (page,) = pages_for(decision, BOOK, NOW)
    assert page.kind.value == say.value


def test_a_refused_message_goes_to_another_channel_once():
    card = pages_for(first(), BOOK, NOW)[1].model_copy(
        update={"state": PageState.FAILED, "attempt": 3, "error": "channel_not_found: no", "text": "words"}
    )
    again = rerouted(card, "#agent-pages", after(seconds=1))
    assert (again.id, again.channel, again.state, again.attempt, again.due_at, again.text) == (
        "INC-1.1.card.again",
        "#agent-pages",
        PageState.DUE,
        0,
        after(seconds=1),
        "words",
    )
    assert again.reason == "#refunds refused it (channel_not_found: no), so it goes here"
    assert may_reroute(card, "#agent-pages")
    assert not may_reroute(card, "#refunds")
    assert not may_reroute(again, "#third")


def test_what_a_new_page_repeats():
    pages = pages_for(first(), BOOK, NOW)
    new = pages_for(escalated(), BOOK, NOW)
    assert [repeated(page, new) for page in pages] == [False, False, False]
    assert [repeated(page, new) for page in new] == [True, True, True]
    assert not repeated(pages[1], pages), "a card is the shared record and stays"


def test_pages_of_one_decision_belong_together():
    ana = pages_for(first(), BOOK, NOW)[0]
    ben, cat, thread = pages_for(escalated(), BOOK, NOW)
    assert same_decision(ben, cat)
    assert not same_decision(ana, ben)
    assert not same_decision(ben, thread)
    assert same_decision(rerouted(ben, "#agent-pages", NOW), cat)
