"""Checked rule files → groups ready to evaluate, and every mistake that the shape of a file does not show.

Paths of problems are pydantic's `loc` into the file, so whoever has the file's positions can point at the character.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from bot.errors import QueryError, TemplateError, UnsupportedQueryError
from bot.promql.parse import Expr
from bot.promql.parse import parse as parse_query
from bot.rules import no_data
from bot.rules.model import Group, Rule, RuleFile
from bot.rules.template import Scope, Template
from bot.rules.template import parse as parse_template
from bot.yamldoc import parse as parse_yaml

Path = tuple[str | int, ...]

DEFAULT_LOOKBACK = timedelta(minutes=5)

SEVERITIES = ("critical", "warning", "info", "none")
BUILTIN = "builtin"  # the file name that built-in groups carry
DRILL = "AgentpagerDrill"
_UP, _AGENTS_UP = "up == 0", 'up{agent!=""} == 0'

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SET_BY_US = {"alertname", "alertstate"}


class Problem(NamedTuple):
    """A mistake at `path`, with a code for docs/rules.md and the way out where there is a short one."""

    path: Path
    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Compiled:
    """A rule with its expression and templates parsed. `key` names it among its group's rules over restarts."""

    rule: Rule
    key: str
    expr: Expr
    labels: dict[str, Template]
    annotations: dict[str, Template]


def parse_groups(file: RuleFile, name: str) -> tuple[Group, ...]:
    """The groups of a validated file, each knowing the file it came from."""
    return tuple(group.model_copy(update={"file": name}) for group in file.groups)


def read(text: str, name: str) -> tuple[Group, ...]:
    """Text of a rule file → groups. Raises ConfigError on what the shape forbids."""
    return parse_groups(parse_yaml(text, name, traps="warning").validate(RuleFile), name)


@lru_cache(maxsize=1)
def builtin() -> tuple[Group, ...]:
    return read(resources.files("bot.rules").joinpath("builtin.yaml").read_text(encoding="utf-8"), BUILTIN)


def with_builtin(groups: Sequence[Group], *, elsewhere: bool = False) -> tuple[Group, ...]:
    """The user's groups and the built-in rules, save those whose alert the user has written anew. Drills are known by
    their own rule: that one stays. An engine `elsewhere` has targets of others too, which are none of ours."""
    taken = {rule.alert for group in groups for rule in group.rules if rule.alert} - {DRILL}
    rest = []
    for group in builtin():
        rules = tuple(_ours(rule) if elsewhere else rule for rule in group.rules if rule.alert not in taken)
        if rules:
            rest.append(group.model_copy(update={"rules": rules}))
    return (*groups, *rest)


def _ours(rule: Rule) -> Rule:
    return rule.model_copy(update={"expr": _AGENTS_UP}) if rule.expr == _UP else rule


def compile_group(group: Group, *, experimental: bool = False) -> tuple[Compiled, ...]:
    """Raises QueryError or TemplateError; a group without problems raises nothing."""
    compiled: list[Compiled] = []
    counts: dict[str, int] = {}
    for rule in group.rules:
        labels = group.labels_of(rule)
        key = _identity(rule, labels)
        counts[key] = counts.get(key, 0) + 1
        templates = {name: parse_template(text) for name, text in labels.items()} if rule.is_alert else {}
        compiled.append(
            Compiled(
                rule,
                key if counts[key] == 1 else f"{key}#{counts[key]}",
                parse_query(rule.expr, experimental=experimental),
                templates,
                {name: parse_template(text) for name, text in rule.annotations.items()},
            )
        )
    return tuple(compiled)


def problems(file: RuleFile, *, experimental: bool = False) -> list[Problem]:
    """Everything wrong with one file that is well-formed."""
    found: list[Problem] = []
    names: set[str] = set()
    for index, group in enumerate(file.groups):
        path: Path = ("groups", index)
        if group.name in names:
            text = f'group "{group.name}" is in this file twice'
            found.append(Problem((*path, "name"), "duplicate-group", text, "rename one, or join their rules"))
        names.add(group.name)
        if group.file:
            found.append(
                Problem((*path, "file"), "unknown-key", f'unknown key "file" in group "{group.name}"', "remove it")
            )
        found += _group_problems(group, path, experimental)
    return found


def clashes(groups: Iterable[Group]) -> list[tuple[str, Problem]]:
    """(file, problem) for each rule that another file or group already has under the same name and labels."""
    seen: dict[tuple[str, str], Group] = {}
    found: list[tuple[str, Problem]] = []
    counts: dict[str, int] = {}
    for group in groups:
        position = counts.get(group.file, 0)
        counts[group.file] = position + 1
        for index, rule in enumerate(group.rules):
            key = (rule.is_alert * "alert" or "record", _identity(rule, group.labels_of(rule)))
            other = seen.setdefault(key, group)
            if other is group:
                continue
            path: Path = ("groups", position, "rules", index, "alert" if rule.is_alert else "record")
            text = f'rule "{rule.name}" with the same labels is also in group "{other.name}" of {other.file}'
            found.append((group.file, Problem(path, "duplicate-rule", text, "rename one or give it another label")))
    return found


def _identity(rule: Rule, labels: dict[str, str]) -> str:
    return rule.name + "{" + ",".join(f"{name}={labels[name]!r}" for name in sorted(labels)) + "}"


def _group_problems(group: Group, path: Path, experimental: bool) -> Iterator[Problem]:
    yield from _label_names(group.labels, (*path, "labels"))
    seen: set[tuple[bool, str]] = set()
    for index, rule in enumerate(group.rules):
        here: Path = (*path, "rules", index)
        key = (rule.is_alert, _identity(rule, group.labels_of(rule)))
        if key in seen:
            text = f'rule "{rule.name}" with the same labels is in this group twice'
            place = (*here, "alert" if rule.is_alert else "record")
            yield Problem(place, "duplicate-rule", text, "give one another name or label: their alerts would be one")
        seen.add(key)
        yield from _rule_problems(rule, here, experimental)


def _rule_problems(rule: Rule, path: Path, experimental: bool) -> Iterator[Problem]:
    yield from _expr_problems(rule, (*path, "expr"), experimental)
    yield from _label_names(rule.labels, (*path, "labels"))
    if rule.is_alert:
        yield from _alert_problems(rule, path)
    else:
        yield from _record_problems(rule, path)


def _expr_problems(rule: Rule, path: Path, experimental: bool) -> Iterator[Problem]:
    try:
        expr = parse_query(rule.expr, experimental=experimental)
    except QueryError as error:
        yield Problem(path, "promql", f"{rule.name}: {error}")
        return
    if expr.kind not in {"scalar", "vector"}:
        text = f"{rule.name}: the expression gives a {expr.kind}, a rule needs a vector or a number"
        yield Problem(path, "promql", text, "wrap a range in rate(), max_over_time() or the like")


def _label_names(labels: dict[str, str], path: Path) -> Iterator[Problem]:
    for name in labels:
        if _LABEL_NAME.fullmatch(name) is None or name == "__name__":
            text = f'"{name}" is not a label name'
            yield Problem((*path, name), "label-name", text, "letters, digits and _, no digit first")


def _alert_problems(rule: Rule, path: Path) -> Iterator[Problem]:
    if not (rule.alert or "").strip():
        yield Problem((*path, "alert"), "rule-name", "the alert needs a name")
    for name, text in rule.labels.items():
        here: Path = (*path, "labels", name)
        if name in _SET_BY_US:
            yield Problem(here, "label-name", f'the label "{name}" is set by the server', "remove it")
        template, problem = _template(text, here, rule)
        if problem is not None:
            yield problem
        if template is not None and template.reads_value:
            yield Problem(
                here,
                "value-in-label",
                f'{rule.name}: the label "{name}" uses the value, so each change would be a new alert',
                "put the value into an annotation",
            )
        if name == "severity" and "{{" not in text and text not in SEVERITIES:
            yield Problem(here, "severity", f'severity "{text}" is not known', "use " + ", ".join(SEVERITIES))
    for name, text in rule.annotations.items():
        here = (*path, "annotations", name)
        if name == no_data.ANNOTATION:
            yield from _no_data_problem(text, here, rule)
        if _LABEL_NAME.fullmatch(name) is None:
            yield Problem(here, "label-name", f'"{name}" is not an annotation name', "letters, digits and _")
        _, problem = _template(text, here, rule)
        if problem is not None:
            yield problem


def _no_data_problem(text: str, path: Path, rule: Rule) -> Iterator[Problem]:
    try:
        no_data.read(text)
    except ValueError as error:
        yield Problem(path, "no-data", f"{rule.name}: {error}")


@lru_cache(maxsize=8192)  # most texts stand in many rules, and in the same ones after a reload
def _tried(text: str) -> tuple[Template | None, TemplateError | None]:
    """The template if it parses, and what is wrong with it, tried on labels that read as a number."""
    template = None
    try:
        template = parse_template(text)
        template.render(Scope(dict.fromkeys(template.labels, "1"), 1.0))
    except TemplateError as error:
        return template, error
    return template, None


def _template(text: str, path: Path, rule: Rule) -> tuple[Template | None, Problem | None]:
    template, error = _tried(text)
    if error is not None:
        line = text.count("\n", 0, error.offset) + 1
        column = error.offset - (text.rfind("\n", 0, error.offset) + 1) + 1
        where = f"at character {column}" if "\n" not in text.rstrip("\n") else f"in its line {line}, character {column}"
        message = f"{rule.name}: the template of {path[-1]} does not render: {error} ({where})"
        return template, Problem(path, "template", message, "docs/rules.md lists what templates can use")
    return template, None


def _record_problems(rule: Rule, path: Path) -> Iterator[Problem]:
    name = rule.record or ""
    if _METRIC_NAME.fullmatch(name) is None:
        text = f'"{name}" is not a metric name'
        yield Problem((*path, "record"), "rule-name", text, "letters, digits, _ and :, no digit first")
    for key, given in (
        ("for", rule.hold),
        ("keep_firing_for", rule.keep_firing_for),
        ("annotations", rule.annotations),
    ):
        if given:
            text = f'recording rule "{name}" cannot have {key}'
            yield Problem((*path, key), "record-key", text, f"remove {key}, or make it an alert")


class Needs(NamedTuple):
    """What the store has to keep: metric name → seconds, or every metric when `names` is None."""

    names: dict[str, float] | None
    lookback_seconds: float


def required_metrics(
    groups: Iterable[Group],
    queries: Iterable[str] = (),
    lookback: timedelta = DEFAULT_LOOKBACK,
    history: timedelta = timedelta(),
) -> Needs:
    """Metric names that rules and further queries read, and how far back, `queries` being runbook checks. What alerting
    rules read is kept for `history` longer, so that what they saw can be shown.

    A selector without a fixed name asks for everything. Text that does not parse needs nothing.
    """
    own = lookback.total_seconds()
    names: dict[str, float] = {}
    longest, everything = 0.0, False
    texts = [(rule.expr, history if rule.is_alert else timedelta()) for group in groups for rule in group.rules]
    for text, shown in (*texts, *((query, timedelta()) for query in queries)):
        try:
            expr = _understood(text)
        except QueryError:
            continue
        longest = max(longest, expr.depth_seconds + own + shown.total_seconds())
        for selector in expr.selectors:
            if selector.name is None:
                everything = True
            else:
                kept = selector.depth_seconds + own + shown.total_seconds()
                names[selector.name] = max(names.get(selector.name, 0.0), kept)
    return Needs(None if everything else names, longest)


def _understood(text: str) -> Expr:
    """Whatever the settings say about experimental functions; what the checks have parsed is known already."""
    try:
        return parse_query(text)
    except UnsupportedQueryError:
        return parse_query(text, experimental=True)


def warm_seconds(groups: Iterable[Group]) -> dict[str, float]:
    """Recorded name → seconds of data it needs before its value means anything, through rules that build on rules."""
    recorded = {rule.record: _understood(rule.expr) for group in groups for rule in group.rules if rule.record}
    memo: dict[str, float] = {}

    def of(name: str, above: frozenset[str]) -> float:
        if name not in memo:
            read = {selector.name for selector in recorded[name].selectors if selector.name}
            below = {other: of(other, above | {other}) for other in read if other in recorded and other not in above}
            memo[name] = span_seconds(recorded[name], below)
        return memo[name]

    return {name: of(name, frozenset({name})) for name in recorded}


def span_seconds(expr: Expr, recorded: dict[str, float]) -> float:
    """How much history one expression looks at: ranges, offsets and subqueries, without the engine's own lookback."""
    return max((s.depth_seconds + recorded.get(s.name or "", 0.0) for s in expr.selectors), default=0.0)
