"""Tests of runbooks: series come in, an alert is made up, and the runbook has to say what the file expects.

The notation of series and the play of rules are those of rule tests. Files are the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from bot.agents.model import Agent
from bot.authoring.preview import Preview, preview, terminal
from bot.authoring.sample import GivenIncident, incident_for
from bot.complaints import did_you_mean
from bot.errors import ConfigError, QueryError, TemplateError
from bot.paging.model import PageKind
from bot.promql.parse import parse
from bot.promql.value import Value
from bot.rules.model import Group as RuleGroup
from bot.ruletests.golang import prometheus_duration
from bot.ruletests.model import DEFAULT_INTERVAL, LIMITS, ExprCase, Group, InputSeries, Number, Span, Suite, read_series
from bot.ruletests.notation import Series
from bot.ruletests.play import Setting, played
from bot.runbooks.model import Runbook
from bot.runbooks.render import choose
from bot.runbooks.rendered import CheckResult
from bot.schema import Model
from bot.yamldoc import scan

Verdict = Literal["passed", "failed", "error"]
NOT_SHOWN = "not shown"
NONE = "none"
_AGE = timedelta(minutes=6)
_WORDS = {"pass", "fail", "no_data", "error", "late", NOT_SHOWN}


class RunbookCase(Model):
    """`exp_checks`: id → `fail`, or `fail 62 %` with the value as people read it. `exp_file`: the whole of it, as text
    (`.txt`) or as Slack's blocks (`.json`), in a file beside the test."""

    eval_time: Span = timedelta()
    runbook: str = ""
    owner: str | None = None
    labels: dict[str, str] = Field(min_length=1)
    annotations: dict[str, str] = {}
    value: Number | None = None
    since: Span = _AGE
    exp_runbook: str = ""
    exp_checks: dict[str, str] = {}
    exp_likely_step: str = ""
    exp_steps: tuple[str, ...] = ()
    exp_text: tuple[str, ...] = ()
    exp_file: str = Field("", pattern=r"^$|^[^/\\\x00].*\.(txt|json)$")


class TrialGroup(Model):
    """`agents`: what stands of them in agents/, for runbooks that quote it."""

    name: str = ""
    agents: dict[str, Agent] = {}
    interval: Span = timedelta()
    input_series: tuple[InputSeries, ...] = ()
    runbook_test: tuple[RunbookCase, ...] = Field(min_length=1)


class TrialFile(Model):
    runbook_files: tuple[str, ...] = Field(min_length=1)
    rule_files: tuple[str, ...] = ()
    evaluation_interval: Span = timedelta()
    tests: tuple[TrialGroup, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Trial:
    """One case with its place and its data."""

    group: str
    line: int
    interval: timedelta
    series: tuple[Series, ...]
    case: RunbookCase
    agents: Mapping[str, Agent] = field(default_factory=dict)


@dataclass(frozen=True)
class Trials:
    """A whole file, read."""

    file: str
    runbook_files: tuple[str, ...]
    rule_files: tuple[str, ...]
    interval: timedelta
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Result:
    """`goldens`: name of a file → what it would have to hold. `differences` say what was expected and what came."""

    trial: Trial
    verdict: Verdict
    differences: tuple[str, ...] = ()
    goldens: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        return f"{self.trial.group} at {prometheus_duration(self.trial.case.eval_time)}"


def read(text: str, file: str) -> Trials:
    """Raises ConfigError with every mistake in the file."""
    document, findings = scan(text, file, traps="warning", limits=LIMITS)
    errors = [finding for finding in findings if finding.severity == "error"]
    if document is None:
        raise ConfigError(errors)
    model, more = document.read(TrialFile)
    errors += [finding for finding in more if finding.severity == "error"]
    trials: list[Trial] = []
    for index, group in enumerate(model.tests if model is not None else ()):
        series, wrong = read_series(document, ("tests", index), group.input_series)
        errors += wrong
        for number, case in enumerate(group.runbook_test):
            path = ("tests", index, "runbook_test", number)
            for name, expected in case.exp_checks.items():
                if _verdict_of(expected)[0] not in _WORDS:
                    wanted = ", ".join(sorted(_WORDS))
                    text = f'"{expected}" is no result of a check; results are {wanted}'
                    errors.append(
                        document.finding((*path, "exp_checks", name), "bad-value", text, "write for example fail 62 %")
                    )
            every = group.interval or (model.evaluation_interval if model else timedelta()) or DEFAULT_INTERVAL
            line = document.mark(path).line
            agents = {name: agent.model_copy(update={"id": name}) for name, agent in group.agents.items()}
            trials.append(Trial(group.name or f"unnamed#{index}", line, every, series, case, agents))
    if model is None or errors:
        raise ConfigError(errors)
    every = model.evaluation_interval or DEFAULT_INTERVAL
    return Trials(file, model.runbook_files, model.rule_files, every, tuple(trials))


def play(
    trials: Trials, runbooks: Sequence[Runbook], rules: tuple[RuleGroup, ...], goldens: Mapping[str, str]
) -> list[Result]:
    """`goldens`: what the files that the cases name hold, where they are there."""
    return [_play(trials, one, runbooks, rules, goldens) for one in trials.trials]


def _play(
    trials: Trials, trial: Trial, runbooks: Sequence[Runbook], rules: tuple[RuleGroup, ...], goldens: Mapping[str, str]
) -> Result:
    case = trial.case
    try:
        runbook = _runbook(case, runbooks)
        now = datetime.fromtimestamp(0, UTC) + case.eval_time
        query = _query(trials, trial, rules)
    except (LookupError, QueryError, TemplateError) as error:
        return Result(trial, "error", (str(error.args[0]),))
    alert = {"labels": case.labels, "annotations": case.annotations, "value": case.value, "starts_at": now - case.since}
    agent = trial.agents.get(case.labels.get("agent", ""))
    owner = case.owner or (agent.owner if agent else None)
    given = GivenIncident.model_validate({"alerts": [alert], "owner": owner})
    shown = preview(runbook, incident_for(runbook, given, now), query, now, agent)
    goldens_now = {case.exp_file: golden(shown, case.exp_file)} if case.exp_file else {}
    found = [*_differences(case, runbook, shown), *_of_files(goldens_now, goldens)]
    return Result(trial, "failed" if found else "passed", tuple(found), tuple(goldens_now.items()))


def golden(shown: Preview, file: str) -> str:
    """What the file has to hold."""
    if file.endswith(".json"):
        return json.dumps(shown.message(PageKind.RUNBOOK), indent=2, ensure_ascii=False) + "\n"
    return terminal(shown) + "\n"


def _runbook(case: RunbookCase, runbooks: Sequence[Runbook]) -> Runbook:
    if case.runbook:
        found = next((one for one in runbooks if one.id == case.runbook), None)
        if found is None:
            raise LookupError(
                f'there is no runbook "{case.runbook}" in runbook_files; '
                f"{did_you_mean(case.runbook, [one.id for one in runbooks])}"
            )
        return found
    found = choose(runbooks, case.labels, case.annotations)
    if found is None:
        raise LookupError("no runbook of runbook_files applies to these labels; name one with runbook: ID")
    return found


def _query(trials: Trials, trial: Trial, rules: tuple[RuleGroup, ...]) -> Callable[[str], Value]:
    """Raises QueryError where a rule cannot be evaluated."""
    case = trial.case
    until = ExprCase(trial.line, case.eval_time, "0", ())
    group = Group(0, trial.line, trial.group, trial.interval, 0.0, trial.series, (), (until,), {}, "")
    suite = Suite(trials.file, trials.rule_files, trials.interval, (), fuzzy=False, groups=())
    engine, failures = played(Setting(suite, rules), group)
    if failures:
        raise QueryError(f"rule {failures[0].rule}: {failures[0].message}")
    return lambda text: engine.instant(parse(text), case.eval_time.total_seconds())


def _differences(case: RunbookCase, runbook: Runbook, shown: Preview) -> Iterator[str]:
    rendered = shown.rendered
    if case.exp_runbook and case.exp_runbook != runbook.id:
        yield f"runbook: expected {case.exp_runbook}, got {runbook.id}"
    if rendered.problem:
        yield f"it does not render: {rendered.problem}"
    checks = {step.id: step.check for step in rendered.steps if step.check is not None}
    for name, expected in case.exp_checks.items():
        got = checks.get(name)
        if got is None and runbook.step(name) is None:
            yield f"check {name}: there is none; {did_you_mean(name, list(checks))}"
        elif not _agrees(expected, got):
            yield f"check {name}: expected {expected}, got {_told(got)}"
    likely = next((step.id for step in rendered.steps if step.number == rendered.likely_step), NONE)
    if case.exp_likely_step and case.exp_likely_step != likely:
        yield f"likely step: expected {case.exp_likely_step}, got {likely}"
    ids = tuple(step.id for step in rendered.steps)
    if case.exp_steps and case.exp_steps != ids:
        yield f"steps: expected {', '.join(case.exp_steps)}; got {', '.join(ids)}"
    whole = terminal(shown)
    for text in case.exp_text:
        if text not in whole:
            yield f'text: "{text}" is not in it'


def _of_files(now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    for file, text in now.items():
        if file not in before:
            yield f"{file} is not there; --update writes it"
            continue
        was, got = before[file].splitlines(), text.splitlines()
        if was == got:
            continue
        line = next((n for n, pair in enumerate(zip(was, got, strict=False)) if pair[0] != pair[1]), None)
        if line is None:
            line = min(len(was), len(got))
        expected = was[line] if line < len(was) else "the end"
        real = got[line] if line < len(got) else "the end"
        yield f"{file}:{line + 1}: expected {expected!r}, got {real!r}; --update writes the file"


def _verdict_of(expected: str) -> tuple[str, str]:
    """`fail 62 %` → fail and 62 %."""
    if expected == NOT_SHOWN:
        return NOT_SHOWN, ""
    word, _, value = expected.strip().partition(" ")
    return word, value.strip()


def _agrees(expected: str, got: CheckResult | None) -> bool:
    word, value = _verdict_of(expected)
    if got is None:
        return word == NOT_SHOWN
    return word == got.verdict.value and (not value or value == got.value)


def _told(got: CheckResult | None) -> str:
    if got is None:
        return NOT_SHOWN
    more = got.value or got.error
    return f"{got.verdict.value} {more}".strip()


def as_json(file: str, results: Sequence[Result]) -> dict[str, Any]:
    """The shape that tests of rules have."""
    return {
        "file": file,
        "verdict": worst([one.verdict for one in results]),
        "errors": [],
        "tests": [
            {
                "name": one.trial.group,
                "file": file,
                "line": one.trial.line,
                "time": prometheus_duration(one.trial.case.eval_time),
                "verdict": one.verdict,
                "differences": list(one.differences),
            }
            for one in results
        ],
    }


def worst(verdicts: Sequence[str]) -> str:
    return next((verdict for verdict in ("error", "failed") if verdict in verdicts), "passed")
