"""One audit row: who, what, when, why."""

from __future__ import annotations

from datetime import datetime

from bot.schema import Model


class Entry(Model):
    """`subject` is an incident id, a page id or `config`; `actor` as in ports.Actor, or `agentpager` for its own
    acts."""

    at: datetime
    actor: str
    action: str
    subject: str
    why: str = ""
    detail: dict[str, str] = {}
