from __future__ import annotations

import string

import pytest
from core_world import NOW, after
from hypothesis import given
from hypothesis import strategies as st

from bot.paging import acklink
from bot.paging.model import Page, PageKind

KEY = "0f" * 32
PAGE = Page(
    id="INC-7.2.page.ana.email",
    incident="INC-7",
    kind=PageKind.PAGE,
    person="ana",
    channel="email:ana@example.com",
    due_at=NOW,
    reason="on call",
)
TOKEN = acklink.token_of(KEY, PAGE, after(minutes=30))


def test_a_token_says_which_page_and_until_when():
    claim = acklink.read(TOKEN)
    assert claim is not None
    assert (claim.page_id, claim.until) == ("INC-7.2.page.ana.email", after(minutes=30))
    assert acklink.holds(KEY, claim, PAGE)


def test_it_stands_in_an_address_as_it_is():
    assert set(TOKEN) <= set(string.ascii_letters + string.digits + "-_.")
    assert len(TOKEN) < 120


@pytest.mark.parametrize("change", [{"person": "ben"}, {"incident": "INC-8"}, {"id": "INC-7.3.page.ana.email"}])
def test_it_holds_for_no_other_page_incident_or_person(change):
    claim = acklink.read(TOKEN)
    assert claim is not None
    assert not acklink.holds(KEY, claim, PAGE.model_copy(update=change))


def test_another_key_made_another_token():
    claim = acklink.read(TOKEN)
    assert claim is not None
    assert not acklink.holds("00" * 32, claim, PAGE)


def test_a_later_end_is_not_to_be_had():
    mine = acklink.read(TOKEN)
    longer = acklink.token_of(KEY, PAGE, after(hours=9)).partition(".")[0] + "." + TOKEN.partition(".")[2]
    claim = acklink.read(longer)
    assert claim is not None
    assert mine is not None
    assert claim.until == after(hours=9)
    assert not acklink.holds(KEY, claim, PAGE)


@given(st.text(max_size=700))
def test_no_text_breaks_the_reader_or_passes_for_a_token(text):
    claim = acklink.read(text)
    assert claim is None or not acklink.holds(KEY, claim, PAGE)


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(string.ascii_letters + string.digits))
def test_a_changed_token_does_not_hold(at, letter):
    changed = TOKEN[:at] + letter + TOKEN[at + 1 :]
    claim = acklink.read(changed)
    same_bytes = claim is not None and claim == acklink.read(TOKEN)  # the last letter of base64 has spare bits
    assert claim is None or same_bytes or not acklink.holds(KEY, claim, PAGE)
