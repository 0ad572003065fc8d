"""docs/coverage.md names only what there is, and serves every requirement once."""

import re  # noqa: TID251 - reads our own page
from pathlib import Path

import click
import pytest

from bot.cli.main import cli
from bot.rules.load import builtin, read
from bot.slack.grammar import VERBS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coverage.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if re.match(r"\| \d", line)
]
TICKED = sorted(set(re.findall(r"`([^`]+)`", PAGE)))
GROUPS = [group for path in (ROOT / "alerts").glob("*.yaml") for group in read(path.read_text(), path.name)]
ALERTS = {rule.alert for group in (*GROUPS, *builtin()) for rule in group.rules if rule.alert}
FILES = [name for name in TICKED if "/" in name and not name.startswith("/")]
COMMANDS = [name for name in TICKED if name.startswith("agentpager ")]
WORDS_OF_SLACK = [name for name in TICKED if name.startswith("/agent ")]
METRICS = [name for name in TICKED if re.fullmatch(r"(agent|agentpager|litellm)[_:][a-z0-9_:]+", name)]
NAMES = [name for name in TICKED if re.fullmatch(r"[A-Z][A-Za-z0-9]+", name)]
KEYS = [name for name in TICKED if re.fullmatch(r"[a-z][a-z0-9_]*", name) and name not in METRICS]
STAGES = {"crawl", "walk", "run"}


def command_of(words):
    """The command that these words call; None when there is none."""
    found = cli
    for word in words:
        if not isinstance(found, click.Group):
            return None
        found = found.get_command(click.Context(found), word)
    return found


def test_every_requirement_has_one_row_with_a_test_and_every_word_of_the_page_is_of_a_known_kind():
    assert sorted(int(row[0].removeprefix("| ")) for row in ROWS) == list(range(1, 49))
    assert [row for row in ROWS if len(row) != 4 or not re.search(r"`[a-z/]*tests/[^`]+`", row[3])] == []
    known = {*FILES, *COMMANDS, *WORDS_OF_SLACK, *METRICS, *NAMES, *KEYS}
    assert set(TICKED) - known == set()


def test_what_is_partly_served_is_explained_and_nothing_else():
    marked = {int(row[0].removeprefix("| ")) for row in ROWS if "(**partly**)" in row[1]}
    assert {int(number) for number in re.findall(r"^\* \*\*(\d+)\*\*", PAGE, re.MULTILINE)} == marked


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_there(name):
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_shipped(name):
    assert name in ALERTS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there(name):
    assert command_of(name.split()[1:]) is not None


@pytest.mark.parametrize("name", WORDS_OF_SLACK)
def test_every_word_of_slack_is_there(name):
    assert name.split()[1] in VERBS


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_read_by_a_rule_or_documented_as_our_own(name):
    expressions = "\n".join(f"{rule.record}\n{rule.expr}" for group in GROUPS for rule in group.rules)
    own = (ROOT / "docs" / "metrics-reference.md").read_text()
    assert re.search(rf"(?<![\w:]){re.escape(name)}(?![\w:])", expressions) or f"`{name}`" in own


@pytest.mark.parametrize("name", KEYS)
def test_every_key_is_documented(name):
    configuration = (ROOT / "docs" / "configuration.md").read_text()
    incidents = (ROOT / "docs" / "incidents.md").read_text()
    assert name in STAGES | {"up"} or f"| `{name}`" in configuration or f"`{name}:`" in incidents


def test_the_page_is_linked_from_the_readme():
    assert "(docs/coverage.md)" in (ROOT / "README.md").read_text()
