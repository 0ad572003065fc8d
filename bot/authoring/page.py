"""Block Kit messages as one HTML page that looks as they do in Slack on a phone. No script, nothing loaded.

Knows only the blocks and the markup that our messages are made of; all else is shown as the text it is.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Sequence
from html import escape, unescape
from typing import Any

from bot.slack.kit import Block

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--text:#1d1c1d;--dim:#616061;--line:#ddd}
:root{--code:#f6f6f6;--link:#1264a3;--go:#007a5a}
@media(prefers-color-scheme:dark){
:root{--bg:#1a1d21;--text:#d1d2d3;--dim:#ababad;--line:#3c3f44;--code:#26292e;--link:#4fa3e0}}
*{box-sizing:border-box}
body{margin:0 auto;padding:12px;max-width:640px;background:var(--bg);color:var(--text);
font:15px/1.46 system-ui,sans-serif}
h1{font-size:13px;color:var(--dim);font-weight:600;margin:20px 0 6px}
article{border:1px solid var(--line);border-radius:8px;padding:10px 12px;overflow-wrap:anywhere}
h2{font-size:18px;line-height:1.3;margin:4px 0 8px}
p,article>div,hr{margin:10px 0}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px}
.context,.aside{font-size:13px;color:var(--dim)}
pre{margin:6px 0;padding:8px;background:var(--code);border:1px solid var(--line);border-radius:4px;
white-space:pre-wrap;font-size:13px}
code{background:var(--code);font-size:13px}
a{color:var(--link)}
hr{border:0;border-top:1px solid var(--line)}
.actions{display:flex;flex-wrap:wrap;gap:8px}
.actions span{border:1px solid var(--line);border-radius:4px;padding:6px 12px;font-weight:600}
.actions .primary{background:var(--go);color:#fff}
.actions .danger{background:#e01e5a;color:#fff}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MARKUP = re.compile(r"```(?P<block>.*?)```|`(?P<code>[^`\n]+)`|<(?P<angle>[^<>\n]*)>|\*(?P<bold>[^*\n]+)\*", re.DOTALL)


def page(title: str, messages: Sequence[tuple[str, Sequence[Block]]], remarks: Sequence[str] = ()) -> str:
    """Each message with a line of what it is; `remarks` stand below them."""
    shown = "\n".join(
        f"<h1>{escape(name)}</h1>\n<article>{''.join(map(_block, blocks))}</article>" for name, blocks in messages
    )
    told = "".join(f'<p class="aside">{escape(remark)}</p>' for remark in remarks)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{shown}\n{told}</body></html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case {"type": "header", "text": text}:
            return f"<h2>{_text(text)}</h2>"
        case {"type": "section", "fields": fields}:
            return f'<div class="fields">{"".join(f"<div>{_text(field)}</div>" for field in fields)}</div>'
        case {"type": "section", "text": text}:
            return f"<div>{_text(text)}</div>"
        case {"type": "context", "elements": elements}:
            return f'<div class="context">{" ".join(map(_text, elements))}</div>'
        case {"type": "actions", "elements": elements}:
            return f'<div class="actions">{"".join(map(_button, elements))}</div>'
        case {"type": "divider"}:
            return "<hr>"
        case _:
            return f'<p class="aside">{escape(str(block.get("type", "")))}</p>'


def _button(element: dict[str, Any]) -> str:
    style = element.get("style", "")
    return f'<span class="{escape(style)}">{_text(element.get("text", {"text": "⋯"}))}</span>'


def _text(element: dict[str, Any]) -> str:
    text = str(element.get("text", ""))
    return _mrkdwn(text) if element.get("type") == "mrkdwn" else escape(text)


def _mrkdwn(text: str) -> str:
    """Slack's markup; what stands between is escaped anew, whatever it holds."""
    out, end = "", 0
    for found in _MARKUP.finditer(text):
        out += _words(text[end : found.start()]) + _marked(found)
        end = found.end()
    return out + _words(text[end:])


def _marked(found: re.Match[str]) -> str:
    if (block := found["block"]) is not None:
        return f"<pre>{escape(unescape(block))}</pre>"
    if (code := found["code"]) is not None:
        return f"<code>{escape(unescape(code))}</code>"
    if (angle := found["angle"]) is not None:
        return _angle(angle)
    return f"<b>{_mrkdwn(found['bold'])}</b>"


def _angle(inside: str) -> str:
    """A link, a date of which each reader sees their own, or a mention."""
    target, _, shown = inside.partition("|")
    if target.startswith(("https://", "http://")):
        return f'<a href="{escape(unescape(target))}" rel="noreferrer">{_words(shown or target)}</a>'
    return _words(shown or target)


def _words(text: str) -> str:
    return escape(unescape(text)).replace("\n", "<br>")
