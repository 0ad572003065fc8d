"""What a played test file says: promtool's words, our own differences beside them, and the same as JSON and JUnit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from bot.errors import Finding
from bot.promql.floats import format_json
from bot.rules.gofuncs import go_quote
from bot.ruletests.compare import SHOWN, Alert, order, order_alerts
from bot.ruletests.golang import go_duration, labels_text, prometheus_duration, value_text
from bot.ruletests.model import AlertCase, ExprCase, Sample
from bot.ruletests.play import CaseResult, GroupResult, RuleFailure, Verdict

_SIGNS = {"value": "~", "labels": "~", "annotation": "~", "missing": "-", "unexpected": "+"}


@dataclass(frozen=True)
class FileResult:
    """`findings`: the file itself cannot be used; `errors`: its rule files cannot."""

    file: str
    groups: tuple[GroupResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        if self.findings or self.errors or any(group.verdict == "error" for group in self.groups):
            return "error"
        return "failed" if any(group.verdict == "failed" for group in self.groups) else "passed"


@dataclass(frozen=True)
class Block:
    """One failure: `text` as promtool prints it, `more` in our own words."""

    text: str
    more: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"        {line}" for line in self.more)])


def blocks(result: FileResult) -> list[Block]:
    """Every failure of a file in promtool's order; none means the file passed."""
    found = [Block(str(finding)) for finding in result.findings]
    found += [Block(text) for text in result.errors]
    for group in result.groups:
        found += _group_blocks(result.file, group)
    return found


def _group_blocks(file: str, group: GroupResult) -> Iterator[Block]:
    if group.error:
        yield Block(f"{_name(group)}    {group.error}", (f"at {file}:{group.group.line}",))
    cases = [case for case in group.cases if case.verdict in {"failed", "error"}]
    yield from (_block(file, group, case) for case in cases if isinstance(case.case, AlertCase))
    for failure in group.failures:
        skipped = sum(case.verdict == "skipped" for case in group.cases)
        told = f"at {file}:{group.group.line}: {_counted(skipped, 'case')} not looked at"
        yield Block(_rule_text(failure), (told,))
    yield from (_block(file, group, case) for case in cases if isinstance(case.case, ExprCase))


def _rule_text(failure: RuleFailure) -> str:
    return f"    rule: {failure.rule}, time: {go_duration(failure.at)}, err: {failure.message}"


def _block(file: str, group: GroupResult, result: CaseResult) -> Block:
    return Block(case_text(group, result), tuple(_differences(file, result)))


def case_text(group: GroupResult, result: CaseResult) -> str:
    """promtool's words for a case that failed."""
    case = result.case
    at = prometheus_duration(case.at)
    if isinstance(case, ExprCase):
        head = f"    expr: {go_quote(case.expr)}, time: {at},"
        if result.error:
            return f"{head} err: {result.error}"
        return f"{head}\n        exp: {_samples(order(case.expected))}\n        got: {_samples(_got_samples(result))}"
    expected, got = _alerts(order_alerts(case.expected)), _alerts(_got_alerts(result))
    return f"{_name(group)}    alertname: {case.alert}, time: {at}, \n        exp:{expected}, \n        got:{got}"


def _name(group: GroupResult) -> str:
    return f"    name: {group.group.name},\n" if group.group.name else ""


def _got_samples(result: CaseResult) -> list[Sample]:
    return [one for one in result.got if isinstance(one, Sample)]


def _got_alerts(result: CaseResult) -> list[Alert]:
    return [one for one in result.got if not isinstance(one, Sample)]


def _samples(samples: Sequence[Sample]) -> str:
    return ", ".join(f"{labels_text(one.labels)} {value_text(one.value)}" for one in samples) or "nil"


def _alerts(alerts: Sequence[Alert]) -> str:
    if not alerts:
        return "[]"
    indent = " " * 12
    entries = [
        f"{indent}{number}:\n{indent}  Labels:{labels_text(labels)}\n{indent}  Annotations:{labels_text(annotations)}"
        for number, (labels, annotations) in enumerate(alerts)
    ]
    return "[\n" + ",\n".join(entries) + f"\n{indent}]"


def _differences(file: str, result: CaseResult) -> Iterator[str]:
    expected = result.case.expected
    yield f"at {file}:{result.case.line}: {_summary(len(expected), len(result.got), result)}"
    for difference in result.differences[:SHOWN]:
        yield f"  {_SIGNS[difference.kind]} {difference.kind}: {difference.text}"
    if len(result.differences) > SHOWN:
        yield f"  … and {len(result.differences) - SHOWN} more"


def _summary(expected: int, got: int, result: CaseResult) -> str:
    if result.error:
        return "there is no answer to compare"
    what = "alert" if isinstance(result.case, AlertCase) else "sample"
    return f"{_counted(expected, what)} expected, {got} got, {_counted(len(result.differences), 'difference')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# JSON ------------------------------------------------------------


def as_json(results: Iterable[FileResult]) -> dict[str, Any]:
    files = [_file_json(result) for result in results]
    cases = [case for file in files for test in file["tests"] for case in test["cases"]]
    counts = {
        verdict: sum(case["verdict"] == verdict for case in cases)
        for verdict in ("passed", "failed", "error", "skipped")
    }
    return {"verdict": _worst([file["verdict"] for file in files]), "cases": counts, "files": files}


def _worst(verdicts: Sequence[str]) -> str:
    return next((verdict for verdict in ("error", "failed") if verdict in verdicts), "passed")


def _file_json(result: FileResult) -> dict[str, Any]:
    return {
        "file": result.file,
        "verdict": result.verdict,
        "seconds": result.seconds,
        "errors": [*(str(finding) for finding in result.findings), *result.errors],
        "warnings": list(result.warnings),
        "tests": [_group_json(result.file, group) for group in result.groups],
    }


def _group_json(file: str, group: GroupResult) -> dict[str, Any]:
    return {
        "name": group.group.title,
        "file": file,
        "line": group.group.line,
        "verdict": group.verdict,
        "seconds": group.seconds,
        "errors": [*([group.error] if group.error else []), *(_rule_text(one).strip() for one in group.failures)],
        "cases": [_case_json(file, result) for result in group.cases],
    }


def _case_json(file: str, result: CaseResult) -> dict[str, Any]:
    case = result.case
    what = {"kind": "expr", "expr": case.expr} if isinstance(case, ExprCase) else {"kind": "alert", "alert": case.alert}
    return {
        **what,
        "time": prometheus_duration(case.at),
        "file": file,
        "line": case.line,
        "verdict": result.verdict,
        "seconds": result.seconds,
        "expected": [_entry(one) for one in case.expected],
        "got": [_entry(one) for one in result.got],
        "differences": [{"kind": one.kind, "text": one.text} for one in result.differences],
        "error": result.error,
    }


def _entry(one: Sample | Alert) -> dict[str, Any]:
    if isinstance(one, Sample):
        return {"labels": one.labels, "value": format_json(one.value)}
    return {"labels": one[0], "annotations": one[1]}


# JUnit ------------------------------------------------------------


def as_junit(results: Sequence[FileResult]) -> str:
    """A suite for each file, a test case for each case."""
    suites = "\n".join(_suite(result) for result in results)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suites}\n</testsuites>'


def _suite(result: FileResult) -> str:
    entries = [_broken(result, text) for text in (*map(str, result.findings), *result.errors)]
    for group in result.groups:
        entries += [_broken(result, text, group) for text in _group_errors(group)]
        entries += [_entry_xml(result.file, group, case) for case in group.cases]
    cases = [case for group in result.groups for case in group.cases]
    errors = sum("<error" in entry for entry in entries)
    failures = sum(case.verdict == "failed" for case in cases)
    skipped = sum(case.verdict == "skipped" for case in cases)
    head = f'tests="{len(entries)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    body = "".join(f"\n{entry}" for entry in entries)
    return f'  <testsuite name={attribute(result.file)} {head} time="{result.seconds:.3f}">{body}\n  </testsuite>'


def _group_errors(group: GroupResult) -> list[str]:
    return [*([group.error] if group.error else []), *(_rule_text(one).strip() for one in group.failures)]


def _broken(result: FileResult, text: str, group: GroupResult | None = None) -> str:
    name = group.group.title if group else result.file
    where = f'file={attribute(result.file)} line="{group.group.line if group else 0}"'
    case = f"<testcase classname={attribute(name)} name={attribute('rules')} {where}>"
    return f"    {case}<error message={attribute(text)}/></testcase>"


def _entry_xml(file: str, group: GroupResult, result: CaseResult) -> str:
    case = result.case
    at = prometheus_duration(case.at)
    name = f"{case.expr} at {at}" if isinstance(case, ExprCase) else f"{case.alert} at {at}"
    head = (
        f"    <testcase classname={attribute(group.group.title)} name={attribute(name)}"
        f' file={attribute(file)} line="{case.line}" time="{result.seconds:.3f}"'
    )
    if result.verdict == "passed":
        return f"{head}/>"
    if result.verdict == "skipped":
        return f"{head}><skipped/></testcase>"
    tag = "error" if result.verdict == "error" else "failure"
    first = result.error or "; ".join(one.text for one in result.differences[:3])
    text = _allowed(str(_block(file, group, result)))
    return f"{head}><{tag} message={attribute(first)}>{escape(text)}</{tag}></testcase>"


def attribute(text: str) -> str:
    """In quotes, as XML."""
    return quoteattr(_allowed(text), {"\n": "&#10;", "\t": "&#9;"})


def _allowed(text: str) -> str:
    """XML has no way to write most control characters."""
    return "".join(char if char >= " " or char in "\t\n\r" else "\ufffd" for char in text)
