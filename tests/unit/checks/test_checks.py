"""Every check against one example that has its mistake and one that has not, each beside the sample configuration.

An example holds files as `# file: NAME` and their text; a line that a check must point at ends in `# <- code`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import example, sources_of

from bot import config
from bot.checks.every import CHECKS

CASES = Path(__file__).parent / "cases"


def files_of(case: Path) -> dict[str, str]:
    """The sample configuration with the example's files put over it; a file without text is taken away."""
    files = example()
    for part in case.read_text().split("# file: ")[1:]:
        name, _, text = part.partition("\n")
        files[name] = text
    return {name: text for name, text in files.items() if text.strip()}


def expected(files: dict[str, str]) -> list[tuple[str, int, str]]:
    lines = [(name, number, line) for name, text in files.items() for number, line in enumerate(text.split("\n"), 1)]
    return sorted((name, number, line.rsplit("# <- ", 1)[1]) for name, number, line in lines if "# <- " in line)


@pytest.mark.parametrize("case", sorted(CASES.glob("*.bad.yaml")), ids=lambda case: case.stem)
def test_a_check_points_at_each_line_with_its_mistake_and_no_other(case):
    files = files_of(case)
    found = [(finding.file, finding.line, finding.code) for finding in config.check(sources_of(files))]
    assert sorted(found) == expected(files)
    assert case.name.removesuffix(".bad.yaml") in {code for _, _, code in found}


@pytest.mark.parametrize("case", sorted(CASES.glob("*.good.yaml")), ids=lambda case: case.stem)
def test_a_check_is_silent_where_all_is_well(case):
    assert config.check(sources_of(files_of(case))) == []


@pytest.mark.parametrize("code", CHECKS)
def test_every_check_has_an_example_of_either_kind(code):
    assert (CASES / f"{code}.bad.yaml").is_file()
    assert (CASES / f"{code}.good.yaml").is_file()


@pytest.mark.parametrize("code", CHECKS)
def test_every_check_is_a_file_of_its_name(code):
    assert CHECKS[code].__module__ == f"bot.checks.{code.replace('-', '_')}"


def test_references_are_not_judged_while_a_file_is_unreadable():
    files = {**example(), "oncall/payments.yaml": "people: {"}
    assert [finding.code for finding in config.check(sources_of(files))] == ["yaml-syntax"]


def test_a_broken_entry_counts_as_a_name():
    files = example()
    files["oncall/payments.yaml"] = files["oncall/payments.yaml"].replace("slack: U03BACKUP", "slack: ben")
    assert [finding.code for finding in config.check(sources_of(files))] == ["bad-value"]
