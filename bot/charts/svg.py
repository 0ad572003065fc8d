"""A history as a picture: its course, the limit, and since when the alert fires. Plain SVG without scripts, links or
anything from outside; every text in it is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from bot.humanize import humanize
from bot.runbooks.rendered import History

WIDTH, HEIGHT = 500, 300  # a phone shows it at about two thirds of that
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 68, 34
_LETTER = 8.0  # an average letter of 14 px; only to keep labels apart
_TITLE_LETTERS = 46
_ROWS, _COLUMNS = 4, 3
FONT = "DejaVu Sans"
_INVISIBLE = {*range(0x20), *range(0x7F, 0xA0), 0x200B, *range(0x200E, 0x2010), *range(0x202A, 0x202F)}
_INVISIBLE |= {*range(0x2066, 0x206A), 0xFEFF, 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)}


@dataclass(frozen=True)
class Chart:
    """`end` is the instant of the last point. `firing` is since and until when, None while it goes on."""

    title: str
    history: History
    end: datetime
    firing: tuple[datetime, datetime | None] | None = None


@dataclass(frozen=True)
class _Scale:
    start: float
    end: float
    low: float
    high: float

    def x(self, at: float) -> float:
        share = (at - self.start) / ((self.end - self.start) or 1.0)
        return _LEFT + min(max(share, 0.0), 1.0) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def draw(chart: Chart) -> str:
    """SVG text."""
    scale = _scale(chart)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' role="img" font-family="{FONT}, sans-serif" font-size="14">',
        f"<title>{_text(chart.title, 300)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>',
        f'<text x="14" y="24" font-size="16" font-weight="bold" fill="#111827">'
        f"{_text(chart.title, _TITLE_LETTERS)}</text>",
        *_firing(chart, scale),
        *_rows(scale),
        *_columns(chart, scale),
        *_lines(chart, scale),
        *_limit(chart, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _scale(chart: Chart) -> _Scale:
    history = chart.history
    end = chart.end.timestamp()
    start = end - (len(history.points) - 1) * history.step.total_seconds()
    values = [point for point in history.points if point is not None]
    values += [history.threshold] if history.threshold is not None else []
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low > 0 and low < high / 2:
        low = 0.0
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
    room = (high - low) * 0.08
    return _Scale(start, end, low if low == 0 else low - room, high + room)


def _rows(scale: _Scale) -> Iterator[str]:
    for value in _round_values(scale.low, scale.high, _ROWS):
        y = scale.y(value)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#e5e7eb"/>'
        yield _label(_LEFT - 8, y + 4, _number(value), "end")


def _columns(chart: Chart, scale: _Scale) -> Iterator[str]:
    """Times of the clock, in UTC; the last one says so."""
    for number in range(_COLUMNS + 1):
        at = scale.start + (scale.end - scale.start) * number / _COLUMNS
        shown = datetime.fromtimestamp(at, UTC).strftime("%H:%M")
        anchor = "start" if number == 0 else "end" if number == _COLUMNS else "middle"
        last = " UTC" if number == _COLUMNS else ""
        yield _label(scale.x(at), HEIGHT - 10, f"{shown}{last}", anchor)
    day = chart.end.astimezone(UTC).strftime("%Y-%m-%d")
    yield _label(14, 46, day, "start")


def _lines(chart: Chart, scale: _Scale) -> Iterator[str]:
    """One line for each stretch without gaps; a point by itself is a dot."""
    step = chart.history.step.total_seconds()
    for first, values in _stretches(chart.history.points):
        spots = [(scale.x(scale.start + (first + i) * step), scale.y(value)) for i, value in enumerate(values)]
        if len(spots) == 1:
            yield f'<circle cx="{spots[0][0]:.1f}" cy="{spots[0][1]:.1f}" r="2" fill="#1d4ed8"/>'
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
            yield f'<polyline points="{path}" fill="none" stroke="#1d4ed8" stroke-width="1.8" stroke-linejoin="round"/>'


def _limit(chart: Chart, scale: _Scale) -> Iterator[str]:
    limit = chart.history.threshold
    if limit is None:
        return
    y = scale.y(limit)
    yield (
        f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#b91c1c" stroke-width="1.4"'
        ' stroke-dasharray="6 4"/>'
    )
    words = f"alerts {chart.history.comparison} {_number(limit)}"
    width = len(words) * _LETTER + 10
    above = y - 22 > _TOP
    top = y - 22 if above else y + 4
    yield f'<rect x="{_LEFT + 4}" y="{top:.1f}" width="{width:.0f}" height="19" rx="3" fill="#ffffff" opacity="0.85"/>'
    yield _label(_LEFT + 9, top + 14, words, "start", "#b91c1c")


def _firing(chart: Chart, scale: _Scale) -> Iterator[str]:
    if chart.firing is None:
        return
    since, until = chart.firing
    left = scale.x(since.timestamp())
    right = scale.x(until.timestamp() if until is not None else scale.end)
    if until is not None and until.timestamp() < scale.start:
        return
    height = HEIGHT - _TOP - _BOTTOM
    yield f'<rect x="{left:.1f}" y="{_TOP}" width="{max(right - left, 1.5):.1f}" height="{height}" fill="#fee2e2"/>'
    words = f"firing since {since.astimezone(UTC):%H:%M}"
    fits = right - left > len(words) * _LETTER
    yield _label(left + 4 if fits else left - 4, _TOP - 5, words, "start" if fits else "end", "#b91c1c")


def _label(x: float, y: float, words: str, anchor: str, fill: str = "#4b5563") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{_text(words, 60)}</text>'


def _number(value: float) -> str:
    """`0.05`, `250`, `1.2k`: small fractions as people write limits, not as 50m."""
    return f"{value:.4g}" if value == 0 or 1e-4 <= abs(value) < 1000 else humanize(value)


def _text(words: str, most: int) -> str:
    """One line, without what cannot be seen; XML knows no control characters."""
    plain = "".join(" " if ord(one) in _INVISIBLE else one for one in words[: 4 * most])
    plain = " ".join(plain.split())
    return escape(plain if len(plain) <= most else plain[: most - 1] + "…")


def _stretches(points: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    first, values = 0, list[float]()
    for index, point in enumerate((*points, None)):
        if point is not None:
            first = index if not values else first
            values.append(point)
        elif values:
            yield first, values
            values = []


def _round_values(low: float, high: float, count: int) -> list[float]:
    """At most as many, on 1, 2 or 5 times a power of ten."""
    span = high - low
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]
