"""What all paths of the HTTP server share: how a request is read, how a refusal looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema
from starlette.requests import Request
from starlette.responses import JSONResponse

from bot.complaints import complaints
from bot.schema import Model, Positive

_MAX_BODY = 1 << 20
_DURATION = "^([1-9][0-9]{0,2}w)?([1-9][0-9]{0,3}d)?([1-9][0-9]{0,4}h)?([1-9][0-9]{0,5}m)?([1-9][0-9]{0,6}s)?$"
AnyModel = TypeVar("AnyModel", bound=BaseModel)


class RefusedError(Exception):
    """The answer is this refusal. `more` stands beside the error in its JSON."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        self.more = dict(more or {})
        super().__init__(message)

    def answer(self) -> JSONResponse:
        content = {"status": "error", "errorType": self.kind, "error": str(self), **self.more}
        return JSONResponse(content, self.status, headers=self.headers)


class BadRequestError(RefusedError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, "bad_data", message)


def refuse(status: int, kind: str, message: str) -> JSONResponse:
    return RefusedError(status, kind, message).answer()


class Body(Model):
    """The body of a request: JSON's types are taken at their word."""

    model_config = ConfigDict(strict=True)


class Who(Body):
    """Who acts: `person` of oncall/, or `by`, the name of an operator outside it. With a token that has a name it is
    the token, or the person whom it acts for."""

    person: str | None = None
    by: str | None = None


def one_of(*keys: str) -> ConfigDict:
    """For a model that checks by itself that exactly one of them is given: tells it in the schema."""
    given: list[JsonValue] = [{"required": [key], "properties": {key: {"type": "string"}}} for key in keys]
    return ConfigDict(json_schema_extra={"oneOf": given})


class Query(Model):
    """The parameters in the address of a request."""


class Nothing(Query):
    """A request without parameters."""


def _instant(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        at = datetime.fromisoformat(value)
        utc = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("write an instant such as 2026-12-24T18:00:00Z") from None
    if at.tzinfo is None:
        raise ValueError("add an offset, for example 2026-12-24T18:00:00Z")
    return utc


Instant = Annotated[
    datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
_LASTING = {"type": "string", "minLength": 2, "pattern": _DURATION}
Lasting = Annotated[Positive, WithJsonSchema(_LASTING, mode="validation")]
# What is told in answers, as text already.
InstantText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


async def body_of(request: Request, limit: int = _MAX_BODY) -> bytes:
    """Counted as it comes in: one sent in chunks does not say how long it is."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadRequestError(413, f"the request is larger than {limit >> 20} MiB")
    return bytes(body)


def read_body(raw: bytes, model: type[AnyModel]) -> AnyModel:
    """No body is an empty one. Raises BadRequestError with the first mistake."""
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid" and object_of(raw):
            raise BadRequestError(400, "the body is not JSON") from None  # half a surrogate: stricter than Python is
        raise _complained(model, object_of(raw), error) from None


def read_query(request: Request, model: type[AnyModel]) -> AnyModel:
    given = request.query_params.multi_items()
    data = dict(given)
    if len(data) != len(given):
        twice = next(name for name, _ in given if [one for one, _ in given].count(name) > 1)
        raise BadRequestError(400, f'"{twice[:60]}" stands twice in the address')
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _complained(model, data, error) from None


def _complained(model: type[BaseModel], data: dict[str, Any], error: ValidationError) -> BadRequestError:
    first = complaints(model, data, error.errors(include_url=False))[0]
    message = f"{first.message} ({first.hint})" if first.hint else first.message
    return BadRequestError(400, message.replace("the file", "the request"))


def object_of(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise BadRequestError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequestError(400, "the body is not a JSON object")
    return body
