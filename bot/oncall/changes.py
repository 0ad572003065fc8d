"""Changes of rotas that people make from Slack or the command line, beside the files: overrides and swaps. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from bot.schema import Model


class RotaChange(Model):
    """`id` is `ROTA-<number>`. An override puts `people[0]` on duty, a swap exchanges two people's turns; both from
    `start` until `until`. `by` is who made it, `ended_by` who took it back."""

    id: str
    kind: Literal["override", "swap"]
    schedule: str
    people: tuple[str, ...]
    start: datetime
    until: datetime
    by: str
    at: datetime
    why: str = ""
    ended_by: str | None = None
