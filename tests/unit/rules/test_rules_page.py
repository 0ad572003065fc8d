"""docs/rules.md and docs/runbooks.md say what the code does."""

from pathlib import Path

import pytest

from bot.rules.gofuncs import FUNCTIONS
from bot.rules.load import builtin, read
from bot.rules.model import Group, Rule
from bot.rules.template import MAX_DEPTH, MAX_SOURCE
from bot.runbooks.lint import problems, sample_context
from bot.runbooks.model import Runbook, Step
from bot.templating import _FILTERS, parse
from bot.yamldoc import parse as parse_yaml

ROOT = Path(__file__).parents[3]
RULES = (ROOT / "docs" / "rules.md").read_text()
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()


def keys_of(model):
    return {field.alias or name for name, field in model.model_fields.items()}


def example(page):
    return page.split("```yaml\n")[1].split("```")[0]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_of_rule_templates_is_documented(name):
    assert f"`{name}" in RULES


@pytest.mark.parametrize("key", sorted(keys_of(Group) - {"file"} | keys_of(Rule)))
def test_every_key_of_rules_is_documented(key):
    assert f"`{key}`" in RULES


@pytest.mark.parametrize("key", sorted(keys_of(Runbook) | keys_of(Step)))
def test_every_key_of_runbooks_is_documented(key):
    assert f"`{key}`" in RUNBOOKS


@pytest.mark.parametrize("name", sorted(_FILTERS))
def test_every_filter_of_runbooks_is_documented(name):
    assert f"`{name}`" in RUNBOOKS
    assert parse("{{ 1 | " + name + " }}")


def test_every_name_that_runbooks_can_use_is_documented():
    runbook = parse_yaml(example(RUNBOOKS), "x").validate(Runbook)
    context = sample_context(runbook)
    assert {name for name in context if f"`{name}`" not in RUNBOOKS} == set()
    inner = {key for name in ("alert", "agent", "incident") for key in context[name]}
    assert {key for key in inner if f"`{key}`" not in RUNBOOKS} == set()


def test_the_examples_have_no_mistake():
    runbook = parse_yaml(example(RUNBOOKS), "x").validate(Runbook)
    assert problems(runbook, "AgentToolFailing") == []
    assert read(example(RULES), "x")[0].rules[0].name == "AgentToolFailing"


def test_limits_and_built_in_rules_are_documented():
    assert f"{MAX_SOURCE} characters, ifs and parentheses {MAX_DEPTH}\ndeep" in RULES
    for group in builtin():
        for rule in group.rules:
            assert f"| `{rule.alert}` |" in RULES
