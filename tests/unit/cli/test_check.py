"""`agentpager check` as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from config_files import EXAMPLE

from bot.cli.check import _frame, command
from bot.errors import Finding


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A copy of the sample configuration, as the current directory."""
    shutil.copytree(EXAMPLE, tmp_path / "config")
    monkeypatch.chdir(tmp_path / "config")
    return tmp_path / "config"


def check(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_nothing_wrong_says_nothing_and_exits_0(here):
    assert check() == (0, "")
    assert check("-o", "json") == (0, "[]\n")


def test_each_mistake_is_one_line_and_exits_1(here):
    edit(here / "agents" / "refund-agent.yaml", "owner:", "ownr:")
    edit(here / "agentpager.yaml", "mode: socket", "mode: sockets")
    assert check() == (
        1,
        'agentpager.yaml:22:9 bad-value slack.mode must be one of socket, http, not "sockets"'
        ' (did you mean "socket"?)\n'
        'agents/refund-agent.yaml:4:5 unknown-key unknown key "ownr" in agents.refund-agent (did you mean "owner"?)\n',
    )


def test_json_has_the_shape_that_other_tools_rely_on(here):
    edit(here / "agents" / "refund-agent.yaml", "owner:", "ownr:")
    code, output = check("-o", "json")
    assert code == 1
    assert json.loads(output) == [
        {
            "file": "agents/refund-agent.yaml",
            "line": 4,
            "column": 5,
            "code": "unknown-key",
            "severity": "error",
            "message": 'unknown key "ownr" in agents.refund-agent',
            "hint": 'did you mean "owner"?',
            "name": "unknown-key",
        }
    ]


def test_names_are_relative_to_where_the_user_stands(here, monkeypatch):
    edit(here / "agents" / "refund-agent.yaml", "owner:", "ownr:")
    monkeypatch.chdir(here.parent)
    assert check("config")[1].startswith("config/agents/refund-agent.yaml:4:5 ")
    monkeypatch.chdir(here / "oncall")
    assert check("--config", "..")[1].startswith("../agents/refund-agent.yaml:4:5 ")


def test_one_file_is_judged_beside_the_configuration_it_belongs_to(here):
    edit(here / "agents" / "refund-agent.yaml", "team:payments", "team:payment")
    edit(here / "oncall" / "payments.yaml", "lead: ben", "lead: bne")
    code, output = check("agents/refund-agent.yaml")
    assert code == 1
    assert output.startswith("agents/refund-agent.yaml:4:12 unknown-owner")
    assert "oncall" not in output.split("unknown-owner")[0]


def test_a_file_that_belongs_to_nothing_is_judged_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("agents:\n  one: {owner: somebody, stge: run}\n")
    assert check("mine.yaml") == (
        1,
        'mine.yaml:2:26 unknown-key unknown key "stge" in agents.one (did you mean "stage"?)\n',
    )


def test_a_directory_of_rules_alone_is_checked(here):
    (here / "agentpager.yaml").unlink()
    assert check("alerts") == (0, "")
    edit(here / "alerts" / "refund-agent.yaml", "for: 2m", "fro: 2m")
    assert check("alerts")[1].startswith("alerts/refund-agent.yaml:9:9 unknown-key")


@pytest.mark.parametrize("arguments", [("nowhere",), ("targets",), ("--config", "nowhere"), ("-o", "xml")])
def test_what_cannot_be_checked_exits_2(here, arguments):
    assert check(*arguments)[0] == 2


def test_on_a_terminal_the_line_is_shown_with_a_caret(here):
    finding = Finding(
        "agents/refund-agent.yaml", 4, 5, "unknown-key", 'unknown key "ownr"', hint='did you mean "owner"?'
    )
    assert _frame(finding).plain == (
        'agents/refund-agent.yaml:4:5 unknown-key unknown key "ownr"\n'
        '     4 │     owner: "team:payments"\n'
        "       │     ^\n"
        '       ╰ did you mean "owner"?\n'
    )


SUNDAYS = """\
schedules:
  payments-primary:
    timezone: Europe/Madrid
    layers:
      - {people: [ana, ben], start: 2026-11-02, restrictions: [{days: [Mon-Sat]}]}
escalation_policies:
  payments:
    steps: [{notify: ["schedule:payments-primary"]}]
"""


def uncover(here: Path) -> None:
    """Nobody is on duty on Sundays."""
    path = here / "oncall" / "payments.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("schedules:")] + SUNDAYS + 'fallback: "person:ben"\n')


def test_times_at_which_only_the_fallback_is_there_are_told_at_the_schedule_that_leaves_them(here):
    uncover(here)
    code, output = check("--at", "2026-11-05T12:00Z", "--days", "8")
    assert code == 1
    assert output == (
        "oncall/payments.yaml:9:3 coverage-gap nobody but the fallback"
        " from Sun 2026-11-08 00:00 to Mon 2026-11-09 00:00 (Europe/Madrid) for critical and warning of refund-agent"
        " (cover it by a layer or an override, or add a step that always reaches somebody)\n"
    )


def test_how_far_ahead_it_is_proven_can_be_chosen(here):
    uncover(here)
    assert check("--at", "2026-11-05T12:00Z", "--days", "2") == (0, "")
    assert check("--at", "2026-11-05T12:00Z", "--days", "0") == (0, "")
    code, output = check("--at", "2026-11-05T12:00Z")
    assert code == 1
    assert "(Europe/Madrid, 96 h in all)" in output  # the 8th, 15th, 22nd and 29th


def test_a_configuration_with_errors_is_not_proven(here):
    uncover(here)
    edit(here / "agents" / "refund-agent.yaml", "owner:", "ownr:")
    assert "coverage-gap" not in check("--at", "2026-11-05T12:00Z")[1]
