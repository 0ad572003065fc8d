"""Everything `runbook lint` finds, each code by one example that has it and one that has not.

An example holds files as `# file: NAME`, put over the sample configuration; a line with a finding ends in `# <- code`.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from datetime import date
from pathlib import Path

import pytest
from config_files import example, sources_of

from bot.authoring.lint import findings
from bot.authoring.seen import Seen, seen_in
from bot.runbooks.codes import CODES, NAMES

CASES = Path(__file__).parent / "cases"
TODAY = date(2026, 11, 21)
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "check.md").read_text()


def files_of(case: Path) -> dict[str, str]:
    files = example()
    for part in case.read_text().split("# file: ")[1:]:
        name, _, text = part.partition("\n")
        files[name] = text
    return files


def marked(files: dict[str, str]) -> list[tuple[str, int, str]]:
    lines = [(name, number, line) for name, text in files.items() for number, line in enumerate(text.split("\n"), 1)]
    return sorted((name, number, line.rsplit("# <- ", 1)[1]) for name, number, line in lines if "# <- " in line)


def codes(files: dict[str, str], today: date = TODAY) -> list[str]:
    return [one.code for one in findings(sources_of(files), today)]


def runbook(*steps: str, head: str = "owner: team:payments") -> dict[str, str]:
    up = '  - {id: up, kind: escalate, title: Up, to: "level:2"}'
    text = "\n".join(["schema: runbook/v1", "id: slow", "title: Slow", head, "steps:", *steps, up])
    return example() | {"runbooks/slow.yaml": text + "\n"}


RUN = "  - {id: run, kind: command, title: Run, run_on: here, text: run}"
APPLIES = "owner: team:payments\napplies_to: ['alertname=\"Elsewhere\"']"


def seen_of(case: Path) -> Seen | None:
    """An example may begin with lines of the metrics that were seen."""
    lines = [line.removeprefix("# seen: ") for line in case.read_text().splitlines() if line.startswith("# seen: ")]
    return seen_in("\n".join([*lines, ""]).encode()) if lines else None


@pytest.mark.parametrize("case", sorted(CASES.glob("*.bad.yaml")), ids=lambda case: case.stem)
def test_each_line_with_something_wrong_or_lacking_is_pointed_at_and_no_other(case):
    files = files_of(case)
    found = findings(sources_of(files), TODAY, seen_of(case))
    assert sorted((one.file, one.line, one.code) for one in found) == marked(files)
    number, _, name = case.name.removesuffix(".bad.yaml").partition("-")
    told = [one for one in found if one.code == name]
    assert {one.number for one in told} == {number}
    assert all(one.hint for one in told)


@pytest.mark.parametrize("case", sorted(CASES.glob("*.good.yaml")), ids=lambda case: case.stem)
def test_a_runbook_that_has_it_is_left_alone(case):
    assert findings(sources_of(files_of(case)), TODAY, seen_of(case)) == []


def test_every_code_has_an_example_of_either_kind():
    # What no example can show: see test_links.py and test_sources.py.
    apart = {"dead-link", "unreadable", "yaml-limit"}
    wanted = {f"{number}-{name}" for name, number in NAMES.items() if name not in apart}
    assert sorted(path.name for path in CASES.iterdir()) == sorted(
        f"{code}.{kind}.yaml" for code in wanted for kind in ("bad", "good")
    )
    assert {one.split("-")[0] for one in wanted} == set(CODES)


def test_every_code_for_authors_is_told_on_the_page_of_check():
    section = PAGE.split("## Runbooks, for their authors")[1].split("\n## ")[0]
    told = re.findall(r"(?m)^### ([a-z-]+)$", section)
    assert len(told) > 5
    assert set(told) <= set(NAMES)


def test_numbers_and_names_are_told_on_the_page_of_runbooks():
    rows = re.findall(r"(?m)^\| (RB\d{3}) \| ([^|]*) \|", (ROOT / "docs" / "runbooks.md").read_text())
    names = {(number, name) for number, told in rows for name in re.findall(r"`([a-z-]+)`", told)}
    assert names == {(number, name) for name, number in NAMES.items()}


def test_mistakes_are_told_as_check_tells_them():
    files = runbook("  - {id: run, kind: command, title: Run, text: run}", head=APPLIES)
    (found,) = findings(sources_of(files), TODAY)
    assert (found.file, found.line, found.code, found.severity) == ("runbooks/slow.yaml", 7, "run-on", "error")


def test_other_files_are_heard_only_on_runbooks():
    files = example()
    files["alerts/refund-agent.yaml"] = next(iter(v for k, v in files.items() if k.startswith("alerts/"))).replace(
        "runbook: refund-tool-errors", "runbook: refund-tool-erors"
    )
    files["agents/more.yaml"] = "agents: {x: {ownr: team:payments}}\n"
    assert [one.code for one in findings(sources_of(files), TODAY) if one.file.startswith("a")] == ["unknown-runbook"]


@pytest.mark.parametrize(
    ("today", "severity"),
    [
        (date(2026, 4, 1), None),
        (date(2026, 4, 2), "warning"),
        (date(2026, 6, 30), "warning"),
        (date(2026, 7, 1), "error"),
    ],
)
def test_a_review_is_a_warning_once_due_and_an_error_at_twice_the_time(today, severity):
    files = runbook(RUN, head=f"{APPLIES}\nreviewed_on: 2026-01-01\nreview_every: 90d")
    assert [one.severity for one in findings(sources_of(files), today)] == ([severity] if severity else [])


def test_without_a_configuration_no_alert_is_missed():
    files = {"runbooks/slow.yaml": runbook(RUN)["runbooks/slow.yaml"]}
    assert codes(files) == []


def test_a_runbook_that_applies_to_nothing_and_is_named_by_nobody_is_idle():
    assert codes(runbook(RUN)) == ["idle-runbook"]


def test_a_secret_is_found_in_a_file_that_is_no_runbook_and_not_repeated():
    files = {"runbooks/slow.yaml": "schema: runbook/v1\nnote: glpat-abcdefghij0123456789\n"}
    (found,) = [one for one in findings(sources_of(files), TODAY) if one.code == "secret-like"]
    assert (found.line, found.column, found.severity) == (2, 7, "error")
    assert "glpat" not in str(found)


def test_steps_that_slack_has_no_room_for_are_named():
    steps = [f"  - {{id: s{n}, kind: command, title: S{n}, run_on: here, text: {'x ' * 400}}}" for n in range(29)]
    found = [one for one in findings(sources_of(runbook(*steps, head=APPLIES)), TODAY) if one.code == "slack-budget"]
    assert len(found) == 30  # the text of some is cut, the others have no place at all
    assert any("it is left out" in one.message and '"s28"' in one.message for one in found)
    assert any("the command is cut" in one.message and '"s0"' in one.message for one in found)


def test_a_step_that_is_hidden_today_is_measured_all_the_same():
    step = (
        f'  - {{id: run, kind: command, title: Run, run_on: here, text: {"x" * 901}, when: alert.labels.env == "no"}}'
    )
    assert codes(runbook(step, head=APPLIES)) == ["slack-budget"]
