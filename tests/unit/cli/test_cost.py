"""`agentpager slo`, `cost` and `forecast`: what is asked of the server, and how its answers are shown."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from core_world import NOW

from bot.agents.budget import Budget
from bot.agents.cost import Forecast, Spending
from bot.cli import cost as module
from bot.cli import slo
from bot.records.accounts import budget_row, cost_json, cost_lines, forecast_json

WEEKS = timedelta(weeks=4)


@pytest.fixture
def server(monkeypatch):
    """Keeps what it is asked, and answers `answer`."""
    asked = []

    def call(_config, method, path, _body=None, query=None):
        asked.append((method, path, query))
        return asked.answer

    class Asked(list):
        answer: object = None

    asked = Asked()
    monkeypatch.setattr(module, "call", call)
    monkeypatch.setattr(slo, "call", call)
    return asked


def run(command, *arguments: str):
    return CliRunner().invoke(command, [*arguments, "--config", "x"], catch_exceptions=False)


def budget(**fields) -> Budget:
    return Budget("refund-agent", "success", "success of runs", 0.95, WEEKS, NOW - WEEKS, **fields)


def test_budgets_are_a_table_that_says_what_is_not_known(server):
    server.answer = [budget_row(budget(since=NOW, events=1000.0, bad=25.0)), budget_row(budget())]
    lines = run(slo.command).output.splitlines()
    assert [part.strip() for part in lines[1].split("  ") if part.strip()] == [
        "refund-agent", "success of runs", "95 %", "97.5 %", "50 %", "1,000", "4w", "2026-11-04 02:00 UTC",
    ]  # fmt: skip
    assert "nothing yet" in lines[2]
    assert server == [("GET", "/api/pager/budgets", {})]


def test_budgets_of_one_agent_as_json(server):
    server.answer = [budget_row(budget(since=NOW - WEEKS, events=1000.0, bad=25.0))]
    (row,) = json.loads(run(slo.command, "--agent", "refund-agent", "-o", "json").output)
    assert (row["budget_left"], row["whole_window"]) == (0.5, True)
    assert server == [("GET", "/api/pager/budgets", {"agent": "refund-agent"})]


def test_costs_of_all_are_a_table_and_of_one_sentences(server):
    one = Spending("refund-agent", NOW, today=1.0, budget=10.0)
    server.answer = [cost_json(one) | {"lines": cost_lines(one)}]
    assert "$1.00  $10.00" in run(module.cost).output
    assert run(module.cost, "refund-agent").output.startswith("Today so far: $1.00 of $10.00 (10 %)\n")
    assert server[1] == ("GET", "/api/pager/costs", {"agent": "refund-agent"})


@pytest.mark.parametrize(
    ("written", "asked"), [("2000", "2000"), ("2000/day", "2000"), ("50k/day", "50000"), ("1.5m / d", "1500000")]
)
def test_a_volume_is_written_as_people_write_it(server, written, asked):
    server.answer = forecast_json(Forecast("refund-agent", 1.0, 0, None, 0.0, 0.0))
    assert run(module.forecast, "refund-agent", "--at", written, "--budget", "5000").exit_code == 0
    assert server == [("GET", "/api/pager/forecast", {"agent": "refund-agent", "at": asked, "budget": "5000"})]


@pytest.mark.parametrize("written", ["many", "0", "-5", "5/hour"])
def test_what_is_no_volume_is_refused(server, written):
    result = run(module.forecast, "refund-agent", f"--at={written}")
    assert result.exit_code == 2
    assert f'"{written}" is not runs a day' in result.stderr
    assert server == []
