"""The OpenAPI document: as it is committed, of every path of ours, in words of the specification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from bot.settings import ApiScope
from bot.web import api
from bot.web.door import Open

COMMITTED = Path(__file__).parents[3] / "docs" / "schema" / "openapi.json"
DOCUMENT = api.document()
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


def named(value: Any) -> str:
    return value if isinstance(value, str) else ""


def test_it_is_the_one_that_is_committed():
    command = "python -c 'import bot.web.api as a; print(a.document_text(), end=\"\")' > docs/schema/openapi.json"
    assert COMMITTED.read_text(encoding="utf-8") == api.document_text(), f"run: .venv/bin/{command}"


def test_every_path_of_ours_is_described_and_every_other_is_named():
    table = api.operations(cast("api.Backend", None))
    ours = {f"{one.method.lower()} {one.path.replace(':path', '')}" for one in table if "/api/pager/" in one.path}
    assert {f"{method} {path}" for method, path, _ in OPERATIONS} == ours
    others = {one.path.replace(":path", "") for one in table if "/api/pager/" not in one.path}
    told = DOCUMENT["info"]["description"]
    assert [path for path in sorted(others) if f"`{path}`" not in told] == []


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=named)
def test_an_operation_says_what_it_needs_and_how_it_can_be_refused(method, path, operation):
    assert operation["x-scope"] in set(ApiScope)
    assert operation["x-scope"] not in set(Open)
    assert {"400", "401", "403", "404", "429", "503"} <= set(operation["responses"])
    assert operation["summary"].endswith(".")
    written = {part.strip("{}") for part in path.split("/") if part.startswith("{")}
    assert {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"} == written
    if method == "post":
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert body["additionalProperties"] is False
        assert {"person", "by"} <= set(body["properties"])


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere_and_nothing_lies_about():
    parts = DOCUMENT["components"]
    known = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in parts[kind]}
    assert set(references(DOCUMENT)) == known
    for schema in parts["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_one_of_two_keys_is_what_the_schema_says():
    snooze = Draft202012Validator({**DOCUMENT, "$ref": "#/components/schemas/Snooze"})
    assert snooze.is_valid({"for": "2h"})
    assert snooze.is_valid({"until": "09:00", "for": None})
    assert not snooze.is_valid({"until": "09:00", "for": "2h"})
    assert not snooze.is_valid({})
    assert not snooze.is_valid({"for": "2h", "whom": "ana"})


def test_the_answer_is_the_document_itself():
    assert json.loads(api.document_text()) == DOCUMENT
    assert DOCUMENT["openapi"] == "3.1.0"
