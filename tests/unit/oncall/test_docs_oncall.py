"""The examples of docs/oncall.md can be used as they stand."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
import textwrap
from pathlib import Path

import pytest
from config_files import example, sources_of

from bot import config

PAGE = (Path(__file__).parents[3] / "docs" / "oncall.md").read_text()
EXAMPLES = [
    textwrap.dedent(found) for found in re.findall(r"^ *```yaml\n(.*?)^ *```", PAGE, flags=re.MULTILINE | re.DOTALL)
]
PEOPLE = """\
people:
  ana: {name: Ana Ruiz, slack: U02ABCDEF, timezone: Europe/Madrid}
  ben: {name: Ben Cole, slack: U03BACKUP, timezone: America/New_York}
  cat: {name: Cat Lee, slack: U04CATLEE}
  dan: {name: Dan Dee, slack: U04DANDEE}
teams:
  payments: {members: [ana, ben]}
fallback: "person:ben"
"""
ROTA = "schedules:\n  payments-primary: {layers: [{people: [ana], start: 2026-11-02}]}\n"
POLICY = 'escalation_policies:\n  payments: {steps: [{notify: ["person:ana"]}]}\n'


def test_there_are_examples_of_each_kind():
    first_words = [text.split(":")[0] for text in EXAMPLES]
    assert first_words == ["holidays", "schedules", "escalation_policies", "steps"]


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split(":")[0])
def test_an_example_has_no_mistake(text):
    if text.startswith("steps:"):
        text = "escalation_policies:\n  payments:\n" + textwrap.indent(text, "    ")
    rest = (ROTA if "schedules:" not in text else "") + (POLICY if "escalation_policies:" not in text else "")
    files = example() | {"oncall/payments.yaml": PEOPLE + rest + text}
    assert config.check(sources_of(files)) == []
