"""docs/cli.md has a section for each command, with each of its options and arguments, and no other."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli.main import cli

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()


def commands(group: click.Group, name: str = "agentpager") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for part in group.list_commands(context):
        command = group.get_command(context, part)
        assert command is not None, f"{name} {part} is listed and not there"
        yield f"{name} {part}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {part}")


def sections() -> dict[str, str]:
    """Command → the text of its section."""
    parts = re.split(r"^## `([^`]+)`$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(section: str) -> set[str]:
    """The options and arguments in the first column of the section's table."""
    rows = re.findall(r"^\| (`[^|]+) \|", section, flags=re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`(--?[a-z-]+|[A-Z]+)", row)}


def names(command: click.Command) -> set[str]:
    found = set()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            found.update(parameter.opts)
        else:
            found.add(parameter.human_readable_name.upper())
    return found


COMMANDS = dict(commands(cli))


def test_every_command_has_its_section_and_no_section_is_left_over():
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_and_none_is_made_up(name):
    assert documented(sections()[name]) == names(COMMANDS[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_are_the_ones_that_are_documented(name):
    section = sections()[name]
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option) and parameter.show_default and parameter.default is not None:
            row = next(line for line in section.splitlines() if line.startswith(f"| `{parameter.opts[0]}"))
            assert f"| `{parameter.default}` |" in row


@pytest.mark.parametrize("code", range(4))
def test_every_exit_code_has_its_row(code):
    assert f"\n| {code} | " in PAGE
