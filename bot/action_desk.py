"""Actions of runbooks as people ask for them, agree to them and refuse them, the same from Slack, the command line and
the API."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bot import acting
from bot.acting import Changed
from bot.actions import runs
from bot.actions.allowed import problem_of
from bot.actions.approvers import approvers
from bot.actions.model import Run, RunState
from bot.actions.runs import Wish
from bot.errors import AgentpagerError, ConflictError, UsageError
from bot.incidents import notes
from bot.incidents.decision import World, book_of
from bot.incidents.model import Incident
from bot.oncall.model import Book
from bot.ports import Actor, Clock, Proposal, Settled
from bot.runbooks.rendered import RenderedStep
from bot.settings import Actions
from bot.store.database import Database

_LONGEST_REASON = 300


class ActionDesk:
    """Implements ports.Acting. `find` looks up an incident as people name it, `changed` is called with one whose
    messages have to be redrawn, `approved` when something is to be sent."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        settings: Callable[[], Actions],
        find: Callable[[str], Awaitable[Incident]],
        changed: Callable[[str], None],
        approved: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._settings = settings
        self._find = find
        self._changed = changed
        self._approved = approved

    async def propose(self, actor: Actor, reference: str, step: str, *, undo: bool = False) -> Proposal:
        incident = await self._find(reference)
        every = await self._store.runs_of(incident.id)
        wish = await self._wish(actor, incident, step, every, undo=undo)
        earlier = runs.of_step(every, wish.step)
        wish = replace(wish, token=runs.token_of(wish.call, earlier))
        world, now = self._world(), self._clock.now()
        paged = acting.paged(await self._store.pages_of(incident.id))
        may = approvers(wish.approve, incident, paged, book_of(incident, world), now)
        problem = problem_of(wish.call, self._settings().webhooks)
        enough = False
        try:
            enough = runs.ask(incident, wish, every, may, now).state is RunState.APPROVED
        except AgentpagerError as error:
            problem = problem or self._named(str(error))
        return Proposal(incident, wish, may, enough, earlier, problem)

    async def ask(
        self,
        actor: Actor,
        reference: str,
        step: str,
        *,
        undo: bool = False,
        token: str = "",
        reason: str = "",
        event_key: str | None = None,
    ) -> Settled:
        incident = await self._find(reference)
        every = await self._store.runs_of(incident.id)
        wish = await self._wish(actor, incident, step, every, undo=undo)
        wish = replace(wish, token=token, reason=_short(reason))
        if problem := problem_of(wish.call, self._settings().webhooks):
            raise UsageError(problem)
        world, now = self._world(), self._clock.now()
        changed = await self._tried(acting.ask(self._store, incident.id, wish, world, now, event_key, actor.via))
        if changed is None:
            again = runs.of_step(await self._store.runs_of(incident.id), wish.step)
            if not again:
                raise ConflictError("that click has been recorded already")
            return Settled(again[-1], False, "that click has been recorded already")
        return self._settled(changed)

    async def agree(self, actor: Actor, name: str, *, event_key: str | None = None) -> Settled:
        run = await self._waiting(name)
        now = self._clock.now()
        changed = await self._tried(
            acting.agree(self._store, run.id, actor.id, self._world(), now, event_key, actor.via)
        )
        return self._settled(changed) if changed is not None else await self._as_it_is(run)

    async def refuse(self, actor: Actor, name: str, *, event_key: str | None = None) -> Settled:
        run = await self._waiting(name)
        now = self._clock.now()
        changed = await self._tried(
            acting.refuse(self._store, run.id, actor.id, self._world(), now, event_key, actor.via)
        )
        return self._settled(changed) if changed is not None else await self._as_it_is(run)

    async def run(self, run_id: str) -> Run | None:
        return await self._store.run(run_id)

    async def runs(self, reference: str) -> Sequence[Run]:
        return await self._store.runs_of((await self._find(reference)).id)

    async def _wish(self, actor: Actor, incident: Incident, step: str, every: Sequence[Run], *, undo: bool) -> Wish:
        run_id = f"RUN-{secrets.token_hex(8).upper()}"
        if undo:
            mine = [run for run in every if step in {run.step, run.id} and run.kind == "action"]
            if not mine:
                raise UsageError(f'no action "{step}" of {incident.id} has been asked for, so there is nothing to undo')
            return runs.undo_of(mine[-1], actor.id, run_id, "")
        rendered = await self._store.rendering(incident.id)
        if rendered is None or not rendered.steps:
            raise UsageError(f"{incident.id} has no runbook with steps")
        return runs.action_of(_step(rendered.steps, step, incident.id), rendered.runbook, actor.id, run_id, "")

    async def _waiting(self, name: str) -> Run:
        """By its id, or by its incident where only one waits."""
        run = await self._store.run(name.upper())
        if run is not None:
            return run
        if name.upper().startswith("RUN-"):
            raise UsageError(f'there is no action "{name}"; `agentpager action list INC-…` names them')
        incident = await self._find(name)
        waiting = [one for one in await self._store.runs_of(incident.id) if one.state is RunState.ASKED]
        if len(waiting) != 1:
            names = ", ".join(f"{one.id} ({one.title})" for one in waiting[:5])
            told = f"several actions wait, name one: {names}" if waiting else "no action waits for anybody to agree"
            raise UsageError(f"{incident.id}: {told}")
        return waiting[0]

    async def _tried(self, work: Awaitable[Changed | None]) -> Changed | None:
        """People are named as the book names them."""
        try:
            return await work
        except ConflictError as error:
            raise ConflictError(self._named(str(error)), error.holder) from None
        except UsageError as error:
            raise UsageError(self._named(str(error))) from None

    def _settled(self, changed: Changed) -> Settled:
        self._changed(changed.incident.id)
        if changed.run.state is RunState.APPROVED:
            self._approved()
        return Settled(changed.run, True, self._spoken(changed.run))

    async def _as_it_is(self, run: Run) -> Settled:
        return Settled(await self._store.run(run.id) or run, False, "that click has been recorded already")

    def _spoken(self, run: Run) -> str:
        what = f'taking back "{run.title}"' if run.kind == "undo" else f'"{run.title}"'
        match run.state:
            case RunState.APPROVED:
                return f"{run.incident}: {what} is being carried out ({run.id})."
            case RunState.REFUSED:
                return f"{run.incident}: {what} is refused; nothing has been sent."
            case _:
                missing = run.approve.min - len(run.approvals)
                left = [name for name in run.asked_of if f"person:{name}" not in {one.by for one in run.approvals}]
                names = ", ".join(self._name(name) for name in left)
                count = f"{missing} of " if missing < len(left) else ""
                until = f" until {run.due_at:%H:%M} UTC" if run.due_at else ""
                return f"{run.incident}: {what} waits{until} for {count}{names} ({run.id})."

    def _name(self, person: str) -> str:
        known = self._book.people.get(person)
        return known.name if known is not None else person

    def _named(self, text: str) -> str:
        """Ids of people stand where a sentence names who did something: at its start, or after `by`."""
        words = text.split(" ")
        for at, word in enumerate(words):
            if word in self._book.people and (at == 0 or words[at - 1] == "by"):
                words[at] = self._name(word)
        return " ".join(words)

    @property
    def _book(self) -> Book:
        return self._world().book


def _short(reason: str) -> str:
    """Raises UsageError when it is too long to be shown."""
    told = notes.plain(reason)
    if len(told) > _LONGEST_REASON:
        raise UsageError(f"the reason has {len(told)} characters, {_LONGEST_REASON} at most; write a note for the rest")
    return told


def _step(steps: Sequence[RenderedStep], name: str, incident: str) -> RenderedStep:
    for step in steps:
        if name in {step.id, str(step.number)}:
            return step
    actions = ", ".join(step.id for step in steps if step.kind == "action") or "none of its steps is an action"
    raise UsageError(f'the runbook of {incident} has no step "{name}"; actions: {actions}')
