"""A runbook rendered on an incident by the code that renders it for a page, and drawn as Slack's messages are.

Nobody is asked: checks are answered from samples of a file, or are not run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.agents.model import Agent
from bot.authoring.sample import PERSON, agent_of, book_of
from bot.errors import QueryError
from bot.incidents.model import Incident
from bot.paging.model import Page, PageKind
from bot.promql.value import Value
from bot.runbooks.model import Approve, Runbook
from bot.runbooks.render import context_of, main_alert, render
from bot.runbooks.rendered import CheckResult, Rendered, RenderedStep, Verdict
from bot.schema import format_duration
from bot.slack.blocks import Message, draw

_MINUTE = 60.0  # the checks of a preview may take their time
_SIGNS = {
    Verdict.FAIL: "✗ fails",
    Verdict.PASS: "✓ passes",
    Verdict.NO_DATA: "∅ no data",
    Verdict.ERROR: "! error",
    Verdict.LATE: "… late",
}
NOT_RUN = "not run"


@dataclass(frozen=True)
class Preview:
    """`hidden` are the steps whose condition does not hold for this incident, by id with the condition."""

    incident: Incident
    rendered: Rendered
    hidden: tuple[tuple[str, str], ...]
    now: datetime

    def message(self, kind: PageKind) -> Message:
        """`{"text", "blocks"}` of the card in the channel, or of the runbook in its thread."""
        page = Page(id="preview", incident=self.incident.id, kind=kind, channel="preview", due_at=self.now, reason="")
        drawn = draw(page, self.incident, self.rendered, book_of(self.incident.owner), self.now)
        return {"text": drawn["text"], "blocks": drawn["blocks"]}


def preview(
    runbook: Runbook,
    incident: Incident,
    query: Callable[[str], Value] | None,
    now: datetime,
    agent: Agent | None = None,
) -> Preview:
    """`query` answers the checks; without it they are not run. `agent` is the entry of agents/, where there is one."""
    alert = main_alert(incident.alerts)
    facts = {"oncall": [PERSON.name], "external_url": "https://pager.example.com"}
    about = {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity.value,
        "state": incident.state.value,
    }
    context = context_of(alert, incident.alerts, about, agent or agent_of(incident), incident.owner, facts, now)
    rendered = render(runbook, context, query or _not_run, now, lambda: _MINUTE)
    shown = {step.id for step in rendered.steps}
    hidden = tuple((step.id, step.when) for step in runbook.steps if step.id not in shown)
    return Preview(incident, rendered, hidden, now)


def terminal(shown: Preview) -> str:
    """The runbook as plain lines."""
    rendered = shown.rendered
    lines = [f"{rendered.title}  [{rendered.runbook}]", f"on {shown.incident.id}: {shown.incident.title}", ""]
    lines += rendered.summary.splitlines()
    lines += f"Impact: {rendered.impact}".splitlines() if rendered.impact else []
    lines += [f"Not all of it could be rendered: {rendered.problem}"] if rendered.problem else []
    for step in rendered.steps:
        lines += ["", *_step(step, likely=step.number == rendered.likely_step)]
    if rendered.links:
        lines += ["", "Links", *(f"   {link.title}: {link.url}" for link in rendered.links)]
    if shown.hidden:
        lines += ["", "Not shown for this incident", *(f"   {name}: when {when}" for name, when in shown.hidden)]
    facts = [f"owner {rendered.owner}"] if rendered.owner else []
    facts += [f"reviewed {rendered.reviewed_on}"] if rendered.reviewed_on else []
    lines += ["", " · ".join(facts)] if facts else []
    return "\n".join(_visible(line) for line in lines)


def _step(step: RenderedStep, *, likely: bool) -> list[str]:
    kind = "" if step.kind == "manual" else f" ({step.kind})"
    lines = [f"{step.number}. {step.title}{kind}{'  ← likely' if likely else ''}"]
    if step.check is not None:
        lines.append(f"   {_result(step.check)}")
    lines += [f"   {line}" for line in step.text.splitlines()]
    if step.command:
        lines += [f"   on {step.run_on}:"] if step.run_on else []
        lines += [f"   $ {line}" for line in step.command.splitlines()]
    lines += [f"   ( ) {one.label} → {one.goto}{'  ← likely' if one.likely else ''}" for one in step.choices]
    lines += _request(step)
    lines += [f"   wakes {step.to}{f' after {format_duration(step.after)}' if step.after else ''}"] if step.to else []
    lines += [f"   · {question}" for question in step.questions]
    return lines + ([f"   {step.url}"] if step.url else [])


def _request(step: RenderedStep) -> list[str]:
    """What an action asks for, of whom, and who has to agree."""
    if step.call is None:
        return []
    lines = [f"   {step.call.webhook}: {step.call.method} {step.call.path}"]
    lines += [f"   {step.call.body}"] if step.call.body else []
    approve = step.approve or Approve()
    lines.append(f"   needs {approve.min} of {', '.join(approve.by)} within {format_duration(approve.ttl)}")
    return lines + ([f"   undo: {step.undo.method} {step.undo.path}"] if step.undo is not None else [])


def _result(check: CheckResult) -> str:
    want = f" (want {check.want})" if check.want else ""
    if check.verdict is Verdict.ERROR:
        return f"– {NOT_RUN}{want}" if check.error == NOT_RUN else f"{_SIGNS[check.verdict]}: {check.error}"
    return f"{_SIGNS[check.verdict]}{f': {check.value}' if check.value else ''}{want}"


def _visible(line: str) -> str:
    """Without characters that steer a terminal: a label may hold them."""
    return "".join(character if character.isprintable() else "�" for character in line)


def _not_run(_text: str) -> Value:
    raise QueryError(NOT_RUN)
