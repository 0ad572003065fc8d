from __future__ import annotations

import hashlib
import json

import pytest
from core_world import NOW, WORLD, after, alert, observe, opened
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.chain import GENESIS, Chain, Head, canonical, first_broken, link, link_text, parse_head
from bot.audit.events import of_decision, of_page
from bot.audit.model import Entry
from bot.incidents import people
from bot.incidents.escalation import due
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind


def entry(number: int, **changes: str) -> Entry:
    return Entry(at=after(seconds=number), actor="person:ana", action="incident.acked", subject="INC-1", **changes)


def chain(count: int) -> list[tuple[int, Entry, str]]:
    rows, previous = [], GENESIS
    for number in range(1, count + 1):
        previous = link(previous, entry(number))
        rows.append((number, entry(number), previous))
    return rows


def test_the_first_hash_can_be_computed_with_nothing_but_sha256():
    row = {
        "at": "2026-11-04T02:00:01Z",
        "actor": "person:ana",
        "action": "incident.acked",
        "subject": "INC-1",
        "why": "",
        "detail": {},
    }
    text = "0" * 64 + json.dumps(row, separators=(",", ":"))
    assert link(GENESIS, entry(1)) == hashlib.sha256(text.encode()).hexdigest()


def test_a_chain_that_nobody_touched_is_whole():
    assert first_broken([]) is None
    assert first_broken(chain(5)) is None


def test_an_edit_shows_at_its_row():
    rows = chain(5)
    rows[2] = (3, entry(3, why="nothing happened"), rows[2][2])
    assert first_broken(rows) == 3


def test_an_edit_with_a_new_hash_shows_at_the_next_row():
    rows = chain(5)
    forged = entry(3, why="nothing happened")
    rows[2] = (3, forged, link(rows[1][2], forged))
    assert first_broken(rows) == 4


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_missing_row_shows_at_the_row_after_it(place):
    rows = chain(5)
    del rows[place]
    assert first_broken(rows) == place + 2


def test_two_swapped_rows_show():
    rows = chain(5)
    (_, second, second_hash), (_, third, third_hash) = rows[1], rows[2]
    rows[1], rows[2] = (2, third, third_hash), (3, second, second_hash)
    assert first_broken(rows) == 2


def test_a_row_put_in_between_shows():
    rows = chain(3)
    forged = entry(9)
    assert first_broken([*rows[:1], (2, forged, link(rows[0][2], forged)), *rows[1:]]) == 2


@given(st.integers(0, 4), st.sampled_from(["actor", "action", "subject", "why"]), st.text(min_size=1, max_size=5))
def test_any_change_of_any_field_shows(place, name, text):
    rows = chain(5)
    number, honest, written = rows[place]
    forged = honest.model_copy(update={name: text})
    if forged != honest:
        rows[place] = (number, forged, written)
        assert first_broken(rows) == number


# What is written down


def test_a_page_that_wakes_says_who_and_why():
    (decision,) = observe([alert()])
    assert of_decision(decision, NOW) == Entry(
        at=NOW,
        actor="agentpager",
        action="incident.fired",
        subject="INC-1",
        why="ErrorsHigh fired; owner of agent refund-agent",
        detail={
            "state": "open",
            "revision": "1",
            "step": "0",
            "round": "0",
            "policy": "payments",
            "book": "",
            "woken": "ana",
        },
    )


def test_an_ack_names_the_actor():
    written = of_decision(people.ack(opened(), "person:ben", NOW), NOW)
    assert (written.actor, written.action, written.detail["state"]) == ("person:ben", "incident.acked", "acked")
    assert "woken" not in written.detail


def test_an_escalation_names_everybody_who_is_woken():
    decision = due(opened(), WORLD, after(minutes=5))
    assert decision is not None
    assert of_decision(decision, NOW).detail["woken"] == "ben,cat"


@pytest.mark.parametrize(
    ("verdict", "why"),
    [(Verdict.SENT, "because"), (Verdict.REFUSED, "channel_not_found"), (Verdict.UNKNOWN, "channel_not_found")],
)
def test_an_attempt_says_what_became_of_it(verdict, why):
    page = Page(
        id="INC-1.1.page.ana",
        incident="INC-1",
        kind=PageKind.PAGE,
        person="ana",
        channel="U0ANA",
        attempt=2,
        due_at=NOW,
        reason="because",
        error="channel_not_found",
    )
    assert of_page(page, verdict, NOW) == Entry(
        at=NOW,
        actor="agentpager",
        action=f"page.{verdict}",
        subject="INC-1.1.page.ana",
        why=why,
        detail={"incident": "INC-1", "channel": "U0ANA", "attempt": "2", "person": "ana"},
    )


# What somebody remembers


def followed(rows, remembered=None) -> Chain:
    chain = Chain(remembered)
    for number, row, written in rows:
        chain.follow(number, canonical(row), written)
    return chain


def test_a_chain_ends_at_its_head():
    rows = chain(3)
    assert followed([]).head is None
    assert followed(rows).head == Head(3, rows[2][2])
    assert str(followed(rows).head) == f"3:{rows[2][2]}"


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_a_remembered_row_that_is_still_there_is_met(sequence):
    rows = chain(5)
    assert followed(rows, Head(sequence, rows[sequence - 1][2])).missing is None


def test_the_newest_rows_cut_off_show_by_what_somebody_remembers():
    rows = chain(5)
    head = Head(5, rows[4][2])
    cut = followed(rows[:4], head)
    assert (cut.broken, cut.missing) == (None, head)


def test_a_history_written_anew_shows_by_what_somebody_remembers():
    remembered = Head(3, chain(5)[2][2])
    rows, previous = [], GENESIS
    for number in range(1, 6):
        previous = link(previous, entry(number, why="as I want it"))
        rows.append((number, entry(number, why="as I want it"), previous))
    anew = followed(rows, remembered)
    assert (anew.broken, anew.missing) == (None, remembered)


def test_an_old_row_holds_although_the_model_has_grown():
    text = '{"at":"2026-11-04T02:00:01Z","actor":"a","action":"b","subject":"c"}'
    old = Chain()
    assert old.follow(1, text, link_text(GENESIS, text))


@pytest.mark.parametrize("text", ["", "7", "7:abc", "0:" + "a" * 64, "7:" + "A" * 64, "x:" + "a" * 64])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ValueError, match="is not a head; write SEQUENCE:HASH"):
        parse_head(text)


def test_a_head_is_read_as_it_is_printed():
    assert parse_head(f" 7:{'a' * 64}\n") == Head(7, "a" * 64)
