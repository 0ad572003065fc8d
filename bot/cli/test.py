"""`agentpager test FILE…`: unit tests of rules, in promtool's format."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import CONFIG_ERROR

if TYPE_CHECKING:
    from bot.rules.model import Group as RuleGroup
    from bot.ruletests.model import Group, Suite
    from bot.ruletests.play import GroupResult
    from bot.ruletests.report import FileResult

FEATURES = ("promql-experimental-functions",)


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
    """Play unit tests of rules: files in promtool's format, on our own engine and rules.

    Exit code 0: all passed, 1: something failed, 2: a FILE cannot be read or is not a test file.
    """
    wanted = _chosen(names)
    experimental = _experimental(features)
    works = [_read(one, wanted, experimental) for one in file]
    results = []
    for result in _results(works, experimental, jobs):
        results.append(result)
        if output == "text":
            _tell(result)
    if output == "json":
        from bot.ruletests.report import as_json

        click.echo(json.dumps(as_json(results), indent=2, ensure_ascii=False))
    elif output == "junit":
        from bot.ruletests.report import as_junit

        click.echo(as_junit(results))
    if any(result.findings for result in results):
        context.exit(CONFIG_ERROR)
    context.exit(1 if any(result.verdict != "passed" for result in results) else 0)


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
    rules, errors, warnings = _read_rules(file.parent, suite, experimental)
    groups = tuple(group for group in suite.groups if wanted(group.name))
    return _Work(str(file), replace(suite, groups=()), rules, groups, errors=errors, warnings=warnings)


def _read_rules(
    base: Path, suite: Suite, experimental: bool
) -> tuple[tuple[RuleGroup, ...], tuple[str, ...], tuple[str, ...]]:
    from bot.errors import ConfigError
    from bot.ruletests.rulefiles import read

    rules: list[RuleGroup] = []
    errors: list[str] = []
    warnings: list[str] = []
    paths: dict[str, None] = {}
    for pattern in suite.rule_files:
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
    from bot.ruletests.report import FileResult

    for work in works:
        began = time.perf_counter()
        groups: tuple[GroupResult, ...] = ()
        if work.suite is not None and not work.errors:
            groups = tuple(_play(work.suite, work.rules, work.groups, experimental))
        seconds = time.perf_counter() - began
        yield FileResult(work.file, groups, work.findings, work.errors, work.warnings, seconds)


def _play(suite: Suite, rules: tuple[RuleGroup, ...], groups: Sequence[Group], experimental: bool) -> list[GroupResult]:
    from bot.ruletests.play import Setting, play

    setting = Setting(suite, rules, experimental, time.perf_counter)
    return [play(setting, group) for group in groups]


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
