"""What people type, and what is understood."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.grammar import VERBS, Request, parse, wish


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("", Request("help")),
        ("status", Request("status", word="status")),
        ("STATUS refund-agent", Request("status", "refund-agent", word="status")),
        ("ack", Request("ack", word="ack")),
        ("ack INC-7", Request("ack", "INC-7", word="ack")),
        ("acknowledge last", Request("ack", "last", word="acknowledge")),
        ("decline", Request("pass", word="decline")),
        ("close 7", Request("resolve", "7", word="close")),
        ("incidents 24h --here", Request("incidents", "24h", here=True, word="incidents")),
        ("--here oncall payments", Request("oncall", "payments", here=True, word="oncall")),
        ('status "Refund agent"', Request("status", "Refund agent", word="status")),
        ("status “Refund agent”", Request("status", "Refund agent", word="status")),
        ("ack Ana's agent", Request("ack", "Ana's agent", word="ack")),
    ],
)
def test_understood(text, understood):
    assert parse(text) == understood


@pytest.mark.parametrize(
    ("text", "incident", "more"),
    [
        ("snooze INC-7 2h", "INC-7", "2h"),
        ("snooze 7 for 2h", "7", "2h"),
        ("snooze refund-agent until 09:00", "refund-agent", "09:00"),
        ("snooze 2h", None, "2h"),
        ("snooze until 2026-12-24 09:00", None, "2026-12-24 09:00"),
        ("snooze last", "last", ""),
        ("snooze", None, ""),
        ("hand INC-7 to ben", "INC-7", "ben"),
        ("hand INC-7 to Ben Cole", "INC-7", "Ben Cole"),
        ("hand over INC-7 to <@U03BACKUP>", "INC-7", "<@U03BACKUP>"),
        ("hand it to @ben", None, "@ben"),
        ("hand INC-7 ben", "INC-7", "ben"),
        ("hand ben", None, "ben"),
        ("hand", None, ""),
        ("take INC-7", "INC-7", ""),
        ("note INC-7 the vendor's down: <b>", "INC-7", "the vendor's down: <b>"),
        ("note inc-7", "inc-7", ""),
        ("note 7 seen", "7", "seen"),
        ("note last   two  spaces", "last", "two  spaces"),
        ("note the vendor is down", None, "the vendor is down"),
        ("note 7up is out &amp; about", None, "7up is out & about"),
        ("mark INC-7 noise", "INC-7", "noise"),
        ("mark refund-agent Right", "refund-agent", "right"),
        ("mark noise", None, "noise"),
        ("mark", None, ""),
        ("escalate", None, ""),
        ("ack Ana's agent", "Ana's agent", ""),
    ],
)
def test_what_a_change_is_asked_for(text, incident, more):
    assert wish(parse(text)) == (incident, more)


@pytest.mark.parametrize(
    ("text", "near"), [("stat", "status"), ("akc", "ack"), ("resovle", "resolve"), ("on", "oncall"), ("hlep", "help")]
)
def test_an_unknown_word_gets_the_nearest_names(text, near):
    request = parse(text)
    assert request.verb == ""
    assert near in request.near


@given(st.text(max_size=600))
def test_anything_typed_is_a_verb_or_an_unknown_word(text):
    assert parse(text).verb in {*VERBS, ""}
    wish(parse(text))


@pytest.mark.parametrize("verb", VERBS)
def test_every_word_has_its_place_in_the_documentation(verb):
    page = (Path(__file__).parents[3] / "docs" / "slack.md").read_text()
    (table,) = re.findall(r"\| words \| answer \|\n(.*?)\n\n", page, flags=re.DOTALL)
    assert re.search(rf"`(/agent )?{verb}\b", table)
