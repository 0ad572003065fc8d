"""The child process that judges what others wrote: a question on standard input, its answer on standard output, both
JSON.

    {"ask": "findings", "sources"}                      a new configuration → its findings
    {"ask": "calendar", "text", "before"}               a calendar → what is wrong with it, whether it says the same
    {"ask": "gaps", "sources", "from", "until"}         a configuration → when nobody but the fallback would be paged
    {"ask": "dossiers", "sources", "at"}                a configuration → what it shows of each agent's readiness

It has little to import, so that a reload is quick.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bot import logs
from bot.config import Config, check, load
from bot.confinement import confine
from bot.forecast.coverage import Gap, gaps
from bot.oncall import feeds, ical
from bot.readiness.paper import Files, dossiers
from bot.sources import Sources


def findings(question: dict[str, Any]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in check(Sources.from_json(question["sources"]))]


def calendar(question: dict[str, Any]) -> dict[str, Any]:
    text, before = question["text"], question["before"]
    return {"problem": calendar_problem(text), "same": bool(before) and feeds.meaning(text) == feeds.meaning(before)}


def calendar_problem(text: str) -> str:
    """What keeps a calendar from being relied on; empty when nothing does."""
    if obvious := feeds.problem(text):
        return obvious
    parsed, troubles = ical.parse(text)
    if parsed is None or not parsed.events:
        return f"no event of the calendar can be read: {troubles[0].message}" if troubles else "there are no events"
    return ""


def gaps_of(question: dict[str, Any]) -> list[dict[str, Any]]:
    config = load(Sources.from_json(question["sources"]))
    start, end = (datetime.fromisoformat(question[key]) for key in ("from", "until"))
    return [gap_json(gap) for gap in gaps(config.agents, config.book, start, end)]


def gap_json(gap: Gap) -> dict[str, Any]:
    spans = [[start.isoformat(), end.isoformat()] for start, end in gap.spans]
    return asdict(gap) | {"spans": spans}


def dossiers_of(question: dict[str, Any]) -> list[dict[str, Any]]:
    config = load(Sources.from_json(question["sources"]))
    found = dossiers(files_of(config), datetime.fromisoformat(question["at"]))
    return [one.model_dump(mode="json") for one in found]


def files_of(config: Config) -> Files:
    notify = config.settings.notify
    second = notify.email is not None or bool(notify.webhooks)
    return Files(config.agents, config.book, config.groups, config.runbooks, second)


ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "findings": findings,
    "calendar": calendar,
    "gaps": gaps_of,
    "dossiers": dossiers_of,
}


def main() -> None:
    confine()
    logs.set_up("checker")
    gc.disable()  # it is over before that could pay
    question = json.loads(sys.stdin.read())
    sys.stdout.write(json.dumps(ANSWERS[question["ask"]](question)))


if __name__ == "__main__":
    main()
