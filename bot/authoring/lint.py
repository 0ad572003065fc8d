"""Everything that can be said of runbooks before somebody is woken: what `check` says of them, and what they lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time

from bot import config
from bot.authoring.links import dead, links
from bot.authoring.preview import preview
from bot.authoring.sample import incident_for
from bot.authoring.seen import Seen, unseen
from bot.checks import idle_runbook
from bot.checks.subject import Entry, sound
from bot.errors import Finding
from bot.runbooks.advice import advice
from bot.runbooks.codes import ABOUT_RUNBOOKS, numbered
from bot.runbooks.lint import Problem
from bot.runbooks.model import Runbook
from bot.runbooks.secrets import secrets
from bot.slack.runbook import losses
from bot.sources import Source, Sources


def findings(
    sources: Sources, today: date, seen: Seen | None = None, gone: Mapping[str, str] | None = None
) -> list[Finding]:
    """In file order. Of a runbook that cannot be read only the mistakes are told, and any secret in it. `seen` are the
    metrics that there are, where that is known; `gone` the addresses where nothing is, and why."""
    subject, found = config.examined(sources)
    files = {source.file for source in sources.files["runbooks"]}
    found = [one for one in found if one.file in files or one.code in ABOUT_RUNBOOKS]
    broken = {one.file for one in found if one.severity == "error"}
    rules = [rule for _, rule in sound(subject.rules)]
    for entry, runbook in sound(subject.runbooks):
        found += _told(entry, advice(runbook, today))
        found += _told(entry, unseen(runbook, seen, rules)) if seen is not None else ()
        found += _told(entry, dead(runbook, gone or {}))
        if entry.document.file not in broken:
            found += _budget(entry, runbook, today)
    found += idle_runbook.check(subject)
    for source in sources.files["runbooks"]:
        found += _secrets(source)
    return sorted(set(numbered(found, files)))


def addresses(sources: Sources) -> set[str]:
    """What the runbooks link to, where no value of an alert is needed."""
    subject, _ = config.examined(sources)
    return {url for _, runbook in sound(subject.runbooks) for _, url in links(runbook)}


def _told(entry: Entry[Runbook], problems: Iterator[Problem]) -> Iterator[Finding]:
    for problem in problems:
        yield entry.finding(
            problem.path, problem.code, problem.message, problem.hint, severity=problem.severity, key=True
        )


def _budget(entry: Entry[Runbook], runbook: Runbook, today: date) -> Iterator[Finding]:
    """What Slack has no room for, as it would be rendered for a sample incident."""
    now = datetime.combine(today, time(), UTC)
    every = runbook.model_copy(update={"steps": tuple(step.model_copy(update={"when": ""}) for step in runbook.steps)})
    shown = preview(every, incident_for(runbook, None, now), None, now)
    for step_id, lost in losses(shown.incident, shown.rendered, now):
        known = runbook.step(step_id)
        path = ("steps", known[0] - 1, "id") if known is not None else ("id",)
        whose = f'step "{step_id}"' if known is not None else f'runbook "{entry.id}"'
        text = f"{whose} is longer than Slack has room for: {lost}"
        hint = "shorten it, or put what is rarely needed behind a link"
        yield entry.finding(path, "slack-budget", text, hint, severity="warning", key=True)


def _secrets(source: Source) -> Iterator[Finding]:
    for secret in secrets(source.text):
        text = f"this looks like {secret.what}; whoever is paged can read it, and Slack keeps it"
        hint = "revoke it, and say where to get it instead"
        yield Finding(source.file, secret.line, secret.column, "secret-like", text, "error", hint)
