"""The schema says of a file what `check` says.

When it is stale: agentpager runbook schema > docs/schema/runbook.v1.json
"""

from __future__ import annotations

import json
import re  # noqa: TID251 - the patterns of the schema
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.authoring.schema import MODELINE, runbook_schema, schema_text
from bot.runbooks.model import Approve, Call, Choice, Link, Runbook, Step, Undo
from bot.yamldoc import scan

ROOT = Path(__file__).parents[3]
SCHEMA = runbook_schema()
SHIPPED = sorted([*(ROOT / "runbooks").glob("*.yaml"), *(ROOT / "examples").rglob("runbooks/*.yaml")])
DRAFT_07 = {
    *(
        "$schema",
        "$ref",
        "title",
        "description",
        "default",
        "definitions",
        "type",
        "const",
        "enum",
        "format",
        "pattern",
    ),
    *("properties", "required", "additionalProperties", "propertyNames", "items", "minItems", "maxItems"),
    *("minLength", "minimum", "maximum", "anyOf", "allOf", "if", "then"),
}
KINDS = {"object": dict, "array": list, "string": str, "null": type(None), "integer": int, "boolean": bool}


def fits(schema: Any, value: Any) -> bool:
    """As much of a validator as this schema needs; an unknown word fails."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= DRAFT_07, set(schema) - DRAFT_07
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        return fits(SCHEMA["definitions"][name], value)
    if schema.get("type") in {"integer", "boolean"} and isinstance(value, str):
        value = yaml.safe_load(value)  # our reader leaves scalars as text
    if "type" in schema and not isinstance(value, KINDS[schema["type"]]):
        return False
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return False
        if len(value) < schema.get("minLength", 0):
            return False
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return False
        if not all(fits(schema.get("items", True), item) for item in value):
            return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        if not set(schema.get("required", ())) <= set(value):
            return False
        if not all(fits(schema.get("propertyNames", True), key) for key in value):
            return False
        rest = schema.get("additionalProperties", True)
        if not all(fits(known.get(key, rest), item) for key, item in value.items()):
            return False
    if "anyOf" in schema and not any(fits(one, value) for one in schema["anyOf"]):
        return False
    if not all(fits(one, value) for one in schema.get("allOf", ())):
        return False
    return "if" not in schema or not fits(schema["if"], value) or fits(schema["then"], value)


def runbook(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"schema": "runbook/v1", "id": "a", "title": "A", "steps": list(steps) or [MANUAL], **keys}


MANUAL = {"id": "m", "kind": "manual", "title": "M", "text": "do"}
CHECK = {"id": "c", "kind": "check", "title": "C", "query": "up", "expect": "< 1"}
DECISION = {"id": "d", "kind": "decision", "title": "D", "ask": "Which?", "choose": [{"label": "A", "goto": "m"}]}
CALL = {"webhook": "agent-control", "path": "/agents/x/pause", "body": {"reason": {"text": "x"}}}
ACTION = {"id": "a", "kind": "action", "title": "A", "call": CALL, "undo": {"path": "/agents/x/resume"}}
ESCALATE = {"id": "e", "kind": "escalate", "title": "E", "to": "level:2", "after": "20m"}
HANDOFF = {"id": "h", "kind": "handoff", "title": "H", "ask": ["what changed", "what is still wrong"]}


def test_the_committed_schema_is_the_one_of_the_code():
    committed = (ROOT / "docs" / "schema" / "runbook.v1.json").read_text()
    assert committed == schema_text(), "run: agentpager runbook schema > docs/schema/runbook.v1.json"


def test_it_is_draft_07_and_every_key_is_explained():
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "$defs" not in json.dumps(SCHEMA)
    parts = {model.__name__: model for model in (Step, Choice, Call, Undo, Approve, Link)}
    assert set(SCHEMA["definitions"]) == set(parts)
    for part, model in ((SCHEMA, Runbook), *((SCHEMA["definitions"][name], model) for name, model in parts.items())):
        keys = {field.alias or name for name, field in model.model_fields.items()}
        assert set(part["properties"]) == keys
        assert [key for key, value in part["properties"].items() if not value.get("description")] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_runbook_fits(path):
    document, _ = scan(path.read_text(), path.name)
    assert fits(SCHEMA, document.data)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_first_line_of_every_shipped_runbook_leads_editors_to_the_schema(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith(MODELINE)
    assert (path.parent / first.removeprefix(MODELINE)).read_text() == schema_text()


@pytest.mark.parametrize(
    "value",
    [
        runbook(),
        runbook(CHECK | {"timeout": "1m30s", "unit": "ms"}),
        runbook(review_every="90d", severity_hint={"critical": "x"}, owner="team:a", reviewed_on="2026-11-20"),
        runbook(links=[{"title": "x", "url": "https://x"}], review_every="1w2d"),
        runbook(MANUAL, DECISION, ACTION, ESCALATE, HANDOFF),
        runbook(ACTION | {"approve": {"by": ["oncall", "role:lead"], "min": 2, "self": False, "ttl": "15m"}}),
    ],
)
def test_a_sound_runbook_fits(value):
    assert fits(SCHEMA, value)


@pytest.mark.parametrize(
    "value",
    [
        runbook(titel="x"),
        runbook(schema="runbook/v2"),
        runbook(id="a b"),
        runbook(steps=[]),
        runbook(severity_hint={"urgent": "x"}),
        runbook(review_every="90"),
        runbook(review_every=""),
        runbook(links=[{"title": "x"}]),
        runbook({**MANUAL, "kind": "dance"}),
        runbook({**MANUAL, "text": ""}),
        runbook({**MANUAL, "query": "up"}),
        runbook({key: value for key, value in CHECK.items() if key != "expect"}),
        runbook(CHECK | {"unit": "hours"}),
        runbook(CHECK | {"url": "https://x"}),
        runbook(DECISION | {"choose": []}),
        runbook(DECISION | {"choose": [{"label": "A"}]}),
        runbook(DECISION | {"ask": ["one", "two"]}),
        runbook(DECISION | {"to": "level:2"}),
        runbook(ACTION | {"call": CALL | {"path": "agents"}}),
        runbook(ACTION | {"call": CALL | {"method": "BREW"}}),
        runbook(ACTION | {"approve": {"min": 6}}),
        runbook(ACTION | {"approve": {"who": ["oncall"]}}),
        runbook(ESCALATE | {"after": "soon"}),
        runbook({key: value for key, value in ESCALATE.items() if key != "to"}),
        runbook(HANDOFF | {"ask": ""}),
        {key: value for key, value in runbook().items() if key != "title"},
    ],
)
def test_what_check_refuses_does_not_fit(value):
    assert not fits(SCHEMA, value)
