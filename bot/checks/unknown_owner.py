"""An owner must be a team or a person of the on-call files, or its alerts would go to the fallback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.agents.model import Agent, Dataset, Tool
from bot.checks.subject import Entry, Subject, names, sound
from bot.complaints import Path, did_you_mean, quote
from bot.errors import Finding

CODE = "unknown-owner"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    for entry, agent in sound(subject.agents):
        for path, owner in _of_agent(agent):
            yield from _refuse(subject, entry, path, owner)
    for route, owner in sound(subject.routes):
        yield from _refuse(subject, route, (), owner)
    for way, routing in sound(subject.routing):
        yield from _refuse(subject, way, ("owner",), routing.owner)
    if subject.main is not None:
        for name, receiver in subject.notify.receivers.items():
            here: Entry[object] = Entry(name, receiver, subject.main, ("notify", "receivers", name))
            for number, owner in enumerate(receiver.owners):
                yield from _refuse(subject, here, ("owners", number), owner)
    for page, runbook in sound(subject.runbooks):
        if runbook.owner and "{{" not in runbook.owner:
            yield from _refuse(subject, page, ("owner",), runbook.owner)
    for place, rule in sound(subject.rules):
        owner = rule.labels.get("owner", "")
        if owner and "{{" not in owner:
            yield from _refuse(subject, place, ("labels", "owner"), owner)


def _of_agent(agent: Agent) -> Iterator[tuple[Path, str]]:
    """Everybody whom its file names, and where."""
    yield ("owner",), agent.owner
    if agent.deputy is not None:
        yield ("deputy",), agent.deputy
    parts: dict[str, Mapping[str, Tool | Dataset]] = {"tools": agent.tools, "datasets": agent.datasets}
    for kind, named in parts.items():
        for name, part in named.items():
            if part.owner is not None:
                yield (kind, name, "owner"), part.owner


def _refuse(subject: Subject, entry: Entry[object], path: Path, owner: str) -> Iterator[Finding]:
    teams, people = names(subject.teams), names(subject.people)
    kind, colon, name = owner.partition(":")
    if colon and kind not in {"team", "person"}:
        hint = did_you_mean(kind, ["team", "person"])
        yield entry.finding(path, CODE, f"owner {quote(owner)} is neither team:… nor person:…", hint)
        return
    wanted, known = (name, teams if kind == "team" else people) if colon else (owner, teams | people)
    if wanted not in known:
        what = kind if colon else "team or person"
        yield entry.finding(
            path, CODE, f"owner {quote(owner)} is no {what} of the on-call files", did_you_mean(wanted, known)
        )
