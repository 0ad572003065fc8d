"""Rule files as a test takes them: what Prometheus loads is loaded, our own advice about rules is check's business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.errors import ConfigError, Finding, TemplateError
from bot.rules.load import parse_groups, problems
from bot.rules.model import Group, Rule, RuleFile
from bot.rules.template import parse as parse_template
from bot.ruletests.model import LIMITS
from bot.yamldoc import Document, scan

# Of what `agentpager check` complains about, that which Prometheus would not load either.
_FATAL = frozenset({"promql", "record-key", "duplicate-group"})
_UNSUPPORTED = "is not supported in rule templates"


def read(text: str, file: str, *, experimental: bool = False) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """The file's groups, and warnings. Raises ConfigError."""
    document, findings = scan(text, file, traps="warning", limits=LIMITS)
    errors = _errors(findings)
    if document is None or errors:
        raise ConfigError(errors)
    model, findings = document.read(RuleFile, filled=_filled(document.data))
    errors = _errors(findings)
    if model is None or errors:
        raise ConfigError(errors)
    errors = [
        document.finding(problem.path, problem.code, problem.message, problem.hint)
        for problem in problems(model, experimental=experimental)
        if problem.code in _FATAL
    ]
    warnings: list[str] = []
    groups = tuple(_checked(document, group, number, errors, warnings) for number, group in enumerate(model.groups))
    if errors:
        raise ConfigError(errors)
    return parse_groups(model.model_copy(update={"groups": groups}), file), tuple(warnings)


def _errors(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def _filled(data: Any) -> Any:
    """The same data as Prometheus reads it: a key without a value is no key, a label without one is empty."""
    if not isinstance(data, Mapping):
        return {} if data is None else data
    groups = [_group(group) for group in _list(data.get("groups"))]
    return {**data, "groups": groups} if isinstance(data.get("groups") or [], list) else data


def _group(group: Any) -> Any:
    if not isinstance(group, Mapping):
        return group
    kept = _kept(group, "labels")
    if kept.get("interval") in {"0", "0s"}:
        del kept["interval"]
    if isinstance(kept.get("rules"), list):
        kept["rules"] = [
            _kept(rule, "labels", "annotations") if isinstance(rule, Mapping) else rule for rule in kept["rules"]
        ]
    return kept


def _kept(data: Mapping[str, Any], *texts: str) -> dict[str, Any]:
    kept = {key: value for key, value in data.items() if value is not None}
    for key in texts:
        if isinstance(kept.get(key), Mapping):
            kept[key] = {name: "" if value is None else value for name, value in kept[key].items()}
    for key in ("alert", "record"):
        if kept.get(key) == "":
            del kept[key]
    return kept


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _checked(document: Document, group: Group, number: int, errors: list[Finding], warnings: list[str]) -> Group:
    rules = []
    for index, rule in enumerate(group.rules):
        path = ("groups", number, "rules", index)
        if "__name__" in rule.labels:
            text = f'rule "{rule.name}" cannot set the label "__name__"'
            errors.append(document.finding((*path, "labels", "__name__"), "label-name", text, "remove it", key=True))
        if rule.record is not None and set(rule.record) & {"{", "}"}:
            text = f'"{rule.record}" is not a metric name'
            errors.append(document.finding((*path, "record"), "rule-name", text, "braces belong into expr"))
        rules.append(_rendered(document, rule, path, errors, warnings) if rule.is_alert else rule)
    return group.model_copy(update={"rules": tuple(rules)})


def _rendered(
    document: Document, rule: Rule, path: tuple[str | int, ...], errors: list[Finding], warnings: list[str]
) -> Rule:
    """The rule with templates that can be rendered. One that needs more than we know says so in its text."""
    update: dict[str, dict[str, str]] = {"labels": dict(rule.labels), "annotations": dict(rule.annotations)}
    for kind, texts in update.items():
        for name, text in texts.items():
            try:
                parse_template(text)
            except TemplateError as error:
                message = f"{rule.name}: the template of {name} does not parse: {error}"
                finding = document.finding((*path, kind, name), "template", message)
                if _UNSUPPORTED in str(error):
                    warnings.append(
                        f"{finding.file}:{finding.line}:{finding.column} {rule.name}, {kind} {name}: {error}"
                    )
                    texts[name] = f"<error expanding template: {error}>".replace("{{", "{ {")
                else:
                    errors.append(finding)
    return rule.model_copy(update=update)
