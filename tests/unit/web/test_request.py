"""How bodies and parameters are read: JSON's types at their word, one value for one name, mistakes by their key."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from bot.web.actions import Wish
from bot.web.records import Lately, Span
from bot.web.request import BadRequestError, read_body, read_query
from bot.web.silences import Wish as Silence

GOOD = b'{"incident": "INC-7", "step": 2, "undo": true, "reason": "customers wait"}'


def query(text: str) -> Request:
    return Request({"type": "http", "headers": [], "query_string": text.encode()})


def test_a_body_as_its_model():
    wish = read_body(GOOD, Wish)
    assert (wish.incident, wish.step, wish.undo, wish.person) == ("INC-7", 2, True, None)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"true", b'"true"', 'undo must be true or false, not "true"'),
        (b"true", b"1", 'undo must be true or false, not "1"'),
        (b'"INC-7"', b"7", 'incident must be text, not "7" (write for example INC-7)'),
        (b'"INC-7"', b'""', "incident must not be empty (write for example INC-7)"),
        (b'"INC-7"', b"null", "incident is empty (write a value or remove the key)"),
        (b'"undo"', b'"undu"', 'unknown key "undu" in the request (did you mean "undo"?)'),
        (b'"incident"', b'"reason"', 'missing key "incident" in the request'),
        (GOOD, b"", 'missing key "incident" in the request'),
        (GOOD, b"{", "the body is not JSON"),
        (GOOD, b"[]", "the body is not a JSON object"),
        (b"customers", b"\xff", "the body is not JSON"),
        (b"customers", rb"\ud800", "the body is not JSON"),
    ],
)
def test_a_mistake_in_a_body_is_named(old, new, why):
    assert old in GOOD
    with pytest.raises(BadRequestError) as refused:
        read_body(GOOD.replace(old, new, 1), Wish)
    assert (refused.value.status, str(refused.value)) == (400, why)


def test_a_pair_of_surrogates_is_a_character():
    assert read_body(rb'{"incident": "\ud83d\ude00", "step": 1}', Wish).incident == "\U0001f600"


@pytest.mark.parametrize("ends", ["", '"for": "2h", "ends_at": "2026-12-24T18:00:00Z", '])
def test_a_silence_has_one_end(ends):
    with pytest.raises(BadRequestError, match="a silence has an end"):
        read_body(f'{{{ends}"matchers": ["a=b"], "reason": "x"}}'.encode(), Silence)


def test_parameters_as_their_model():
    assert read_query(query(""), Lately).days == 90
    assert read_query(query("days=7"), Lately).days == 7
    assert read_query(query("from=2026-11-01T00:00:00%2B01:00"), Span).start.isoformat() == "2026-10-31T23:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("days=seven", 'days must be a whole number, not "seven"'),
        ("days=-1", 'days must be at least 0, not "-1"'),
        ("days=7&days=8", '"days" stands twice in the address'),
        ("dais=7", 'unknown key "dais" in the request (did you mean "days"?)'),
    ],
)
def test_a_mistake_in_a_parameter_is_named(text, why):
    with pytest.raises(BadRequestError) as refused:
        read_query(query(text), Lately)
    assert str(refused.value) == why
