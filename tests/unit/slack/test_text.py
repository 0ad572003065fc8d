"""Cleaning, escaping and cutting: exact results, then what must hold for anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.text import clean, code, cut_escaped, due, link, moment, mrk, number, plain, span, wall

NOW = datetime(2026, 11, 20, 2, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("p95 < 8 s & > 2", "p95 &lt; 8 s &amp; &gt; 2"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("*bold* ~gone~ `code`", "∗bold∗ ∼gone∼ ˋcodeˋ"),
        ("crm_lookup_total", "crm_lookup_total"),
        ("_it_ and __name__", "ˍitˍ and ˍˍnameˍˍ"),
        ("two\nlines\tand tab", "two lines and tab"),
        ("\u202eright\u200bleft\x07", "rightleft"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_mrkdwn_of_data(value, shown):
    assert mrk(value, 100) == shown


def test_the_limit_holds_after_escaping_and_never_splits_an_escape():
    assert mrk("&&&&", 12) == "&amp;&amp;…"
    assert cut_escaped("ab &amp; cd", 7) == "ab…"


def test_code_keeps_everything_but_the_fence():
    assert code("kubectl get po -l a=b | grep *_x\n```", 100) == "kubectl get po -l a=b | grep *_x\nˋˋˋ"


def test_plain_text_has_no_angle_brackets():
    assert plain("a <!here> b", 50) == "a ‹!here› b"


@given(st.text(max_size=400), st.integers(1, 200), st.booleans())
def test_nothing_active_survives(value, limit, lines):
    for text in (mrk(value, limit, lines=lines), code(value, limit), plain(value, limit, lines=lines)):
        assert len(text) <= limit
        assert "<" not in text
        assert ">" not in text
        assert "`" not in text or text is plain(value, limit, lines=lines) or "`" in plain(value, limit, lines=lines)
    assert "`" not in mrk(value, limit)
    assert "```" not in code(value, limit)


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing(value):
    assert clean(clean(value)) == clean(value)


def test_a_link_escapes_its_address_and_its_title():
    assert link("https://a.example/?x=1&y=2", "a|b <c>", 200) == "<https://a.example/?x=1&amp;y=2|a¦b &lt;c&gt;>"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (42, "42 s"),
        (60, "1 min"),
        (102, "1 m 42 s"),
        (300, "5 min"),
        (31 * 60 + 20, "31 min"),
        (2 * 3600, "2 h"),
        (3 * 3600 + 300, "3 h 5 min"),
        (2 * 86400 + 4 * 3600, "2 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_how_long(seconds, shown):
    assert span(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.38, "0.38"),
        (0.123456, "0.1235"),
        (1234.0, "1234"),
        (12345.0, "12.35 k"),
        (2_500_000.0, "2.5 M"),
        (float("nan"), "no value"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers(value, shown):
    assert number(value) == shown


def test_instants_are_for_each_readers_zone_with_utc_as_fallback():
    assert moment(NOW, NOW) == "<!date^1795141080^{time}|02:18 UTC>"
    assert moment(NOW - timedelta(days=3), NOW).endswith("{date_short_pretty} {time}|2026-11-17 02:18 UTC>")
    assert wall(NOW, "Europe/Madrid") == "03:18 CET"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (15, "in 15 s (<!date^1795141095^{time_secs}|02:18:15 UTC>)"),
        (119, "in 1 m 59 s (<!date^1795141199^{time_secs}|02:19:59 UTC>)"),
        (120, "at <!date^1795141200^{time}|02:20 UTC>"),
        (-3, "in 0 s (<!date^1795141077^{time_secs}|02:17:57 UTC>)"),
    ],
)
def test_a_near_instant_is_told_to_the_second(seconds, shown):
    assert due(NOW + timedelta(seconds=seconds), NOW) == shown
