from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest

from bot import png
from bot.charts.svg import HEIGHT, WIDTH, Chart, draw
from bot.runbooks.rendered import History

NOW = datetime(2026, 11, 21, 2, 18, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def chart(*points, title="refund-agent: tool errors 38%", firing=None, **more) -> ET.Element:
    history = History(points=points, step=timedelta(minutes=1), **more)
    return ET.fromstring(draw(Chart(title, history, NOW, firing)))


def texts(drawn: ET.Element) -> list[str]:
    return [each.text or "" for each in drawn.iter(f"{SVG}text")]


def spots(drawn: ET.Element) -> list[list[tuple[float, float]]]:
    lines = [line.get("points", "").split() for line in drawn.iter(f"{SVG}polyline")]
    return [[tuple(float(part) for part in spot.split(",")) for spot in line] for line in lines]


def test_the_course_rises_where_values_rise_and_breaks_where_there_are_none():
    first, second = spots(chart(0.0, 1.0, None, 2.0, 4.0))
    assert first[0][1] > first[1][1] > second[0][1] > second[1][1]  # up is less in SVG
    assert first[0][0] < first[1][0] < second[0][0] < second[1][0]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for line in (first, second) for x, y in line)


def test_a_value_by_itself_is_a_dot():
    drawn = chart(None, 1.0, None)
    assert len(list(drawn.iter(f"{SVG}circle"))) == 1
    assert spots(drawn) == []


def test_the_limit_is_a_line_between_what_is_below_and_above_it():
    drawn = chart(0.01, 0.38, threshold=0.05, comparison=">")
    limit = next(line for line in drawn.iter(f"{SVG}line") if line.get("stroke-dasharray"))
    ((low, high),) = spots(drawn)
    assert high[1] < float(limit.get("y1")) < low[1]
    assert "alerts > 0.05" in texts(drawn)


def test_it_says_since_when_it_fires_and_in_which_zone():
    drawn = chart(*[1.0] * 31, firing=(NOW - timedelta(minutes=6), None))
    assert {"firing since 02:12", "01:48", "02:18 UTC", "2026-11-21"} <= set(texts(drawn))
    area = list(drawn.iter(f"{SVG}rect"))[1]
    left, width = float(area.get("x")), float(area.get("width"))
    assert left + width == pytest.approx(WIDTH - 16, abs=0.2)  # until now
    assert width == pytest.approx((WIDTH - 74) * 6 / 30, abs=0.2)


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.0, 1e300, 0.3])
def test_a_flat_course_of_any_size_is_drawn(value):
    ((first, second),) = spots(chart(value, value))
    assert first[1] == second[1]


@pytest.mark.parametrize(
    "title", ["<script>alert(1)</script>", "a & b", "\x00\x1b[31m\u202e\ud800x", "x" * 100_000, "]]>", "&#0;"]
)
def test_no_title_breaks_the_picture_or_brings_markup(title):
    drawn = chart(0.0, 1.0, title=title)
    allowed = {"svg", "title", "rect", "text", "line", "polyline", "circle"}
    assert {each.tag.removeprefix(SVG) for each in drawn.iter()} <= allowed
    assert all(len(text) <= 50 for text in texts(drawn))


def test_the_picture_is_a_png_of_twice_the_size():
    history = History(points=(0.0, 1.0), step=timedelta(minutes=1), threshold=0.5, comparison=">")
    picture = png.rendered(draw(Chart("refund-agent", history, NOW)))
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (2 * WIDTH, 2 * HEIGHT)


def test_the_fonts_have_the_letters_of_the_labels():
    """Without a font nothing of a text is drawn: the same picture with other words must differ."""
    history = History(points=(0.0, 1.0), step=timedelta(minutes=1))
    assert png.rendered(draw(Chart("aaa", history, NOW))) != png.rendered(draw(Chart("bbb", history, NOW)))
