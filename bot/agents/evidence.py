"""What was shown once about an agent, and counts for a while: a drill that was passed, a kill switch that was tried."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime

from bot.schema import Model


class Evidence(Model):
    """`kind` is drill, or whatever else was tried; `person` is who showed it, `summary` says it in one sentence, and
    `detail` holds what else is known: names to values that JSON can hold."""

    kind: str
    agent: str
    at: AwareDatetime
    passed: bool
    summary: str
    person: str | None = None
    detail: dict[str, Any] = {}
