"""`agentpager init` as a user types it."""

from __future__ import annotations

from click.testing import CliRunner

from bot.authoring.schema import schema_text
from bot.cli import check, init


def test_the_written_configuration_is_clean(tmp_path):
    assert CliRunner().invoke(init.command, [str(tmp_path / "new")]).exit_code == 0
    result = CliRunner().invoke(check.command, [str(tmp_path / "new")])
    assert (result.output, result.exit_code) == ("", 0)
    assert (tmp_path / "new" / ".env.example").is_file()
    assert list((tmp_path / "new" / "alerts").glob("*.yaml"))
    assert list((tmp_path / "new" / "runbooks").glob("*.yaml"))


def test_a_directory_with_other_things_in_it_is_fine(tmp_path):
    (tmp_path / "LICENSE").write_text("mine")
    assert CliRunner().invoke(init.command, [str(tmp_path)]).exit_code == 0
    assert (tmp_path / "LICENSE").read_text() == "mine"


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "oncall").mkdir()
    (tmp_path / "oncall" / "agents.yaml").write_text("mine")
    result = CliRunner().invoke(init.command, [str(tmp_path)])
    assert result.exit_code == 2
    assert "oncall/agents.yaml already there" in result.output
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["agents.yaml"]
    assert (tmp_path / "oncall" / "agents.yaml").read_text() == "mine"


def test_editors_find_the_schema_that_the_runbooks_name(tmp_path):
    assert CliRunner().invoke(init.command, [str(tmp_path)]).exit_code == 0
    assert (tmp_path / "runbooks" / "schema" / "runbook.v1.json").read_text() == schema_text()
    for path in (tmp_path / "runbooks").glob("*.yaml"):
        assert path.read_text().startswith("# yaml-language-server: $schema=schema/runbook.v1.json\n"), path.name
