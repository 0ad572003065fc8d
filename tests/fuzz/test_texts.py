"""Pages of targets and series of rule tests: any bytes are read or refused, and never more than the limits allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.metrics.exposition import ExpositionError, parse
from bot.ruletests.notation import NotationError, parse_series
from bot.settings import ScrapeLimits
from fuzz.hostile import profile

TYPES = (
    "text/plain; version=0.0.4",
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "",
    "text/html",
    "é;=",
)
PAGE = b"""# HELP a_total x \\n y
# TYPE a_total counter
a_total{b="c",d="\\"\\\\e"} 1.5e3 1700000000000
# TYPE h histogram
h_bucket{le="0.5"} 1
h_bucket{le="+Inf"} 3 # {trace="x"} 0.4 1.5
h_sum 1.5
h_count 3
{"quoted name","l l"="v"} NaN
# EOF
"""
LIMITS = ScrapeLimits(samples=20, body_size=1500)
SERIES = 'm{a="b",c!="\\u00e9"} 1+2x5 _x3 stale -1e3 Inf NaN 0x1F 1x1000000 {{schema:1 sum:-0.3}}x2'


@st.composite
def broken(draw: st.DrawFn, whole: bytes, pieces: tuple[bytes, ...]) -> bytes:
    body = whole
    for _ in range(draw(st.integers(1, 5))):
        at, length = draw(st.integers(0, len(body))), draw(st.integers(0, 20))
        piece = draw(st.one_of(st.sampled_from(pieces), st.binary(max_size=4), st.just(body[at : at + length] * 3)))
        body = body[:at] + piece + body[at + length :]
    return body


PAGE_PIECES = (
    b'"',
    b"{",
    b"}",
    b"\\",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"# TYPE ",
    b"# {",
    b" 1e999",
    b",",
    b"=",
    b"# EOF\n",
)
SERIES_PIECES = (
    b"x",
    b"+",
    b"-",
    b"_",
    b" ",
    b"{{",
    b"}}",
    b'"',
    b"99999999999",
    b"x99999999999",
    b"stale",
    b"e",
    b"\\",
)


def read(body: bytes, content_type: str) -> None:
    try:
        samples = parse(body, content_type, LIMITS)
    except ExpositionError:
        return
    assert len(body) <= LIMITS.body_size
    assert len(samples) <= body.count(b"\n") + 1


@profile
@given(st.binary(max_size=300), st.sampled_from(TYPES))
def test_any_bytes_are_a_page_or_are_refused(body: bytes, content_type: str) -> None:
    read(body, content_type)


@profile
@given(broken(PAGE, PAGE_PIECES), st.sampled_from(TYPES))
def test_a_broken_page_is_read_or_refused(body: bytes, content_type: str) -> None:
    read(body, content_type)


@pytest.mark.parametrize("content_type", TYPES[:2])
def test_a_body_over_its_size_is_refused_before_it_is_read(content_type: str) -> None:
    with pytest.raises(ExpositionError, match="the limit is 1500"):
        parse(b"\xff" * 1501, content_type, LIMITS)


@pytest.mark.parametrize("content_type", TYPES[:2])
def test_a_body_of_many_lines_is_refused_before_it_is_read(content_type: str) -> None:
    with pytest.raises(ExpositionError, match="lines"):
        parse(b"\n" * 1400, content_type, LIMITS)


@profile
@given(
    st.one_of(
        st.text(max_size=100), broken(SERIES.encode(), SERIES_PIECES).map(lambda raw: raw.decode(errors="replace"))
    )
)
def test_any_series_of_a_rule_test_is_read_or_refused(text: str) -> None:
    try:
        series = parse_series(text)
    except NotationError:
        return
    assert len(series.values) <= 1 << 24
