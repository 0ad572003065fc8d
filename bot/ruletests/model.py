"""A test file as checked, frozen objects: promtool's keys and no others, each case knowing its line.

What a series or a label set means is notation.py's work; whether the expectations hold is play.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from bot.errors import ConfigError, Finding
from bot.ruletests.notation import HistogramError, NotationError, Series, parse_metric, parse_series
from bot.schema import Model, parse_duration
from bot.yamldoc import Document, Limits, Scalar, scan

# Test files of others are long lists; what we allow in a configuration would be too little.
LIMITS = Limits(size=64 << 20, aliases=100_000, nodes=4_000_000, merges=True)
LONGEST_SECONDS = 2**63 / 10**9  # Go's longest duration, some 292 years
DEFAULT_INTERVAL = timedelta(minutes=1)


def _span(value: Any) -> Any:
    return parse_duration(value, LONGEST_SECONDS) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return "" if value is None else value


def _number(value: Any) -> Any:
    """YAML's numbers, and Go's words for those that are none."""
    if not isinstance(value, str):
        return value
    plain = value.replace("_", "").lower()
    sign = -1.0 if plain.startswith("-") else 1.0
    body = plain.lstrip("+-")
    if body in {".inf", "inf", ".nan", "nan"}:
        return sign * float(body.lstrip("."))
    if body.startswith("0") and body[1:].isdecimal() and not set(body) & {"8", "9"}:
        return sign * int(body, 8)
    try:
        return sign * int(body, 0) if body.startswith(("0x", "0b", "0o")) else float(plain)
    except ValueError:
        raise ValueError("this is not a number; write for example 5, 0.25, 1e-3, .inf or .nan") from None


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("write seconds since 1970 or an instant with its offset such as 2026-01-01T00:00:00Z")
    return found.timestamp()


Span = Annotated[timedelta, BeforeValidator(_span), PlainSerializer(str)]
Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[float, BeforeValidator(_number)]


class _Lenient(Model):
    """A key without a value is the same as no key, as in Prometheus' own reader."""

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class InputSeries(_Lenient):
    series: str
    values: str = ""


class ExpectedAlert(_Lenient):
    exp_labels: dict[str, Text] = {}
    exp_annotations: dict[str, Text] = {}


class AlertTest(_Lenient):
    eval_time: Span = timedelta()
    alertname: str = Field(min_length=1)
    exp_alerts: tuple[ExpectedAlert, ...] = ()


class ExpectedSample(_Lenient):
    labels: str = ""
    value: Number = 0.0
    histogram: str = ""


class ExprTest(_Lenient):
    expr: str = Field(min_length=1)
    eval_time: Span = timedelta()
    exp_samples: tuple[ExpectedSample, ...] = ()


class TestGroup(_Lenient):
    """One entry under `tests:`: data, and what must come of it."""

    __test__ = False  # for pytest: no test of ours

    interval: Span = timedelta()
    input_series: tuple[InputSeries, ...] = ()
    name: str = ""
    alert_rule_test: tuple[AlertTest, ...] = ()
    promql_expr_test: tuple[ExprTest, ...] = ()
    external_labels: dict[str, Text] = {}
    external_url: str = ""
    start_timestamp: Annotated[float, BeforeValidator(_instant)] = 0.0


class TestFile(_Lenient):
    __test__ = False

    rule_files: tuple[str, ...] = ()
    evaluation_interval: Span = timedelta()
    group_eval_order: tuple[str, ...] = ()
    fuzzy_compare: bool = False
    tests: tuple[TestGroup, ...] = ()


@dataclass(frozen=True)
class Sample:
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class AlertCase:
    line: int
    at: timedelta
    alert: str
    expected: tuple[tuple[dict[str, str], dict[str, str]], ...]


@dataclass(frozen=True)
class ExprCase:
    """`unsupported` says why this case cannot be played at all."""

    line: int
    at: timedelta
    expr: str
    expected: tuple[Sample, ...]
    unsupported: str = ""


@dataclass(frozen=True)
class Group:
    """Of two series with the same labels the later one counts, as in promtool. `histograms` are the label sets, with
    their lines, of series that hold native histograms."""

    index: int
    line: int
    name: str
    interval: timedelta
    start: float
    series: tuple[Series, ...]
    alerts: tuple[AlertCase, ...]
    exprs: tuple[ExprCase, ...]
    external_labels: dict[str, str]
    external_url: str
    histograms: tuple[tuple[dict[str, str], int], ...] = ()

    @property
    def title(self) -> str:
        return self.name or f"unnamed#{self.index}"

    @property
    def cases(self) -> tuple[AlertCase | ExprCase, ...]:
        return (*self.alerts, *self.exprs)

    @property
    def until(self) -> timedelta:
        """The latest time that a case asks about."""
        return max((case.at for case in self.cases), default=timedelta())


@dataclass(frozen=True)
class Suite:
    """A whole test file."""

    file: str
    rule_files: tuple[str, ...]
    interval: timedelta
    order: tuple[str, ...]
    fuzzy: bool
    groups: tuple[Group, ...] = field(repr=False)


def read(text: str, file: str) -> Suite:
    """Raises ConfigError with every mistake in the file."""
    document, findings = scan(text, file, traps="warning", limits=LIMITS)
    errors = [finding for finding in findings if finding.severity == "error"]
    if document is None:
        raise ConfigError(errors)
    model, more = document.read(TestFile)
    errors += [finding for finding in more if finding.severity == "error"]
    errors += _repeated(document, model) if model is not None else ()
    if model is None or errors:
        raise ConfigError(errors)
    every = model.evaluation_interval or DEFAULT_INTERVAL
    reader = _Reader(document)
    groups = tuple(reader.group(index, group, every) for index, group in enumerate(model.tests))
    if reader.findings:
        raise ConfigError(reader.findings)
    return Suite(file, model.rule_files, every, model.group_eval_order, model.fuzzy_compare, groups)


def read_series(
    document: Document, path: tuple[str | int, ...], inputs: tuple[InputSeries, ...]
) -> tuple[tuple[Series, ...], list[Finding]]:
    """The `input_series` of the test at `path` in another kind of test file, and what is wrong with them."""
    reader = _Reader(document)
    series, histograms = reader._inputs(path, TestGroup(input_series=inputs))
    for _, line in histograms:
        text = "native histograms are not supported"
        reader.findings.append(Finding(document.file, line, 1, "notation", text, hint="use classic buckets"))
    return series, reader.findings


def _repeated(document: Document, model: TestFile) -> Iterator[Finding]:
    for index, name in enumerate(model.group_eval_order):
        if name in model.group_eval_order[:index]:
            text = f'group "{name}" is in group_eval_order twice'
            yield document.finding(("group_eval_order", index), "duplicate-group", text, "keep one of them")


class _Reader:
    """Turns the checked file into cases and collects what is wrong with series and label sets."""

    def __init__(self, document: Document) -> None:
        self.findings: list[Finding] = []
        self._document = document

    def group(self, index: int, model: TestGroup, every: timedelta) -> Group:
        path = ("tests", index)
        series, histograms = self._inputs(path, model)
        return Group(
            index=index,
            line=self._line(path),
            name=model.name,
            interval=model.interval or every,
            start=model.start_timestamp,
            series=series,
            alerts=tuple(
                self._alert((*path, "alert_rule_test", n), one) for n, one in enumerate(model.alert_rule_test)
            ),
            exprs=tuple(
                self._expr((*path, "promql_expr_test", n), one) for n, one in enumerate(model.promql_expr_test)
            ),
            external_labels=dict(model.external_labels),
            external_url=model.external_url,
            histograms=histograms,
        )

    def _line(self, path: tuple[str | int, ...]) -> int:
        return self._document.mark(path).line

    def _inputs(
        self, path: tuple[str | int, ...], model: TestGroup
    ) -> tuple[tuple[Series, ...], tuple[tuple[dict[str, str], int], ...]]:
        found: dict[frozenset[tuple[str, str]], Series] = {}
        histograms: list[tuple[dict[str, str], int]] = []
        for number, one in enumerate(model.input_series):
            try:
                series = parse_series(f"{one.series.strip()} {one.values}")
            except HistogramError as error:
                histograms.append((error.labels, self._line((*path, "input_series", number))))
            except NotationError as error:
                self._notation((*path, "input_series", number), one, error)
            else:
                found[frozenset(series.labels.items())] = series
        return tuple(found.values()), tuple(histograms)

    def _notation(self, path: tuple[str | int, ...], one: InputSeries, error: NotationError) -> None:
        """The position counts in the series and its values joined by a space."""
        length = len(one.series.strip())
        key, position = (
            ("series", error.position) if error.position < length else ("values", error.position - length - 1)
        )
        if key == "series":
            position += len(one.series) - len(one.series.lstrip())
        self._told((*path, key), key, max(position, 0), str(error))

    def _told(self, path: tuple[str | int, ...], key: str, position: int, message: str) -> None:
        finding = self._document.finding(path, "notation", f"{key}: {message} (character {position + 1})")
        node = self._document.node(path)
        if isinstance(node, Scalar) and "\n" not in (node.text or ""):
            column = finding.column + position + (not node.plain)
            finding = Finding(finding.file, finding.line, column, finding.code, finding.message)
        self.findings.append(finding)

    def _alert(self, path: tuple[str | int, ...], model: AlertTest) -> AlertCase:
        expected = [
            ({**one.exp_labels, "alertname": model.alertname}, dict(one.exp_annotations)) for one in model.exp_alerts
        ]
        return AlertCase(self._line(path), model.eval_time, model.alertname, tuple(expected))

    def _expr(self, path: tuple[str | int, ...], model: ExprTest) -> ExprCase:
        samples = []
        unsupported = ""
        for number, one in enumerate(model.exp_samples):
            if one.histogram:
                unsupported = "unsupported: native histograms cannot be expected, this engine has none"
            try:
                samples.append(Sample(parse_metric(one.labels), one.value))
            except NotationError as error:
                self._told((*path, "exp_samples", number, "labels"), "labels", error.position, str(error))
        return ExprCase(self._line(path), model.eval_time, model.expr, tuple(samples), unsupported)
