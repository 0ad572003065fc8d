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

CASES = Path(__file__).parent / "cases"
TODAY = date(2026, 11, 21)
PAGE = (Path(__file__).parents[3] / "docs" / "check.md").read_text()


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
    text = "\n".join(["schema: runbook/v1", "id: slow", "title: Slow", head, "steps:", *steps])
    return example() | {"runbooks/slow.yaml": text + "\n"}


RUN = "  - {id: run, kind: command, title: Run, run_on: here, text: run}"
APPLIES = "owner: team:payments\napplies_to: ['alertname=\"Elsewhere\"']"


@pytest.mark.parametrize("case", sorted(CASES.glob("*.bad.yaml")), ids=lambda case: case.stem)
def test_each_line_with_something_lacking_is_pointed_at_and_no_other(case):
    files = files_of(case)
    found = [(one.file, one.line, one.code) for one in findings(sources_of(files), TODAY)]
    assert sorted(found) == marked(files)
    assert {code for _, _, code in found} == {case.name.removesuffix(".bad.yaml")}


@pytest.mark.parametrize("case", sorted(CASES.glob("*.good.yaml")), ids=lambda case: case.stem)
def test_a_runbook_that_has_it_is_left_alone(case):
    assert findings(sources_of(files_of(case)), TODAY) == []


def test_every_code_for_authors_has_an_example_of_either_kind():
    section = PAGE.split("## Runbooks, for their authors")[1].split("\n## ")[0]
    told = re.findall(r"(?m)^### ([a-z-]+)$", section)
    assert len(told) > 5
    assert sorted(path.name for path in CASES.iterdir()) == sorted(
        f"{code}.{kind}.yaml" for code in told for kind in ("bad", "good")
    )


def test_mistakes_are_told_as_check_tells_them():
    files = runbook("  - {id: run, kind: command, title: Run, text: run}", head=APPLIES)
    (found,) = findings(sources_of(files), TODAY)
    assert (found.file, found.line, found.code, found.severity) == ("runbooks/slow.yaml", 7, "step-key", "error")


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
    steps = [f"  - {{id: s{n}, kind: command, title: S{n}, run_on: here, text: {'x ' * 400}}}" for n in range(30)]
    found = [one for one in findings(sources_of(runbook(*steps, head=APPLIES)), TODAY) if one.code == "slack-budget"]
    assert len(found) == 30  # the text of some is cut, the others have no place at all
    assert any("it is left out" in one.message and '"s29"' in one.message for one in found)
    assert any("the command is cut" in one.message and '"s0"' in one.message for one in found)


def test_a_step_that_is_hidden_today_is_measured_all_the_same():
    step = (
        f'  - {{id: run, kind: command, title: Run, run_on: here, text: {"x" * 901}, when: alert.labels.env == "no"}}'
    )
    assert codes(runbook(step, head=APPLIES)) == ["slack-budget"]
