"""Runbooks that are always there. One of the same id in your own files replaces the one here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

from bot.runbooks.model import Runbook
from bot.yamldoc import parse


@lru_cache(maxsize=1)
def builtin() -> tuple[Runbook, ...]:
    name = "builtin.yaml"
    text = resources.files("bot.runbooks").joinpath(name).read_text(encoding="utf-8")
    return (parse(text, name).validate(Runbook),)


def with_builtin(runbooks: Sequence[Runbook]) -> tuple[Runbook, ...]:
    taken = {runbook.id for runbook in runbooks}
    return (*runbooks, *(runbook for runbook in builtin() if runbook.id not in taken))
