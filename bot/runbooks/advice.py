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
    yield from _passed_over(runbook)
    yield from _escalation(runbook)
    for index, step in enumerate(runbook.steps):
        yield from _vague(step, index)
        yield from _unsafe(step, index)
        yield from _never_shown(runbook, step, index)
        yield from _hidden_choices(runbook, step, index)
    for index, link in enumerate(runbook.links):
        yield from _plain(link.url, ("links", index, "url"))


def _warning(path: tuple[str | int, ...], code: str, message: str, hint: str) -> Problem:
    return Problem(path, code, message, hint, "warning")


def _first_check(runbook: Runbook) -> Iterator[Problem]:
    """A check decides as well: it names the step to go to."""
    leads = {"check", "decision"}
    first = next((index for index, step in enumerate(runbook.steps) if step.kind in leads), len(runbook.steps))
    if first > _FIRST_CHECK_BY:
        what = "the first check or decision" if first < len(runbook.steps) else "the end, and no check or decision"
        text = f"{first} steps come before {what}"
        hint = "begin with a check that says whether it is still going on, and what the cause is"
        yield _warning(("steps", _FIRST_CHECK_BY, "id"), "late-check", text, hint)


def _loops(runbook: Runbook) -> Iterator[Problem]:
    """Each circle of `on_fail` and decisions out of which no way leads, once, at its first step."""
    leads = {step.id: _leads(step) for step in runbook.steps if _leads(step)}
    while outside := [name for name, to in leads.items() if not to <= leads.keys()]:
        for name in outside:
            del leads[name]
    told: set[str] = set()
    for index, step in enumerate(runbook.steps):
        circle = _circle(step.id, leads)
        if circle and step.id not in told:
            told.update(name for name in leads if name in _onward(step.id, leads) and step.id in _onward(name, leads))
            text = f"this leads in a circle: {' → '.join([*circle, step.id])}"
            hint = "let the last one lead to a step that a person can do"
            yield _warning(("steps", index, "on_fail" if step.kind == "check" else "choose"), "step-loop", text, hint)


def _leads(step: Step) -> set[str]:
    """The steps that a check or decision sends people to."""
    if step.kind == "decision":
        return {choice.goto for choice in step.choose}
    return {step.on_fail} if step.kind == "check" and step.on_fail else set()


def _onward(start: str, leads: Mapping[str, set[str]]) -> set[str]:
    """Every step that some way leads to from `start`."""
    found: set[str] = set()
    pending = {start}
    while pending:
        pending = {name for one in pending for name in leads.get(one, ())} - found
        found |= pending
    return found


def _circle(start: str, leads: Mapping[str, set[str]]) -> list[str]:
    """The shortest way from `start` back to it, without the return; nothing if there is none. To itself is lint's."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for following in sorted(leads.get(way[-1], ())):
            if following == start and len(way) > 1:
                return way
            if following not in seen and following != start:
                seen.add(following)
                ways.append([*way, following])
    return []


def _passed_over(runbook: Runbook) -> Iterator[Problem]:
    """Steps that nobody gets to: a decision before them leads past them, and nothing leads to them. Checks are asked
    wherever they stand."""
    places = {step.id: index for index, step in enumerate(runbook.steps)}
    reached: set[int] = set()
    pending = {0}
    while pending:
        place = pending.pop()
        reached.add(place)
        step = runbook.steps[place]
        onward = {places[name] for name in _leads(step) | {step.on_fail} if name in places}
        if step.kind != "decision" or not onward:
            onward |= {place + 1} if place + 1 < len(runbook.steps) else set()
        pending |= onward - reached
    told = [index for index in range(len(runbook.steps)) if index not in reached]
    for index in told:
        step = runbook.steps[index]
        if step.kind != "check" and index - 1 not in told:
            text = f'nobody gets to step "{step.id}": the decision before it leads elsewhere'
            yield _warning(("steps", index, "id"), "unreachable-step", text, "let an answer lead to it, or remove it")


def _escalation(runbook: Runbook) -> Iterator[Problem]:
    if not any(step.kind == "escalate" for step in runbook.steps):
        text = f'runbook "{runbook.id}" does not say whom to wake when nothing helps'
        hint = 'end with a step such as {id: up, kind: escalate, title: Wake the next level, to: "level:2", after: 20m}'
        yield _warning(("steps", len(runbook.steps) - 1, "id"), "no-escalation", text, hint)


def _unsafe(step: Step, index: int) -> Iterator[Problem]:
    yield from _plain(step.url, ("steps", index, "url"))
    if step.call is None or step.kind != "action":
        return
    if step.approve is None:
        text = f'action "{step.id}" does not say who has to agree'
        hint = "add approve: {by: [oncall], min: 1, self: true, ttl: 15m}, which holds without it"
        yield _warning(("steps", index, "call"), "action-approval", text, hint)
    if step.undo is None and step.call.method != "GET":
        text = f'action "{step.id}" cannot be taken back'
        yield _warning(("steps", index, "call"), "action-undo", text, "add undo: {path: …}, the request that does")


def _plain(url: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if url.startswith("http://"):
        text = "who opens this on a train can be sent elsewhere: the address is not https"
        yield _warning(path, "plain-link", text, "start it with https://")


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


def _hidden_choices(runbook: Runbook, step: Step, index: int) -> Iterator[Problem]:
    for place, choice in enumerate(step.choose):
        target = runbook.step(choice.goto)
        if choice.when and _held_at(runbook, choice.when) == []:
            text = f'"{choice.label}" is never the likely answer: no results of the checks fulfil its "when"'
            hint = "correct the condition, or remove it"
            yield _warning(("steps", index, "choose", place, "when"), "unreachable-step", text, hint)
        if target is None or not choice.when or not target[1].when:
            continue
        if _held_at(runbook, choice.when) and _held_at(runbook, f"({choice.when}) and ({target[1].when})") == []:
            text = f'"{choice.label}" leads to "{choice.goto}", which is not shown when it is the likely answer'
            hint = f'correct the "when" of "{choice.goto}", or name another step'
            yield _warning(("steps", index, "choose", place, "goto"), "unreachable-step", text, hint)


def _shown_at(runbook: Runbook, step: Step) -> list[dict[str, Verdict]] | None:
    """The results at which the step is shown; None when that also depends on something else."""
    return _held_at(runbook, step.when)


def _held_at(runbook: Runbook, when: str) -> list[dict[str, Verdict]] | None:
    try:
        template = condition(when) if when else None
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
