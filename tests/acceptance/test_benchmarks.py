"""The benchmarks run: each at a tiny size, so that a command in docs/performance.md is never one that fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.fleet import Fleet, rules
from benchmarks.report import command, put

ROOT = Path(__file__).parents[2]
SMALL = ["--agents", "32", "--rules", "65", "--scrape", "0.5", "--interval", "1", "--fill", "6", "--rounds", "1"]


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_page_of_the_fleet_has_a_hundred_samples_with_the_labels_that_the_store_is_filled_with():
    fleet = Fleet(3)
    samples = [line for line in fleet.page(1, 1.7e9).decode().splitlines() if not line.startswith("#")]
    assert len(samples) == len(fleet.series(1)) == fleet.values(1.7e9).shape[1] == 100
    assert [line.partition("{")[0].split()[0] for line in samples] == [each["__name__"] for each in fleet.series(1)]


def test_a_fifth_of_the_rules_looks_at_the_whole_fleet_and_names_are_given_once():
    made = rules(130, 1000, interval=15)
    assert len({rule.get("alert") or rule["record"] for rule in made}) == 130
    wide = [rule for rule in made if 'agent="' not in rule["expr"]]
    readers = [rule for rule in wide if rule.get("alert", "").startswith("Recorded")]
    assert len(wide) - len(readers) + sum(index % 13 == 12 for index in range(0, 130, 5)) == 26


def test_rounds_in_this_process(tmp_path):
    drawing = tmp_path / "growth.svg"
    assert "| 1,000 | 13 |" in run("growth", "--fleets", "10", "20", "--rules", "13", "--rounds", "1", "--svg", drawing)
    assert ET.parse(drawing).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_an_agent_at_the_bounds_of_the_contract_has_the_series_that_the_contract_promises():
    rows = run("contract", "--agents", "2", "--minutes", "1").splitlines()
    series = {
        cells[1].strip(): int(cells[2])
        for row in rows
        if len(cells := row.split("|")) == 7 and cells[2].strip().isdigit()
    }
    assert series["core"] <= 430
    assert series["core, three layers a tool"] - series["core"] == 30 * 2 * 8, (
        "two more layers of eight outcomes a tool"
    )
    assert series["everything"] > series["core"]


def test_from_a_click_to_the_card_by_both_ways():
    arguments = ("--open", "6", "--clicks", "2", "--between", "0", "--goal-ms", "9000")
    rows = run("click", *arguments).splitlines()
    assert [row.split(" | ")[0] for row in rows if row.startswith(("| socket", "| http"))] == ["| socket", "| http"]


def test_from_a_click_to_its_edit():
    rows = run("ack", "--open", "6", "--past", "40", "--clicks", "2", "--goal-ms", "9000").splitlines()
    assert [row.split(" | ")[0] for row in rows if row.startswith(("| 0 ", "| 40 "))] == ["| 0", "| 40"]


def test_where_the_time_goes():
    assert "| part | share | ms |" in run("profile", "--agents", "20", "--rules", "13", "--rounds", "2")


def test_memory_of_the_store():
    assert "| 1,000 | 24,000 |" in run("store", "--agents", "10", "--hours", "0.1")


@pytest.mark.interop
def test_rounds_of_rules_find_the_alerts_that_prometheus_finds(tmp_path):
    assert shutil.which("prometheus"), "prometheus is not installed"
    figures = tmp_path / "figures.json"
    run("rules", *SMALL, "--only", "prometheus", "ours", "--json", str(figures))
    found = json.loads(figures.read_text())
    assert [each["engine"] for each in found] == ["Prometheus", "agentpager"]
    assert [each["same_as_prometheus"] for each in found] == [True, True]
    assert found[0]["alerts"] > 10


@pytest.mark.interop
def test_scraping():
    small = ["--agents", "5", "--interval", "0.5", "--warm", "1", "--seconds", "2"]
    assert "| agentpager" in run("scrape", *small, "--only", "prometheus", "ours")


@pytest.mark.interop
def test_rules_asked_elsewhere():
    assert "10 rules, 10 at a time" in run("elsewhere", "--rules", "10", "--agents", "4", "--rounds", "1")


def test_the_command_shown_leaves_out_where_the_figures_go():
    typed = ["--agents", "5", "--into", "a page.md", "--json=x.json", "--quick"]
    assert command("rules", typed) == "python -m benchmarks.rules --agents 5 --quick"


def test_figures_replace_what_stood_in_their_place(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- rules -->\nold\n<!-- /rules -->\nafter\n")
    put(page, "rules", "new")
    assert page.read_text() == "before\n<!-- rules -->\nnew\n<!-- /rules -->\nafter\n"
