"""Strict YAML: what is refused, where the finger points, and that nothing gets through to hang or crash."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from bot.errors import ConfigError, Finding
from bot.schema import Duration, Model
from bot.yamldoc import MAX_BYTES, parse, scan


class Color(StrEnum):
    RED = "red"
    GREEN = "green"


class Check(Model):
    kind: Literal["check"]
    query: str


class Link(Model):
    kind: Literal["link"]
    url: str


class Thing(Model):
    name: str
    size: int = Field(1, gt=0, le=10)
    ratio: float = 0.5
    loud: bool = False
    color: Color = Color.RED
    wait: Duration = timedelta()
    day: date | None = None
    tags: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    inner: Thing | None = None
    steps: tuple[Annotated[Check | Link, Field(discriminator="kind")], ...] = ()
    code: Annotated[str, Field(pattern="^[A-Z]+$", examples=["ABC"])] = "X"
    token: SecretStr = SecretStr("")


def refused(text: str, model: type[Model] = Thing) -> list[Finding]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml").validate(model)
    return list(caught.value.findings)


def one(text: str) -> tuple[str, str]:
    (finding,) = refused(text)
    return f"{finding.line}:{finding.column} {finding.code}", f"{finding.message} ({finding.hint})"


def test_values_are_converted_by_the_type_that_asks():
    text = "name: 12:30 o'clock\nsize: 3\nratio: 0.25\nloud: yes\nwait: 1h30m\nday: 2026-11-02\ntags: [a, '1']\n"
    thing = parse(text, "f.yaml").validate(Thing)
    assert (thing.name, thing.size, thing.ratio, thing.loud) == ("12:30 o'clock", 3, 0.25, True)
    assert (thing.wait, thing.day, thing.tags) == (timedelta(minutes=90), date(2026, 11, 2), ("a", "1"))


@pytest.mark.parametrize("empty", ["", "~", "null", "Null", "NULL"])
def test_a_plain_null_is_nothing_and_a_quoted_one_is_text(empty):
    assert parse(f"a: {empty}", "f.yaml").data == {"a": None}
    assert parse(f"a: '{empty}'", "f.yaml").data == {"a": empty}


def test_an_empty_file_is_a_mapping_without_keys():
    class Optional(Model):
        name: str = "none"

    assert parse("# nothing\n", "f.yaml").validate(Optional).name == "none"
    assert one("") == ("1:1 missing-key", 'missing key "name" in the file ()')


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("name: x\nsiez: 3", "2:1 unknown-key", 'unknown key "siez" in the file (did you mean "size"?)'),
        ("nam: x", "1:1 unknown-key", 'unknown key "nam" in the file (did you mean "name"?)'),
        ("size: 2", "1:1 missing-key", 'missing key "name" in the file ()'),
        ("name: x\ninner:\n  size: 2", "3:3 missing-key", 'missing key "name" in inner ()'),
        ("name: x\nsize: many", "2:7 bad-value", 'size must be a whole number, not "many" ()'),
        ("name: x\nsize: 11", "2:7 bad-value", 'size must be at most 10, not "11" ()'),
        ("name: x\nsize: 0", "2:7 bad-value", 'size must be more than 0, not "0" ()'),
        ("name: x\nloud: ja", "2:7 bad-value", 'loud must be true or false, not "ja" ()'),
        ("name: x\nloud: 1", "2:7 bad-value", 'loud must be true or false, not "1" ()'),
        (
            "name: x\ncolor: gren",
            "2:8 bad-value",
            'color must be one of red, green, not "gren" (did you mean "green"?)',
        ),
        (
            "name: x\ninner: {kind: chek, name: y}",
            "2:9 unknown-key",
            'unknown key "kind" in inner (known: code, color, day, inner, labels, loud, name, ratio, …)',
        ),
        ("name: x\nsteps: [{kind: link, url: [a]}]", "2:27 bad-value", "steps[0].url must be text, not a list ()"),
        ("name: x\nday: 20261102", "2:6 bad-value", 'day must be a date such as 2026-11-02, not "20261102" ()'),
        ("name: x\nday: 86400", "2:6 bad-value", 'day must be a date such as 2026-11-02, not "86400" ()'),
        (
            "name: x\nwait: 5 min",
            "2:7 bad-value",
            'wait is wrong: "5 min" is not a duration; write for example 30s, 5m, 1h30m or 1w ()',
        ),
        ("name: x\ntags: a", "2:7 bad-value", 'tags must be a list, not "a" ()'),
        ("name: x\ntags:\n  - a\n  - {b: c}", "4:5 bad-value", "tags[1] must be text, not a mapping ()"),
        ("name: x\ncode: abc", "2:7 bad-value", 'code cannot be "abc" (write for example ABC)'),
        ("name:", "1:6 bad-value", "name is empty (write a value or remove the key)"),
        ("- name: x", "1:1 bad-value", "the file must be a mapping (key: value), not a list ()"),
        (
            "name: x\nname: y",
            "2:1 duplicate-key",
            'key "name" is here twice; the first is on line 1 (keep one of them)',
        ),
        (
            "name: x\nsteps: [{kind: chek, query: q}]",
            "2:9 bad-value",
            'steps[0] has an unknown kind "chek" (did you mean "check"?)',
        ),
        (
            "name: x\nsteps: [{kind: check, querry: q}]",
            "2:23 unknown-key",
            'unknown key "querry" in steps[0] (did you mean "query"?)',
        ),
        ("name: \xa0x\n\xa0size: 3", "2:2 yaml-syntax", None),
    ],
)
def test_each_mistake_is_told_once_at_its_place(text, place, says):
    got_place, got = one(text)
    if says is not None:
        assert (got_place, got) == (place, says)


def test_all_mistakes_are_told_in_one_run():
    codes = [finding.code for finding in refused("name: x\nsize: a\ncolr: red\ninner: {nam: y, day: never}")]
    assert codes == ["bad-value", "unknown-key", "unknown-key", "bad-value"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: no", "1:7"),
        ("name: Off", "1:7"),
        ("name: true", "1:7"),
        ("name: 10:30", "1:7"),
        ("name: 0123", "1:7"),
        ("name: 1.10", "1:7"),
        ("name: 1_000", "1:7"),
        ("name: 0x1F", "1:7"),
        ("name: x\nlabels: {on: a}", "2:10"),
        ("name: x\ntags: [a, yes]", "2:11"),
        ("name: x\ncolor: red\ntoken: 0123", "3:8"),
    ],
)
def test_what_other_readers_would_take_for_something_else_has_to_be_quoted(text, place):
    (finding,) = refused(text)
    assert (f"{finding.line}:{finding.column}", finding.code) == (place, "yaml-trap")


@pytest.mark.parametrize(
    "text",
    [
        "name: '10:30'",
        'name: "no"',
        "name: 1.5",
        "name: 80",
        "name: x\nloud: no",
        "name: nope",
        "name: 2026-11-02",
        "name: 1.2.3",
    ],
)
def test_no_trap_where_every_reader_agrees(text):
    parse(text, "f.yaml").validate(Thing)


def test_traps_in_a_file_that_is_not_ours_are_warnings():
    thing, findings = parse("name: no", "f.yaml", traps="warning").read(Thing)
    assert thing is not None
    assert [(finding.code, finding.severity) for finding in findings] == [("yaml-trap", "warning")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: b: c", "1:5"),
        ("a:\n  b: 1\n c: 2", "3:2"),
        ("\ta: b", "1:1"),
        ("a: 'x", "1:4"),
        ('a: "x\nb: 1\nc: "y"\n', "1:4"),
        ("a: [1, 2\nb: 3\n", "2:2"),
        ("a: {b: c\nd: e", "2:2"),
        ("a: @b", "1:4"),
        ("- a\nb: c", "2:1"),
        ("{a: b}}", "1:7"),
        ("a: !!str b", "1:4"),
        ("a: !ruby/object b", "1:4"),
        ("--- a\n--- b", "2:1"),
        ("a: *x", "1:4"),
        ("a: &x {b: *x}", "1:11"),
        ("? [a]\n: b", "1:3"),
        ("{{ agent }}: b", "1:1"),
        ("a: {b: &x {c: d}}\ne: {<<: *x}", "2:5"),
        ("a: \x07", "1:4"),
        ('a: "\\d"', "1:5"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_where_it_stands(text, place):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    (finding,) = caught.value.findings
    assert (f"{finding.line}:{finding.column}", finding.code) == (place, "yaml-syntax")
    assert "yaml.org" not in finding.message


def test_aliases_work_within_their_limit():
    assert parse("a: &x {b: 1}\nc: *x", "f.yaml").data == {"a": {"b": "1"}, "c": {"b": "1"}}


_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [*{last}, *{last}, *{last}]\n" for last, name in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "x" * MAX_BYTES,
        "ä" * (MAX_BYTES // 2 + 1),
        "[" * 65 + "]" * 65,
        "[" * 1_000_000,
        "{a: " * 200_000,
        "- " * 500_000,
        "".join(" " * depth + "a:\n" for depth in range(1400)),
        "a: &x 1\nb: [" + "*x, " * 33 + "]",
        "a: &x [" + "1," * 200_000 + "]\nb: *x\n",
        _LAUGHS,
    ],
)
def test_bombs_are_refused_by_a_limit(text):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    assert [finding.code for finding in caught.value.findings] == ["yaml-limit"]


def test_a_file_just_under_the_limit_is_read():
    document = parse("".join(f"key{number}: [a, {{b: c}}]\n" for number in range(40_000)), "f.yaml")
    assert document.mark(("key39999", 1, "b")).line == 40_000


def test_several_keys_missing_from_one_mapping_are_all_told():
    class Pair(Model):
        first: str
        second: str

    assert [finding.message for finding in refused("{}", Pair)] == [
        'missing key "first" in the file',
        'missing key "second" in the file',
    ]


def test_a_key_twice_leaves_the_rest_to_look_at():
    document, findings = scan("name: x\nname: y\nsize: a", "f.yaml")
    assert document is not None
    assert [finding.code for finding in findings + document.read(Thing)[1]] == ["duplicate-key", "bad-value"]


def test_the_finger_points_at_the_nearest_place_around_what_is_missing():
    document = parse("a:\n  b: [1, {c: d}]\n", "f.yaml")
    assert (document.mark(("a", "b", 1, "c")).line, document.mark(("a", "b", 1, "c")).column) == (2, 14)
    assert document.mark(("a", "b", 1, "zzz", 4)) == document.mark(("a", "b", 1))
    assert document.mark(("a", "b"), key=True).column == 3


def test_values_of_secrets_never_show_in_a_finding():
    findings = refused("name: x\ntoken: [hunter2]\nlabels: {a: [b]}")
    assert "hunter2" not in "".join(map(str, findings))


_FRAGMENTS = (
    ": |:\n|\n|  |- |[|]|{|}|,|'|\"|&a |*a|!!t |<<|>\n|#|?|~|no|10:30|0123|x|\t"
    "|---\n|...\n|%YAML 1.1\n|\ufeff|\x00|\ud800|é|${X}|name|size|steps|kind: check|inner|day: |20|loud: "
)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.lists(st.sampled_from([*_FRAGMENTS.split("|"), "|"]), max_size=40).map("".join), st.text(max_size=80))
)
def test_no_text_raises_anything_but_a_config_error(text):
    document, findings = scan(text, "f.yaml")
    if document is not None:
        findings = findings + document.read(Thing)[1]
    assert document is not None or findings
    breaks = sum(text.count(sign) for sign in "\n\r\x85\u2028\u2029")
    assert all(0 <= finding.line <= breaks + 2 for finding in findings)
