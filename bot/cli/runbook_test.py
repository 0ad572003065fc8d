"""`agentpager runbook test FILE…`: what a runbook says on made-up series, against what its test file expects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import CONFIG_ERROR
from bot.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from bot.authoring.trials import Result, Trials
    from bot.runbooks.model import Runbook


@dataclass(frozen=True)
class Played:
    """One test file. `errors`: it, its runbooks or its rules cannot be used."""

    file: str
    results: tuple[Result, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        from bot.authoring.trials import worst

        return "error" if self.errors else worst([one.verdict for one in self.results])


@click.command("test")
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-o", "--output", type=click.Choice(["text", "json", "junit"]), default="text", show_default=True)
@click.option("--update", is_flag=True, help="Write the files of exp_file anew instead of comparing with them.")
@click.pass_context
def command(context: click.Context, file: tuple[Path, ...], output: str, update: bool) -> None:
    """Render runbooks on made-up series and compare with what each FILE expects.

    Exit code 0: all passed, 1: something failed, 2: a FILE, or what it names, cannot be used.
    """
    played = [play_file(one, update=update) for one in file]
    if output == "json":
        click.echo(json.dumps(as_json(played), indent=2, ensure_ascii=False))
    elif output == "junit":
        suites = "\n".join(suite_xml(one) for one in played)
        click.echo(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suites}\n</testsuites>')
    else:
        for one in played:
            tell(one)
    context.exit(exit_code(played))


def is_runbook_test(file: Path) -> bool:
    """By its key `runbook_files`. What cannot be read is told where it is read in earnest."""
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            return any(line.startswith("runbook_files:") for line in lines)
    except OSError:
        return False


def exit_code(played: Sequence[Played]) -> int:
    if any(one.errors for one in played):
        return CONFIG_ERROR
    return 1 if any(one.verdict != "passed" for one in played) else 0


def play_file(file: Path, *, update: bool = False) -> Played:
    from bot.authoring.trials import play, read
    from bot.cli.test import read_rules

    try:
        trials = read(file.read_text(encoding="utf-8"), str(file))
        runbooks = _runbooks(file.parent, trials.runbook_files)
        rules, errors, _ = read_rules(file.parent, trials.rule_files, experimental=False)
        if errors:
            return Played(str(file), errors=errors)
        goldens = _goldens(file.parent, trials)
        results = play(trials, runbooks, rules, goldens)
        if update and _updated(file.parent, goldens, results):
            results = play(trials, runbooks, rules, _goldens(file.parent, trials))
    except ConfigError as error:
        return Played(str(file), errors=tuple(str(finding) for finding in error.findings))
    except UsageError as error:
        return Played(str(file), errors=(str(error),))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return Played(str(file), errors=(f"{file}: cannot be read: {why}",))
    return Played(str(file), tuple(results))


def _runbooks(base: Path, patterns: Sequence[str]) -> list[Runbook]:
    """Raises ConfigError with the mistakes of any of them, UsageError for a pattern that matches nothing."""
    from bot.runbooks.lint import problems
    from bot.runbooks.model import Runbook
    from bot.yamldoc import scan

    found: list[Runbook] = []
    for pattern in patterns:
        paths = sorted(glob(str(base / pattern)))  # noqa: PTH207 - a pattern may be absolute, and hold ..
        if not paths:
            raise UsageError(f"runbook_files: no file matches {base / pattern}")
        for path in map(Path, paths):
            document, findings = scan(path.read_text(encoding="utf-8"), str(path))
            if document is None:
                raise ConfigError(findings)
            runbook = document.validate(Runbook)
            wrong = [document.finding(*one[:4]) for one in problems(runbook, path.stem)]
            if wrong:
                raise ConfigError(wrong)
            found.append(runbook)
    return found


def _goldens(base: Path, trials: Trials) -> dict[str, str]:
    names = {one.case.exp_file for one in trials.trials if one.case.exp_file}
    outside = next((name for name in sorted(names) if ".." in Path(name).parts), None)
    if outside is not None:
        raise UsageError(f'exp_file: "{outside}" is not below {base}')
    there = [name for name in names if (base / name).is_file()]
    return {name: (base / name).read_text(encoding="utf-8") for name in there}


def _updated(base: Path, before: dict[str, str], results: Sequence[Result]) -> bool:
    wanted = {name: text for one in results for name, text in one.goldens if before.get(name) != text}
    for name, text in wanted.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text, encoding="utf-8")
    return bool(wanted)


def tell(played: Played) -> None:
    """As tests of rules are told: what failed goes to standard error."""
    click.echo(f"Runbook Testing:  {played.file}")
    failed = [one for one in played.results if one.verdict != "passed"]
    if not failed and not played.errors:
        click.echo("  SUCCESS\n")
        return
    click.echo("  FAILED:", err=True)
    for text in played.errors:
        click.echo(text, err=True)
    for one in failed:
        click.echo(f"    {one.title}\n        at {played.file}:{one.trial.line}", err=True)
        for text in one.differences:
            click.echo(f"        {text}", err=True)
    click.echo()


def as_json(played: Sequence[Played]) -> dict[str, object]:
    from bot.authoring.trials import as_json as file_json
    from bot.authoring.trials import worst

    files = [file_json(one.file, one.results) | {"verdict": one.verdict, "errors": list(one.errors)} for one in played]
    verdicts = [one.verdict for file in played for one in file.results]
    counts = {verdict: verdicts.count(verdict) for verdict in ("passed", "failed", "error")}
    return {"verdict": worst([one.verdict for one in played]), "cases": counts | {"skipped": 0}, "files": files}


def suite_xml(played: Played) -> str:
    from xml.sax.saxutils import escape

    from bot.ruletests.report import attribute

    head = f'    <testcase classname={attribute(played.file)} name="runbooks">'
    entries = [f"{head}<error message={attribute(text)}/></testcase>" for text in played.errors]
    for one in played.results:
        head = f"    <testcase classname={attribute(one.trial.group)} name={attribute(one.title)}"
        head += f' file={attribute(played.file)} line="{one.trial.line}"'
        if one.verdict == "passed":
            entries.append(f"{head}/>")
            continue
        tag = "error" if one.verdict == "error" else "failure"
        text = "\n".join(one.differences)
        entries.append(f"{head}><{tag} message={attribute(text[:300])}>{escape(text)}</{tag}></testcase>")
    failures = sum(one.verdict == "failed" for one in played.results)
    errors = len(played.errors) + sum(one.verdict == "error" for one in played.results)
    head = f'tests="{len(entries)}" failures="{failures}" errors="{errors}" skipped="0"'
    body = "".join(f"\n{entry}" for entry in entries)
    return f"  <testsuite name={attribute(played.file)} {head}>{body}\n  </testsuite>"
