"""`agentpager explain` on the sample configuration."""

from __future__ import annotations

import json

from click.testing import CliRunner
from config_files import EXAMPLE

from bot.cli.main import cli

# 2026-11-25 lies in Ben's week.
NIGHT = "2026-11-25T02:00:00Z"


def explain(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["explain", *arguments, "--config", str(EXAMPLE)])
    return result.exit_code, result.output


def test_json_has_the_shape_that_other_tools_rely_on():
    code, output = explain("RefundToolErrors", "--at", NIGHT, "-o", "json")
    answer = json.loads(output)
    assert code == 0
    assert {key: answer[key] for key in ("alert", "owner", "policy", "agent", "severity")} == {
        "alert": "RefundToolErrors",
        "owner": "team:payments",
        "policy": "payments",
        "agent": "refund-agent",
        "severity": "critical",
    }
    assert answer["steps"][1] == {
        "after_seconds": 300,
        "people": ["ben", "ana"],
        "channels": ["#payments-agents"],
        "why": "no ack in 5 min; ben: named in the policy; ana: member of payments",
    }
    # Four rounds of 5 and 10 minutes, after an hour the fallback, then its team and then everybody.
    rounds = [0, 300, 900, 1200, 1800, 2100, 2700, 3000]
    assert [step["after_seconds"] for step in answer["steps"]] == [*rounds, 3600, 4500, 5400]
    people = [step["people"] for step in answer["steps"]]
    assert people == [["ben"], ["ben", "ana"]] * 4 + [["ben"], ["ben", "ana"], ["ben", "ana"]]
    assert answer["steps"][-1]["channels"] == ["#payments-agents", "#agent-pages"]


def test_text_shows_each_persons_own_time():
    code, output = explain("refund-agent", "--at", NIGHT)
    assert code == 0
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert lines[0] == "refund-agent, critical, from Wed 2026-11-25 02:00 UTC if nobody answers"
    assert "0s 1, round 1 Ben Cole (ben) Tue 21:00 America/New_York on call in payments-primary" in lines
    assert "Ana Ruiz (ana) Wed 03:05 Europe/Madrid member of payments" in lines
    assert "1h fallback Ben Cole (ben) Tue 22:00 America/New_York named in the policy" in lines
    assert lines[-1] == "Then everybody again every 15m, until somebody acts."


def test_a_name_that_is_none_is_a_usage_error():
    code, output = explain("RefundToolErors")
    assert code == 2
    assert 'did you mean "RefundToolErrors"?' in output


def test_an_alert_of_somebody_else_is_explained_by_its_labels():
    code, output = explain('owner="ana", severity=warning', "--at", NIGHT, "-o", "json")
    answer = json.loads(output)
    assert code == 0
    assert (answer["alert"], answer["severity"], answer["owner"]) == ("any alert", "warning", "person:ana")
    assert answer["steps"][0]["people"] == ["ana"]
    code, output = explain('severity=~"warning|critical"')
    assert (code, "an alert has one value of each label" in output) == (2, True)
