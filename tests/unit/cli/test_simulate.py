"""`agentpager simulate` and `agentpager oncall --report` on the sample configuration."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from config_files import EXAMPLE

from bot.cli.main import cli


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*arguments, "--config", str(EXAMPLE)])
    return result.exit_code, result.output


def test_a_recorded_history_wakes_who_was_on_duty(tmp_path):
    history = tmp_path / "history.jsonl"
    lines = [
        # Ana's week, at three at night in Madrid; Ben's week, at nine in the evening in New York; one before the time.
        {"starts_at": "2026-11-04T02:00:00Z", "ends_at": "2026-11-04T02:30:00Z"},
        {"starts_at": "2026-11-11T02:00:00Z", "ends_at": "2026-11-11T02:30:00Z"},
        {"starts_at": "2026-10-04T02:00:00Z", "ends_at": "2026-10-04T02:30:00Z"},
    ]
    labels = {"alertname": "RefundToolErrors", "agent": "refund-agent", "severity": "critical"}
    history.write_text("".join(json.dumps(line | {"labels": labels}) + "\n" for line in lines))
    options = ["--from", "2026-11-02", "--to", "2026-12-01", "--history", str(history), "--answers", "1", "-o", "json"]
    code, output = run("simulate", *options)
    told = json.loads(output)
    assert code == 0
    assert (told["alerts"], told["pages"], told["night_pages"]) == (2, 2, 1)
    assert told["ack_seconds"] == {"mean": 240.0, "longest": 240.0}
    assert [(row["person"], row["pages"], row["night_pages"]) for row in told["people"]] == [
        ("ana", 1, 1),
        ("ben", 1, 0),
    ]


def test_the_same_seed_tells_the_same():
    options = ["simulate", "--from", "2026-11-02", "--to", "2026-12-01", "--rate", "0.2"]
    first = run(*options)
    assert first == run(*options)
    assert first != run(*options, "--seed", "1")
    assert first[0] == 0
    assert "at night (22:00-07:00 where the person lives)" in first[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "2026-11-02", "--to", "2026-11-01"], "--to is not after --from"),
        (["--lasts", "long"], '"long" is not a duration'),
        (["--rate", "1000", "--to", "2099-01-01"], "more than 1000000 alerts"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(options, words):
    code, output = run("simulate", *options)
    assert code == 2
    assert words in output


def test_a_history_that_is_none_is_told_with_its_line(tmp_path):
    (tmp_path / "h.jsonl").write_text("x\n")
    code, output = run("simulate", "--history", str(tmp_path / "h.jsonl"))
    assert code == 2
    assert "h.jsonl:1: " in output


def test_the_report_has_the_shape_that_other_tools_rely_on():
    code, output = run("oncall", "--report", "--from", "2026-11-02", "--to", "2026-12-28", "-o", "json")
    (schedule,) = json.loads(output)["schedules"]
    assert code == 0
    # Eight weeks: Ana has the first, third, fifth and seventh from nine on Monday, and the hours before the first.
    assert schedule["schedule"] == "payments-primary"
    assert (schedule["covered"], schedule["gaps"]) == (1.0, [])
    assert [(row["person"], row["shifts"], row["hours"]) for row in schedule["people"]] == [
        ("ana", 4, 4 * 168 + 8),
        ("ben", 4, 4 * 168 - 8),
    ]


def test_the_report_in_words():
    code, output = run("oncall", "--report", "--from", "2026-10-31", "--to", "2026-11-04")
    assert code == 0
    assert "payments-primary: Sat 2026-10-31 01:00 to Mon 2026-11-02 00:00 (Europe/Madrid)" in output
    assert "Two duties at once: none" in output


@pytest.mark.parametrize("options", [["--report", "--at", "2026-11-02"], ["--from", "2026-11-02"]])
def test_options_of_the_report_and_of_an_instant_do_not_mix(options):
    assert run("oncall", *options)[0] == 2
