"""The command group: what it lists, what it loads, how it fails."""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner

from bot.cli.main import COMMANDS, cli


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from bot.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('numpy', 'pydantic', 'aiohttp', 'slack_bolt', 'sqlalchemy') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"
    assert all(f"  {name} " in output for name in COMMANDS)


def test_every_command_can_be_loaded_and_explains_itself():
    for name in COMMANDS:
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0, name
        assert len(result.output.splitlines()) > 3, name


def test_an_unknown_command_names_the_nearest():
    result = CliRunner().invoke(cli, ["incidnts"])
    assert result.exit_code == 2
    assert 'Did you mean "incidents"?' in result.output


def test_a_missing_configuration_is_a_usage_error(tmp_path):
    result = CliRunner().invoke(cli, ["incidents", "--config", str(tmp_path)])
    assert result.exit_code == 2
    assert "agentpager init" in result.output


def test_a_server_that_is_not_there_is_unreachable(tmp_path):
    assert CliRunner().invoke(cli, ["init", str(tmp_path / "conf")]).exit_code == 0
    config = tmp_path / "conf" / "agentpager.yaml"
    config.write_text(config.read_text().replace("127.0.0.1:9095", "127.0.0.1:1"))
    result = CliRunner().invoke(cli, ["incidents", "--config", str(config)])
    assert result.exit_code == 3
    assert "agentpager serve" in result.output
    assert "(Connection refused)" in result.output, "the system's words, not the library's"


def test_oncall_answers_from_the_files_alone(tmp_path):
    assert CliRunner().invoke(cli, ["init", str(tmp_path / "conf")]).exit_code == 0
    args = ["oncall", "--config", str(tmp_path / "conf"), "--at", "2026-12-24T18:00:00Z", "-o", "json"]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    assert '"at": "2026-12-24T18:00:00+00:00"' in result.output
    assert CliRunner().invoke(cli, [*args[:-4], "--at", "tomorrow"]).exit_code == 2


def test_query_answers_from_an_exposition_file(tmp_path):
    page = tmp_path / "page.txt"
    page.write_text('# TYPE x counter\nx_total{a="1"} 3\nx_total{a="2"} 5\n')
    result = CliRunner().invoke(cli, ["query", "sum(x_total)", "--from-file", str(page), "--time", "1000"])
    assert result.exit_code == 0, result.output
    assert result.output.split() == ["SERIES", "VALUE", "{}", "8"]
    page.write_text("not { an exposition")
    result = CliRunner().invoke(cli, ["query", "x", "--from-file", str(page)])
    assert result.exit_code == 2
    assert "line 1" in result.output
