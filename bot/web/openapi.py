"""The OpenAPI document, made of the operations and their types. Nothing is said here that is said there."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, over our own paths
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.settings import ApiScope
from bot.web.operation import Operation

_ABOUT = """\
Incidents, rotas, records and everything else that people ask of agentpager, as JSON. docs/api.md explains it in words.

Every request shows a token, unless it comes from the machine that the server runs on and no token is configured.
`x-scope` is what the token must be allowed to do.

The server answers these paths too; what they take and give is described where they come from:
"""
_WHERE = {
    "/-/": "health and reload",
    "/metrics": "own metrics",
    "/api/v1/": "Prometheus' HTTP API",
    "/api/v2/": "Alertmanager's API, version 2",
    "/ack/": "the page behind a link to acknowledge",
    "/api/bridges/": "alerts that other systems send",
    "/calendar/": "calendars at an address",
}
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_REFUSALS = {
    "400": "A parameter or the body cannot be read.",
    "401": "The token is missing, wrong or has expired.",
    "403": "The token lacks the scope, or without a token the request is not from this machine.",
    "404": "There is no such thing, or it makes no sense.",
    "409": "It is too late: the incident has moved on.",
    "413": "The body is larger than 1 MiB.",
    "429": "Asked too often.",
    "503": "A part that is needed for the answer does not run, or another server has taken over.",
}
_WITH_BODY = {"409", "413"}
_ERROR = {
    "type": "object",
    "properties": {
        "status": {"const": "error"},
        "errorType": {"type": "string"},
        "error": {"type": "string", "description": "What is wrong, and often the way out."},
        "scope": {"enum": [scope.value for scope in ApiScope], "description": "With 403: what the token lacks."},
    },
    "required": ["status", "errorType", "error"],
}
Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"


def document(operations: Sequence[Operation], others: Sequence[Operation]) -> Schema:
    """`others` are only named."""
    book = _Book(operations)
    paths: dict[str, Schema] = {}
    for one in operations:
        paths.setdefault(_PARAMETER.sub(r"{\1}", one.path), {})[one.method.lower()] = _operation(one, book)
    return {
        "openapi": "3.1.0",
        "info": {"title": "agentpager", "version": "1", "description": _ABOUT + "\n".join(_named(others))},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({"Error": _ERROR, **book.schemas}.items())),
            "responses": {status: _refusal(status, text) for status, text in _REFUSALS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _named(others: Sequence[Operation]) -> Iterator[str]:
    for prefix, what in _WHERE.items():
        paths = dict.fromkeys(one.path.replace(":path", "") for one in others if one.path.startswith(prefix))
        yield f"\n{what}: " + ", ".join(f"`{path}`" for path in paths)


def _refusal(status: str, text: str) -> Schema:
    told: Schema = {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == "429":
        told["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return told


def _operation(one: Operation, book: _Book) -> Schema:
    _, body, _ = one.types
    parameters = [_in_path(name) for name in _PARAMETER.findall(one.path)] + list(_in_query(one, book))
    statuses = sorted(set(_REFUSALS) - (_WITH_BODY if body is None else set()))
    told: Schema = {
        "operationId": one.name,
        "summary": one.about,
        "tags": [one.path.split("/")[3]],
        "x-scope": str(one.needs),
        "responses": {str(one.status): _answer(one, book)}
        | {status: {"$ref": f"#/components/responses/{status}"} for status in statuses},
    }
    if parameters:
        told["parameters"] = parameters
    if body is not None:
        told["requestBody"] = {
            "content": {"application/json": {"schema": book.of(one, "body")}},
            "required": not _fits_nothing(body),
        }
    return told


def _fits_nothing(body: type[BaseModel]) -> bool:
    """Whether a request without a body is one."""
    try:
        body()
    except ValidationError:
        return False
    return True


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(one: Operation, book: _Book) -> Iterator[Schema]:
    query = book.of(one, "query")
    for name, schema in query.get("properties", {}).items():
        yield {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": _given(schema)}


def _given(schema: Schema) -> Schema:
    """What stands in an address is never null: then it is not there."""
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(choices) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**rest, **choices[0]}


def _answer(one: Operation, book: _Book) -> Schema:
    content: Schema = {}
    if one.told is not None:
        content["application/json"] = {"schema": book.of(one, "answer")}
    if one.tells_text:
        content[one.media] = {"schema": {"type": "string"}}
    return {"description": "What was asked for." if one.method == "GET" else "Done.", "content": content}


class _Book:
    """The schemas of all that operations take and give; those with a name stand there once."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._told, said = TypeAdapter.json_schemas(list(_inputs(operations)), ref_template=_REF)
        definitions = said.get("$defs", {})
        self._names = {name: _short(name) for name in definitions}
        queries = {_last(self._told[key, mode]) for key, mode in self._told if key[1] == "query"}
        self._queries = {name: _tidied(self._renamed(definitions[name])) for name in queries if name}
        self.schemas: Schema = {}
        for name, schema in definitions.items():
            if name not in queries:
                tidy = _tidied(self._renamed(schema))
                self.schemas[self._names[name]] = {key: self._hoisted(value) for key, value in tidy.items()}

    def of(self, one: Operation, part: str) -> Schema:
        mode: Literal["validation", "serialization"] = "serialization" if part == "answer" else "validation"
        told: Schema = self._told[(one.name, part), mode]
        if part == "query":
            query: Schema = self._queries.get(_last(told), told)
            return query
        schema: Schema = self._hoisted(_tidied(self._renamed(told)))
        return schema

    def _renamed(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self._renamed(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        kept = {key: self._renamed(one) for key, one in schema.items()}
        if isinstance(kept.get("$ref"), str):
            kept["$ref"] = _REF.format(model=self._names[_last(kept)])
        return kept

    def _hoisted(self, schema: Any) -> Any:
        """Objects with a name of their own stand among the others, once."""
        if isinstance(schema, list):
            return [self._hoisted(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        inner = {key: self._hoisted(value) for key, value in schema.items()}
        name = inner.get("title")
        if isinstance(name, str) and "properties" in inner and self.schemas.setdefault(name, inner) == inner:
            return {"$ref": _REF.format(model=name)}
        return inner


_Mode = Literal["validation", "serialization"]


def _inputs(operations: Sequence[Operation]) -> Iterator[tuple[tuple[str, str], _Mode, TypeAdapter[Any]]]:
    for one in operations:
        query, body, _ = one.types
        yield (one.name, "query"), "validation", TypeAdapter(query)
        if body is not None:
            yield (one.name, "body"), "validation", TypeAdapter(body)
        if one.told is not None:
            yield (one.name, "answer"), "serialization", TypeAdapter(one.told)


def _last(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _short(name: str) -> str:
    """Of two that are called the same pydantic says the whole module: `bot__web__silences__Wish`."""
    *places, last = name.split("__")
    if not places:
        return name
    place = places[2] if places[1] == "web" else places[1]
    return f"{place.title().replace('_', '')}{last}"


def _tidied(schema: Any) -> Any:
    """Without the titles that are no more than the keys, written large."""
    if isinstance(schema, list):
        return [_tidied(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    named = isinstance(schema.get("properties"), dict)
    kept: Schema = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str) and not named:
            continue
        if key == "properties" and isinstance(value, dict):
            kept[key] = {name: _tidied(one) for name, one in value.items()}
        elif key in {"default", "examples", "enum", "const"}:
            kept[key] = value
        elif key == "description" and isinstance(value, str):
            kept[key] = " ".join(value.split())
        else:
            kept[key] = _tidied(value)
    return kept
