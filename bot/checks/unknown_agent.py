"""A fixed `agent` label should name an agent of the agents' files, or its alerts have no owner; so should a matcher of
incidents/, or it matches nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.hiding import matchers
from bot.checks.subject import Subject, names, sound
from bot.complaints import did_you_mean, quote
from bot.errors import Finding
from bot.labels import Op

CODE = "unknown-agent"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    known = names(subject.agents)
    for entry, rule in sound(subject.rules):
        agent = rule.labels.get("agent", "")
        if agent and "{{" not in agent and agent not in known:
            text, hint = f"there is no agent {quote(agent)}", did_you_mean(agent, known)
            yield entry.finding(("labels", "agent"), CODE, text, hint, severity="warning")
    for hiding, path, matcher in matchers(subject):
        if matcher.name == "agent" and matcher.op is Op.EQUAL and matcher.value and matcher.value not in known:
            text, hint = f"there is no agent {quote(matcher.value)}", did_you_mean(matcher.value, known)
            yield hiding.finding(path, CODE, text, hint, severity="warning")
    if subject.main is None or subject.settings is None:
        return
    for name, bridge in subject.settings.bridges.items():
        for theirs, agent in bridge.agents.items():
            if agent not in known:
                path = ("bridges", name, "agents", theirs)
                text, hint = f"there is no agent {quote(agent)}", did_you_mean(agent, known)
                yield subject.main.finding(path, CODE, text, hint, severity="warning")
    for index, target in enumerate(subject.settings.metrics.scrape.targets):
        agent = target.labels.get("agent", "")
        if agent and agent not in known:
            path = ("metrics", "scrape", "targets", index, "labels", "agent")
            text, hint = f"there is no agent {quote(agent)}", did_you_mean(agent, known)
            yield subject.main.finding(path, CODE, text, hint, severity="warning")
