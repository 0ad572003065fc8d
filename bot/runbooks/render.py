"""A runbook and an incident → what a human reads, live checks included. Decides nothing about pages.

`render_incident` never raises: what goes wrong stands in `Rendered.problem`, and the page goes out all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from bot.agents.model import Agent
from bot.errors import TemplateError
from bot.incidents.model import SEVERITY_RANK, Alert, AlertState
from bot.labels import Labels, matches_all, parse_matchers
from bot.runbooks.checks import Outcome, Query, TimeLeft, parse_expect, run_check, wanted
from bot.runbooks.model import Approve, Call, Runbook, Step, Undo
from bot.runbooks.registry import seen_agent
from bot.runbooks.rendered import (
    CheckResult,
    Rendered,
    RenderedCall,
    RenderedChoice,
    RenderedLink,
    RenderedStep,
    Verdict,
)
from bot.templating import Target, copied, parse

_MAX_TITLE = 200
_MAX_BODY = 6000  # characters; the whole request is shown to who approves it


def choose(runbooks: Sequence[Runbook], labels: Labels, annotations: Labels) -> Runbook | None:
    """The one its `runbook` annotation names (by id or path), else the one whose matchers say most about the alert."""
    named = _stem(annotations.get("runbook", ""))
    for runbook in runbooks:
        if runbook.id == named:
            return runbook
    best: tuple[int, Runbook] | None = None
    for runbook in sorted(runbooks, key=lambda book: book.id):
        count = _specificity(runbook, labels)
        if count and (best is None or count > best[0]):
            best = (count, runbook)
    return best[1] if best else None


def render_incident(
    runbooks: Sequence[Runbook],
    alerts: Sequence[Alert],
    incident: Mapping[str, Any],
    agent: Agent | None,
    owner: str,
    facts: Mapping[str, Any],
    query: Query,
    now: datetime,
    left: TimeLeft,
) -> Rendered:
    """`facts` holds `oncall` (names) and `external_url`; `left` says how many seconds the checks still have."""
    try:
        if not alerts:
            return Rendered(problem="this incident has no alert to explain", rendered_at=now)
        alert = main_alert(alerts)
        context = context_of(alert, alerts, incident, agent, owner, facts, now)
        runbook = choose(runbooks, alert.labels, alert.annotations)
        if runbook is None:
            return _without_runbook(alert, now)
        return render(runbook, context, query, now, left)
    except Exception as error:  # noqa: BLE001 - the page goes out plain and says why
        return Rendered(problem=f"the runbook could not be rendered: {type(error).__name__}: {error}", rendered_at=now)


def render(runbook: Runbook, context: Mapping[str, Any], query: Query, now: datetime, left: TimeLeft) -> Rendered:
    """Checks first, then every text, which may speak of their results."""
    work = _Work(runbook, copied(context))
    outcomes = _run_checks(work, query, left)
    checks = {step.id: _seen(outcomes.get(step.id)) for step in runbook.steps if step.kind == "check"}
    work.context = copied({**context, "checks": checks})
    steps = tuple(
        work.step(number, step, outcomes.get(step.id))
        for number, step in enumerate(runbook.steps, 1)
        if work.applies(step)
    )
    return Rendered(
        runbook=runbook.id,
        title=runbook.title,
        summary=work.text(runbook.summary, "summary"),
        impact=_impact(work),
        owner=runbook.owner or "",
        reviewed_on=runbook.reviewed_on,
        review_every=runbook.review_every,
        steps=steps,
        hidden=_hidden(work, {step.id for step in steps}),
        links=work.links(),
        likely_step=_likely(steps),
        problem="; ".join(work.problems),
        rendered_at=now,
    )


def _hidden(work: _Work, shown: set[str]) -> tuple[RenderedStep, ...]:
    """What they lack is no problem of the page, which does not show them."""
    aside = _Work(work.runbook, work.context)
    return tuple(
        aside.step(number, step, None) for number, step in enumerate(work.runbook.steps, 1) if step.id not in shown
    )


def main_alert(alerts: Sequence[Alert]) -> Alert:
    """The most severe that is still going on, the oldest among equals."""
    return min(
        alerts,
        key=lambda alert: (
            alert.state is AlertState.RESOLVED,
            -SEVERITY_RANK[alert.severity],
            alert.starts_at,
            alert.fingerprint,
        ),
    )


def context_of(
    alert: Alert,
    alerts: Sequence[Alert],
    incident: Mapping[str, Any],
    agent: Agent | None,
    owner: str,
    facts: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """What templates see: plain values only. Instants are unix seconds."""
    agent = agent or Agent(id=alert.labels.get("agent", ""), owner=owner)
    return {
        "incident": {name: str(incident.get(name, "")) for name in ("id", "title", "severity", "state")},
        "alert": _alert(alert),
        "alerts": [_alert(other) for other in alerts],
        "agent": seen_agent(agent),
        "owner": owner,
        "oncall": [str(name) for name in facts.get("oncall", ())],
        "external_url": str(facts.get("external_url", "")),
        "env": alert.labels.get("env", ""),
        "now": now.timestamp(),
        "checks": {},
    }


@dataclass
class _Work:
    """One rendering: its context, and what went wrong so far."""

    runbook: Runbook
    context: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    def text(self, source: str, where: str, into: Target = "text") -> str:
        try:
            return parse(source, into).render(self.context)
        except TemplateError as error:
            self.problems.append(f"{where} does not render: {error}")
            return ""

    def applies(self, step: Step) -> bool:
        """A condition that cannot be read shows the step: too much is better than too little."""
        if not step.when:
            return True
        try:
            return bool(condition(step.when).render(self.context))
        except TemplateError as error:
            self.problems.append(f'"when" of step {step.id} cannot be read: {error}')
            return True

    def step(self, number: int, step: Step, outcome: Outcome | None) -> RenderedStep:
        where = f"step {step.id}"
        is_command = step.kind == "command"
        text = self.text(step.text, where, "command" if is_command else "text")
        asked = tuple(self.text(source, where) for source in ([step.ask] if isinstance(step.ask, str) else step.ask))
        question = " ".join(filter(None, asked)) if step.kind == "decision" else ""
        return RenderedStep(
            number=number,
            id=step.id,
            kind=step.kind,
            title=self.text(step.title, where)[:_MAX_TITLE],
            text=_joined(question, "" if is_command else text, self._verify(step)),
            command=text if is_command else "",
            run_on=self.text(step.run_on, where),
            url=_web_address(self.text(step.url, where)),
            check=outcome.result if outcome else None,
            on_fail=step.on_fail or "",
            verify=step.verify or "",
            choices=self._choices(step),
            call=self._call(step, step.call.webhook, step.call, "call") if step.call else None,
            undo=self._call(step, step.call.webhook, step.undo, "undo") if step.call and step.undo else None,
            approve=(step.approve or Approve()) if step.call else None,
            to=self.text(step.to, where).strip(),
            after=step.after,
            questions=tuple(filter(None, asked)) if step.kind == "handoff" else (),
            timeout=step.timeout if step.kind in {"check", "action"} else None,
        )

    def _choices(self, step: Step) -> tuple[RenderedChoice, ...]:
        """The first whose condition holds is likely. One that cannot be judged is not."""
        found: list[RenderedChoice] = []
        likely = False
        for choice in step.choose:
            holds = not likely and bool(choice.when) and self._holds(choice.when, f'"when" of a choice of {step.id}')
            likely = likely or holds
            label = self.text(choice.label, f"a choice of {step.id}")[:_MAX_TITLE]
            found.append(RenderedChoice(label=label, goto=choice.goto, likely=holds))
        return tuple(found)

    def _holds(self, source: str, where: str) -> bool:
        try:
            return bool(condition(source).render(self.context))
        except TemplateError as error:
            self.problems.append(f"{where} cannot be read: {error}")
            return False

    def _call(self, step: Step, webhook: str, request: Call | Undo, what: str) -> RenderedCall | None:
        """None where a value is missing or would lead elsewhere: no half request may be approved."""
        try:
            path = _path(parse(request.path, "form").exact(self.context))
            body = self._body(request.body)
        except TemplateError as error:
            self.problems.append(f"the {what} of step {step.id} cannot be made: {error}")
            return None
        text = json.dumps(body, ensure_ascii=False) if body else ""
        if len(text) > _MAX_BODY:
            self.problems.append(
                f"the {what} of step {step.id} cannot be made: its body is over {_MAX_BODY} characters"
            )
            return None
        return RenderedCall(webhook=webhook, method=request.method, path=path, body=text)

    def _body(self, value: Any) -> Any:
        """Texts are templates, whatever they stand in; a value stays within its text."""
        match value:
            case str():
                return parse(value, "text").exact(self.context)
            case dict():
                return {key: self._body(item) for key, item in value.items()}
            case list() | tuple():
                return [self._body(item) for item in value]
            case _:
                return value

    def links(self) -> tuple[RenderedLink, ...]:
        found = []
        for link in self.runbook.links:
            url = _web_address(self.text(link.url, f'link "{link.title}"'))
            if url:
                found.append(RenderedLink(title=self.text(link.title, "link"), url=url))
        url = _web_address(self.context["alert"]["annotations"].get("runbook_url", ""))
        if url:
            found.append(RenderedLink(title="Runbook page", url=url))
        there = {link.url for link in found}
        of_agent = self.context["agent"]["links"].items()
        found += [RenderedLink(title=title, url=url) for title, url in of_agent if url not in there]
        return tuple(found)

    def _verify(self, step: Step) -> str:
        target = self.runbook.step(step.verify) if step.verify else None
        if target is None:
            return ""
        number, check = target
        try:
            want = f" (want {wanted(parse_expect(check.expect), check.unit)})"
        except ValueError:
            want = ""
        return f"Then look at check {number} again: {self.text(check.title, f'step {check.id}')}{want}."


def condition(source: str) -> Any:
    """`when` is an expression; rendered, it is text when true and nothing when false. Raises TemplateError."""
    if "%}" in source or "{%" in source or "{{" in source:
        raise TemplateError("when is an expression without braces, for example: not checks.crm.ok")
    return parse("{% if " + source + " %}1{% endif %}")


def _run_checks(work: _Work, query: Query, left: TimeLeft) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for step in work.runbook.steps:
        if step.kind == "check" and work.applies(step):
            outcomes[step.id] = _run_one(work, step, query, left)
    return outcomes


def _run_one(work: _Work, step: Step, query: Query, left: TimeLeft) -> Outcome:
    try:
        expect = parse_expect(step.expect)
        text = parse(step.query, "query").render(work.context)
    except (TemplateError, ValueError) as error:
        return Outcome(CheckResult(verdict=Verdict.ERROR, error=str(error)))
    if "⟨missing" in text:
        missing = text[text.index("⟨") : text.index("⟩") + 1]
        return Outcome(CheckResult(verdict=Verdict.ERROR, error=f"the query cannot be asked: {missing}"))
    return run_check(text, expect, step.unit, step.timeout.total_seconds(), query, left)


def _seen(outcome: Outcome | None) -> dict[str, Any]:
    """A check as templates see it; one that did not run is not ok."""
    result = outcome.result if outcome else CheckResult(verdict=Verdict.NO_DATA)
    return {
        "ok": result.verdict is Verdict.PASS,
        "failed": result.verdict is Verdict.FAIL,
        "verdict": result.verdict.value,
        "value": outcome.value if outcome and outcome.value is not None else 0.0,
        "text": result.value,
    }


def _likely(steps: Sequence[RenderedStep]) -> int | None:
    """Where the first failed check that knows a way on points to, or the first decision of which a choice holds now.
    What points to a decision goes on to what that points to."""
    shown = {step.id: step for step in steps}
    for step in steps:
        target = shown.get(_points_to(step))
        passed = {step.id}
        while target is not None and target.kind == "decision" and target.id not in passed:
            passed.add(target.id)
            target = shown.get(_points_to(target), target)
        if target is not None:
            return target.number
    return None


def _points_to(step: RenderedStep) -> str:
    """The id of a step, or nothing."""
    if step.kind == "decision":
        return next((choice.goto for choice in step.choices if choice.likely), "")
    failed = step.check is not None and step.check.verdict is Verdict.FAIL
    return step.on_fail if failed else ""


def _impact(work: _Work) -> str:
    hint = work.runbook.severity_hint.get(work.context["alert"]["severity"], "")
    impact = work.text(work.runbook.impact, "impact") or work.context["alert"]["annotations"].get("impact", "")
    return _joined(impact, work.text(hint, "severity_hint"))


def _without_runbook(alert: Alert, now: datetime) -> Rendered:
    url = _web_address(alert.annotations.get("runbook_url", ""))
    named = alert.annotations.get("runbook", "")
    problem = f'there is no runbook "{named}"' if named else f"no runbook matches {alert.name}"
    return Rendered(
        summary=alert.annotations.get("description", ""),
        impact=alert.annotations.get("impact", ""),
        links=(RenderedLink(title="Runbook page", url=url),) if url else (),
        problem=problem,
        rendered_at=now,
    )


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "name": alert.name,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "value": alert.value,
        "severity": alert.severity.value,
        "state": alert.state.value,
        "starts_at": alert.starts_at.timestamp(),
    }


def _specificity(runbook: Runbook, labels: Labels) -> int:
    """How many matchers the best alternative has that matches; 0 when none does."""
    best = 0
    for line in runbook.applies_to:
        try:
            matchers = parse_matchers(line)
        except ValueError:
            continue
        if matches_all(matchers, labels):
            best = max(best, len(matchers))
    return best


def _stem(name: str) -> str:
    """`runbooks/AgentDown.yaml` and `AgentDown` both name AgentDown."""
    path = PurePosixPath(name.strip())
    return path.stem if path.suffix in {".yaml", ".yml"} else path.name


def _path(text: str) -> str:
    """Raises TemplateError where a value has made it lead somewhere else."""
    segments = text.partition("?")[0].split("/")
    if any(segment in {".", ".."} for segment in segments) or "" in segments[1:-1]:
        raise TemplateError(f'its path "{text}" has an empty, "." or ".." part, which leads elsewhere')
    return text


def _web_address(text: str) -> str:
    return text if text.startswith(("https://", "http://")) else ""


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
