"""Text of a configuration into one frozen Config, all mistakes of all files at once. Pure: sources.py read the files.

A broken entry stops neither the checks of its neighbours nor the checks that only need its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from bot.agents.model import Agent
from bot.checks import coverage_gap
from bot.checks.every import every_check
from bot.checks.subject import Entry, Incidents, Subject, sound
from bot.complaints import Path as Place
from bot.complaints import quote, shapes_at
from bot.errors import ConfigError, Finding, Severity
from bot.incidents.policy import Grouping, IncidentRules, InhibitRule, Maintenance, MuteWindow
from bot.oncall import ical
from bot.oncall.almanac import Almanac, Holidays
from bot.oncall.changes import RotaChange, applied
from bot.oncall.feeds import is_feed
from bot.oncall.model import Book, Calendar, OwnerName, Person, Policy, RouteName, Routing, Schedule, Target, Team
from bot.oncall.public_holidays import problem as holidays_problem
from bot.oncall.public_holidays import public_holidays
from bot.paging import notify
from bot.rules import load as rules_load
from bot.rules.model import Group, Rule, RuleFile
from bot.runbooks import lint as runbook_lint
from bot.runbooks.codes import numbered
from bot.runbooks.model import Runbook
from bot.schema import Model
from bot.settings import SHORTEST_TOKEN, Actions, Http, Notify, Settings, webhook_secret_problem
from bot.slos import objectives as slo_rules
from bot.slos import openslo
from bot.slos.objectives import Objective
from bot.sources import VARIABLE, Source, Sources, read_sources
from bot.yamldoc import Document, scan
from bot.yamldoc import Mapping as MappingNode

__all__ = ["Config", "Sources", "check", "load", "missing_secrets", "read_sources"]

Holder = TypeVar("Holder", bound=BaseModel)
Named = TypeVar("Named", Agent, Person, Team, Schedule, Policy, Calendar, MuteWindow)
Listed = TypeVar("Listed", Grouping, InhibitRule, Maintenance, Routing)


class AgentsFile(Model):
    agents: dict[str, Agent] = {}


class OncallFile(Model):
    people: dict[str, Person] = {}
    teams: dict[str, Team] = {}
    schedules: dict[str, Schedule] = {}
    escalation_policies: dict[str, Policy] = {}
    holidays: dict[str, Calendar] = {}
    routes: dict[RouteName, OwnerName] = {}
    routing: tuple[Routing, ...] = ()
    fallback: Target | None = None


@dataclass(frozen=True)
class Config:
    """A configuration that passed every check. `groups` hold the rules of `objectives` too, which are those beside the
    success of runs. `unset` names secrets whose variables were not set. `book_id` changes
    with any on-call file, and with nothing else."""

    settings: Settings
    agents: dict[str, Agent]
    book: Book
    book_id: str
    incidents: IncidentRules
    groups: tuple[Group, ...]
    objectives: tuple[Objective, ...]
    runbooks: tuple[Runbook, ...]
    digest: str
    base_dir: Path
    unset: tuple[Finding, ...] = ()


def load(sources: Sources, *, judged: bool = False) -> Config:
    """Raises ConfigError with every finding, warnings too, if one of them is an error. Of files that another process
    has judged and found sound, what takes longest is not looked at again: templates and queries of runbooks."""
    subject, groups, findings, unset, objectives = _examine(sources, judged=judged)
    if any(finding.severity == "error" for finding in findings):
        raise ConfigError(findings)
    assert subject.settings is not None
    return Config(
        settings=subject.settings,
        agents=_agents(subject),
        book=_book(subject, sources.changes),
        book_id=sources.book_digest,
        incidents=_incident_rules(sources),
        groups=groups,
        objectives=objectives,
        runbooks=tuple(runbook for _, runbook in sound(subject.runbooks)),
        digest=sources.digest,
        base_dir=Path(sources.base_dir),
        unset=tuple(unset),
    )


def read_book(sources: Sources) -> Book:
    """The book of files that were good once; what a later release refuses in them is left out. Raises ConfigError when
    not even a fallback is left."""
    subject, _, findings, *_ = _examine(sources.for_book())
    if not subject.fallbacks:
        raise ConfigError(findings)
    return _book(subject, sources.changes)


def check(sources: Sources, during: tuple[datetime, datetime] | None = None) -> list[Finding]:
    """Every mistake and every warning, in file order. Secrets that are not set are no mistake here.

    `during` asks for the proof that somebody is on duty at each instant of it; a configuration with errors has none.
    """
    subject, _, findings, *_ = _examine(sources)
    if during is not None and subject.whole and not any(finding.severity == "error" for finding in findings):
        findings += coverage_gap.check(subject, _agents(subject), _book(subject, sources.changes), *during)
    return sorted(set(findings))


def examined(sources: Sources) -> tuple[Subject, list[Finding]]:
    """Every entry with its place, and what `check` says of them: for questions that only their authors ask."""
    subject, _, findings, *_ = _examine(sources)
    return subject, findings


def _agents(subject: Subject) -> dict[str, Agent]:
    return {entry.id: agent for entry, agent in sound(subject.agents)}


def _book(subject: Subject, changes: Sequence[RotaChange]) -> Book:
    schedules = {entry.id: schedule for entry, schedule in sound(subject.schedules)}
    people = {entry.id: notify.complete(person, subject.notify) for entry, person in sound(subject.people)}
    return Book(
        people=people,
        teams={entry.id: team for entry, team in sound(subject.teams)},
        schedules=applied(schedules, changes, people),
        escalation_policies={entry.id: policy for entry, policy in sound(subject.policies)},
        holidays={entry.id: calendar for entry, calendar in sound(subject.holidays)},
        routes={entry.id: owner for entry, owner in sound(subject.routes)},
        routing=tuple(entry for _, entry in sound(subject.routing)),
        fallback=next(entry.id for entry in subject.fallbacks),
        almanac=_almanac(subject),
    )


def _incident_rules(sources: Sources) -> IncidentRules:
    """All files as one: lists one after the other, the rest as the last file that writes it."""
    merged = IncidentRules()
    for document in _documents(sources.files["incidents"], []):
        rules, _ = document.read(IncidentRules)
        if rules is not None:
            update = {name: getattr(rules, name) for name in rules.model_fields_set}
            for name, value in update.items():
                before = getattr(merged, name)
                if isinstance(value, tuple):
                    update[name] = (*before, *value)
                elif isinstance(value, dict):
                    update[name] = before | value
            merged = merged.model_copy(update=update)
    windows = {name: window.model_copy(update={"id": name}) for name, window in merged.mute_windows.items()}
    return merged.model_copy(update={"mute_windows": windows})


def store_of(sources: Sources) -> str | None:
    """The database that the configuration names, None when it cannot be read far enough."""
    _, settings = _read_main(sources, [], [])
    return settings.store.url.get_secret_value() or None if settings is not None else None


def missing_secrets(config: Config) -> list[Finding]:
    """What `serve` cannot do without: variables of secrets that are not set, tokens that Slack's mode needs."""
    slack = config.settings.slack
    needed = {"bot_token": slack.bot_token}
    if slack.mode == "socket":
        needed["app_token"], idle = slack.app_token, "slack.signing_secret "
    else:
        needed["signing_secret"], idle = slack.signing_secret, "slack.app_token "
    missing = [finding for finding in config.unset if not finding.message.startswith(idle)]
    told = " ".join(finding.message for finding in missing)
    for name, value in needed.items():
        if not value.get_secret_value() and f"slack.{name} " not in told:
            message = f"slack.{name} is needed in {slack.mode} mode"
            hint = f"set slack.{name} or slack.{name}_file; see docs/slack.md"
            missing.append(Finding("agentpager.yaml", 0, 0, "missing-secret", message, hint=hint))
    if not _value(config.settings.store.url):
        file = config.settings.store.url_file
        why = f"{file} is empty or cannot be read" if file is not None else "it is empty"
        missing += _missing_secret("store.url", why, told, "docs/operations.md")
    missing += _missing_of_channels(config.settings.notify, told)
    missing += _missing_of_api(config.settings.http, told)
    return [*missing, *_missing_of_actions(config.settings.actions, told)]


def _missing_of_api(http: Http, told: str) -> Iterator[Finding]:
    """A token that is not there, or so short that it can be guessed, must not be found out by those who need it."""
    if http.token_file is not None and not _value(http.token):
        yield from _missing_secret("http.token", f"{http.token_file} is empty or cannot be read", told, "docs/api.md")
    for name, token in http.tokens.items():
        key = f"http.tokens.{name}.token"
        if token.token_file is not None and not _value(token.token):
            yield from _missing_secret(key, f"{token.token_file} is empty or cannot be read", told, "docs/api.md")
        elif token.hash is None and len(_value(token.token)) < SHORTEST_TOKEN:
            why = f"it has fewer than {SHORTEST_TOKEN} characters; agentpager token new makes one"
            yield from _missing_secret(key, why, told, "docs/api.md")


def _missing_of_actions(actions: Actions, told: str) -> Iterator[Finding]:
    """A request without its token or signature would be refused, or worse: not refused."""
    for name, webhook in actions.webhooks.items():
        key = f"actions.webhooks.{name}"
        if not _value(webhook.url):
            yield from _missing_secret(f"{key}.url", "it is empty", told, "docs/actions.md")
        for part in ("bearer_token", "secret"):
            file = getattr(webhook, f"{part}_file")
            if file is not None and not _value(getattr(webhook, part)):
                why = f"{file} is empty or cannot be read"
                yield from _missing_secret(f"{key}.{part}", why, told, "docs/actions.md")
        if problem := webhook_secret_problem(_value(webhook.secret)):
            yield from _missing_secret(f"{key}.secret", problem, told, "docs/actions.md")


def _missing_of_channels(ways: Notify, told: str) -> Iterator[Finding]:
    """A file that is not there, or holds something else, must not turn into an unsigned call or a refused login."""
    if ways.email is not None and ways.email.username is not None and not _value(ways.email.password):
        yield from _missing_secret("notify.email.password", "notify.email.username has no password", told)
    services = {f"notify.webhooks.{name}": one for name, one in ways.webhooks.items()}
    services |= {f"notify.receivers.{name}": one for name, one in ways.receivers.items()}
    for key, webhook in services.items():
        if not _value(webhook.url):
            yield from _missing_secret(f"{key}.url", "it is empty", told)
        if webhook.secret_file is not None and not _value(webhook.secret):
            yield from _missing_secret(f"{key}.secret", f"{webhook.secret_file} is empty or cannot be read", told)
        if problem := webhook_secret_problem(_value(webhook.secret)):
            yield from _missing_secret(f"{key}.secret", problem, told)


def _value(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def _missing_secret(key: str, why: str, told: str, page: str = "docs/notifications.md") -> Iterator[Finding]:
    if f"{key} " not in told:
        hint = f"set {key}, directly or by a file; see {page}"
        yield Finding("agentpager.yaml", 0, 0, "missing-secret", f"{key}: {why}", hint=hint)


def _examine(
    sources: Sources, *, judged: bool = False
) -> tuple[Subject, tuple[Group, ...], list[Finding], list[Finding], tuple[Objective, ...]]:
    findings = list(sources.findings)
    unset: list[Finding] = []
    main, settings = _read_main(sources, findings, unset)
    agents = list(_documents(sources.files["agents"], findings))
    oncall = list(_documents(sources.files["oncall"], findings))
    experimental = settings is not None and settings.query.experimental_functions
    rule_files = list(_documents(sources.files["rules"], findings, traps="warning"))
    groups, rules = _read_rules(rule_files, findings, experimental)
    runbooks = list(_documents(sources.files["runbooks"], findings))
    for document in runbooks:
        runbook, refused = document.read(Runbook)
        findings += refused
        if runbook is not None and not judged:
            problems = runbook_lint.problems(runbook, PurePath(document.file).stem, experimental=experimental)
            findings += [document.finding(found.path, found.code, found.message, found.hint) for found in problems]
    incidents = list(_documents(sources.files["incidents"], findings))
    for document in incidents:
        findings += document.read(IncidentRules)[1]
    for document in agents:
        findings += document.read(AgentsFile)[1]
    for document in oncall:
        findings += document.read(OncallFile)[1]
    registered = tuple(_entries(agents, "agents", Agent, findings))
    named = {entry.id for entry in _runbooks(runbooks)}
    promised = list(_promised(registered, _slo_files(sources, findings), named, findings))
    for objective, entry in promised:
        group = slo_rules.group(objective, entry.document.file)
        groups = (*groups, group)
        rules += [Entry(rule.name, rule, entry.document, entry.path) for rule in group.rules]
    unbroken = sum(len(sources.files[kind]) for kind in ("agents", "oncall", "runbooks"))
    subject = Subject(
        main=main,
        settings=settings,
        agents=registered,
        people=tuple(_entries(oncall, "people", Person, findings)),
        teams=tuple(_entries(oncall, "teams", Team, findings)),
        schedules=tuple(_entries(oncall, "schedules", Schedule, findings)),
        policies=tuple(_entries(oncall, "escalation_policies", Policy, findings)),
        holidays=tuple(_entries(oncall, "holidays", Calendar, findings)),
        routes=tuple(_routes(oncall)),
        routing=tuple(_items(oncall, "routing", Routing)),
        fallbacks=tuple(_fallbacks(oncall)),
        icals=dict(_icals(sources, findings)),
        rules=tuple(rules),
        runbooks=tuple(_runbooks(runbooks)),
        incidents=Incidents(
            groupings=tuple(_items(incidents, "grouping", Grouping)),
            inhibit_rules=tuple(_items(incidents, "inhibit_rules", InhibitRule)),
            mute_windows=tuple(_entries(incidents, "mute_windows", MuteWindow, findings)),
            maintenance=tuple(_items(incidents, "maintenance", Maintenance)),
            once=tuple(_once(incidents)),
        ),
        whole=main is not None and len(agents + oncall + runbooks) == unbroken,
    )
    findings += every_check(subject)
    findings = numbered(findings, {source.file for source in sources.files["runbooks"]})
    return subject, groups, sorted(set(findings)), unset, tuple(objective for objective, _ in promised)


def _icals(sources: Sources, findings: list[Finding]) -> Iterator[tuple[str, tuple[str, ical.Calendar]]]:
    """Path as written → name of the file, and the calendar in it. The copy of a calendar at an address was good when it
    was kept: it never stops a configuration."""
    for written, source in sources.calendars.items():
        calendar, troubles = ical.parse(source.text)
        for trouble in troubles:
            text, severity = trouble.message, "error" if calendar is None and not is_feed(written) else "warning"
            findings.append(Finding(source.file, trouble.line, 1, "ical-syntax", text, severity, trouble.hint))  # type: ignore[arg-type]
        if calendar is not None:
            yield written, (source.file, calendar)


def _almanac(subject: Subject) -> Almanac:
    people = {entry.id: person for entry, person in sound(subject.people)}
    files = {written: calendar for written, (_, calendar) in subject.icals.items()}
    return Almanac(
        holidays={entry.id: _holidays(calendar, files) for entry, calendar in sound(subject.holidays)},
        rotas={written: ical.rota(calendar, people) for written, calendar in files.items()},
    )


def _holidays(calendar: Calendar, files: Mapping[str, ical.Calendar]) -> Holidays:
    every = {day: name for day, name in calendar.dates.items() if len(day) == len("12-25")}
    years = []
    if calendar.ical is not None and calendar.ical in files:
        years.append(ical.holidays(files[calendar.ical]))
    if calendar.country is not None and holidays_problem(calendar.country, calendar.subdivision) is None:
        years.append(public_holidays(calendar.country, calendar.subdivision))
    return Holidays(
        dates={date.fromisoformat(day): name for day, name in calendar.dates.items() if day not in every},
        yearly={(int(day[:2]), int(day[3:])): name for day, name in every.items()},
        years=tuple(years),
    )


def _documents(sources: tuple[Source, ...], findings: list[Finding], traps: Severity = "error") -> Iterator[Document]:
    for source in sources:
        document, problems = scan(source.text, source.file, traps=traps)
        findings += problems
        if document is not None:
            yield document


def _entries(
    documents: list[Document], section: str, model: type[Named], findings: list[Finding]
) -> Iterator[Entry[Named]]:
    for document in documents:
        node = document.node((section,))
        if not isinstance(node, MappingNode):
            continue
        for name in node.entries:
            path: Place = (section, name)
            if not name.strip() or not name.isprintable():
                text = f"an entry of {section} has no name, or one that cannot be shown"
                hint = "give it a name; labels and commands use it"
                findings.append(document.finding(path, "bad-value", text, hint, key=True))
                yield Entry(name, None, document, path)
                continue
            if document.node((*path, "id")) is not None:
                text = f'unknown key "id" in {section}.{name}'
                hint = f'remove it: the id is the name "{name}" itself'
                findings.append(document.finding((*path, "id"), "unknown-key", text, hint, key=True))
            value = document.take(model, path)
            yield Entry(name, value.model_copy(update={"id": name}) if value else None, document, path)


def _items(documents: list[Document], section: str, model: type[Listed]) -> Iterator[Entry[Listed]]:
    """The entries of a list; their id is their name, if they have one."""
    for document in documents:
        items = document.data.get(section) if isinstance(document.data, dict) else None
        for number, item in enumerate(items if isinstance(items, list) else ()):
            path = (section, number)
            name = item.get("name") if isinstance(item, dict) else None
            yield Entry(name if isinstance(name, str) else str(path), document.take(model, path), document, path)


def _once(documents: list[Document]) -> Iterator[Entry[object]]:
    """Keys of incidents/*.yaml that are one value: of two files the one would be ignored."""
    for document in documents:
        for path in (("flapping",), ("reopen_window",), ("sla", "critical"), ("sla", "warning"), ("sla", "info")):
            if document.node(path) is not None:
                yield Entry(".".join(path), None, document, path)


def _read_rules(
    documents: list[Document], findings: list[Finding], experimental: bool
) -> tuple[tuple[Group, ...], list[Entry[Rule]]]:
    groups: list[Group] = []
    entries: list[Entry[Rule]] = []
    sound_files = True
    for document in documents:
        file, refused = document.read(RuleFile)
        findings += refused
        sound_files = sound_files and file is not None
        file, places = (file, None) if file is not None else _salvage(document)
        for problem in rules_load.problems(file, experimental=experimental):
            path = _original(problem.path, places)
            findings.append(document.finding(path, problem.code, problem.message, problem.hint))
        for number, group in enumerate(rules_load.parse_groups(file, document.file)):
            groups.append(group)
            for index, rule in enumerate(group.rules):
                path = _original(("groups", number, "rules", index), places)
                merged = rule.model_copy(update={"labels": group.labels_of(rule)})
                entries.append(Entry(rule.name, merged, document, path))
    if sound_files:
        by_name = {document.file: document for document in documents}
        for name, problem in rules_load.clashes(groups):
            findings.append(by_name[name].finding(problem.path, problem.code, problem.message, problem.hint))
    return tuple(groups), entries


def _slo_files(sources: Sources, findings: list[Finding]) -> list[Document]:
    """OpenSLO keeps several documents in a file."""
    pieces = (
        Source(file=source.file, text=text)
        for source in sources.files.get("slos", ())
        for text in openslo.parts(source.text)
    )
    return list(_documents(tuple(pieces), findings))


def _promised(
    agents: Sequence[Entry[Agent]], documents: list[Document], runbooks: set[str], findings: list[Finding]
) -> Iterator[tuple[Objective, Entry[object]]]:
    """Every objective beside the success of runs, with where it is written. The name of each is taken once an agent."""
    taken: set[tuple[str, str]] = set()
    for objective, entry in (*_of_agents(agents, findings), *_of_openslo(documents, findings)):
        if (objective.agent, objective.name) in taken:
            text = f"{objective.agent} has an objective {quote(objective.name)} already"
            findings.append(entry.finding((), "duplicate-id", text, "rename one"))
            continue
        taken.add((objective.agent, objective.name))
        if objective.runbook == slo_rules.LATENCY_RUNBOOK and objective.runbook not in runbooks:
            objective = replace(objective, runbook="")  # noqa: PLW2901 - it is a suggestion: nobody has named it
        yield objective, entry


def _of_agents(agents: Sequence[Entry[Agent]], findings: list[Finding]) -> Iterator[tuple[Objective, Entry[object]]]:
    for entry, agent in sound(tuple(agents)):
        if agent.slo is None:
            continue
        if agent.slo.latency is not None:
            found = slo_rules.latency(agent.id, agent.slo.latency, agent.slo.window)
            yield found, Entry(found.name, None, entry.document, (*entry.path, "slo", "latency"))
        for name, one in agent.slo.objectives.items():
            path = (*entry.path, "slo", "objectives", name)
            wrong = [entry.document.finding((*path, key), "promql", why) for key, why in slo_rules.problems(one)]
            findings += wrong
            if not wrong:
                found = slo_rules.declared(agent.id, name, one, agent.slo.window)
                yield found, Entry(name, None, entry.document, path)


def _of_openslo(documents: list[Document], findings: list[Finding]) -> Iterator[tuple[Objective, Entry[object]]]:
    kinds = [(document, *openslo.kind(document.data)) for document in documents]
    indicators: dict[str, openslo.IndicatorSpec] = {}
    for document, kind, problem in kinds:
        findings += _of_slo(document, [problem] if problem is not None else [])
        if kind == "SLI":
            sli, refused = document.read(openslo.SliDocument)
            findings += refused
            if sli is not None:
                indicators[sli.metadata.name] = sli.spec
    for document, kind, _ in kinds:
        if kind == "SLO":
            slo, refused = document.read(openslo.SloDocument)
            findings += refused
            if slo is not None:
                read = openslo.read(slo, indicators)
                findings += _of_slo(document, read.problems)
                yield from ((one, Entry(one.name, None, document, ("spec",))) for one in read.objectives)


def _of_slo(document: Document, problems: Sequence[openslo.Problem]) -> Iterator[Finding]:
    for one in problems:
        severity: Severity = "error" if one.serious else "warning"
        yield document.finding(one.path, openslo.CODE, one.message, one.hint, severity=severity)


Places = dict[int, tuple[int, list[int]]]  # number among the sound → number in the file, the same for its rules


def _salvage(document: Document) -> tuple[RuleFile, Places]:
    """The sound groups and rules of a file that has broken ones, so that their mistakes are told in the same run."""
    groups: list[Group] = []
    places: Places = {}
    data = document.data.get("groups") if isinstance(document.data, dict) else None
    for number, raw in enumerate(data if isinstance(data, list) else ()):
        rules = raw.get("rules") if isinstance(raw, dict) else None
        if not isinstance(rules, list):
            continue
        read = [document.take(Rule, ("groups", number, "rules", index)) for index in range(len(rules))]
        kept = {index: rule for index, rule in enumerate(read) if rule is not None}
        name = raw.get("name")
        places[len(groups)] = (number, list(kept))
        groups.append(Group(name=name if isinstance(name, str) and name else f"#{number}", rules=tuple(kept.values())))
    return RuleFile(groups=tuple(groups)), places


def _original(path: Place, places: Places | None) -> Place:
    if places is None or len(path) < 2:
        return path
    number, rules = places[int(path[1])]
    rest = (path[2], rules[int(path[3])], *path[4:]) if len(path) > 3 and path[2] == "rules" else path[2:]
    return (path[0], number, *rest)


def _fallbacks(documents: list[Document]) -> Iterator[Entry[str]]:
    for document in documents:
        text = document.data.get("fallback") if isinstance(document.data, dict) else None
        if isinstance(text, str):
            yield Entry(text, text, document, ("fallback",))


def _routes(documents: list[Document]) -> Iterator[Entry[str]]:
    for document in documents:
        node = document.node(("routes",))
        for name in node.entries if isinstance(node, MappingNode) else ():
            owner = document.data["routes"][name]
            yield Entry(name, owner if isinstance(owner, str) else None, document, ("routes", name))


def _runbooks(documents: list[Document]) -> Iterator[Entry[Runbook]]:
    for document in documents:
        runbook = document.take(Runbook)
        given = document.data.get("id") if isinstance(document.data, dict) else None
        name = given if isinstance(given, str) else PurePath(document.file).stem
        yield Entry(name, runbook, document, ())


def _read_main(
    sources: Sources, findings: list[Finding], unset: list[Finding]
) -> tuple[Document | None, Settings | None]:
    if sources.main is None:
        return None, None
    document, problems = scan(sources.main.text, sources.main.file)
    findings += problems
    if document is None:
        return None, None
    filled = _Filler(document, sources.env, findings, unset).fill(document.data, ())
    settings, refused = document.read(Settings, filled=filled)
    unfilled = {(finding.line, finding.column) for finding in findings if finding.code.endswith("-variable")}
    findings += [finding for finding in refused if (finding.line, finding.column) not in unfilled]
    return document, _with_secrets(settings, sources.secrets) if settings is not None else None


def _with_secrets(settings: Settings, secrets: Mapping[str, str]) -> Settings:
    for name, value in secrets.items():
        settings = _with_secret(settings, name.split("."), SecretStr(value))
    return settings


def _with_secret(model: Holder, path: list[str], value: SecretStr) -> Holder:
    """A copy in which the secret stands at that place; names of a mapping are part of the path."""
    key, *rest = path
    inner = getattr(model, key)
    new: object = value
    if rest and isinstance(inner, BaseModel):
        new = _with_secret(inner, rest, value)
    elif rest and isinstance(inner, dict):
        new = {name: _with_secret(each, rest[1:], value) if name == rest[0] else each for name, each in inner.items()}
    elif rest:
        return model
    return model.model_copy(update={key: new})


@dataclass(frozen=True)
class _Filler:
    """Puts the environment's values where `${NAME}` stands. Only scalars are filled: a value never becomes YAML."""

    document: Document
    env: Mapping[str, str]
    findings: list[Finding]
    unset: list[Finding]

    def fill(self, data: Any, path: Place) -> Any:
        if isinstance(data, dict):
            return {key: self.fill(value, (*path, key)) for key, value in data.items()}
        if isinstance(data, list):
            return [self.fill(value, (*path, index)) for index, value in enumerate(data)]
        if isinstance(data, str) and ("${" in data or self._is_secret(path)):
            return self._text(data, path)
        return data

    def _text(self, text: str, path: Place) -> str:
        rest = VARIABLE.sub("", text)
        if "${" in rest or (self._is_secret(path) and "{" in rest):
            message = f"{quote(text)} is not a variable"
            hint = "write ${NAME}, or $${ for the text itself"
            self.findings.append(self.document.finding(path, "bad-variable", message, hint))
        missing = sorted({name for escape, name in VARIABLE.findall(text) if not escape and name not in self.env})
        for name in missing:
            where = ".".join(str(part) for part in path)
            message = f"{where} needs the variable {name}, which is not set"
            finding = self.document.finding(path, "unset-variable", message, f"export {name}=… before the start")
            (self.unset if self._is_secret(path) else self.findings).append(finding)
        if missing and self._is_secret(path):
            return ""
        return VARIABLE.sub(lambda m: m[0][1:] if m[1] else self.env.get(m[2], m[0]), text)

    def _is_secret(self, path: Place) -> bool:
        return any(shape.annotation is SecretStr for shape in shapes_at(Settings, self.document.data, path))
