"""A few lines over two axes as SVG: readable on light and on dark pages, no library needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 52, 56
COLOURS = ("#2f81f7", "#d9730d", "#2da44e")
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; font-size: 14px; fill: #24292f }
.grid { stroke: #8c959f; stroke-opacity: .25 }
.axis { stroke: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #9198a1 } .title { fill: #e6edf3 } }
"""


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Both axes begin at nothing, so that what grows with x is a straight line."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]


def svg(panels: Sequence[Panel]) -> str:
    width = WIDTH * len(panels)
    drawn = [f'<g transform="translate({WIDTH * place} 0)">{_panel(panel)}</g>' for place, panel in enumerate(panels)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}"'
    return f'{head} role="img"><style>{STYLE}</style>\n' + "\n".join(drawn) + "\n</svg>\n"


def _panel(panel: Panel) -> str:
    points = [point for line in panel.lines for point in line.points]
    across, up = _ticks(max(x for x, _ in points)), _ticks(max(y for _, y in points))
    parts = [f'<text class="title" x="{LEFT}" y="24">{escape(panel.title)}</text>']
    parts += [_text(LEFT, 42, panel.y, "start"), _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, panel.x, "middle")]
    for value in up:
        y = _y(value, up[-1])
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:,g}", "end"))
    for value in across:
        parts.append(_text(_x(value, across[-1]), HEIGHT - BOTTOM + 20, _short(value), "middle"))
    parts.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    for line, colour in zip(panel.lines, COLOURS, strict=False):
        parts.append(_drawn(line, colour, across[-1], up[-1]))
    parts += [_legend(place, line, COLOURS[place]) for place, line in enumerate(panel.lines) if len(panel.lines) > 1]
    return "".join(parts)


def _drawn(line: Line, colour: str, right: float, top: float) -> str:
    places = [(_x(x, right), _y(y, top)) for x, y in sorted(line.points)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places)
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _legend(place: int, line: Line, colour: str) -> str:
    y = TOP + 16 + 18 * place
    return f'<circle cx="{LEFT + 16}" cy="{y - 4}" r="4" fill="{colour}"/>' + _text(LEFT + 26, y, line.name, "start")


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _x(value: float, right: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / right


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _ticks(largest: float) -> list[float]:
    """From 0 to the first round number that is not below the largest, in four to six steps."""
    step = next(step for power in range(-9, 12) for step in (f * 10.0**power for f in (1, 2, 5)) if largest <= 5 * step)
    count = next(count for count in range(1, 6) if largest <= count * step)
    return [step * number for number in range(count + 1)]
