from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.labels import Matcher, Op, compile_regex, fingerprint, matches_all, parse_matchers

LABELS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=5)


def fnv1a(data: bytes) -> int:
    """Written from the definition (draft-eastlake-fnv), not from our code."""
    value = 0xCBF29CE484222325
    for byte in data:
        value ^= byte
        value = value * 0x100000001B3 % 2**64
    return value


def test_the_independent_hash_is_fnv1a():
    assert fnv1a(b"a") == 0xAF63DC4C8601EC8C  # test vectors of the draft
    assert fnv1a(b"foobar") == 0x85944171F73967E8


def test_no_labels_have_the_fingerprint_of_common_model():
    # prometheus/common model/signature_test.go: emptyLabelSignature = 14695981039346656037
    assert fingerprint({}) == "cbf29ce484222325"


def test_labels_have_the_fingerprint_of_common_model():
    # model/signature_test.go: {name: "garland, briggs", fear: "love is not enough"} is 5799056148416392346.
    labels = {"name": "garland, briggs", "fear": "love is not enough"}
    assert int(fingerprint(labels), 16) == 5799056148416392346


@given(LABELS)
def test_a_fingerprint_is_fnv1a_over_sorted_names_and_values_each_ended_by_255(labels):
    data = b"".join(name.encode() + b"\xff" + labels[name].encode() + b"\xff" for name in sorted(labels))
    assert fingerprint(labels) == f"{fnv1a(data):016x}"


@given(LABELS)
def test_the_order_of_labels_does_not_matter(labels):
    assert fingerprint(dict(reversed(labels.items()))) == fingerprint(labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('agent="refund-agent"', [("agent", "=", "refund-agent")]),
        ("agent=refund-agent", [("agent", "=", "refund-agent")]),
        ('{agent="a", env!="dev"}', [("agent", "=", "a"), ("env", "!=", "dev")]),
        ('a=~"x|y",b!~"z.*",', [("a", "=~", "x|y"), ("b", "!~", "z.*")]),
        ('a=""', [("a", "=", "")]),
        ("a=", [("a", "=", "")]),
        ('a = "b"  ,  c = "d"', [("a", "=", "b"), ("c", "=", "d")]),
        ('"odd name"="x"', [("odd name", "=", "x")]),
        (r'a="say \"hi\"\n\\"', [("a", "=", 'say "hi"\n\\')]),
        (r'a="\d"', [("a", "=", r"\d")]),
        ('a="x, y={z}"', [("a", "=", "x, y={z}")]),
        ('stadt="Köln 🏠",b="c"', [("stadt", "=", "Köln 🏠"), ("b", "=", "c")]),
    ],
)
def test_matchers_are_read_as_alertmanager_reads_them(text, expected):
    assert [(matcher.name, matcher.op.value, matcher.value) for matcher in parse_matchers(text)] == expected


@pytest.mark.parametrize("text", ["", "{}", "a", '="b"', 'a=="b"', 'a="b" c="d"', 'a="b', '{a="b"', 'a="b",,c="d"'])
def test_a_matcher_that_cannot_be_read_says_how_to_write_one(text):
    with pytest.raises(ValueError, match="write"):
        parse_matchers(text)


def test_a_bad_regular_expression_is_named():
    with pytest.raises(ValueError, match=r'bad regular expression "\(": '):
        parse_matchers('a=~"("')


@pytest.mark.parametrize(
    ("op", "value", "given", "expected"),
    [
        (Op.EQUAL, "a", "a", True),
        (Op.EQUAL, "a", "b", False),
        (Op.EQUAL, "", None, True),
        (Op.NOT_EQUAL, "a", "b", True),
        (Op.NOT_EQUAL, "a", "a", False),
        (Op.NOT_EQUAL, "a", None, True),
        (Op.REGEX, "a.*", "abc", True),
        (Op.REGEX, "b", "abc", False),  # anchored at both ends
        (Op.REGEX, "a|bc", "abc", False),  # anchored around the alternatives
        (Op.REGEX, "a.c", "a\nc", True),
        (Op.REGEX, "", None, True),
        (Op.NOT_REGEX, "a.*", "abc", False),
        (Op.NOT_REGEX, "a.+", None, True),
    ],
)
def test_every_comparison(op, value, given, expected):
    labels = {} if given is None else {"agent": given}
    assert Matcher("agent", op, value).matches(labels) is expected


def test_all_matchers_have_to_match():
    both = parse_matchers('agent="a",env="prod"')
    assert matches_all(both, {"agent": "a", "env": "prod"})
    assert not matches_all(both, {"agent": "a", "env": "dev"})


@given(st.text(max_size=12).filter(lambda text: "\r" not in text), st.text(max_size=12))
def test_a_matcher_is_read_back_from_its_own_text(name, value):
    name = name.strip() or "a"
    if any(character.isspace() or character in ',={}!~"\\' for character in name):
        name = "a"
    matcher = Matcher(name, Op.EQUAL, value)
    assert parse_matchers(str(matcher)) == (matcher,)


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_complain(text):
    with contextlib.suppress(ValueError):
        parse_matchers(text)


def test_a_regular_expression_that_explodes_elsewhere_is_answered_at_once():
    assert compile_regex("(a*)*b").fullmatch("a" * 50_000) is None
