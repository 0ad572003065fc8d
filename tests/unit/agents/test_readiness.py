"""Which domains a stage asks for, as docs/readiness.md has it, when a waiver counts, and the series."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern
from datetime import date
from pathlib import Path

import full_agent
import pytest

from bot.agents.model import Agent, Stage, Waiver
from bot.agents.readiness import ASKED_FROM, STAGES, Domain, Status, counts, readiness_series, required
from bot.agents.series import registry_series

PAGE_DIRECTORY = Path(__file__).parents[3] / "docs"
PAGE = (PAGE_DIRECTORY / "readiness.md").read_text()
FULL = Agent.model_validate({"id": "a", **full_agent.FULL})
UNTIL = date(2026, 11, 30)


def test_the_table_of_the_documentation_is_the_one_that_counts():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| [^|]+ \| [^|]+ \|$", PAGE, flags=re.MULTILINE)
    assert dict(rows) == {domain.value: stage.value for domain, stage in ASKED_FROM.items()}
    assert len(rows) == len(Domain) == 17


def test_every_status_is_documented():
    rows = re.findall(r"^\| `(\w+)` \| [^|`]+ \| [^|]* ?\|$", PAGE, flags=re.MULTILINE)
    assert set(rows) >= {status.value for status in Status}


# Written out, so that a domain which moves to another stage is moved on purpose.
@pytest.mark.parametrize(
    ("stage", "more"),
    [
        (Stage.PILOT, {"people"}),
        (Stage.CRAWL, {"alert_errors", "alert_cost", "kill_switch", "identity"}),
        (
            Stage.WALK,
            {"rota", "escalation", "alert_latency", "runbooks", "budget", "integrations", "audit", "data", "drill"},
        ),
        (Stage.RUN, {"alert_quality", "acceptance", "track_record"}),
    ],
)
def test_each_stage_asks_for_more_than_the_one_before(stage, more):
    earlier = frozenset[Domain]() if stage is Stage.PILOT else required(STAGES[STAGES.index(stage) - 1])
    assert required(stage) - earlier == more
    assert earlier < required(stage)


def test_run_asks_for_everything_and_retired_for_nothing():
    assert required(Stage.RUN) == set(Domain)
    assert required(Stage.RETIRED) == frozenset()


@pytest.mark.parametrize(
    ("today", "still"), [(date(2026, 11, 29), True), (date(2026, 11, 30), True), (date(2026, 12, 1), False)]
)
def test_a_waiver_counts_until_its_last_day_is_over(today, still):
    assert counts(Waiver(reason="new", by="ben", until=UNTIL), today) is still


def test_every_series_of_the_registry_is_in_the_reference_with_its_labels():
    page = (PAGE_DIRECTORY / "metrics-reference.md").read_text().split("## The agent registry")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(agent_registry_\w+)` \| ([^|]+) \| [^|]+ \|$", page, flags=re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    series = [*registry_series({"a": FULL}), *readiness_series("a", Stage.PILOT, [(Domain.PEOPLE, Status.DONE)])]
    assert told == {labels["__name__"]: set(labels) - {"__name__"} for labels, _ in series}


def test_one_status_of_each_domain_is_1_and_what_the_stage_asks_for_is_marked():
    series = readiness_series("a", Stage.PILOT, [(Domain.PEOPLE, Status.DONE), (Domain.DRILL, Status.NOT_STARTED)])
    found = {(labels["__name__"], labels["domain"], labels.get("status")): value for labels, value in series}
    name = "agent_registry_readiness"
    assert found == {
        (name, "people", "not_started"): 0.0,
        (name, "people", "in_progress"): 0.0,
        (name, "people", "done"): 1.0,
        (name, "people", "waived"): 0.0,
        (name, "drill", "not_started"): 1.0,
        (name, "drill", "in_progress"): 0.0,
        (name, "drill", "done"): 0.0,
        (name, "drill", "waived"): 0.0,
        ("agent_registry_readiness_required", "people", None): 1.0,
    }
    assert {labels["agent"] for labels, _ in series} == {"a"}
