"""A scrape has to be over before the next one begins; Prometheus refuses the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bot.checks.subject import Subject
from bot.complaints import Path
from bot.errors import Finding
from bot.schema import format_duration
from bot.yamldoc import Document

CODE = "long-timeout"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.main is None or subject.settings is None:
        return
    scrape = subject.settings.metrics.scrape
    yield from _refuse(subject.main, (), scrape.timeout, scrape.interval)
    for index, target in enumerate(scrape.targets):
        if target.interval is not None or target.timeout is not None:
            timeout, interval = target.timeout or scrape.timeout, target.interval or scrape.interval
            yield from _refuse(subject.main, ("targets", index), timeout, interval)


def _refuse(main: Document, path: Path, timeout: timedelta, interval: timedelta) -> Iterator[Finding]:
    if timeout > interval:
        text = f"the timeout ({format_duration(timeout)}) is longer than the interval ({format_duration(interval)})"
        yield main.finding(("metrics", "scrape", *path, "timeout"), CODE, text, "make it at most the interval")
