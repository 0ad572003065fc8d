"""Text of a configuration into one frozen Config, all mistakes of all files at once. Pure: sources.py read the files.

A broken entry stops neither the checks of its neighbours nor the checks that only need its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from bot.agents.model import Agent
from bot.checks.every import every_check
from bot.checks.subject import Entry, Subject, sound
from bot.complaints import Path as Place
from bot.complaints import quote, shapes_at
from bot.errors import ConfigError, Finding
from bot.oncall.model import Book, Person, Policy, Schedule, Target, Team
from bot.schema import Model
from bot.settings import Settings
from bot.sources import VARIABLE, Source, Sources, read_sources
from bot.yamldoc import Document, scan
from bot.yamldoc import Mapping as MappingNode

__all__ = ["Config", "Sources", "check", "load", "missing_secrets", "read_sources"]

Named = TypeVar("Named", Agent, Person, Team, Schedule, Policy)


class AgentsFile(Model):
    agents: dict[str, Agent] = {}


class OncallFile(Model):
    people: dict[str, Person] = {}
    teams: dict[str, Team] = {}
    schedules: dict[str, Schedule] = {}
    escalation_policies: dict[str, Policy] = {}
    fallback: Target | None = None


@dataclass(frozen=True)
class Config:
    """A configuration that passed every check. `unset` names secrets whose variables were not set."""

    settings: Settings
    agents: dict[str, Agent]
    book: Book
    digest: str
    base_dir: Path
    unset: tuple[Finding, ...] = ()


def load(sources: Sources) -> Config:
    """Raises ConfigError with every finding, warnings too, if one of them is an error."""
    subject, findings, unset = _examine(sources)
    if any(finding.severity == "error" for finding in findings):
        raise ConfigError(findings)
    assert subject.settings is not None
    return Config(
        settings=subject.settings,
        agents={entry.id: agent for entry, agent in sound(subject.agents)},
        book=Book(
            people={entry.id: person for entry, person in sound(subject.people)},
            teams={entry.id: team for entry, team in sound(subject.teams)},
            schedules={entry.id: schedule for entry, schedule in sound(subject.schedules)},
            escalation_policies={entry.id: policy for entry, policy in sound(subject.policies)},
            fallback=next(entry.id for entry in subject.fallbacks),
        ),
        digest=sources.digest,
        base_dir=Path(sources.base_dir),
        unset=tuple(unset),
    )


def check(sources: Sources) -> list[Finding]:
    """Every mistake and every warning, in file order. Secrets that are not set are no mistake here."""
    _, findings, _ = _examine(sources)
    return sorted(set(findings))


def missing_secrets(config: Config) -> list[Finding]:
    """What `serve` cannot do without: variables of secrets that are not set, tokens that Slack's mode needs."""
    slack = config.settings.slack
    needed = {"bot_token": slack.bot_token}
    if slack.mode == "socket":
        needed["app_token"] = slack.app_token
    else:
        needed["signing_secret"] = slack.signing_secret
    told = " ".join(finding.message for finding in config.unset)
    missing = list(config.unset)
    for name, value in needed.items():
        if not value.get_secret_value() and f"slack.{name} " not in told:
            message = f"slack.{name} is needed in {slack.mode} mode"
            hint = f"set slack.{name} or slack.{name}_file; see docs/slack.md"
            missing.append(Finding("agentpager.yaml", 0, 0, "missing-secret", message, hint=hint))
    return missing


def _examine(sources: Sources) -> tuple[Subject, list[Finding], list[Finding]]:
    findings = list(sources.findings)
    unset: list[Finding] = []
    main, settings = _read_main(sources, findings, unset)
    agents = list(_documents(sources.files["agents"], findings))
    oncall = list(_documents(sources.files["oncall"], findings))
    for document in agents:
        findings += document.read(AgentsFile)[1]
    for document in oncall:
        findings += document.read(OncallFile)[1]
    subject = Subject(
        main=main,
        settings=settings,
        agents=tuple(_entries(agents, "agents", Agent, findings)),
        people=tuple(_entries(oncall, "people", Person, findings)),
        teams=tuple(_entries(oncall, "teams", Team, findings)),
        schedules=tuple(_entries(oncall, "schedules", Schedule, findings)),
        policies=tuple(_entries(oncall, "escalation_policies", Policy, findings)),
        fallbacks=tuple(_fallbacks(oncall)),
        whole=main is not None and len(agents) + len(oncall) == len(sources.files["agents"] + sources.files["oncall"]),
    )
    findings += every_check(subject)
    return subject, sorted(set(findings)), unset


def _documents(sources: tuple[Source, ...], findings: list[Finding]) -> Iterator[Document]:
    for source in sources:
        document, problems = scan(source.text, source.file)
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
            if document.node((*path, "id")) is not None:
                text = f'unknown key "id" in {section}.{name}'
                hint = f'remove it: the id is the name "{name}" itself'
                findings.append(document.finding((*path, "id"), "unknown-key", text, hint, key=True))
            value, _ = document.read(model, path)
            yield Entry(name, value.model_copy(update={"id": name}) if value else None, document, path)


def _fallbacks(documents: list[Document]) -> Iterator[Entry[str]]:
    for document in documents:
        text = document.data.get("fallback") if isinstance(document.data, dict) else None
        if isinstance(text, str):
            yield Entry(text, text, document, ("fallback",))


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
    findings += refused
    return document, _with_secrets(settings, sources.secrets) if settings is not None else None


def _with_secrets(settings: Settings, secrets: Mapping[str, str]) -> Settings:
    for name, value in secrets.items():
        section, _, key = name.partition(".")
        part = getattr(settings, section).model_copy(update={key: SecretStr(value)})
        settings = settings.model_copy(update={section: part})
    return settings


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
