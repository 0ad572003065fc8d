"""Every mistake of a runbook that its shape does not show. Same problems, same paths as in rules/load.py."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from bot.agents.model import Agent
from bot.errors import QueryError, Severity, TemplateError
from bot.incidents.model import Alert, AlertState
from bot.labels import parse_matchers
from bot.promql.parse import parse as parse_query
from bot.runbooks.checks import parse_expect
from bot.runbooks.model import Runbook, Step
from bot.runbooks.registry import sample_agent
from bot.runbooks.render import condition, context_of
from bot.templating import AnyKey, Target, copied, parse

Path = tuple[str | int, ...]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}", re.DOTALL)  # braces in it are no values
_QUOTED_VALUE = re.compile(r"""["'][^"'\s]*\{\{""")
# kind: (keys it needs, keys it may have beside id, kind, title and when)
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "manual": (("text",), ("text", "on_fail", "verify", "url")),
    "check": (("query", "expect"), ("query", "expect", "unit", "on_fail", "text", "timeout")),
    "command": (("text", "run_on"), ("text", "run_on", "on_fail", "verify")),
    "link": (("url",), ("url", "text", "on_fail", "verify")),
    "decision": (("ask", "choose"), ("ask", "choose", "text")),
    "action": (("call",), ("call", "approve", "undo", "text", "on_fail", "verify", "timeout")),
    "escalate": (("to",), ("to", "after", "text")),
    "handoff": (("ask",), ("ask", "text")),
}
_COMMON = {"id", "kind", "title", "when"}
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_TO = re.compile(rf"level:[1-9][0-9]?|(?:person|team):{_NAME}")
_APPROVER = re.compile(rf"oncall|owner|(?:person|team|role):{_NAME}")
_HINTS = {
    "text": "say what to do",
    "run_on": "say where to run it, for example: your laptop",
    "query": "give the PromQL to ask",
    "expect": "say what is good, for example < 5",
    "url": "give the address",
    "ask": "write the question, or what has to be said",
    "choose": "give the ways on: {label, goto, when}",
    "call": "give {webhook, path, body} of a webhook that agentpager.yaml declares under actions",
    "to": "say whom, for example level:2",
}


class Problem(NamedTuple):
    path: Path
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"


def keys_of_kinds() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Kind of step → (keys it needs, keys it may have besides those of every step)."""
    return dict(_KEYS)


def problems(runbook: Runbook, file_stem: str | None = None, *, experimental: bool = False) -> list[Problem]:
    """`file_stem` is the file's name without its ending, where there is a file."""
    found: list[Problem] = []
    if file_stem is not None and runbook.id != file_stem:
        text = f'the id is "{runbook.id}", the file is named {file_stem}'
        found.append(Problem(("id",), "runbook-id", text, "alerts name runbooks by file: make them the same"))
    found += _matchers(runbook)
    context = sample_context(runbook)
    for name in ("summary", "impact"):
        found += _template(getattr(runbook, name), (name,), context)
    for severity, text in runbook.severity_hint.items():
        found += _template(text, ("severity_hint", severity), context)
    for index, step in enumerate(runbook.steps):
        found += _step(runbook, index, step, context, experimental)
    for index, link in enumerate(runbook.links):
        found += _template(link.title, ("links", index, "title"), context)
        found += _address(link.url, ("links", index, "url"), context)
    return found


def duplicates(runbooks: Iterable[tuple[str, Runbook]]) -> list[tuple[str, Problem]]:
    """(file, problem) for each runbook whose id another file already has."""
    seen: dict[str, str] = {}
    found: list[tuple[str, Problem]] = []
    for file, runbook in runbooks:
        other = seen.setdefault(runbook.id, file)
        if other != file:
            text = f'runbook "{runbook.id}" is also in {other}'
            found.append((file, Problem(("id",), "runbook-id", text, "rename one of them")))
    return found


def overdue(runbook: Runbook, today: date) -> Problem | None:
    """A runbook nobody has looked at for longer than it says itself; an error once that is twice as long."""
    if runbook.reviewed_on is None or today - runbook.reviewed_on <= runbook.review_every:
        return None
    age = today - runbook.reviewed_on
    days = (age - runbook.review_every).days
    text = f'runbook "{runbook.id}" was to be reviewed {days} days ago'
    severity: Severity = "error" if age > 2 * runbook.review_every else "warning"
    return Problem(("reviewed_on",), "review-overdue", text, "read it, correct it, set reviewed_on to today", severity)


def sample_context(runbook: Runbook) -> dict[str, Any]:
    """What any incident would have: every key that is always there, and any label."""
    alert = Alert(
        fingerprint="0" * 16,
        group="sample;sample",
        state=AlertState.FIRING,
        labels={"alertname": "Sample", "severity": "critical"},
        annotations={},
        value=1.0,
        starts_at=_EPOCH,
    )
    agent = Agent(id="sample-agent", title="Sample agent", owner="team:sample")
    context = context_of(alert, [alert], {}, agent, agent.owner, {"oncall": ["Sample"]}, _EPOCH)
    context["agent"] = sample_agent(agent)
    for shown in (context["alert"], *context["alerts"]):
        shown["labels"] = AnyKey({"alertname": "Sample"})
        shown["annotations"] = AnyKey()
    result = {"ok": True, "failed": False, "verdict": "pass", "value": 1.0, "text": "1"}
    context["checks"] = {step.id: result for step in runbook.steps if step.kind == "check"}
    return copied(context)


def _matchers(runbook: Runbook) -> Iterator[Problem]:
    for index, line in enumerate(runbook.applies_to):
        try:
            parse_matchers(line)
        except ValueError as error:
            yield Problem(("applies_to", index), "matcher", str(error), 'write for example alertname="AgentDown"')


def _step(runbook: Runbook, index: int, step: Step, context: dict[str, Any], experimental: bool) -> Iterator[Problem]:
    path: Path = ("steps", index)
    if any(other.id == step.id for other in runbook.steps[:index]):
        yield Problem((*path, "id"), "duplicate-step", f'step "{step.id}" is in this runbook twice', "rename one")
    yield from _keys(step, path)
    yield from _when(step, path, context)
    yield from _targets(runbook, step, path)
    yield from _template(step.title, (*path, "title"), context)
    yield from _template(step.run_on, (*path, "run_on"), context)
    if step.kind == "command":
        yield from _command(step, path, context)
    else:
        yield from _template(step.text, (*path, "text"), context)
    if step.url:
        yield from _address(step.url, (*path, "url"), context)
    match step.kind:
        case "check":
            yield from _check(step, path, context, experimental)
        case "decision":
            yield from _decision(runbook, step, path, context)
        case "action":
            yield from _action(step, path, context)
        case "escalate":
            yield from _escalate(step, path, context)
        case "handoff":
            yield from _handoff(step, path, context)


def _keys(step: Step, path: Path) -> Iterator[Problem]:
    needed, allowed = _KEYS[step.kind]
    for name in needed:
        if not getattr(step, name):
            text = f'{step.kind} step "{step.id}" needs {name}'
            yield Problem(path, {"expect": "expect", "run_on": "run-on"}.get(name, "step-key"), text, _HINTS[name])
    for name in sorted(step.model_fields_set - _COMMON - set(allowed)):
        text = f'{step.kind} step "{step.id}" has no use for {name}'
        kinds = " or ".join(kind for kind, (_, keys) in _KEYS.items() if name in keys)
        yield Problem((*path, name), "step-key", text, f"remove it, or make the step a {kinds}")


def _when(step: Step, path: Path, context: dict[str, Any]) -> Iterator[Problem]:
    if not step.when:
        return
    try:
        template = condition(step.when)
        template.check(context)
    except TemplateError as error:
        yield Problem((*path, "when"), "template", f'"when" of step "{step.id}": {error}', _TEMPLATE_HINT)
        return
    if step.kind == "check" and "checks" in template.names:
        text = f'check "{step.id}" cannot depend on other checks: they run together, before everything else'
        yield Problem((*path, "when"), "template", text, "use labels of the alert")


def _targets(runbook: Runbook, step: Step, path: Path) -> Iterator[Problem]:
    ids = _others(runbook, step)
    for name, target_id in (("on_fail", step.on_fail), ("verify", step.verify)):
        if not target_id:
            continue
        target = runbook.step(target_id)
        if target is None or target_id == step.id:
            text = f'{name} of step "{step.id}" names "{target_id}", which is no other step of this runbook'
            yield Problem((*path, name), "step-target", text, f"steps are {ids}")
        elif name == "verify" and target[1].kind != "check":
            text = f'verify of step "{step.id}" names "{target_id}", which is no check'
            yield Problem((*path, name), "step-target", text, "name the check that shows that this step has worked")


def _others(runbook: Runbook, step: Step) -> str:
    return ", ".join(other.id for other in runbook.steps if other.id != step.id)


def _command(step: Step, path: Path, context: dict[str, Any]) -> Iterator[Problem]:
    yield from _template(step.text, (*path, "text"), context, "command")
    if _QUOTED_VALUE.search(_RAW.sub("", step.text)):
        text = f'command "{step.id}" has a value inside quotes'
        yield Problem((*path, "text"), "command-quotes", text, "remove the quotes: values are quoted for the shell")


def _check(step: Step, path: Path, context: dict[str, Any], experimental: bool) -> Iterator[Problem]:
    if step.expect:
        try:
            parse_expect(step.expect)
        except ValueError as error:
            yield Problem((*path, "expect"), "expect", str(error))
    place = (*path, "query")
    try:
        template = parse(step.query, "query")
        if "checks" in template.names:
            yield Problem(place, "template", f'the query of "{step.id}" cannot use results of checks', _TEMPLATE_HINT)
        text = template.check(context)
        kind = parse_query(text, experimental=experimental).kind if step.query else "vector"
    except TemplateError as error:
        yield Problem(place, "template", f'the query of "{step.id}" does not render: {error}', _TEMPLATE_HINT)
    except QueryError as error:
        yield Problem(place, "promql", f'the query of "{step.id}": {error}')
    else:
        if kind not in {"scalar", "vector"}:
            yield Problem(place, "promql", f'the query of "{step.id}" gives a {kind}, a check needs a number')


def _decision(runbook: Runbook, step: Step, path: Path, context: dict[str, Any]) -> Iterator[Problem]:
    if isinstance(step.ask, tuple):
        text = f'decision "{step.id}" asks several questions at once'
        yield Problem((*path, "ask"), "step-key", text, "ask one, and make further decisions of the others")
    else:
        yield from _template(step.ask, (*path, "ask"), context)
    for index, choice in enumerate(step.choose):
        place = (*path, "choose", index)
        yield from _template(choice.label, (*place, "label"), context)
        yield from _condition(choice.when, (*place, "when"), f'"when" of "{choice.label}"', context)
        if choice.goto == step.id or runbook.step(choice.goto) is None:
            text = f'"{choice.label}" leads to "{choice.goto}", which is no other step of this runbook'
            yield Problem((*place, "goto"), "step-target", text, f"steps are {_others(runbook, step)}")
        if any(other.label == choice.label for other in step.choose[:index]):
            text = f'decision "{step.id}" has the answer "{choice.label}" twice'
            yield Problem((*place, "label"), "duplicate-step", text, "give each answer a label of its own")


def _action(step: Step, path: Path, context: dict[str, Any]) -> Iterator[Problem]:
    for name in ("call", "undo"):
        request = step.call if name == "call" else step.undo
        if request is not None:
            yield from _template(request.path, (*path, name, "path"), context)
            for place, text in texts_of(request.body, (*path, name, "body")):
                yield from _template(text, place, context)
    for index, who in enumerate(step.approve.by if step.approve is not None else ()):
        if _APPROVER.fullmatch(who) is None:
            text = f'"{who}" is nobody who could agree to step "{step.id}"'
            hint = "write oncall, owner, person:ID, team:ID or role:NAME"
            yield Problem((*path, "approve", "by", index), "action-approver", text, hint)


def texts_of(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text inside a request's body, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from texts_of(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_of(item, (*path, index))


def _escalate(step: Step, path: Path, context: dict[str, Any]) -> Iterator[Problem]:
    yield from _template(step.to, (*path, "to"), context)
    if step.to and "{{" not in step.to and _TO.fullmatch(step.to) is None:
        text = f'step "{step.id}" escalates to "{step.to}", which is neither a level nor anybody'
        yield Problem((*path, "to"), "escalation-target", text, "write level:2, person:ID or team:ID")


def _handoff(step: Step, path: Path, context: dict[str, Any]) -> Iterator[Problem]:
    questions = step.ask if isinstance(step.ask, tuple) else (step.ask,)
    for index, question in enumerate(questions):
        place = (*path, "ask", index) if isinstance(step.ask, tuple) else (*path, "ask")
        yield from _template(question, place, context)
        if isinstance(step.ask, tuple) and not question.strip():
            yield Problem(place, "step-key", f'hand-off "{step.id}" asks for nothing here', _HINTS["ask"])


def _condition(source: str, path: Path, what: str, context: dict[str, Any]) -> Iterator[Problem]:
    if source:
        try:
            condition(source).check(context)
        except TemplateError as error:
            yield Problem(path, "template", f"{what}: {error}", _TEMPLATE_HINT)


def _address(source: str, path: Path, context: dict[str, Any]) -> Iterator[Problem]:
    found = list(_template(source, path, context))
    yield from found
    known = source.startswith(("https://", "http://", "{{"))
    if not found and not known:
        yield Problem(path, "link", f'"{source}" is not a web address', "start it with https://")


_TEMPLATE_HINT = "docs/runbooks.md lists what templates can use"


def _template(source: str, path: Path, context: dict[str, Any], into: Target = "text") -> Iterator[Problem]:
    try:
        parse(source, into).check(context)
    except TemplateError as error:
        name = next(part for part in reversed(path) if isinstance(part, str))
        yield Problem(path, "template", f"{name} does not render: {error}", _TEMPLATE_HINT)


def queries(runbooks: Iterable[Runbook]) -> list[str]:
    """What the checks ask, with sample values in place: for knowing which metrics to keep."""
    found = []
    for runbook in runbooks:
        context = sample_context(runbook)
        for step in runbook.steps:
            if step.kind == "check":
                try:
                    found.append(parse(step.query, "query").render(context))
                except TemplateError:
                    continue
    return found
