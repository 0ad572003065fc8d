"""`agentpager runbook …` as an author types it."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner
from config_files import EXAMPLE

from bot.cli import check, runbook, test


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A copy of the sample configuration, as the current directory."""
    shutil.copytree(EXAMPLE, tmp_path / "config")
    monkeypatch.chdir(tmp_path / "config")
    return tmp_path / "config"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(runbook.command, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def out(*arguments: str) -> str:
    result = CliRunner().invoke(runbook.command, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.stdout


VAGUE = (
    "schema: runbook/v1\nid: vague\ntitle: Vague\nowner: team:payments\nreviewed_on: 2026-01-01\n"
    "applies_to: ['alertname=\"Elsewhere\"']\nsteps:\n  - {id: a, kind: manual, title: A, text: Check the dashboard}\n"
    '  - {id: up, kind: escalate, title: Up, to: "level:2"}\n'
)


def test_lint_of_a_sound_configuration_says_nothing(here):
    assert run("lint") == (0, "")
    assert run("lint", "-o", "json") == (0, "[]\n")


def test_lint_tells_mistakes_and_what_is_lacking_and_exits_1(here):
    (here / "runbooks" / "vague.yaml").write_text(VAGUE)
    code, output = run("lint", "--today", "2026-03-01")
    assert code == 1
    assert output == (
        'runbooks/vague.yaml:8:37 RB031 vague-step step "a" does not say what to look at and what is good (give a url,'
        " a number to compare with, or make it a check with query and expect)\n"
    )
    code, output = run("lint", "runbooks/vague.yaml", "--today", "2026-08-01", "-o", "json")
    assert code == 1
    assert [(one["code"], one["name"], one["severity"]) for one in json.loads(output)] == [
        ("RB011", "review-overdue", "error"),
        ("RB031", "vague-step", "warning"),
    ]
    assert list(json.loads(output)[0]) == ["file", "line", "column", "code", "severity", "message", "hint", "name"]


def test_lint_of_one_file_judges_it_beside_its_configuration(here):
    (here / "runbooks" / "vague.yaml").write_text(VAGUE.replace("team:payments", "team:paymnts"))
    assert run("lint", "runbooks/refund-tool-errors.yaml") == (0, "")
    _, output = run("lint", "runbooks/vague.yaml", "--today", "2026-01-02")
    assert [line.split()[1] for line in output.splitlines()] == ["RB010", "RB031"]


def test_lint_of_a_file_alone_believes_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vague.yaml").write_text(VAGUE)
    _, output = run("lint", "vague.yaml", "--today", "2026-01-02")
    assert [line.split()[1:3] for line in output.splitlines()] == [["RB031", "vague-step"]]
    (tmp_path / "other.yaml").write_text("groups: []\n")
    _, output = run("lint", ".", "--today", "2026-01-02")
    assert [line.split()[0] for line in output.splitlines()] == ["vague.yaml:8:37"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lint", "gone.yaml"], 'there is no "gone.yaml"'),
        (["lint"], "no configuration"),
        (["lint", "."], "holds no runbooks"),
        (["lint", "--today", "tomorrow"], "2026-12-24"),
        (["preview", "broken.yaml"], "broken.yaml:1:4"),
        (["preview", "good.yaml", "--incident", "gone.json"], "gone.json"),
        (["preview", "good.yaml", "--incident", "broken.yaml"], "no JSON"),
        (["preview", "good.yaml", "--label", "x"], "tool=search"),
        (["preview", "good.yaml", "--time", "x"], "RFC 3339"),
        (["preview", "good.yaml", "--from-file", "broken.yaml"], "broken.yaml"),
        (["new", "a b"], "cannot be the id"),
        (["new", "../x"], "cannot be the id"),
        (["new", "x"], "--owner team:payments"),
    ],
)
def test_what_cannot_be_used_exits_2_and_names_the_way_out(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "preview":
        (tmp_path / "good.yaml").write_text(VAGUE)
        (tmp_path / "broken.yaml").write_text("{} {")
    code, output = run(*arguments)
    assert code == 2
    assert words in output
    assert not (tmp_path / "runbooks").exists()


def test_lint_for_github_annotates_lines_and_escapes(here):
    (here / "runbooks" / "vague.yaml").write_text(VAGUE.replace("id: a,", 'id: a, when: "100%",'))
    _, output = run("lint", "--today", "2026-01-02", "-o", "github")
    lines = output.splitlines()
    assert lines[0].startswith("::error file=runbooks/vague.yaml,line=8,col=")
    assert "%25" not in lines[0] or "100%25" in lines[0]
    assert lines[-1].startswith("::warning file=runbooks/vague.yaml,line=8,col=")
    assert ",title=RB031 vague-step::step" in lines[-1]


def test_lint_for_code_scanning_is_sarif(here):
    (here / "runbooks" / "vague.yaml").write_text(VAGUE)
    report = json.loads(run("lint", "--today", "2026-08-01", "-o", "sarif")[1])
    assert report["version"] == "2.1.0"
    (part,) = report["runs"]
    review, vague = part["tool"]["driver"]["rules"]
    assert (review["id"], review["name"]) == ("RB011", "review-overdue")
    assert vague == {
        "id": "RB031",
        "name": "vague-step",
        "shortDescription": {"text": "a vague step"},
        "help": {"text": "give a url, a number to compare with, or make it a check"},
    }
    assert [(one["ruleId"], one["ruleIndex"], one["level"]) for one in part["results"]] == [
        ("RB011", 0, "error"),
        ("RB031", 1, "warning"),
    ]
    place = part["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "runbooks/vague.yaml"}, "region": {"startLine": 5, "startColumn": 1}}


def test_lint_knows_the_metrics_of_a_file(here):
    (here / "a.txt").write_text('agent_tool_calls_total{agent="a"} 1\n')
    (here / "b.txt").write_text('agent_tool_calls_total{outcome="ok"} 1\n')
    code, output = run("lint", "--from-file", "a.txt")
    assert (code, output.split()[1:3]) == (1, ["RB022", "unseen-metric"])
    assert 'was never seen with a label "outcome" (known: agent)' in output
    assert run("lint", "--from-file", "a.txt", "--from-file", "b.txt") == (0, "")
    (here / "b.txt").write_text("{")
    code, output = run("lint", "--from-file", "b.txt")
    assert (code, "b.txt" in output) == (2, True)


def test_a_new_runbook_passes_check_and_lint(here):
    code, output = run("new", "refund-cost", "--alert", "RefundCostHigh", "--agent", "refund-agent")
    assert code == 0
    assert "agentpager runbook preview runbooks/refund-cost.yaml" in output
    text = (here / "runbooks" / "refund-cost.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=schema/runbook.v1.json\n")
    assert '\nowner: "team:payments"\napplies_to: [\'alertname="RefundCostHigh", agent="refund-agent"\']\n' in text
    assert json.loads((here / "runbooks" / "schema" / "runbook.v1.json").read_text())["title"]
    assert run("lint") == (0, "")
    assert run("lint", "runbooks/refund-cost.yaml") == (0, "")
    assert CliRunner().invoke(check.command, []).output == ""
    assert run("preview", "runbooks/refund-cost.yaml")[0] == 0


def test_a_runbook_that_is_there_is_not_written_over_without_force(here):
    target = here / "runbooks" / "refund-tool-errors.yaml"
    before = target.read_text()
    code, output = run("new", "refund-tool-errors")
    assert (code, target.read_text()) == (2, before)
    assert "--force" in output
    assert run("new", "refund-tool-errors", "--force")[0] == 0
    assert target.read_text() != before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--owner", "team:paymnts"], 'did you mean "team:payments"?'),
        (["--agent", "refund-agnt"], 'did you mean "refund-agent"?'),
    ],
)
def test_names_that_are_not_there_are_refused(here, arguments, words):
    code, output = run("new", "fresh", *arguments)
    assert code == 2
    assert words in output
    assert not (here / "runbooks" / "fresh.yaml").exists()


def test_an_alert_that_no_rule_has_is_remarked_on(here):
    code, output = run("new", "fresh", "--alert", "RefundCostHig")
    assert code == 0
    assert 'did you mean "RefundCostHigh"?' in output


def test_preview_on_samples_of_a_file(here):
    (here / "m.txt").write_text('agent_tool_calls_total{agent="refund-agent"} 1\n')
    text = out("preview", "runbooks/refund-tool-errors.yaml", "--label", "tool=crm", "--from-file", "m.txt")
    assert "1. Failing calls of crm (check)\n   ∅ no data (want < 5 %)\n" in text


def test_preview_shows_what_the_registry_says_of_the_agent(here):
    (here / "agents").mkdir(exist_ok=True)
    (here / "agents" / "more.yaml").write_text(
        'agents: {other-agent: {owner: "team:payments", title: Other, kill_switch: {how: "agentctl pause other"}}}\n'
    )
    source = VAGUE.replace("Check the dashboard", '"{{ agent.title }}: {{ agent.kill_switch.how }}"')
    (here / "runbooks" / "vague.yaml").write_text(source)
    assert "Other: agentctl pause other" in out("preview", "runbooks/vague.yaml", "--label", "agent=other-agent")


def test_preview_as_block_kit_and_as_html(here):
    message = json.loads(out("preview", "runbooks/refund-tool-errors.yaml", "--as", "slack"))
    assert message["blocks"][0]["text"]["text"] == "📖 A tool of the refund agent fails"
    page = json.loads(out("preview", "runbooks/refund-tool-errors.yaml", "--as", "slack", "--message", "page"))
    assert "Acknowledge" in json.dumps(page)
    html = out("preview", "runbooks/refund-tool-errors.yaml", "--as", "html")
    assert html.startswith("<!doctype html>")
    assert "Rotate the token" in html


def test_the_schema_is_printed():
    assert json.loads(out("schema"))["$schema"] == "http://json-schema.org/draft-07/schema#"


def rule_test(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(test.command, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


TESTED = "tests/refund-tool-errors.yaml"


def test_the_runbook_of_the_sample_configuration_passes_its_tests(here):
    assert run("test", TESTED) == (0, f"Runbook Testing:  {TESTED}\n  SUCCESS\n\n")


def test_a_runbook_that_says_something_else_fails_its_tests(here):
    path = here / "runbooks" / "refund-tool-errors.yaml"
    path.write_text(path.read_text().replace('expect: "< 0.05"', 'expect: "< 0.9"'))
    code, output = run("test", TESTED)
    assert code == 1
    assert "the payment provider refuses at 10m\n        at tests/refund-tool-errors.yaml:10\n" in output
    assert "check failing: expected fail 62 %, got pass 62 %" in output
    code, output = run("test", TESTED, "-o", "junit")
    assert (code, 'tests="2" failures="1" errors="0"' in output) == (1, True)
    path.write_text(path.read_text().replace("kind: check", "kind: chek"))
    code, output = run("test", TESTED)
    assert (code, "refund-tool-errors.yaml:11:11 bad-value" in output) == (2, True)


def test_a_golden_file_is_written_on_demand_and_nowhere_else(here):
    path = here / TESTED
    path.write_text(path.read_text() + "        exp_file: goldens/none.json\n")
    code, output = run("test", TESTED)
    assert (code, "goldens/none.json is not there; --update writes it" in output) == (1, True)
    assert run("test", TESTED, "--update")[0] == 0
    assert json.loads((here / "tests" / "goldens" / "none.json").read_text())["blocks"]
    assert run("test", TESTED)[0] == 0
    path.write_text(path.read_text().replace("goldens/none", "goldens/../../none"))
    code, output = run("test", TESTED, "--update")
    assert (code, "is not below tests" in output) == (2, True)
    assert not (here / "none.json").exists()


def test_tests_of_rules_and_runbooks_are_played_together(here):
    (here / "rules.yaml").write_text("tests:\n  - promql_expr_test: [{expr: '1', exp_samples: [{value: 2}]}]\n")
    code, output = rule_test(TESTED)
    assert (code, output) == (0, f"Runbook Testing:  {TESTED}\n  SUCCESS\n\n")
    code, output = rule_test(TESTED, "rules.yaml", "-o", "json")
    report = json.loads(output)
    assert (code, report["verdict"]) == (1, "failed")
    assert report["cases"] == {"passed": 2, "failed": 1, "error": 0, "skipped": 0}
    assert [one["file"] for one in report["files"]] == ["rules.yaml", TESTED]
    code, output = rule_test(TESTED, "rules.yaml", "-o", "junit")
    assert code == 1
    assert output.count("<testsuite ") == 2
    assert output.count("</testsuites>") == 1


MARKDOWN = "# DiskFull\n\n## Meaning\n\nFull.\n\n## Impact\n\nAll.\n\n## Mitigation\n\nDelete 5 files.\n"


def test_a_runbook_in_markdown_becomes_one_of_ours(here):
    (here / "DiskFull.md").write_text(MARKDOWN)
    code, output = run("import", "DiskFull.md", "--owner", "team:payments")
    assert code == 1
    assert output == (
        "runbooks/DiskFull.yaml written: 2 steps\n"
        "  DiskFull.md: there is no check: begin with one that tells whether it is still going on\n"
    )
    assert CliRunner().invoke(check.command, []).output == ""
    assert run("lint", "runbooks/DiskFull.yaml") == (0, "")
    before = (here / "runbooks" / "DiskFull.yaml").read_text()
    assert before == out("import", "DiskFull.md", "--owner", "team:payments", "--stdout")
    code, output = run("import", "DiskFull.md", "--owner", "team:other")
    assert (code, "--force writes over it" in output) == (2, True)
    assert (here / "runbooks" / "DiskFull.yaml").read_text() == before
    assert run("import", "DiskFull.md", "--owner", "team:other", "--alert", "Disk", "--force")[0] == 1
    assert "applies_to: ['alertname=\"Disk\"']" in (here / "runbooks" / "DiskFull.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.md"], "--owner"),
        (["gone.md", "--owner", "team:a"], "gone.md"),
        (["a.md", "b.md", "--owner", "team:a", "--alert", "X"], "one FILE only"),
        (["a.md", "b.md", "--owner", "team:a", "--stdout"], "one FILE only"),
        (["b.md", "--owner", "team:a"], "not UTF-8"),
        (["...md", "--owner", "team:a"], "cannot be the id"),
        (["a.md", "--owner", "storage"], "team:NAME"),
    ],
)
def test_what_cannot_be_imported_is_refused(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.md").write_text(MARKDOWN)
    (tmp_path / "b.md").write_bytes(b"\xff")
    (tmp_path / "...md").write_text(MARKDOWN)
    code, output = run("import", *arguments)
    assert (code, words in output) == (2, True), output
    assert not (tmp_path / "runbooks").exists()
