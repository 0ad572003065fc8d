"""`agentpager test`: exit codes, what goes where, which groups run, and the same from several processes."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from bot.cli.main import cli

RULES = "groups: [{name: g, rules: [{record: double, expr: m * 2}]}]"


def case(value):
    return f"{{expr: double, eval_time: 1m, exp_samples: [{{labels: double, value: {value}}}]}}"


def group(name, *values):
    cases = ", ".join(map(case, values))
    return f"- {{name: {name}, input_series: [{{series: m, values: 1x9}}], promql_expr_test: [{cases}]}}\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)

    def invoke(*args, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return CliRunner().invoke(cli, ["test", *args])

    return invoke


def text(*groups):
    return "rule_files: [rules.yaml]\ntests:\n" + "".join(groups)


def test_success(run):
    result = run("t.yaml", t=text(group("one", 2)))
    assert result.exit_code == 0
    assert result.stdout == "Unit Testing:  t.yaml\n  SUCCESS\n\n"
    assert result.stderr == ""


def test_failures_go_to_standard_error_as_promtools_do(run):
    result = run("t.yaml", t=text(group("one", 3)))
    assert result.exit_code == 1
    assert result.stdout == "Unit Testing:  t.yaml\n\n\n"
    assert result.stderr == (
        "  FAILED:\n"
        '    expr: "double", time: 1m,\n'
        '        exp: {__name__="double"} 3E+00\n'
        '        got: {__name__="double"} 2E+00\n'
        "        at t.yaml:3: 1 sample expected, 1 got, 1 difference\n"
        '          ~ value: {__name__="double"}: expected 3, got 2 (relative difference 0.33)\n'
    )


def test_every_file_is_played_when_one_cannot_be_used(run):
    result = run("bad.yaml", "good.yaml", "none.yaml", bad="test: []", good=text(group("one", 2)))
    assert result.exit_code == 2
    assert "bad.yaml:1:1 unknown-key" in result.stderr
    assert "none.yaml:0:0 unreadable cannot be read: No such file or directory" in result.stderr
    assert "Unit Testing:  good.yaml\n  SUCCESS" in result.stdout


def test_what_cannot_be_used_counts_more_than_what_fails(run):
    assert run("bad.yaml", "t.yaml", bad="test: []", t=text(group("one", 3))).exit_code == 2


def test_a_rule_file_that_prometheus_would_not_load_fails_the_tests_of_it(run):
    result = run("t.yaml", t=text(group("one", 2)), rules="groups: [{name: g, rules: [{record: r, expr: sum( }]}]")
    assert result.exit_code == 1
    assert "rules.yaml:1:46 promql" in result.stderr


def test_rule_files_are_patterns_beside_the_test_file(run, tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "t.yaml").write_text(text(group("one", 2)).replace("[rules.yaml]", '["../rul*.yaml", "../rules.yaml"]'))
    assert run("deep/t.yaml").exit_code == 0


def test_a_pattern_that_matches_nothing_is_a_warning(run):
    result = run("t.yaml", t="rule_files: [no*.yaml]\ntests: []\n")
    assert result.exit_code == 0
    assert result.stderr == "  WARNING: no file match pattern no*.yaml\n"


@pytest.mark.parametrize(
    ("args", "failing"),
    [
        ((), ["one", "two", "three"]),
        (("--run", "t"), ["two", "three"]),
        (("--run", "^t.*o$"), ["two"]),
        (("--run", "one", "--run", "two"), ["one", "two"]),
        (("--run", "four"), []),
    ],
)
def test_only_groups_with_a_matching_name_run(run, args, failing):
    result = run("t.yaml", "-o", "json", *args, t=text(*(group(name, 9) for name in ("one", "two", "three"))))
    (file,) = json.loads(result.stdout)["files"]
    assert [test["name"] for test in file["tests"]] == failing
    assert result.exit_code == (1 if failing else 0)


@pytest.mark.parametrize("args", [("--run", "("), ("--enable-feature", "more-speed"), ()])
def test_wrong_usage(run, args):
    files = ("t.yaml",) if args else ()
    assert run(*files, *args, t=text()).exit_code == 2


def test_experimental_functions_are_a_feature(run):
    series = "input_series: [{series: m, values: 1 3 8}]"
    sample = "{expr: 'mad_over_time(m[5m])', eval_time: 2m, exp_samples: [{value: 2}]}"
    test = f"tests: [{{{series}, promql_expr_test: [{sample}]}}]"
    assert run("t.yaml", t=test).exit_code == 1
    assert run("t.yaml", "--enable-feature", "promql-experimental-functions", t=test).exit_code == 0


def test_several_processes_say_the_same_as_one(run):
    """A day of evaluations each, so that it is worth a second process."""
    late = "{expr: double, eval_time: 1d, exp_samples: []}"
    groups = [group(f"g{n}", 2, 3).replace("promql_expr_test: [", f"promql_expr_test: [{late}, ") for n in range(4)]
    files = {"t": text(*groups), "u": text(group("one", 3))}

    def told(*args):
        found = json.loads(run("t.yaml", "u.yaml", "-o", "json", *args, **files).stdout)
        for file in found["files"]:
            for part in (file, *file["tests"], *(case for test in file["tests"] for case in test["cases"])):
                part.pop("seconds")
        return found

    one = told("-j", "1")
    assert one["cases"] == {"passed": 8, "failed": 5, "error": 0, "skipped": 0}
    assert told("-j", "2") == one


def test_junit(run):
    result = run("t.yaml", "-o", "junit", t=text(group("one", 2, 3)))
    assert result.exit_code == 1
    (suite,) = ET.fromstring(result.stdout)
    assert [child.tag for entry in suite for child in entry] == ["failure"]
