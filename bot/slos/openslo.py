"""OpenSLO v1 documents → objectives. Read are `SLO`, and `SLI` for what an SLO refers to.

What changes the meaning of a target and is not done here is refused, with the way out: nobody should believe in a
promise that is kept differently. What only tells others something is passed over.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import Field

from bot.errors import QueryError
from bot.schema import Model
from bot.slos.objectives import Objective, per_second

VERSION = "openslo/v1"
CODE = "openslo"
SEVERITY, RUNBOOK = "agentpager/severity", "agentpager/runbook"  # of an SLO's annotations

_PASSED_OVER = {"Service", "DataSource"}
_ALERTING = {"AlertPolicy", "AlertCondition", "AlertNotificationTarget"}
_SPAN = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BREAK = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)

Path = tuple[str | int, ...]


class Problem(NamedTuple):
    path: Path
    message: str
    hint: str = ""
    serious: bool = True


class Metadata(Model):
    name: str = Field(min_length=1)
    display_name: str = Field("", alias="displayName")
    labels: dict[str, str | tuple[str, ...]] = {}
    annotations: dict[str, str] = {}


class PrometheusQuery(Model):
    query: str


class MetricSource(Model):
    reference: str | None = Field(None, alias="metricSourceRef")
    type: str = "Prometheus"
    spec: PrometheusQuery


class Metric(Model):
    source: MetricSource = Field(alias="metricSource")


class Ratio(Model):
    counter: bool | None = None
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw_type: str | None = Field(None, alias="rawType")
    raw: Any = None


class IndicatorSpec(Model):
    description: str = ""
    ratio: Ratio | None = Field(None, alias="ratioMetric")
    threshold: Any = Field(None, alias="thresholdMetric")


class Indicator(Model):
    metadata: Metadata | None = None
    spec: IndicatorSpec


class TimeWindow(Model):
    duration: str
    rolling: bool = Field(False, alias="isRolling")
    calendar: Any = None


class Goal(Model):
    name: str = Field("", alias="displayName")
    target: float | None = None
    percent: float | None = Field(None, alias="targetPercent")
    op: str | None = None
    value: float | None = None
    slice_target: float | None = Field(None, alias="timeSliceTarget")
    slice_window: str | None = Field(None, alias="timeSliceWindow")
    weight: float | None = Field(None, alias="compositeWeight")
    indicator: Any = None
    indicator_reference: str | None = Field(None, alias="indicatorRef")


class SloSpec(Model):
    description: str = ""
    service: str = ""
    indicator: Indicator | None = None
    indicator_reference: str | None = Field(None, alias="indicatorRef")
    windows: tuple[TimeWindow, ...] = Field((), alias="timeWindow")
    method: str = Field("Occurrences", alias="budgetingMethod")
    goals: tuple[Goal, ...] = Field((), alias="objectives")
    alert_policies: Any = Field(None, alias="alertPolicies")


class SloDocument(Model):
    version: str = Field(alias="apiVersion")
    kind: str
    metadata: Metadata
    spec: SloSpec


class SliDocument(Model):
    version: str = Field(alias="apiVersion")
    kind: str
    metadata: Metadata
    spec: IndicatorSpec


@dataclass(frozen=True)
class Read:
    """What an SLO came to, or why it came to nothing."""

    objectives: tuple[Objective, ...] = ()
    problems: tuple[Problem, ...] = ()


def parts(text: str) -> list[str]:
    """The documents of a file, each with as many empty lines before it that its own keep their numbers."""
    cuts = [0, *(match.end() for match in _BREAK.finditer(text)), len(text) + 1]
    starts = [match.start() for match in _BREAK.finditer(text)]
    ends = [*starts, len(text)]
    pieces = [(begin, text[begin:end]) for begin, end in zip(cuts, ends, strict=False)]
    return ["\n" * text.count("\n", 0, begin) + piece for begin, piece in pieces if _says_something(piece)]


def _says_something(piece: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in piece.splitlines())


def kind(data: Any) -> tuple[str, Problem | None]:
    """`SLO` or `SLI`, or empty for what is not read; with what is to be said about it."""
    if not isinstance(data, dict) or "apiVersion" not in data:
        return "", Problem((), "this is no OpenSLO document", f"begin it with apiVersion: {VERSION}")
    if data["apiVersion"] != VERSION:
        return "", Problem(("apiVersion",), f'"{data["apiVersion"]}" is not read', f"write it as {VERSION}")
    found = data.get("kind")
    if found in {"SLO", "SLI"}:
        return found, None
    if found in _PASSED_OVER:
        return "", None
    if found in _ALERTING:
        hint = "remove it: burn-rate alerts come with every objective, and go to the agent's owner"
        return "", Problem(("kind",), f"{found} is not read", hint, serious=False)
    return "", Problem(("kind",), f'"{found}" is not read', "SLO and SLI are")


def read(document: SloDocument, indicators: Mapping[str, IndicatorSpec]) -> Read:
    """`indicators` are the SLI documents of all files, by name."""
    found = list(_refusals(document))
    spec, path, troubles = _indicator(document, indicators)
    found += troubles
    window, troubles = _window(document.spec.windows)
    found += troubles
    targets = [_target(number, goal) for number, goal in enumerate(document.spec.goals)]
    found += [problem for _, problem in targets if problem is not None]
    ratio, troubles = _ratio(spec, path)
    found += troubles
    if ratio is None or any(problem.serious for problem in found):
        return Read((), tuple(found))
    goals = zip(document.spec.goals, (target for target, _ in targets), strict=True)
    made = [
        _objective(document, goal, number, target, window, ratio)
        for number, (goal, target) in enumerate(goals, start=1)
    ]
    return Read(tuple(made), tuple(found))


def agent_of(document: SloDocument) -> tuple[str, Path]:
    label = document.metadata.labels.get("agent")
    if isinstance(label, str) and label:
        return label, ("metadata", "labels", "agent")
    return document.spec.service, ("spec", "service")


def _objective(
    document: SloDocument, goal: Goal, number: int, target: float, window: timedelta, ratio: dict[str, str]
) -> Objective:
    name = document.metadata.name
    title = goal.name or document.metadata.display_name or name
    severity = document.metadata.annotations.get(SEVERITY, "warning")
    return Objective(
        agent=agent_of(document)[0],
        name=name if number == 1 else f"{name}-{number}",
        title=title,
        miss=f"miss {title}",
        target=target,
        window=window,
        severity=severity,
        runbook=document.metadata.annotations.get(RUNBOOK, ""),
        **ratio,
    )


def _refusals(document: SloDocument) -> Iterator[Problem]:
    spec = document.spec
    if not agent_of(document)[0]:
        hint = "name the agent as spec.service, or as the label agent of metadata"
        yield Problem(("spec",), f'SLO "{document.metadata.name}" belongs to no agent', hint)
    if spec.method != "Occurrences":
        hint = "budgets count events here: use Occurrences"
        yield Problem(("spec", "budgetingMethod"), f"the budgeting method {spec.method} is not read", hint)
    if not spec.goals:
        yield Problem(("spec",), f'SLO "{document.metadata.name}" has no objective', "add objectives: [{target: 0.99}]")
    if spec.alert_policies:
        hint = "remove it: burn-rate alerts come with every objective"
        yield Problem(("spec", "alertPolicies"), "alert policies are not read", hint, serious=False)
    severity = document.metadata.annotations.get(SEVERITY, "warning")
    if severity not in {"critical", "warning", "info"}:
        yield Problem(("metadata", "annotations", SEVERITY), f'"{severity}" is not critical, warning or info')
    for number, goal in enumerate(spec.goals):
        path: Path = ("spec", "objectives", number)
        for key, value in (("timeSliceTarget", goal.slice_target), ("timeSliceWindow", goal.slice_window)):
            if value is not None:
                yield Problem((*path, key), "time slices are not read", "use budgetingMethod: Occurrences without it")
        for key, given in (
            ("op", goal.op is not None or goal.value is not None),
            ("indicator", goal.indicator is not None or goal.indicator_reference is not None),
            ("compositeWeight", goal.weight is not None),
        ):
            if given:
                way = {
                    "op": "give ratioMetric with good and total; a bucket of a histogram counts what is below a value",
                    "indicator": "write an SLO for each indicator",
                    "compositeWeight": "write an SLO for each indicator",
                }[key]
                yield Problem((*path, key), f"{key} is not read: an objective has one indicator and a target", way)


def _indicator(
    document: SloDocument, indicators: Mapping[str, IndicatorSpec]
) -> tuple[IndicatorSpec | None, Path, list[Problem]]:
    spec = document.spec
    if spec.indicator is not None:
        return spec.indicator.spec, ("spec", "indicator", "spec"), []
    if spec.indicator_reference is None:
        hint = "give indicator: {spec: {ratioMetric: …}}, or indicatorRef"
        return None, (), [Problem(("spec",), f'SLO "{document.metadata.name}" has no indicator', hint)]
    found = indicators.get(spec.indicator_reference)
    path: Path = ("spec", "indicatorRef")
    if found is None:
        return None, (), [Problem(path, f'there is no SLI "{spec.indicator_reference}"', "put it into slos/ as well")]
    return found, path, []


def _window(windows: Sequence[TimeWindow]) -> tuple[timedelta, list[Problem]]:
    window = timedelta(days=28)
    path: Path = ("spec", "timeWindow")
    if len(windows) > 1:
        return window, [Problem(path, "there is more than one time window", "write an SLO for each")]
    for one in windows:
        if not one.rolling or one.calendar is not None:
            hint = "write isRolling: true, and leave calendar away"
            return window, [Problem((*path, 0), "windows of the calendar are not read", hint)]
        match = _SPAN.fullmatch(one.duration)
        if match is None or int(match[1]) == 0:
            hint = "months, quarters and years differ in length; write days or weeks, 28d"
            return window, [Problem((*path, 0, "duration"), f'the duration "{one.duration}" is not read', hint)]
        window = timedelta(**{_UNITS[match[2]]: int(match[1])})
    return window, []


def _target(number: int, goal: Goal) -> tuple[float, Problem | None]:
    path: Path = ("spec", "objectives", number)
    given = [
        value for value in (goal.target, None if goal.percent is None else goal.percent / 100) if value is not None
    ]
    if len(given) != 1:
        return 0.0, Problem(path, "an objective has exactly one of target and targetPercent")
    if not 0 < given[0] < 1:
        key = "target" if goal.target is not None else "targetPercent"
        text = "a target lies between 0 and 1, without them: with no budget every event is one too many"
        return 0.0, Problem((*path, key), text, "write target: 0.99 or targetPercent: 99")
    return round(given[0], 12), None


def _ratio(spec: IndicatorSpec | None, path: Path) -> tuple[dict[str, str] | None, list[Problem]]:
    if spec is None:
        return None, []
    inside = path[-1:] != ("indicatorRef",)  # else it stands in another document: the reference is shown
    at: Path = (*path, "ratioMetric") if inside else path
    if spec.ratio is None:
        what = "thresholdMetric" if spec.threshold is not None else "an indicator without ratioMetric"
        hint = "give ratioMetric with good and total; a bucket of a histogram counts what is below a threshold"
        return None, [Problem((*path, "thresholdMetric") if inside else path, f"{what} is not read", hint)]
    ratio = spec.ratio
    if ratio.raw is not None or ratio.raw_type is not None:
        return None, [Problem((*at, "raw") if inside else at, "a ready-made ratio is not read", "give good and total")]
    if ratio.total is None or (ratio.good is None) == (ratio.bad is None):
        return None, [Problem(at, "a ratio has total, and exactly one of good and bad")]
    found: dict[str, str] = {}
    problems = []
    for key in ("good", "bad", "total"):
        metric: Metric | None = getattr(ratio, key)
        if metric is None:
            continue
        place: Path = (*at, key, "metricSource") if inside else at
        if metric.source.type.lower() != "prometheus":
            hint = "give the PromQL of the same: type: Prometheus"
            problems.append(Problem((*place, "type") if inside else place, f"{metric.source.type} is not asked", hint))
            continue
        try:
            found[key] = per_second(metric.source.spec.query, counter=ratio.counter)
        except QueryError as error:
            problems.append(Problem((*place, "spec", "query") if inside else place, f"{key}: {error}"))
    return (None if problems else found), problems
