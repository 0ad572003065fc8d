"""`agentpager import` as a user calls it: files, exit codes, and what it never does."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli.main import cli

EXAMPLES = Path(__file__).parents[1] / "importing"
PEOPLE = "oncall: U0ANA\nana@example.com: U0ANA\nben@example.com: U0BEN\ncleo@example.com: U0CLEO\nOld Timer: U0OLD\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.yaml").write_text(PEOPLE)

    def call(*args: str) -> Result:
        return CliRunner().invoke(cli, ["import", *args, "--at", "2026-11-21"])

    return call


def check(*args: str) -> Result:
    return CliRunner().invoke(cli, ["check", *args, "--at", "2026-11-21"])


FILLED = ("--slack-ids", "people.yaml", "--external-url", "https://pager.example.com")


def test_a_whole_alertmanager_and_the_people_of_pagerduty_side_by_side(run, tmp_path):
    first = run("alertmanager", str(EXAMPLES / "alertmanager.yml"), "-o", "pager", *FILLED)
    assert first.exit_code == 1, first.output
    assert "alertmanager.yml:13:1: key templates: messages are written by agentpager" in first.output
    assert "SMTP_PASSWORD: " in first.output
    assert (tmp_path / "pager" / "import-report.txt").read_text() in first.output
    assert check("pager").output == ""

    (tmp_path / "pager" / "import-report.txt").unlink()
    before = (tmp_path / "pager" / "agentpager.yaml").read_bytes()
    second = run("pagerduty", str(EXAMPLES / "pagerduty.json"), "-o", "pager", *FILLED)
    assert second.exit_code == 1, second.output
    assert (tmp_path / "pager" / "agentpager.yaml").read_bytes() == before
    assert check("pager").output == ""  # one fallback, that of the first import
    written = sorted(path.relative_to(tmp_path / "pager").as_posix() for path in (tmp_path / "pager").rglob("*.yaml"))
    assert written == [
        "agentpager-from-pagerduty.yaml",
        "agentpager.yaml",
        "incidents/alertmanager.yaml",
        "oncall/alertmanager.yaml",
        "oncall/pagerduty.yaml",
    ]


def test_nothing_is_written_over_not_even_a_part(run, tmp_path):
    (tmp_path / "pager" / "oncall").mkdir(parents=True)
    mine = tmp_path / "pager" / "oncall" / "alertmanager.yaml"
    mine.write_text("# mine\n")
    result = run("alertmanager", str(EXAMPLES / "alertmanager.yml"), "-o", "pager")
    assert result.exit_code == 2
    assert "nothing written" in result.output
    assert "oncall/alertmanager.yaml is there already" in result.output
    assert mine.read_text() == "# mine\n"
    assert [path for path in (tmp_path / "pager").rglob("*") if path.is_file()] == [mine]


def test_a_dry_run_writes_nothing(run, tmp_path):
    result = run("grafana-oncall", str(EXAMPLES / "grafana-oncall.json"), "--dry-run")
    assert result.exit_code == 1
    assert "Taken over" in result.output
    assert not (tmp_path / "imported").exists()


def test_what_fits_wholly_ends_with_0(run, tmp_path):
    text = "route: {receiver: a, group_by: [alertname]}\nreceivers: [{name: a, slack_configs: [{channel: '#a'}]}]\n"
    (tmp_path / "am.yml").write_text(text)
    result = run("alertmanager", "am.yml", *FILLED)
    assert (result.exit_code, "Not taken over" in result.output) == (0, False), result.output
    assert check("imported").output == ""


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("am.yml", "route: [", "am.yml:2:1 yaml-syntax"),
        ("am.yml", "\x00", "cannot stand in a YAML file"),
        ("people.yaml", "ana@example.com: ana", "has no Slack id"),
        ("people.yaml", "- ana", "it is no mapping"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(run, tmp_path, file, text, why):
    (tmp_path / "am.yml").write_text("route: {receiver: a}\n")
    (tmp_path / file).write_text(text)
    result = run("alertmanager", "am.yml", *FILLED)
    assert result.exit_code == 2
    assert why in result.output
    assert not (tmp_path / "imported").exists()


def test_paths_of_prometheus_lead_from_the_new_directory(run, tmp_path):
    there = tmp_path / "etc" / "prometheus"
    (there / "rules").mkdir(parents=True)
    (there / "rules" / "a.yml").write_text("groups: []\n")
    (there / "prometheus.yml").write_text("rule_files: [rules/*.yml]\n")
    result = run("prometheus", "etc/prometheus/prometheus.yml", "-o", "pager", *FILLED)
    assert "rules.files in agentpager.yaml" in result.output
    assert "files: [../etc/prometheus/rules/*.yml]" in (tmp_path / "pager" / "agentpager.yaml").read_text()
    assert check("pager").output == ""
