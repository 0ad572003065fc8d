"""deploy/grafana/dashboard.json: Grafana can import it, and each of its queries asks for what there is."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.labels import Op
from bot.promql.nodes import Aggregate, Node
from bot.promql.parse import Expr, parse

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
ROWS = [panel for panel in BOARD["panels"] if panel["type"] == "row"]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
NOTES = [note for note in BOARD["annotations"]["list"] if "expr" in note]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
QUERIES += [(note["name"], note["expr"]) for note in NOTES]
SCRAPED = {"job", "instance"}  # what a scrape adds to every series
OURS = {"exported_job": "job"}  # where it takes a name that we have as well, ours becomes this

ROW = re.compile(r"^\| `(agentpager_\w+)` \| (\w+) \| ([^|]*)\| ([^|]+) \|$", re.MULTILINE)
METRICS = {
    name: (kind, set(re.findall(r"`(\w+)`", labels)), set(re.findall(r"`(\w+)`", meaning)))
    for name, kind, labels, meaning in ROW.findall((ROOT / "docs" / "metrics-reference.md").read_text())
}


def as_asked(text: str) -> Expr:
    """As Grafana would send it."""
    for variable, value in {"$__rate_interval": "1m", "$job": "agentpager", "$instance": ".+"}.items():
        text = text.replace(variable, value)
    assert "$" not in text
    return parse(text)


def metric_of(name: str) -> tuple[str, set[str], set[str]]:
    if name in METRICS:
        assert METRICS[name][0] != "histogram", f"{name} has no series of that name"
        return METRICS[name]
    family, ending = re.fullmatch(r"(\w+)_(bucket|count|sum)", name).groups()
    kind, labels, values = METRICS[family]
    assert kind == "histogram"
    return kind, labels | ({"le"} if ending == "bucket" else set()), values


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_query_asks_for_metrics_labels_and_values_that_there_are(title, query):
    expression = as_asked(query)
    labels: set[str] = set(SCRAPED)
    for selector in expression.selectors:
        if selector.name == "up":
            continue
        _, own, values = metric_of(selector.name)
        labels |= own | set(OURS)
        for matcher in selector.matchers:
            if matcher.name in SCRAPED | {"__name__"}:
                continue
            assert OURS.get(matcher.name, matcher.name) in own
            assert matcher.op in {Op.EQUAL, Op.NOT_EQUAL, Op.REGEX}
            assert set(matcher.value.split("|")) <= values
    for node in every(expression.node):
        if isinstance(node, Aggregate):
            assert set(node.labels) <= labels


def every(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children():
        yield from every(child)


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_counters_are_read_as_rates_and_gauges_are_not(title, query):
    """`agentpager_scrapes` is a gauge of counts since the watcher's start, and falls when that is started anew."""
    for name in re.findall(r"(?:rate|increase)\((\w+)", query):
        assert metric_of(name)[0] in {"counter", "histogram"} or name == "agentpager_scrapes"
    for name in re.findall(r"(?<!rate\()(?<!increase\()\b(agentpager_\w+_(?:total|bucket|count|sum))\b", query):
        pytest.fail(f"{name} is a counter: by itself it says nothing")


def test_legends_name_labels_that_the_answer_has():
    for panel in PANELS:
        for target in panel["targets"]:
            node = as_asked(target["expr"]).node
            kept = {label for one in every(node) if isinstance(one, Aggregate) for label in one.labels}
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= (kept or SCRAPED), panel["title"]


def test_grafana_can_import_it_anywhere():
    assert (BOARD["uid"], BOARD["id"], BOARD["title"]) == ("agentpager", None, "agentpager")
    (source,) = BOARD["__inputs"]
    assert (source["name"], source["type"], source["pluginId"]) == ("DS_PROMETHEUS", "datasource", "prometheus")
    required = {one["id"] for one in BOARD["__requires"] if one["type"] == "panel"}
    assert required == {panel["type"] for panel in PANELS}
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    assert variables["datasource"]["current"]["value"] == "${DS_PROMETHEUS}"
    everywhere = {"type": "prometheus", "uid": "${datasource}"}
    asked = [*PANELS, *NOTES, variables["job"], variables["instance"]]
    asked += [target for panel in PANELS for target in panel["targets"]]
    assert all(one["datasource"] == everywhere for one in asked)


def test_panels_have_names_of_their_own_and_do_not_overlap():
    assert max(Counter(panel["id"] for panel in BOARD["panels"]).values()) == 1
    assert max(Counter(panel["title"] for panel in BOARD["panels"]).values()) == 1
    taken: Counter[tuple[int, int]] = Counter()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        taken.update((x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"]))  # fmt: skip
        if panel in PANELS:
            assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])
    assert max(taken.values()) == 1
    assert {row["gridPos"]["w"] for row in ROWS} == {24}
