from __future__ import annotations

from datetime import timedelta

import pytest

from bot.charts.spark import minutes, sparkline
from bot.runbooks.rendered import History

N = None


def line(*points: float | None, comparison="", width=20) -> str:
    return sparkline(History(points=points, step=timedelta(minutes=1), comparison=comparison), width)


@pytest.mark.parametrize(
    ("points", "drawn"),
    [
        ((0, 1, 2, 3, 4, 5, 6, 7), "▁▂▃▄▅▆▇█"),
        ((7, 0), "█▁"),
        ((5, 5, 5), "▁▁▁"),
        ((0, N, 8), "▁\N{FIGURE SPACE}█"),
        ((-4, 4), "▁█"),
        ((N, 3, N), ""),
        ((), ""),
        ((1,), ""),
    ],
)
def test_the_lowest_value_is_the_lowest_bar_and_the_highest_the_highest(points, drawn):
    assert line(*points) == drawn


def test_a_peak_between_two_columns_is_not_lost_and_for_a_lower_limit_neither_is_a_dip():
    assert line(0, 9, 0, 0, width=2) == "█▁"
    assert line(9, 0, 9, 9, comparison="<", width=2) == "▁█"


def test_an_hour_of_minutes_is_twenty_columns():
    history = History(points=tuple(float(n) for n in range(61)), step=timedelta(minutes=1))
    assert len(sparkline(history)) == 20
    assert minutes(history) == 60
