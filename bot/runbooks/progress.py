"""How far people are with a runbook, and what comes next. Pure; the marks are those of the incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.complaints import did_you_mean
from bot.errors import UsageError
from bot.incidents.model import StepMark
from bot.runbooks.rendered import Rendered, RenderedChoice, RenderedStep, Verdict

_SETTLED = {"done", "skipped", "failed", "asked", "running"}


@dataclass(frozen=True)
class Counts:
    """Of the steps that people do: checks are done by the machine."""

    done: int
    skipped: int
    failed: int
    total: int


def marks_of(marks: Sequence[StepMark]) -> dict[str, StepMark]:
    """By the id of the step; one that was taken back counts as none."""
    return {mark.step: mark for mark in marks if mark.state != "undone"}


def counted(rendered: Rendered, marks: Sequence[StepMark]) -> Counts:
    known = marks_of(marks)
    mine = [step for step in _shown(rendered, known) if step.kind != "check" or step.id in known]
    states = [known[step.id].state for step in mine if step.id in known]
    return Counts(states.count("done"), states.count("skipped"), states.count("failed"), len(mine))


def next_step(rendered: Rendered, marks: Sequence[StepMark]) -> RenderedStep | None:
    """What to do now: where the last mark leads, else what the checks point to, else the next in line that nobody has
    marked, else the first such. None when nothing is left."""
    known = marks_of(marks)
    open_steps = {step.id: step for step in rendered.steps if not _settled(step, known)}
    last = _last(rendered, marks)
    if last is not None and (led := leads_to(*last)):
        step = open_steps.get(led) or next((one for one in rendered.hidden if one.id == led and led not in known), None)
        if step is not None:
            return step
    answered = any(step.kind == "decision" and step.id in known for step in rendered.steps)
    likely = next((step for step in open_steps.values() if step.number == rendered.likely_step), None)
    if likely is not None and not answered:
        return likely
    wanted = [step for step in open_steps.values() if step.kind != "check"]
    if last is None:
        return wanted[0] if wanted else None
    following = [step for step in wanted if step.number > last[0].number]
    if following:
        others = _not_chosen(rendered, known)
        return next((step for step in following if step.id not in others), following[0])
    handed = last[0].kind == "handoff" and last[1].state == "done"
    return wanted[0] if wanted and not handed else None


def leads_to(step: RenderedStep, mark: StepMark) -> str:
    """The id of the step that this mark leads to: by the choice of a decision, or because it failed."""
    if step.kind == "decision" and mark.state == "done":
        choice = choice_of(step, mark.text)
        return choice.goto if choice is not None else ""
    return step.on_fail if mark.state == "failed" else ""


def _not_chosen(rendered: Rendered, known: Mapping[str, StepMark]) -> set[str]:
    """Where the other answers to what has been answered would have led. To escalate or to hand over is left to all."""
    ways: set[str] = set()
    taken: set[str] = set()
    for step in rendered.steps:
        if step.kind == "decision" and step.id in known and (led := leads_to(step, known[step.id])):
            taken.add(led)
            ways |= {choice.goto for choice in step.choices}
    open_to_all = {step.id for step in rendered.steps if step.kind in {"escalate", "handoff"}}
    return ways - taken - open_to_all


def choice_of(step: RenderedStep, text: str) -> RenderedChoice | None:
    """By its label, or by the step that it leads to when only one does."""
    wanted = text.strip().casefold()
    for choice in step.choices:
        if choice.label.strip().casefold() == wanted:
            return choice
    leading = [choice for choice in step.choices if choice.goto.casefold() == wanted]
    return leading[0] if len(leading) == 1 else None


def verified(rendered: Rendered, step: RenderedStep, mark: StepMark) -> RenderedStep | None:
    """The check that shows whether the step has helped, if it has run since; else None."""
    if not step.verify or mark.state != "done" or rendered.rendered_at <= mark.at:
        return None
    return next((other for other in rendered.steps if other.id == step.verify and other.check is not None), None)


def last_done(rendered: Rendered, marks: Sequence[StepMark]) -> tuple[RenderedStep, StepMark] | None:
    """The step that was marked last, with its mark."""
    return _last(rendered, marks)


def named(rendered: Rendered | None, text: str, incident: str) -> RenderedStep:
    """By id or number, whether its condition holds now or not. Raises UsageError with the nearest."""
    if rendered is None or not rendered.runbook:
        raise UsageError(f"{incident} has no runbook, so it has no steps")
    every = all_steps(rendered)
    wanted = text.strip()
    for step in every:
        if wanted in {step.id, str(step.number)}:
            return step
    hint = did_you_mean(wanted, [step.id for step in every])
    raise UsageError(f'runbook {rendered.runbook} has no step "{wanted}"; {hint}')


def label_of(step: RenderedStep) -> str:
    return f"step {step.number} · {step.title}"


def all_steps(rendered: Rendered) -> list[RenderedStep]:
    return sorted([*rendered.steps, *rendered.hidden], key=lambda step: step.number)


def _shown(rendered: Rendered, known: Mapping[str, StepMark]) -> list[RenderedStep]:
    """A step that somebody has marked stays, although what it was shown for is over."""
    return [step for step in all_steps(rendered) if step in rendered.steps or step.id in known]


def shown(rendered: Rendered, marks: Sequence[StepMark]) -> list[RenderedStep]:
    return _shown(rendered, marks_of(marks))


def _settled(step: RenderedStep, known: Mapping[str, StepMark]) -> bool:
    return step.id in known and known[step.id].state in _SETTLED


def _last(rendered: Rendered, marks: Sequence[StepMark]) -> tuple[RenderedStep, StepMark] | None:
    steps = {step.id: step for step in all_steps(rendered)}
    for mark in reversed(marks):
        if mark.state != "undone" and mark.step in steps:
            return steps[mark.step], mark
    return None


_SPOKEN = {
    Verdict.PASS: "passes",
    Verdict.FAIL: "still fails",
    Verdict.NO_DATA: "has no data",
    Verdict.ERROR: "could not be checked",
    Verdict.LATE: "took too long",
}


def verdict_of(step: RenderedStep) -> str:
    """`check 2 · Tool crm passes: 2 % (want < 5 %)`."""
    check = step.check
    if check is None:
        return f"check {step.number} · {step.title} was not made"
    value = f": {check.value or check.error}" if check.value or check.error else ""
    want = f" (want {check.want})" if check.want else ""
    return f"check {step.number} · {step.title} {_SPOKEN[check.verdict]}{value}{want}"
