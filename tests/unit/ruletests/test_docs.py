"""docs/rule-tests.md names every key, and its examples do what it says."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from pathlib import Path

from bot.ruletests import model
from bot.ruletests.report import FileResult, blocks
from tests.unit.ruletests.playing import played, verdicts

PAGE = (Path(__file__).parents[3] / "docs" / "rule-tests.md").read_text()
EXAMPLE = re.search(r"```yaml\n(# alerts/tests/queue.yaml\n.*?)```", PAGE, re.DOTALL)[1]
RULES = """
groups:
- name: queue
  rules:
  - alert: QueueGrows
    expr: queue_length > 50
    labels: {severity: warning}
    annotations: {summary: "{{ $value }} runs wait for {{ $labels.agent }}"}
"""


def rows(heading):
    """The names in the first column of the table under `heading`."""
    table = PAGE.split(f"| {heading} | default | |\n", 1)[1].split("\n\n", 1)[0]
    return {name for row in re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}


def test_every_key_has_its_row():
    assert rows("the file") == set(model.TestFile.model_fields)
    assert rows("a test") == set(model.TestGroup.model_fields)


def test_the_keys_inside_a_test_are_named():
    inner = (model.InputSeries, model.AlertTest, model.ExpectedAlert, model.ExprTest, model.ExpectedSample)
    names = {name for one in inner for name in one.model_fields} - {"histogram"}
    assert names <= set(re.findall(r"`(\w+)`", PAGE))


def test_the_example_passes():
    assert verdicts(EXAMPLE, RULES) == ["passed", "passed"]


def test_a_failure_reads_as_shown():
    results = tuple(played(EXAMPLE.replace("value: 45", "value: 55"), RULES))
    (block,) = blocks(FileResult("alerts/tests/queue.yaml", results))
    assert f"```\n  FAILED:\n{block}\n```" in PAGE
