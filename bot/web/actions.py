"""Actions of runbooks over HTTP: what there is, what would be asked for, ask, agree, refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from pydantic import Field
from typing_extensions import TypedDict

from bot.actions.model import Run
from bot.actions.runs import told
from bot.errors import UsageError
from bot.oncall.model import Book
from bot.ports import Acting, Proposal, Settled
from bot.runbooks.model import Approve
from bot.runbooks.rendered import RenderedCall
from bot.settings import ApiScope
from bot.web.operation import Call, Dumped, Operation
from bot.web.request import Nothing, Query, Who


class Backend(Protocol):
    @property
    def acting(self) -> Acting: ...

    @property
    def book(self) -> Book: ...


class OfIncident(Query):
    incident: str = Field(min_length=1, examples=["INC-7"])


class Step(Who):
    """`step` is the id or number of a step of the incident's runbook."""

    incident: str = Field(min_length=1, examples=["INC-7"])
    step: Annotated[str, Field(min_length=1)] | int
    undo: bool = False


class Wish(Step):
    """With the `token` of a preview it is asked for only if the request is still the same."""

    token: str = ""
    reason: str = ""


_UNTOLD = Field(exclude=True)
RunJson = Annotated[
    dict[str, Any],
    Dumped(
        Run,
        "ActionJson",
        call=(RenderedCall, _UNTOLD),
        undo=(RenderedCall | None, _UNTOLD),
        approve=(Approve, _UNTOLD),
        request=(RenderedCall, ...),
        needs=(int, ...),
        told=(str, ...),
    ),
]


class SettledJson(TypedDict):
    message: str
    action: RunJson


class ProposalJson(TypedDict):
    incident: str
    step: str
    title: str
    undo: bool
    request: RenderedCall
    taken_back_by: RenderedCall | None
    needs: int
    may_agree: dict[str, str]
    enough: bool
    token: str
    problem: str | None
    earlier: list[RunJson]


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    every, run = "/api/pager/actions", ApiScope.RUN
    return [
        Operation("GET", every, paths.all, ApiScope.READ, "What has been asked for on an incident."),
        Operation("POST", every, paths.ask, run, "Asks for the action of a step.", status=201),
        Operation("POST", f"{every}/preview", paths.preview, ApiScope.READ, "The exact request of a step."),
        Operation("GET", f"{every}/{{run}}", paths.one, ApiScope.READ, "One action."),
        Operation("POST", f"{every}/{{run}}/approve", paths.agree, run, "Agrees to an action."),
        Operation("POST", f"{every}/{{run}}/refuse", paths.refuse, run, "Refuses an action, or takes it back."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def all(self, call: Call[OfIncident, None]) -> list[RunJson]:
        return [as_json(run) for run in await self._backend.acting.runs(call.query.incident)]

    async def one(self, call: Call[Nothing, None]) -> RunJson:
        name = call.of_path("run")
        run = await self._backend.acting.run(name.upper())
        if run is None:
            raise UsageError(f'there is no action "{name}"')
        return as_json(run)

    async def preview(self, call: Call[Nothing, Step]) -> ProposalJson:
        body, acting = call.body, self._backend.acting
        actor = call.actor(body, self._backend.book)
        return _proposal(await acting.propose(actor, body.incident, str(body.step), undo=body.undo))

    async def ask(self, call: Call[Nothing, Wish]) -> SettledJson:
        body, acting = call.body, self._backend.acting
        actor = call.actor(body, self._backend.book)
        more = {"token": body.token, "reason": body.reason}
        return _answer(await acting.ask(actor, body.incident, str(body.step), undo=body.undo, **more))

    async def agree(self, call: Call[Nothing, Who]) -> SettledJson:
        actor = call.actor(call.body, self._backend.book)
        return _answer(await self._backend.acting.agree(actor, call.of_path("run")))

    async def refuse(self, call: Call[Nothing, Who]) -> SettledJson:
        actor = call.actor(call.body, self._backend.book)
        return _answer(await self._backend.acting.refuse(actor, call.of_path("run")))


def _answer(settled: Settled) -> SettledJson:
    return {"message": settled.message, "action": as_json(settled.run)}


def _proposal(found: Proposal) -> ProposalJson:
    wish = found.wish
    return {
        "incident": found.incident.id,
        "step": wish.step,
        "title": wish.title,
        "undo": wish.kind == "undo",
        "request": wish.call,
        "taken_back_by": wish.undo,
        "needs": wish.approve.min,
        "may_agree": dict(found.may),
        "enough": found.enough,
        "token": wish.token,
        "problem": found.problem or None,
        "earlier": [as_json(run) for run in found.earlier],
    }


def as_json(run: Run) -> dict[str, Any]:
    row = run.model_dump(mode="json", exclude={"call", "undo", "approve"})
    return row | {"request": run.call.model_dump(mode="json"), "needs": run.approve.min, "told": told(run)}
