"""`agentpager test FILE…`: unit tests of rules, in promtool's format."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from glob import glob
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import CONFIG_ERROR
from bot.cli.runbook_test import Played, exit_code, is_runbook_test, play_file, suite_xml, tell
from bot.cli.runbook_test import as_json as as_json_of_runbooks

if TYPE_CHECKING:
    from bot.rules.model import Group as RuleGroup
    from bot.ruletests.model import Group, Suite
    from bot.ruletests.play import GroupResult
    from bot.ruletests.report import FileResult

FEATURES = ("promql-experimental-functions",)
_WORTH_A_PROCESS = 3000  # expressions to answer; starting processes costs about as much
_SHARES_EACH = 4  # pieces of work a process gets, so that none waits long for the last one


@dataclass(frozen=True)
class _Work:
    """One test file, read."""

    file: str
    suite: Suite | None
    rules: tuple[RuleGroup, ...]
    groups: tuple[Group, ...]
    findings: tuple[Any, ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def alone(self) -> _Work:
        """Without its groups, for another process: they travel in shares."""
        return replace(self, groups=())


@click.command("test")
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Choice(["text", "json", "junit"]), default="text", show_default=True)
@click.option("--run", "names", multiple=True, metavar="REGEX", help="Only test groups with a name that matches.")
@click.option("--enable-feature", "features", multiple=True, metavar="NAME", help=f"Comma separated: {FEATURES[0]}.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Processes at most; the number of cores if not given.")
@click.pass_context
def command(
    context: click.Context,
    file: tuple[Path, ...],
    output: str,
    names: tuple[str, ...],
    features: tuple[str, ...],
    jobs: int | None,
) -> None:
    """Play unit tests of rules: files in promtool's format, on our own engine and rules. Tests of runbooks too.

    Exit code 0: all passed, 1: something failed, 2: a FILE cannot be read or is not a test file.
    """
    wanted = _chosen(names)
    experimental = _experimental(features)
    of_runbooks = [one for one in file if is_runbook_test(one)]
    works = [_read(one, wanted, experimental) for one in file if one not in of_runbooks]
    results = []
    with _progress(len(works)) as progress:
        for result in _results(works, experimental, jobs):
            results.append(result)
            progress(result if output == "text" else None)
    played = [play_file(one) for one in of_runbooks]
    if output == "json":
        from bot.ruletests.report import as_json

        click.echo(json.dumps(_together(as_json(results), played), indent=2, ensure_ascii=False))
    elif output == "junit":
        from bot.ruletests.report import as_junit

        suites = "".join(f"{suite_xml(one)}\n" for one in played)
        click.echo(as_junit(results).replace("</testsuites>", f"{suites}</testsuites>"))
    else:
        for one in played:
            tell(one)
    code = exit_code(played)
    if any(result.findings for result in results):
        code = CONFIG_ERROR
    context.exit(code or (1 if any(result.verdict != "passed" for result in results) else 0))


def _together(report: dict[str, Any], played: Sequence[Played]) -> dict[str, Any]:
    """One report of tests of rules and of runbooks."""
    if not played:
        return report
    from bot.authoring.trials import worst

    more: dict[str, Any] = as_json_of_runbooks(played)
    cases = {verdict: count + more["cases"].get(verdict, 0) for verdict, count in report["cases"].items()}
    files = [*report["files"], *more["files"]]
    return {"verdict": worst([report["verdict"], more["verdict"]]), "cases": cases, "files": files}


def _chosen(names: Sequence[str]) -> Callable[[str], bool]:
    from bot.labels import compile_regex

    if not names:
        return lambda name: True
    try:
        for name in names:
            compile_regex(name)
    except ValueError as error:
        raise click.UsageError(f"--run: {error}") from None
    pattern = compile_regex(".*(?:" + "|".join(names) + ").*")
    return lambda name: pattern.fullmatch(name) is not None


def _experimental(features: Sequence[str]) -> bool:
    named = {name.strip() for feature in features for name in feature.split(",") if name.strip()}
    unknown = sorted(named - set(FEATURES))
    if unknown:
        raise click.UsageError(f'--enable-feature: "{unknown[0]}" is not known here; known: {", ".join(FEATURES)}')
    return bool(named)


def _read(file: Path, wanted: Callable[[str], bool], experimental: bool) -> _Work:
    """The test file and the rule files it names. What is wrong with either is told with the results."""
    from bot.errors import ConfigError, Finding
    from bot.ruletests.model import read

    try:
        suite = read(file.read_text(encoding="utf-8"), str(file))
    except ConfigError as error:
        return _Work(str(file), None, (), (), findings=error.findings)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        found = Finding(str(file), 0, 0, "unreadable", f"cannot be read: {why}")
        return _Work(str(file), None, (), (), findings=(found,))
    rules, errors, warnings = read_rules(file.parent, suite.rule_files, experimental)
    groups = tuple(group for group in suite.groups if wanted(group.name))
    return _Work(str(file), replace(suite, groups=()), rules, groups, errors=errors, warnings=warnings)


def read_rules(
    base: Path, patterns: Sequence[str], experimental: bool
) -> tuple[tuple[RuleGroup, ...], tuple[str, ...], tuple[str, ...]]:
    """Rules, errors and warnings of the files that match."""
    from bot.errors import ConfigError
    from bot.ruletests.rulefiles import read

    rules: list[RuleGroup] = []
    errors: list[str] = []
    warnings: list[str] = []
    paths: dict[str, None] = {}
    for pattern in patterns:
        found = sorted(glob(str(base / pattern)))  # noqa: PTH207 - a pattern may be absolute, and hold ..
        if not found:
            warnings.append(f"no file match pattern {base / pattern}")
        paths.update(dict.fromkeys(found))
    for path in paths:
        try:
            groups, told = read(Path(path).read_text(encoding="utf-8"), path, experimental=experimental)
        except ConfigError as error:
            errors += [str(finding) for finding in error.findings]
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}")
        else:
            rules += groups
            warnings += told
    return tuple(rules), tuple(errors), tuple(warnings)


def _results(works: Sequence[_Work], experimental: bool, jobs: int | None) -> Iterator[FileResult]:
    """In the order of the files, each as soon as it and those before it are done."""
    cost = sum(_cost(work, group) for work in works for group in work.groups)
    processes = min(jobs or os.cpu_count() or 1, sum(len(work.groups) for work in works))
    if cost < _WORTH_A_PROCESS or processes < 2:
        for work in works:
            yield _file_result(work, [_played(work, work.groups, experimental)])
        return
    with ProcessPoolExecutor(processes, mp_context=_processes()) as pool:
        waiting = []
        for work in works:
            shares = _shares(work, cost / processes / _SHARES_EACH)
            waiting.append((work, [pool.submit(_played, work.alone(), share, experimental) for share in shares]))
        for work, futures in waiting:
            yield _file_result(work, [future.result() for future in futures])


def _processes() -> BaseContext:
    """A fork has everything loaded; where there is none, workers start from nothing."""
    return get_context("fork" if "fork" in get_all_start_methods() else "spawn")


def _cost(work: _Work, group: Group) -> int:
    """About how many expressions have to be answered."""
    if work.suite is None or work.errors:
        return 0
    rules = sum(len(one.rules) for one in work.rules)
    return (group.until // work.suite.interval + 1) * rules + len(group.cases)


def _shares(work: _Work, most: float) -> list[tuple[Group, ...]]:
    """The file's test groups in a row, cut into pieces that cost about the same."""
    shares: list[list[Group]] = []
    left = 0.0
    for group in work.groups:
        if left <= 0 or not shares:
            shares.append([])
            left = most
        shares[-1].append(group)
        left -= _cost(work, group)
    return [tuple(share) for share in shares]


def _file_result(work: _Work, shares: Sequence[tuple[list[GroupResult], float]]) -> FileResult:
    from bot.ruletests.report import FileResult

    groups = tuple(result for results, _ in shares for result in results)
    seconds = sum(seconds for _, seconds in shares)
    return FileResult(work.file, groups, work.findings, work.errors, work.warnings, seconds)


def _played(work: _Work, groups: Sequence[Group], experimental: bool) -> tuple[list[GroupResult], float]:
    """The results and how long they took; nothing is played when the rules cannot be read."""
    from bot.ruletests.play import Setting, play

    began = time.perf_counter()
    if work.suite is None or work.errors:
        return [], 0.0
    setting = Setting(work.suite, work.rules, experimental, time.perf_counter)
    return [play(setting, group) for group in groups], time.perf_counter() - began


@contextmanager
def _progress(files: int) -> Iterator[Callable[[FileResult | None], None]]:
    """Takes each file's result and tells it, if any; on a terminal a line says how far it is."""
    if files < 2 or not sys.stderr.isatty():
        yield lambda result: None if result is None else _tell(result)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as line:
        task = line.add_task("test files", total=files)

        def told(result: FileResult | None) -> None:
            line.advance(task)
            if result is not None:
                line.stop()  # the result goes to standard output too, which the line knows nothing of
                _tell(result)
                line.start()

        yield told


def _tell(result: FileResult) -> None:
    """As promtool: what failed goes to standard error, the rest to standard output."""
    from bot.ruletests.report import blocks

    click.echo(f"Unit Testing:  {result.file}")
    for warning in result.warnings:
        click.echo(f"  WARNING: {warning}", err=True)
    failures = blocks(result)
    if failures:
        click.echo("  FAILED:", err=True)
        for block in failures:
            click.echo(str(block), err=True)
            click.echo()
    else:
        click.echo("  SUCCESS")
    click.echo()
    sys.stdout.flush()
