"""A path of the HTTP server: what it needs, takes and gives, said once, beside the function that answers.

The types of that function are the description: what a request must look like is checked by them, and the OpenAPI
document (openapi.py) is made of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import structlog
from pydantic import BaseModel, GetJsonSchemaHandler, TypeAdapter, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.audit import through
from bot.errors import ConflictError, LeaseLostError, RemoteError, StaleReplicaError, UsageError
from bot.oncall.model import Book
from bot.ports import Actor
from bot.settings import ApiScope
from bot.web.door import Caller, Door, Needs, Open, lacking
from bot.web.request import Body, Nothing, Query, RefusedError, Who, body_of, read_body, read_query, refuse

log = structlog.get_logger()

Q_co = TypeVar("Q_co", bound=Query, covariant=True)
B_co = TypeVar("B_co", bound="Body | None", covariant=True)


@dataclass(frozen=True)
class Call(Generic[Q_co, B_co]):
    """One request, read: `query` is what stands in the address, `body` what was sent."""

    request: Request
    caller: Caller
    query: Q_co
    body: B_co

    def of_path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def actor(self, who: Who, book: Book) -> Actor:
        """Raises UsageError for a person there is not, RefusedError for one whom the token may not act for."""
        return actor_of(self.caller, who.person, who.by, book)


def actor_of(caller: Caller, person: str | None, by: str | None, book: Book) -> Actor:
    """A token that has a name acts as the person it belongs to, or as itself; whom the request names counts where the
    token may act for anybody. The audit tells the token either way."""
    if person is not None and person != caller.person and not caller.anybody:
        raise lacking(caller.token, ApiScope.IMPERSONATE)
    person = person if person is not None else caller.person
    if person is None:
        name = (by or "api")[:64]
        if not caller.token:
            return Actor(f"cli:{name}", name, "api")
        return Actor(f"token:{caller.token}", f"{name} ({caller.token})" if by else caller.token, "api")
    known = book.people.get(person)
    if known is None:
        raise UsageError(f'there is no person "{person}" in oncall/')
    actor = Actor(f"person:{known.id}", known.name, "api", known)
    through.begin(caller.token, actor.id)
    return actor


Handler = Callable[[Call[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Operation:
    """`handler` gives what is answered, as JSON of its return type, or a Response. `about` is the sentence about it in
    the OpenAPI document; one without it is somebody else's API, or a page, and is not described. `media` is the type of
    an answer that is no JSON."""

    method: str
    path: str
    handler: Handler
    needs: Needs
    about: str = ""
    status: int = 200
    media: str = "application/json"
    raw: bool = field(default=False, kw_only=True)  # reads the request by itself

    @property
    def name(self) -> str:
        """In the document: `post_incidents_ack`."""
        words = [part for part in self.path.split("/")[3:] if part]
        named = [part.strip("{}").partition(":")[0] if part.startswith("{") else part for part in words]
        return "_".join([self.method.lower(), *named]).replace(".", "_")

    @cached_property
    def types(self) -> tuple[type[Query], type[Body] | None, Any]:
        """Of the parameters, the body and the answer."""
        hints = get_type_hints(self.handler, include_extras=True)
        answer = hints.pop("return")
        (call,) = hints.values()
        query, body = get_args(call) or (Nothing, None)
        return query, None if body is type(None) else body, answer

    @property
    def told(self) -> Any:
        """What is answered as JSON; None when nothing is."""
        answer = self.types[2]
        if answer is Response:
            return None
        return next((kind for kind in get_args(answer) if kind is not Response), answer) if self.tells_text else answer

    @property
    def tells_text(self) -> bool:
        """Whether an answer of `media` is given, too or instead."""
        answer = self.types[2]
        return answer is Response or Response in get_args(answer)

    async def _call(self, request: Request, caller: Caller) -> Call[Any, Any]:
        if self.raw:
            return Call(request, caller, Nothing(), None)
        wanted, sent, _ = self.types
        body = read_body(await body_of(request), sent) if sent is not None else None
        return Call(request, caller, read_query(request, wanted), body)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.told)

    async def answer(self, request: Request, caller: Caller) -> Response:
        given = await self.handler(await self._call(request, caller))
        if isinstance(given, Response):
            return given
        content = self._adapter.dump_json(given, by_alias=True, warnings=False)
        return Response(content, self.status, media_type="application/json")


def mounted(operations: Sequence[Operation], door: Door) -> list[BaseRoute]:
    """One route for each path, so that a wrong method is told which ones there are."""
    paths: dict[str, dict[str, Operation]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method] = one
    return [Mounted(path, methods, door) for path, methods in paths.items()]


class Mounted(Route):
    def __init__(self, path: str, operations: dict[str, Operation], door: Door) -> None:
        self.operations = operations
        self._door = door
        super().__init__(path, self._asked, methods=list(operations))

    async def _asked(self, request: Request) -> Response:
        operation = self.operations["GET" if request.method == "HEAD" else request.method]
        try:
            caller = self._door.enter(request, operation.needs)
            return await operation.answer(request, caller)
        except RefusedError as error:
            return error.answer()
        except UsageError as error:
            return refuse(404, "not_found", str(error))
        except ConflictError as error:
            return refuse(409, "conflict", str(error))
        except (RemoteError, LeaseLostError, StaleReplicaError) as error:
            return refuse(503, "unavailable", str(error))


async def told_as_json(request: Request, error: Exception) -> Response:
    """What Starlette refuses by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    path, method = request.scope["path"], request.method
    if error.status_code == 405:
        answer = refuse(405, "bad_method", f"{path} does not take {method}; see the header Allow")
    else:
        answer = refuse(error.status_code, "not_found", f"there is no {path} here; docs/api.md lists what there is")
    answer.headers.update(error.headers or {})
    return answer


async def told_as_fault(request: Request, _error: Exception) -> Response:
    """The server logs what happened."""
    return refuse(500, "internal", f"a fault in {request.method} {request.scope['path']}; the log has the details")


class Dumped:
    """In an annotation: the JSON of a model, made already, with these fields added or changed. `sparse` leaves out what
    is as by default."""

    def __init__(self, model: type[BaseModel], name: str = "", **more: Any) -> None:
        self._model: type[BaseModel] = create_model(name, __base__=model, **more) if more else model

    def __get_pydantic_json_schema__(self, _core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


__all__ = ["Call", "Dumped", "Mounted", "Open", "Operation", "actor_of", "mounted", "told_as_fault", "told_as_json"]
