"""What a runbook lacks for somebody who has just been woken. It may be loaded all the same: mistakes are lint.py's."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import product

from bot.errors import TemplateError
from bot.runbooks.lint import Problem, overdue
from bot.runbooks.model import Runbook, Step
from bot.runbooks.render import condition
from bot.runbooks.rendered import Verdict
from bot.templating import Text

_FIRST_CHECK_BY = 7  # steps; who is half asleep reads no further for the first fact
_MANY_CHECKS = 4  # a condition over more of them is not tried out: there are 5 results of each
_VAGUE_WORDS = 14
_VAGUE = re.compile(
    r"(?:please |first,? |then,? )?"
    r"(?:check|look (?:at|into|for)|investigate|inspect|monitor|review|examine|analy[sz]e|debug|troubleshoot|verify"
    r"|ensure|make sure|see|watch|fix|resolve|solve|find (?:out )?(?:the )?(?:root )?cause)\b",
    re.IGNORECASE,
)
_PASSED_ON = re.compile(
    r"\b(?:the (?:relevant|responsible|appropriate|right) (?:team|people|person)|as (?:needed|appropriate|necessary)"
    r"|take (?:the )?(?:appropriate|necessary) (?:action|measures|steps))\b",
    re.IGNORECASE,
)
_TANGIBLE = re.compile(r"https?://|\{\{|`|[\"'“‘]|\d|\b[a-z]+(?:_[a-z]+)+\b|\b[A-Z][a-z]+[A-Z]\w+|[<>=]")


def advice(runbook: Runbook, today: date) -> Iterator[Problem]:
    if not runbook.owner:
        text = f'runbook "{runbook.id}" has no owner'
        yield _warning(("id",), "no-owner", text, "say who keeps it correct, for example owner: team:payments")
    late = overdue(runbook, today)
    if late is not None:
        yield late
    yield from _first_check(runbook)
    yield from _loops(runbook)
    for index, step in enumerate(runbook.steps):
        yield from _vague(step, index)
        yield from _never_shown(runbook, step, index)


def _warning(path: tuple[str | int, ...], code: str, message: str, hint: str) -> Problem:
    return Problem(path, code, message, hint, "warning")


def _first_check(runbook: Runbook) -> Iterator[Problem]:
    first = next((index for index, step in enumerate(runbook.steps) if step.kind == "check"), len(runbook.steps))
    if first > _FIRST_CHECK_BY:
        what = "the first check" if first < len(runbook.steps) else "the end, and no check"
        text = f"{first} steps come before {what}"
        hint = "begin with a check that says whether it is still going on, and what the cause is"
        yield _warning(("steps", _FIRST_CHECK_BY, "id"), "late-check", text, hint)


def _loops(runbook: Runbook) -> Iterator[Problem]:
    """Each circle of `on_fail` once, at its first step."""
    leads = {step.id: step.on_fail for step in runbook.steps if step.kind == "check" and step.on_fail}
    told: set[str] = set()
    for index, step in enumerate(runbook.steps):
        trail = _trail(step.id, leads)
        if trail is not None and step.id not in told:
            told.update(trail)
            text = f"on_fail leads in a circle: {' → '.join([*trail, step.id])}"
            hint = "let the last one lead to a step that a person can do"
            yield _warning(("steps", index, "on_fail"), "step-loop", text, hint)


def _trail(start: str, leads: Mapping[str, str]) -> list[str] | None:
    """The steps from `start` back to it; None if the way does not come back. To itself is lint's matter."""
    trail, here = [start], leads.get(start)
    while here is not None and here not in trail:
        trail.append(here)
        here = leads.get(here)
    return trail if here == start and len(trail) > 1 else None


def _vague(step: Step, index: int) -> Iterator[Problem]:
    if step.kind != "manual" or step.url or step.verify or _TANGIBLE.search(step.text):
        return
    short = len(step.text.split()) <= _VAGUE_WORDS
    if short and (_VAGUE.match(step.text.strip()) or _PASSED_ON.search(step.text)):
        text = f'step "{step.id}" does not say what to look at and what is good'
        hint = "give a url, a number to compare with, or make it a check with query and expect"
        yield _warning(("steps", index, "text"), "vague-step", text, hint)


def _never_shown(runbook: Runbook, step: Step, index: int) -> Iterator[Problem]:
    """Tries `when` on every result that the checks it names can have; other conditions are not judged."""
    shown_at = _shown_at(runbook, step)
    if shown_at is None:
        return
    if not shown_at:
        text = f'step "{step.id}" is never shown: no results of the checks fulfil its "when"'
        yield _warning(("steps", index, "when"), "unreachable-step", text, "correct the condition, or remove the step")
        return
    for place, other in enumerate(runbook.steps):
        if other.kind != "check" or other.on_fail != step.id:
            continue
        if not any(results.get(other.id, Verdict.FAIL) is Verdict.FAIL for results in shown_at):
            text = f'on_fail of "{other.id}" leads to "{step.id}", which is not shown when "{other.id}" fails'
            hint = f'correct the "when" of "{step.id}", or name another step'
            yield _warning(("steps", place, "on_fail"), "unreachable-step", text, hint)


def _shown_at(runbook: Runbook, step: Step) -> list[dict[str, Verdict]] | None:
    """The results at which the step is shown; None when that also depends on something else."""
    try:
        template = condition(step.when) if step.when else None
    except TemplateError:  # told by lint
        return None
    if not isinstance(template, Text) or not template.names <= {"checks"}:
        return None
    whole = {
        path for path in template.paths if not any(other[: len(path)] == path != other for other in template.paths)
    }
    if any(len(path) != 3 or path[2] not in {"ok", "failed", "verdict"} for path in whole):
        return None
    ids = sorted({path[1] for path in whole})
    known = {other.id for other in runbook.steps if other.kind == "check"}
    if len(ids) > _MANY_CHECKS or not known.issuperset(ids):
        return None
    tried = (dict(zip(ids, results, strict=True)) for results in product(Verdict, repeat=len(ids)))
    try:
        return [results for results in tried if template.render({"checks": _seen(results)})]
    except TemplateError:
        return None


def _seen(results: Mapping[str, Verdict]) -> dict[str, dict[str, object]]:
    return {
        name: {"ok": verdict is Verdict.PASS, "failed": verdict is Verdict.FAIL, "verdict": verdict.value}
        for name, verdict in results.items()
    }
