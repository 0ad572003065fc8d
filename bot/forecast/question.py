"""Which alert somebody means by the name of a rule or of an agent, or by its labels: the labels it would have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bot.agents.model import Agent
from bot.complaints import did_you_mean
from bot.errors import UsageError
from bot.incidents.model import SEVERITY_RANK, Severity
from bot.labels import Labels, Op, parse_matchers
from bot.oncall.owners import BUILTIN_ROUTES, OF_AGENT
from bot.rules.model import Group, Rule


@dataclass(frozen=True)
class Question:
    """`name` as it was asked. `also` are the severities of other rules of that name."""

    name: str
    labels: Labels
    annotations: Mapping[str, str]
    severity: Severity
    also: tuple[str, ...] = ()


def ask(
    name: str, agent: str | None, severity: Severity | None, agents: Mapping[str, Agent], groups: Iterable[Group]
) -> Question:
    """Raises UsageError when there is no such rule or agent, or when it does not say which agent is meant."""
    if agent is not None and agent not in agents:
        raise UsageError(f'there is no agent "{agent}"; {_near(agent, agents)}')
    if "=" in name:
        return _of_labels(name, agent, severity)
    rules = [(group.labels_of(rule), rule) for group in groups for rule in group.rules if rule.alert == name]
    if name in agents and not rules:
        given = severity or Severity.CRITICAL
        labels = {"alertname": "any alert", "agent": name, "severity": given.value}
        return Question(name, labels, {"summary": f"something is wrong with {name}"}, given)
    if not rules:
        known = {*agents, *(rule.alert for group in groups for rule in group.rules if rule.alert)}
        raise UsageError(f'there is no agent and no alert "{name}"; {_near(name, known)}')
    return _of_rule(name, agent, severity, agents, rules)


def _of_labels(text: str, agent: str | None, severity: Severity | None) -> Question:
    """An alert with these labels, whoever sends it."""
    try:
        matchers = parse_matchers(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    odd = next((matcher for matcher in matchers if matcher.op is not Op.EQUAL), None)
    if odd is not None:
        raise UsageError(f'{odd}: an alert has one value of each label; write {odd.name}="…"')
    given = {"agent": agent or "", "severity": severity.value if severity else ""}
    labels = {matcher.name: matcher.value for matcher in matchers} | {key: text for key, text in given.items() if text}
    name = labels.get("alertname", "any alert")
    return Question(name, {**labels, "alertname": name}, {"summary": text}, _severity(labels))


def _of_rule(
    name: str,
    agent: str | None,
    severity: Severity | None,
    agents: Mapping[str, Agent],
    rules: list[tuple[dict[str, str], Rule]],
) -> Question:
    """Of several rules of that name the one of the severity asked for, else the worst."""
    ranked = sorted(rules, key=lambda pair: -SEVERITY_RANK[_severity(pair[0])])
    wanted = [pair for pair in ranked if severity is not None and _severity(pair[0]) is severity]
    labels, rule = (wanted or ranked)[0]
    chosen = severity or _severity(labels)
    fixed = {key: value for key, value in labels.items() if value and "{{" not in value}
    fixed = fixed | {"alertname": name, "severity": chosen.value} | ({"agent": agent} if agent else {})
    of_agents = fixed.get("route", OF_AGENT) in BUILTIN_ROUTES
    if "agent" not in fixed and "owner" not in fixed and of_agents:
        fixed["agent"] = _only(name, agents)
    also = tuple(dict.fromkeys(_severity(pair[0]).value for pair in ranked if _severity(pair[0]) is not chosen))
    summary = {} if "{{" in rule.annotations.get("summary", "{{") else {"summary": rule.annotations["summary"]}
    return Question(name, fixed, summary, chosen, also)


def _only(name: str, agents: Mapping[str, Agent]) -> str:
    if len(agents) == 1:
        return next(iter(agents))
    listed = ", ".join(sorted(agents)[:8]) + (", …" if len(agents) > 8 else "")
    raise UsageError(f'the agent of "{name}" comes from the series; name one with --agent: {listed or "none is there"}')


def _severity(labels: Mapping[str, str]) -> Severity:
    """As the pager takes it: an unknown one wakes."""
    text = labels.get("severity", "critical")
    return Severity(text) if text in set(Severity) else Severity.CRITICAL


def _near(name: str, known: Collection[str]) -> str:
    return did_you_mean(name, known) or "none is there"
