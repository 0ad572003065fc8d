"""Where other systems send their alerts. They show their own token: it opens nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.bridges.model import PayloadError
from bot.ports import Bridging
from bot.web.door import Open
from bot.web.operation import Call, Operation
from bot.web.request import BadRequestError, Nothing, body_of, object_of, refuse

_MOST_LABELS = 16


class Backend(Protocol):
    @property
    def bridging(self) -> Bridging: ...


def operations(backend: Backend) -> Sequence[Operation]:
    return [Operation("POST", "/api/bridges/{name}", _Paths(backend).take, Open.BRIDGE, raw=True)]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def take(self, call: Call[Nothing, None]) -> Response:
        """Answered once it is written down. News that is no alert is fine too: the sender should not give up on us."""
        name, request = call.of_path("name"), call.request
        raw = await body_of(request)
        signature = request.headers.get("x-langfuse-signature", "")
        if not self._backend.bridging.admits(name, _token(request), signature, raw):
            return refuse(401, "unauthorized", "no such bridge, or not its token; see bridges in agentpager.yaml")
        try:
            count = await self._backend.bridging.take(name, object_of(raw), _labels(request))
        except PayloadError as error:
            return refuse(400, "bad_data", str(error))
        return JSONResponse({"status": "success", "alerts": count})


def _token(request: Request) -> str:
    """In the header, or in the address for those who cannot send one."""
    header = request.headers.get("authorization", "")
    return header.removeprefix("Bearer ") if header.startswith("Bearer ") else request.query_params.get("token", "")


def _labels(request: Request) -> dict[str, str]:
    """Everything else in the address: `?agent=refund-agent` names whom an automation is about."""
    given = {name: value for name, value in request.query_params.items() if name != "token"}
    wrong = next((name for name in given if not (name.isidentifier() and name.isascii())), None)
    if wrong is not None or len(given) > _MOST_LABELS:
        raise BadRequestError(400, f'"{(wrong or "")[:60]}" in the address is no label, or there are too many')
    return given
