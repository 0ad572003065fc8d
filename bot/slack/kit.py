"""Block Kit pieces with Slack's limits kept here. Knows no incident; every text it is given is already safe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.slack.text import ELLIPSIS, plain

Block = dict[str, Any]

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
FIELD_LIMIT = 2000
BUTTON_LIMIT = 75
TEXT_LIMIT = 150  # ours: what a phone shows of a push message
# Slack takes 50 blocks and fails near 13,200 characters altogether; a phone is read on one screen.
BLOCKS_LIMIT = 20
TOTAL_LIMIT = 12_000


@dataclass(frozen=True)
class Part:
    """A block and what it is worth: the least valuable ones go first when a message is too big."""

    value: int
    block: Block


def header(text: str) -> Block:
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": plain(text, HEADER_LIMIT) or "-", "emoji": False},
    }


def section(*lines: str, limit: int = SECTION_LIMIT) -> Block:
    return {"type": "section", "text": mrkdwn(joined(lines, limit))}


def fields(pairs: Sequence[tuple[str, str]]) -> Block:
    """At most ten; both halves are safe mrkdwn, and short."""
    return {"type": "section", "fields": [mrkdwn(f"*{name}*\n{value}"[:FIELD_LIMIT]) for name, value in pairs[:10]]}


def context(*lines: str) -> Block:
    return {"type": "context", "elements": [mrkdwn(joined(lines, SECTION_LIMIT))]}


def actions(block_id: str, buttons: Sequence[Block]) -> Block:
    return {"type": "actions", "block_id": block_id[:255], "elements": list(buttons[:25])}


def button(
    text: str,
    action_id: str,
    value: str,
    style: Literal["primary", "danger"] | None = None,
    confirm: Block | None = None,
) -> Block:
    shape: Block = {
        "type": "button",
        "text": {"type": "plain_text", "text": plain(text, BUTTON_LIMIT) or "-", "emoji": True},
        "action_id": action_id,
        "value": value[:2000].encode(errors="replace").decode(),  # half a surrogate pair would be no JSON
    }
    return shape | ({"style": style} if style else {}) | ({"confirm": confirm} if confirm else {})


def overflow(action_id: str, entries: Sequence[tuple[str, str]]) -> Block:
    """The menu behind ⋯: text and value of each entry, five at most."""
    return {"type": "overflow", "action_id": action_id, "options": [option(*entry) for entry in entries[:5]]}


def option(text: str, value: str) -> Block:
    """One entry of a menu, a list or a set of radio buttons."""
    return {"text": {"type": "plain_text", "text": plain(text, 75) or "-"}, "value": value[:150]}


def confirmation(title: str, text: str, confirm: str, deny: str) -> Block:
    """Slack's own question before a click counts."""
    asked = {"title": (title, 100), "text": (text, 300), "confirm": (confirm, 30), "deny": (deny, 30)}
    return {key: {"type": "plain_text", "text": plain(text, limit)} for key, (text, limit) in asked.items()}


def mrkdwn(text: str) -> Block:
    """`verbatim` keeps Slack from making links, channels and mentions out of plain words."""
    return {"type": "mrkdwn", "text": text or ELLIPSIS, "verbatim": True}


def joined(lines: Sequence[str], limit: int) -> str:
    """Whole lines as long as they fit; what is left out is counted. Never cuts inside a line's markup."""
    kept = [line for line in lines if line]
    text = "\n".join(kept)
    if len(text) <= limit or len(kept) < 2:
        return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS
    fitting, length = 1, len(kept[0])
    for count in range(2, len(kept)):
        length += 1 + len(kept[count - 1])
        if length + len(f"\n+{len(kept) - count} more") > limit:
            break
        fitting = count
    text = "\n".join([*kept[:fitting], f"+{len(kept) - fitting} more"])
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def fit(parts: Sequence[Part], rest: str = "", blocks: int = BLOCKS_LIMIT, total: int = TOTAL_LIMIT) -> list[Block]:
    """The parts in their order, without the least valuable ones where they are too many or too long."""
    sizes = [size([part]) for part in parts]
    dropped: set[int] = set()
    length = sum(sizes)
    for least in sorted(range(len(parts)), key=lambda index: (parts[index].value, -index)):
        if len(parts) - len(dropped) + bool(dropped) <= blocks and length <= total:
            break
        dropped.add(least)
        length -= sizes[least]
    out = [part.block for index, part in enumerate(parts) if index not in dropped]
    if dropped:
        out.append(context(f"+{len(dropped)} more left out to fit{rest}"))
    return out


def size(parts: Sequence[Part]) -> int:
    return sum(len(json.dumps(part.block, ensure_ascii=False)) for part in parts)
