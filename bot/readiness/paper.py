"""What the files alone show of an agent: a proof for each domain that needs no running server, and what to ask one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NoReturn

from bot.agents.model import Agent, Tool
from bot.agents.readiness import Domain, Status
from bot.errors import QueryError, TemplateError
from bot.forecast.coverage import Gap, gaps, words
from bot.humanize import go_float
from bot.oncall.model import Book, Policy
from bot.oncall.owners import owner_of, people_of, policy_of, reach
from bot.oncall.reachability import no_second_way
from bot.readiness.model import Dossier, Proof
from bot.readiness.signals import Noticing, noticing, watches
from bot.rules.model import Group
from bot.runbooks.lint import sample_context
from bot.runbooks.model import Runbook
from bot.runbooks.render import choose, render

AHEAD = timedelta(days=14)
LASTS = timedelta(days=90)  # what was tried once has to be tried again
_SHOWN = 3
_ROUNDING = 1 + 1e-9  # ten cents are no exact number: 0.1 × 3 is not over 0.3
_EVERYTHING = ("*", "all", "admin", "root", "owner", "superuser")


@dataclass(frozen=True)
class Files:
    """A configuration, as far as readiness is concerned. `second_channels`: whether there is any way besides Slack."""

    agents: Mapping[str, Agent]
    book: Book
    groups: Sequence[Group]
    runbooks: Sequence[Runbook]
    second_channels: bool


def dossiers(files: Files, now: datetime) -> list[Dossier]:
    """Of every agent, in the order of the files; the retired ones too."""
    rules = noticing(files.groups, files.agents)
    shelf = {id(one): _runbook_problem(one, files.runbooks) for one in rules}
    bare = _uncovered(files, now)
    return [_dossier(agent, files, rules, shelf, bare.get(agent.id, []), now) for agent in files.agents.values()]


def _uncovered(files: Files, now: datetime) -> dict[str, list[Gap]]:
    """When nobody but the fallback would be paged, by agent; a retired one is nobody's."""
    found: dict[str, list[Gap]] = {}
    for gap in gaps(files.agents, files.book, now, now + AHEAD):
        for agent in gap.agents:
            found.setdefault(agent, []).append(gap)
    return found


def _dossier(
    agent: Agent,
    files: Files,
    rules: Sequence[Noticing],
    shelf: Mapping[int, str],
    bare: Sequence[Gap],
    now: datetime,
) -> Dossier:
    owners = _people(agent.owner, agent, files, now)
    deputies = _people(agent.deputy, agent, files, now) if agent.deputy else ()
    labels = {"agent": agent.id}
    _, policy = policy_of(owner_of(labels, files.agents, files.book), labels, files.agents, files.book)
    mine = [one for one in rules if one.concerns(agent.id)]
    return Dossier(
        agent=agent.id,
        proofs={
            Domain.PEOPLE: _reachable(agent, owners, deputies, files),
            Domain.ROTA: _rota(policy, files.book, bare, now),
            Domain.ESCALATION: _escalation(policy, files.book, now),
            Domain.RUNBOOKS: _runbooks([(one.rule.name, shelf[id(one)]) for one in mine]),
            Domain.KILL_SWITCH: _kill_switch(agent, now.date()),
            Domain.BUDGET: _budget(agent),
            Domain.INTEGRATIONS: _integrations(agent),
            Domain.AUDIT: _audit(agent),
            Domain.DATA: _data(agent),
            Domain.IDENTITY: _identity(agent),
        },
        watches=watches(rules, agent.id),
        owners=owners,
        deputies=deputies,
    )


def begun(evidence: str, hint: str) -> Proof:
    return Proof(status=Status.IN_PROGRESS, evidence=evidence, hint=hint)


def lacking(evidence: str, hint: str) -> Proof:
    return Proof(status=Status.NOT_STARTED, evidence=evidence, hint=hint)


def shown(evidence: str) -> Proof:
    return Proof(status=Status.DONE, evidence=evidence)


def unasked(evidence: str, hint: str = "") -> Proof:
    return Proof(status=Status.IN_PROGRESS, evidence=evidence, hint=hint, known=False)


def few(names: Iterable[str]) -> str:
    """Some of them by name."""
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


# People ---------------------------------------------------------------------------------------------------------------


def _people(owner: str, agent: Agent, files: Files, now: datetime) -> tuple[str, ...]:
    asked = agent.model_copy(update={"owner": owner})
    found = owner_of({"agent": agent.id}, {agent.id: asked}, files.book)
    if not found.known:
        return ()
    return tuple(one.person for one in people_of([found.id], files.book, now)[0])


def _reachable(agent: Agent, owners: Sequence[str], deputies: Sequence[str], files: Files) -> Proof:
    if not owners:
        hint = "name a team or a person of oncall/ as owner"
        return lacking(f"nobody stands behind the owner {agent.owner}", hint)
    others = [person for person in deputies if person not in owners] or list(owners[1:])
    if not others:
        alone = f"{_names(owners, files.book)} alone" + (", and the deputy is the same" if deputies else ", no deputy")
        return begun(f"owner: {alone}", "name a deputy: in its file, or a team with a second member as owner")
    everybody = list(dict.fromkeys((*owners, *deputies)))
    if not files.second_channels:
        hint = "set up notify in agentpager.yaml: docs/notifications.md"
        return begun(f"{_told(agent, owners, deputies, files.book)}; nobody has a way besides Slack", hint)
    lonely = [person for person in everybody if no_second_way(files.book.people[person], True)]
    if lonely:
        hint = "give them an email, a phone or contacts under people"
        return begun(f"no way besides Slack to {_names(lonely, files.book)}", hint)
    return shown(f"{_told(agent, owners, deputies, files.book)}; each by Slack and another way")


def _told(agent: Agent, owners: Sequence[str], deputies: Sequence[str], book: Book) -> str:
    deputy = f"; deputy {agent.deputy}: {_names(deputies, book)}" if deputies else ""
    return f"owner {agent.owner}: {_names(owners, book)}{deputy}"


def _names(people: Iterable[str], book: Book) -> str:
    return few(book.people[person].name for person in people)


def _rota(policy: Policy, book: Book, found: Sequence[Gap], now: datetime) -> Proof:
    schedules = [target for step in policy.steps for target in step.notify if target.startswith("schedule:")]
    if not schedules:
        told = few(target for step in policy.steps for target in step.notify)
        hint = "put a schedule into its escalation policy: docs/oncall.md"
        return lacking(f"no schedule: the same are woken at every hour ({told})", hint)
    if not found:
        return shown(
            f"{few(schedules)} and who stands beside it cover the {AHEAD.days} days until {now + AHEAD:%Y-%m-%d}"
        )
    hint = "cover it by a layer or an override, or add a step that always reaches somebody"
    whole = any(start <= now and until >= now + AHEAD for gap in found for start, until in gap.spans)
    text = f"nobody but the fallback {words(found[0], book, now + AHEAD)}"
    return lacking(text, hint) if whole else begun(text, hint)


def _escalation(policy: Policy, book: Book, now: datetime) -> Proof:
    levels = [step for step in policy.steps if any(not one.startswith(("channel:", "webhook:")) for one in step.notify)]
    hint = "give its escalation policy a second step that wakes somebody else"
    if len(levels) < 2:
        target = few(one for step in levels for one in step.notify) or "nobody"
        return lacking(f"policy {policy.id} has one level ({target}), then the fallback", hint)
    woken = [{one.person for one in reach(step, book, now, "critical").people} for step in levels]
    first, later = woken[0], set().union(*woken[1:])
    if later <= first:
        return begun(f"policy {policy.id}: the later levels wake nobody whom the first has not woken", hint)
    told = " → ".join(few(step.notify) for step in levels[:4])
    return shown(f"policy {policy.id}: {len(levels)} levels, {told}")


# Runbooks -------------------------------------------------------------------------------------------------------------


def _runbook_problem(one: Noticing, runbooks: Sequence[Runbook]) -> str:
    """Empty when its runbook renders."""
    labels = {**one.labels, "alertname": one.rule.name}
    runbook = choose(runbooks, labels, one.rule.annotations)
    if runbook is None:
        return "has no runbook" if not one.rule.annotations.get("runbook_url") else "has a link, not a runbook"
    try:
        rendered = render(runbook, sample_context(runbook), _not_asked, _EPOCH, lambda: 60.0)
    except TemplateError as error:
        return f"{runbook.id} does not render: {error}"
    return f"{runbook.id}: {rendered.problem}" if rendered.problem else ""


_EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def _not_asked(_text: str) -> NoReturn:
    raise QueryError("not asked")


def _runbooks(found: Sequence[tuple[str, str]]) -> Proof:
    """`found` are alerts and what is wrong with the runbook of each."""
    wrong = [f"{alert} {problem}" for alert, problem in found if problem]
    hint = "agentpager runbook new ID --alert NAME writes one"
    if not found:
        return lacking("no alert would notice anything, so there is nothing to write one for", hint)
    if not wrong:
        return shown(f"{_count(len(found), 'alert')}, each with a runbook that renders")
    told = f"{len(wrong)} of {_count(len(found), 'alert')}: {few(wrong)}"
    return lacking(told, hint) if len(wrong) == len(found) else begun(told, hint)


# The agent's own entry ------------------------------------------------------------------------------------------------


def _kill_switch(agent: Agent, today: date) -> Proof:
    switch = agent.kill_switch
    if switch is None:
        return lacking("nobody has written how it is stopped", "kill_switch: {how: …, tested_on: …} in its file")
    hint = "pull it where it harms nobody, then write the day as kill_switch.tested_on"
    if switch.tested_on is None:
        return lacking(f"written ({_short(switch.how)}), and nobody has tried it", hint)
    age = today - switch.tested_on
    if age < timedelta():
        return lacking(f"tried on {switch.tested_on}, which is yet to come", hint)
    ago = f"{_count(age.days, 'day')} ago" if age else "today"
    told = f"{_short(switch.how)}: tried on {switch.tested_on}, {ago}"
    return shown(told) if age <= LASTS else begun(f"{told}, over {LASTS.days}", hint)


def _budget(agent: Agent) -> Proof:
    budget, each, volume = agent.budget_usd_day, agent.cost_per_run_usd, agent.runs_per_day
    if budget is None:
        return lacking("nobody has said what it may cost a day", "budget_usd_day in its file")
    missing = [name for name, value in (("cost_per_run_usd", each), ("runs_per_day", volume)) if value is None]
    if each is None or volume is None:
        text = f"{dollars(budget)} a day, and nobody has said what full volume costs"
        return begun(text, f"{' and '.join(missing)} in its file")
    told = f"{dollars(each)} × {volume} runs = {dollars(each * volume)} a day"
    if each * volume > budget * _ROUNDING:
        hint = "raise the budget with whoever pays, lower the volume, or make a run cheaper"
        return lacking(f"full volume is over the budget: {told}, budget {dollars(budget)}", hint)
    return shown(f"{told}, budget {dollars(budget)}")


def _integrations(agent: Agent) -> Proof:
    if not agent.tools:
        if "tools" in agent.model_fields_set:
            return shown("its file says that it has no tools")
        return lacking("nobody has written what it calls", "tools in its file; `tools: {}` when it calls nothing")
    mocked = [name for name, tool in agent.tools.items() if tool.mocked]
    if mocked:
        text = f"{len(mocked)} of {_count(len(agent.tools), 'tool')} mocked: {few(mocked)}"
        return lacking(text, "put the real one in its place, then take mocked away")
    unowned = [name for name, tool in agent.tools.items() if not tool.owner]
    if unowned:
        text = f"all {_count(len(agent.tools), 'tool')} real; nobody answers for {few(unowned)}"
        return begun(text, "owner of each tool in its file")
    return shown(f"{_count(len(agent.tools), 'tool')}, all real, each with an owner: {few(agent.tools)}")


def _audit(agent: Agent) -> Proof:
    if not agent.audit_sink.strip():
        return lacking("nobody has written where the records of its actions go", "audit_sink in its file")
    return unasked(f"declared ({_short(agent.audit_sink)}); nobody was asked whether records arrive")


def writing(agent: Agent) -> dict[str, Tool]:
    return {name: tool for name, tool in agent.tools.items() if tool.access == "write"}


def _data(agent: Agent) -> Proof:
    if not agent.datasets:
        if "datasets" in agent.model_fields_set:
            return shown("its file says that it reads no dataset")
        return lacking(
            "nobody has written what it knows from", "datasets in its file; `datasets: {}` when there is none"
        )
    wrong = []
    for name, dataset in agent.datasets.items():
        kept = {"owner": dataset.owner, "max_age": dataset.max_age, "missing": dataset.missing.strip()}
        if lacks := [key for key, value in kept.items() if not value]:
            wrong.append(f"{name} lacks {' and '.join(lacks)}")
    if not wrong:
        return shown(
            f"{_count(len(agent.datasets), 'dataset')} with owner, age and missing values: {few(agent.datasets)}"
        )
    hint = "owner, max_age and missing of each dataset in its file"
    return lacking(few(wrong), hint) if len(wrong) == len(agent.datasets) else begun(few(wrong), hint)


def _identity(agent: Agent) -> Proof:
    identity = agent.identity
    if identity is None:
        return lacking("nobody has written as whom it acts", "identity: {principal: …, scopes: […]} in its file")
    wide = [scope for scope in identity.scopes if _is_everything(scope)]
    if wide:
        return begun(f"{identity.principal} may do everything: {few(wide)}", "name the scopes that it needs")
    bare = [name for name, tool in writing(agent).items() if not tool.credential]
    if bare:
        text = f"{identity.principal}: {few(identity.scopes)}; no credential is named for {few(bare)}, which writes"
        return begun(text, "credential of each tool that writes, in its file")
    return shown(f"{identity.principal}: {few(identity.scopes)}")


def _is_everything(scope: str) -> bool:
    plain = scope.strip().lower()
    return plain in _EVERYTHING or plain in {"*:*", "*.*", "*/*"}


def as_percent(share: float) -> str:
    """Never rounded up: where a run has failed it says no 100 %."""
    return f"{math.floor(share * 10_000 + 1e-6) / 100:.2f}%"


def dollars(amount: float) -> str:
    if amount >= 0.01:
        return f"${amount:,.2f}"
    return f"${go_float(float(f'{amount:.2g}'))}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else f"{flat[:79]}…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
