"""What parse() lets through, what it refuses and how, and what it tells about an expression."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import QueryError, UnsupportedQueryError
from bot.promql.parse import parse


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1 + 1", "scalar"),
        ('"text"', "string"),
        ("up", "vector"),
        ("up[5m]", "matrix"),
        ("up[5m:1m]", "matrix"),
        ("scalar(up)", "scalar"),
        ("time() > bool 3", "scalar"),
        ("-up", "vector"),
        ("-time()", "scalar"),
        ("sum(up) # with a comment (", "vector"),
    ],
)
def test_kind(text, kind):
    assert parse(text).kind == kind


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sum by (b, a) (x)", "sum(x) by (a,b)"),
        ('x{b="1",a="2"}', '{a="2", b="1", __name__="x"}'),
        ("a + b * c", "a + (b * c)"),
        ("rate(x[300s])", "rate(x[5m])"),
        ("x offset 1h @ 7", "x @ 7.000 offset 60m"),
        ("a and on (x, y) b", "a and on (y, x) b"),
    ],
)
def test_equal_meanings_have_equal_canonical_text(one, other):
    assert parse(one).canonical == parse(other).canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(a + b) * c", "a + b * c"),
        ("a - (b - c)", "a - b - c"),
        ("a > b", "a > bool b"),
        ("a and on () b", "a and b"),
        ("sum by () (a)", "sum without () (a)"),
        ('x{a="1"}', 'x{a=~"1"}'),
        ('x{a="b\\",c=\\"d"}', 'x{a="b",c="d"}'),
        ("x @ 1", "x @ 1.001"),
        ("a / on (x) group_left b", "a / on (x) group_left (y) b"),
        ("x[5m:1m]", "x[5m:]"),
    ],
)
def test_different_meanings_have_different_canonical_text(one, other):
    assert parse(one).canonical != parse(other).canonical


def test_selectors_stand_in_reading_order_with_how_far_back_they_read():
    expr = parse("rate(a[5m] offset 1m) > on (x) max_over_time(b[1h:2m] offset 3m) or absent(c)")
    found = [(s.name, s.range_seconds, s.offset_seconds, s.under_absent, s.depth_seconds) for s in expr.selectors]
    assert found == [
        ("a", 300.0, 60.0, False, 300.0 + 60),
        ("b", 0.0, 0.0, False, 3600.0 + 180 + 120),
        ("c", 0.0, 0.0, True, 0.0),
    ]
    assert expr.depth_seconds == 3900.0


def test_a_selector_without_a_pinned_name_has_none():
    assert [s.name for s in parse('{__name__=~"a|b"} + {job="x"}').selectors] == [None, None]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("start()", "start()"),
        ("integral(x[5m])", "integral()"),
        ("x[step() + 1m]", "step()"),
        ("x offset range()", "range()"),
        ("rate(x[5m] smoothed)", "smoothed"),
        ("increase(x[5m] anchored)", "anchored"),
        ("sum(smoothed)", 'write it in quotes, as in {"smoothed"}'),
        ("x </ 3", "</"),
        ("x >/ 3", ">/"),
        ('{a="1" or b="2"}', '"or" between matchers'),
    ],
)
def test_what_the_engine_does_not_answer_is_refused_by_name(text, name):
    with pytest.raises(UnsupportedQueryError) as error:
        parse(text)
    assert name in str(error.value)


EXPERIMENTAL = [
    ("mad_over_time(x[5m])", "mad_over_time()"),
    ("ts_of_min_over_time(x[5m])", "ts_of_min_over_time()"),
    ("info(x)", "info()"),
    ('sort_by_label(x, "a")', "sort_by_label()"),
    ("limitk(2, x)", "limitk()"),
    ("limit_ratio(0.5, x)", "limit_ratio()"),
    ("a + fill(0) b", "fill()"),
]


@pytest.mark.parametrize(("text", "name"), EXPERIMENTAL)
def test_what_is_experimental_needs_the_setting_and_says_so(text, name):
    with pytest.raises(UnsupportedQueryError) as error:
        parse(text)
    assert str(error.value) == f"{name} is experimental and needs the setting query.experimental_functions"
    assert parse(text, experimental=True).kind == "vector"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000", 1000.0),
        ("1_000.2_5", 1000.25),
        ("1_0e1_0", 1e11),
        ("1_0e-1_0", 1e-9),
        ("0x_ff_FF", 65535.0),
        ("1h30m", 5400.0),
        (".5", 0.5),
    ],
)
def test_numbers(text, value):
    assert parse(text).node.value == value


@pytest.mark.parametrize("text", ["1_", "1__0", "1_.5", "1._5", "5m_3", "0x", "1e", "x[1_0s]"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(QueryError):
        parse(text)


def test_underscores_are_left_alone_elsewhere():
    expr = parse("a_1_000{b_1_0=\"1_000\", c='1_0', d=`1_0`} # 1_000")
    found = {matcher.name: matcher.value for matcher in expr.selectors[0].matchers}
    assert found == {"__name__": "a_1_000", "b_1_0": "1_000", "c": "1_0", "d": "1_0"}


@pytest.mark.parametrize(
    ("written", "value"),
    [(r'"\xc3\xa9\101"', "éA"), (r"'\u00e9\x27\n'", "é'\n"), (r'"\x5c\x22"', '\\"'), (r'"\\x41"', r"\x41")],
)
def test_bytes_in_strings_are_utf8(written, value):
    assert parse(written).node.value == value


@pytest.mark.parametrize(
    "text", [r'x{a="\xff"}', r'label_replace(x, "\377", "", "", "")', r'"\ud800\x41"', r'"\d\x41"']
)
def test_bytes_that_are_no_text_are_refused(text):
    with pytest.raises(QueryError):
        parse(text)


def test_quoted_names():
    (selector,) = parse('{"my.metric", "a.label"="x"}').selectors
    assert selector.name == "my.metric"
    assert [str(matcher) for matcher in selector.matchers] == ['__name__="my.metric"', 'a.label="x"']


def test_the_labels_of_info_may_match_everything():
    expr = parse('info(x, {l=~".*"})', experimental=True)
    assert [selector.name for selector in expr.selectors] == ["x", "target_info"]
    assert [str(m) for m in expr.selectors[1].matchers] == ['__name__="target_info"', 'l=~".*"']
    with pytest.raises(QueryError):
        parse('info(x, {l="a"}) + sum by (info) (y, {l=~".*"})', experimental=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "sum(",
        "rate(x)",
        "rate(x[5m:1m]",
        "1 == 2",
        "a and 1",
        '{a=~"("}',
        "{}",
        '{a=~".*"}',
        "unheard_of(x)",
        "x @ 1e20",
        "x\0",
        "\ud800",
        "x[5m] + 1",
        "sum(x[5m])",
        "label_replace(x)",
        "holt_winters(x[5m], 0.1, 0.1)",
        "\N{BOM}x",
    ],
)
def test_what_is_not_promql_is_a_query_error(text):
    with pytest.raises(QueryError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x" * 9000, "too long"),
        ("(" * 101 + "x" + ")" * 101, "nested too deep"),
        ("[" * 2000, "nested too deep"),
        ("1" + "+1" * 251, "too many operators"),
        ("x" + " or x" * 251, "too many operators"),
        ("-" * 251 + "x", "too many operators"),
        ("1" + "^1" * 200, "nested too deep"),
        ("-" * 200 + "x", "nested too deep"),
    ],
)
def test_what_could_end_the_process_is_refused_before_parsing(text, words):
    with pytest.raises(QueryError) as error:
        parse(text)
    assert words in str(error.value)


def test_brackets_and_operators_in_strings_and_comments_do_not_count():
    assert parse('x{a="' + "(" * 500 + "+" * 600 + '"}').kind == "vector"
    assert parse("x # " + "(" * 500 + "-" * 600).kind == "vector"
    assert parse("x{a=`" + "(\\" * 500 + "`}").kind == "vector"
    assert parse("x{a='" + '"(' * 200 + "'}").kind == "vector"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r"`\d+\.x`", r"\d+\.x"),
        (r"`a\`", "a\\"),
        ('`say "hi"`', 'say "hi"'),
        ("`two\nlines`", "two\nlines"),
        ("``", ""),
    ],
)
def test_raw_strings_are_taken_as_they_stand(written, value):
    found = parse("x{a=" + written + ',b!=""}').selectors[0].matchers
    assert {matcher.name: matcher.value for matcher in found}["a"] == value


def test_matchers_are_not_counted_as_operators():
    selector = "x{" + ",".join(f'l{n}=~"v"' for n in range(20)) + "}"
    assert len(parse(" or ".join([selector] * 30)).selectors) == 30


def test_a_carriage_return_ends_a_comment():
    with pytest.raises(QueryError) as error:
        parse("#\r" + "(" * 200)
    assert "nested too deep" in str(error.value)


def test_a_quote_in_a_comment_hides_nothing():
    with pytest.raises(QueryError) as error:
        parse('# "\n' + "(" * 200 + "x" + ")" * 200)
    assert "nested too deep" in str(error.value)


def test_a_long_chain_of_operators_is_fine():
    assert parse("1" + "+1" * 250).kind == "scalar"
    assert len(parse(" or ".join(f"x{n}" for n in range(250))).selectors) == 250


_VOCABULARY = """a x{a="b"} rate( sum by (a) ( ) [5m] [1h:5m] offset 5m @ 1 @ start() -1 + - * / ^ % == bool > and or
    unless on ignoring group_left group_right , 1e3 Inf NaN 0x1 "s" ' ` # { } =~ != topk( 2 histogram_quantile( \\"""
_WORDS = st.sampled_from(_VOCABULARY.split())


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(_WORDS, max_size=25).map(" ".join), st.binary().map(repr)))
def test_any_text_is_an_expression_or_a_query_error(text):
    with suppress(QueryError):
        parse(text)


def test_no_text_ends_the_process():
    """In a process of its own, in a thread with a small stack: a crash of the parser cannot be caught."""
    program = """
import threading
from bot.errors import QueryError
from bot.promql.parse import parse
nasty = [
    "-" * 8000 + "1", "{" * 8000, "[" * 8000, "sum(" * 2000, "a[5m:" * 1500, "'" * 8001, '"' * 8001, "`" * 8001,
    "(" * 100 + "1" + ")" * 100, "+".join(["1"] * 500), "^".join(["1"] * 500), "-" * 500 + "1",
    "sum(" * 100 + "x" + ")" * 100, " or ".join(["(" * 90 + "x" + ")" * 90] * 40),
    "sum(" * 100 + "x" + " or x" * 250 + ")" * 100, "clamp_min(" * 99 + "^".join(["x"] * 250) + ",1)" * 99,
    "x{a=`\\\\``} + " + "(" * 3000 + "1" + ")" * 3000, "#\\r" + "(" * 8000,
    "(" * 99 + "-" * 250 + "x" + ")" * 99, "max_over_time(" * 98 + "x" + "[5m:1m])" * 98,
    "x # " + "(" * 8000,
    "a" + "\\n#(\\"" * 1000 + "(" * 99, "rate(" * 99 + "x[5m]" + "[5m:1m])" * 99,
    "!" * 500 + "x", "x" + " atan2 x" * 500,
    "x @ 99999999999999999999", "x[99999999999y]", "x offset -99999999y", "1e999999", "0x" + "f" * 5000,
    "x UNLESS x " * 600, "x == bool " * 499 + "x", "sum by (" + "a," * 3000 + "a) (x)", "(" * 101, "\\x00" * 100,
]
def run():
    for text in nasty:
        try:
            parse(text)
        except QueryError:
            pass
    print("alive")
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "alive\n", done.stderr[-500:]


@pytest.mark.parametrize("literal", ['"{}"', "'{}'", "`{}`"])
def test_a_string_of_escapes_is_refused_before_it_ends_the_process(literal):
    with pytest.raises(QueryError, match="too many backslashes"):
        parse("a{b=" + literal.format("\\\\" * 1500) + "}")
    assert parse("a{b=" + literal.format("\\\\" * 200) + "}").selectors
