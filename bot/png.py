"""Pictures for chat programs: SVG to PNG. The one door to resvg, which the extra `charts` brings; it reads nothing from
outside, has its own fonts and runs for some 20 ms, so it belongs into a process that may be late.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from bot.errors import UsageError

_FONTS = Path(__file__).parent / "charts" / "fonts"
_ZOOM = 2  # for the screens of phones


@cache
def available() -> bool:
    """Whether the extra `charts` is installed."""
    return find_spec("resvg_py") is not None


def rendered(svg: str) -> bytes:
    """The picture at twice its size. Raises UsageError without the extra, ValueError for what is no SVG.

    Letters that our own fonts lack are looked for among the system's, which takes longer.
    """
    if not available():
        raise UsageError("pictures need the extra charts: pip install 'agentpager[charts]'")
    import resvg_py  # noqa: PLC0415 - an extra

    ours = [str(path) for path in sorted(_FONTS.glob("*.ttf"))]
    foreign = any(ord(letter) > 0x460 and not 0x2000 <= ord(letter) < 0x2300 for letter in svg)
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg, zoom=_ZOOM, font_files=ours, skip_system_fonts=not foreign, sans_serif_family="DejaVu Sans"
        )
    )
