"""A history as one line of block characters, for messages that carry no picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.runbooks.rendered import History

_BARS = "▁▂▃▄▅▆▇█"
_GAP = "\N{FIGURE SPACE}"
WIDTH = 20


def sparkline(history: History, width: int = WIDTH) -> str:
    """Lowest to highest value in eight steps, the newest last; a gap where there was no value. Of the points behind one
    character the worst counts. Empty when fewer than two points have a value: that is no course."""
    worst = min if history.comparison in {"<", "<="} else max
    parts = ([point for point in part if point is not None] for part in _parts(history, width))
    columns = [worst(part) if part else None for part in parts]
    known = [value for value in columns if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    return "".join(_GAP if value is None else _bar(value, low, high) for value in columns)


def minutes(history: History) -> int:
    """How long the line goes back."""
    return round((len(history.points) - 1) * history.step.total_seconds() / 60)


def _bar(value: float, low: float, high: float) -> str:
    if high == low:
        return _BARS[0]
    return _BARS[min(int((value - low) / (high - low) * len(_BARS)), len(_BARS) - 1)]


def _parts(history: History, width: int) -> Iterator[Sequence[float | None]]:
    """The points in as many even parts, the newest point in the last one."""
    points = history.points
    count = min(width, len(points))
    for number in range(count):
        yield points[number * len(points) // count : (number + 1) * len(points) // count]
