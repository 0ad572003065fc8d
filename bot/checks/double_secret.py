"""A secret is given directly or by a file, not both: nobody could say which one counts."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject
from bot.errors import Finding
from bot.settings import Http, Slack

CODE = "double-secret"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.main is None:
        return
    for section, model in (("slack", Slack), ("http", Http)):
        for key in model.model_fields:
            by_file = f"{key}_file"
            if subject.main.node((section, key)) is not None and subject.main.node((section, by_file)) is not None:
                text = f"both {section}.{key} and {section}.{by_file} are given"
                yield subject.main.finding((section, by_file), CODE, text, "keep one of them", key=True)
