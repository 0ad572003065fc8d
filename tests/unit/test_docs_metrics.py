"""docs/metrics-reference.md lists every metric of bot/telemetry.py with its type and labels, and no other."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from bot import telemetry
from bot.incidents.model import Event, State
from bot.paging.attempt import Verdict
from bot.paging.model import PageKind, PageState
from bot.promql.parse import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics-reference.md").read_text()
REGISTRIES = {"## The pager": telemetry.registry, "## The watcher": telemetry.watcher_registry}


def documented(heading: str) -> dict[str, tuple[str, set[str]]]:
    """Metric → type and labels, of the table under that heading."""
    section = PAGE.split(f"\n{heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(agentpager_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$", section, flags=re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exposed(registry: CollectorRegistry) -> dict[str, tuple[str, set[str]]]:
    metrics = [metric for metric in vars(telemetry).values() if isinstance(metric, MetricWrapperBase)]
    labels = {family.name: set(metric._labelnames) for metric in metrics for family in metric.describe()}
    families = list(registry.collect())
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: (family.type, labels[family.name])
        for family in families
    }


@pytest.mark.parametrize("heading", REGISTRIES)
def test_every_metric_is_documented_with_its_type_and_labels_and_none_is_made_up(heading):
    assert documented(heading) == exposed(REGISTRIES[heading])


VALUES = {
    "agentpager_incidents": State,
    "agentpager_pages": PageState,
    "agentpager_decisions_total": Event,
    "agentpager_page_attempts_total": Verdict,
    "agentpager_page_delivery_seconds": PageKind,
}


@pytest.mark.parametrize("metric", VALUES)
def test_every_value_of_a_label_is_documented_and_none_is_made_up(metric):
    (meaning,) = re.findall(rf"^\| `{metric}` \|.*\|([^|]+)\|$", PAGE, flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", meaning)) == sorted(VALUES[metric])


def test_the_rules_of_deploy_parse_and_read_metrics_that_are_there():
    known = {"up", *documented("## The pager"), *documented("## The watcher")}
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "agentpager.rules.yaml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]

    read = {selector.name for expression in expressions for selector in parse(expression).selectors}

    assert len(expressions) == 9
    assert read <= known
