"""Text on its way to Slack: cleaned, escaped and cut. Nothing from a label, annotation or template goes
out any other way.

Two kinds of output: `plain` for plain_text objects, `mrk` for mrkdwn ones. Both are safe for any input.
"""

from __future__ import annotations

import math
import re  # noqa: TID251 - fixed patterns, never a user's
import unicodedata
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ELLIPSIS = "…"

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Slack has no escape for its own markup, so look-alikes stand in for what would format or quote.
_LOOKALIKES = {"*": "∗", "~": "∼", "`": "ˋ"}
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_EDGE_SIGN = "ˍ"
_HALF_ESCAPE = re.compile(r"&[a-z]{0,4}$")
_SOON = timedelta(minutes=2)
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:[/?#][A-Za-z0-9._~:/?#@!$&'()+,;=%-]*)?")


def clean(value: str, *, lines: bool = False) -> str:
    """Without control, bidirectional and zero-width characters; on one line unless `lines`."""
    text = value.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    " if lines else " ")
    # What is printable throughout, as nearly all text is, needs no look at each character.
    kept = text if text.replace("\n", "").isprintable() else "".join(filter(_seen, text))
    return kept.strip("\n") if lines else " ".join(kept.split())


def _seen(character: str) -> bool:
    return character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + ELLIPSIS[:limit]


def cut_escaped(text: str, limit: int) -> str:
    """Cuts text that `mrk` has made, without leaving half an escape."""
    return text if len(text) <= limit else _HALF_ESCAPE.sub("", text[: limit - 1]).rstrip() + ELLIPSIS


def plain(value: str, limit: int, *, lines: bool = False) -> str:
    """For plain_text objects. They parse no markup; angle brackets go all the same, in case a client does."""
    return cut(clean(value, lines=lines).replace("<", "‹").replace(">", "›"), limit)


def mrk(value: str, limit: int, *, lines: bool = False) -> str:
    """Safe inside mrkdwn: no mention, link, emphasis, code or quote can come of it; `limit` holds after escaping."""
    # One character more than there is room for tells that something is left out.
    text = _EDGE_UNDERSCORE.sub(_EDGE_SIGN, clean(value, lines=lines)[: limit + 1])
    return _escape(text, limit, _ESCAPES | _LOOKALIKES)


def code(value: str, limit: int) -> str:
    """For between code fences, where only the fence itself and Slack's three signs mean anything."""
    return _escape(clean(value, lines=True)[: limit + 1], limit, _ESCAPES | {"`": "ˋ"})


def link(url: str, title: str, limit: int) -> str:
    """A link when the address is plainly http(s), otherwise both as text."""
    shown = mrk(title or url, 200)
    if len(url) <= 500 and _LINK.fullmatch(url):
        linked = f"<{url.replace('&', '&amp;')}|{shown.replace('|', '¦')}>"
        if len(linked) <= limit:
            return linked
    return mrk(f"{title}: {url}" if title else url, limit)


def _escape(text: str, limit: int, table: dict[str, str]) -> str:
    pieces = [table.get(character, character) for character in text]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    out: list[str] = []
    room = limit - len(ELLIPSIS)
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            break
        out.append(piece)
    return "".join(out).rstrip() + ELLIPSIS


def moment(at: datetime, now: datetime) -> str:
    """An instant each reader sees in their own zone, with UTC for clients that cannot."""
    near = abs(at - now) < timedelta(hours=20)
    shape = "{time}" if near else "{date_short_pretty} {time}"
    fallback = f"{at:%H:%M} UTC" if near else f"{at:%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(at.timestamp())}^{shape}|{fallback}>"


def wall(at: datetime, zone: str = "UTC", *, seconds: bool = False) -> str:
    """`02:17 UTC`, for text that Slack does not translate."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:{'%H:%M:%S' if seconds else '%H:%M'}} {local.tzname() or zone}"


def soon(at: datetime, now: datetime) -> bool:
    """So near that the minute alone says nothing."""
    return at - now < _SOON


def due(at: datetime, now: datetime) -> str:
    """When something will happen: `at 04:09`, or `in 15 s (04:09:27)` where a minute is too coarse."""
    if not soon(at, now):
        return f"at {moment(at, now)}"
    return f"in {span(at - now)} (<!date^{int(at.timestamp())}^{{time_secs}}|{at:%H:%M:%S} UTC>)"


def span(length: timedelta) -> str:
    """How long, as a person says it: `42 s`, `1 m 42 s`, `31 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(round(length.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 300:
        return f"{seconds // 60} m {seconds % 60} s" if seconds % 60 else f"{seconds // 60} min"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        return f"{seconds // 3600} h" + (f" {minutes} min" if (minutes := seconds % 3600 // 60) else "")
    return f"{seconds // 86400} d" + (f" {hours} h" if (hours := seconds % 86400 // 3600) else "")


def number(value: float) -> str:
    """Four significant digits, as the rules' `humanize` shows them."""
    if math.isnan(value):
        return "no value"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g} {unit}"
    return f"{value:.4g}"
