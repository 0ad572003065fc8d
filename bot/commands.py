"""Everything a person can ask for, the same from Slack, the command line and the API. Implements ports.Commands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot import pipeline, telemetry
from bot.errors import ConflictError, SeveralError, UsageError
from bot.incidents import exercise, notes, people, steps
from bot.incidents.decision import Decision, World, book_of
from bot.incidents.model import AlertState, Event, Incident, State
from bot.oncall.duty import on_duty
from bot.oncall.model import Book
from bot.oncall.moments import moment
from bot.oncall.owners import owner_of, policy_of, reach
from bot.paging.model import PageKind, PageState
from bot.ports import Accounts, Actor, AgentStatus, Clock, Outcome
from bot.renderings import Renderings
from bot.runbooks import progress
from bot.runbooks.rendered import Rendered, RenderedStep, Verdict
from bot.store.database import Database

_NEVER_SENT = {PageState.CANCELLED, PageState.FAILED}
_AT_ONCE = 500  # incidents taken by one transaction
_Decide = Callable[[Incident, World, datetime], Decision]


class Desk:
    """`changed` is called with an incident that a person has just changed."""

    def __init__(
        self,
        store: Database,
        renderings: Renderings,
        clock: Clock,
        world: Callable[[], World],
        facts: Callable[[Incident], dict[str, object]],
        changed: Callable[[Incident], None],
    ) -> None:
        self.accounts: Accounts | None = None  # how the agents are doing, where that is kept
        self._store = store
        self._renderings = renderings
        self._clock = clock
        self._world = world
        self._facts = facts
        self._changed = changed

    @property
    def book(self) -> Book:
        return self._world().book

    def book_of(self, incident: Incident) -> Book:
        return book_of(incident, self._world())

    async def ack(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome:
        return await self._act(actor, reference, event_key, lambda i, _, now: people.ack(i, actor.id, now))

    async def ack_all(self, actor: Actor, message: str, *, event_key: str | None = None) -> Outcome:
        """Everything open that one message about several incidents shows. `message` is the id of the page that leads
        it."""
        names = [page.incident for page in await self._store.pages_led_by(message) if page.incident is not None]
        if not names:
            raise UsageError("that message is not known any more; `incidents` lists what is open")
        world, now = self._world(), self._clock.now()
        taken: list[tuple[Incident, Decision]] = []
        for number, start in enumerate(range(0, len(names), _AT_ONCE)):
            part, key = names[start : start + _AT_ONCE], f"{event_key}.{number}" if event_key else None
            done = await pipeline.act_on_all(
                self._store, part, lambda i: _by_link(people.ack(i, actor.id, now), actor), world, now, key
            )
            if done is None:
                return Outcome(None, False, "that click has been recorded already")
            taken += done
        for before, decision in taken:
            self._changed(decision.incident)
            self._count(decision, before)
        if not taken:
            return Outcome(None, False, "none of them waits for anybody: each is taken, hidden or over")
        return Outcome(taken[0][1].incident, True, f"{len(taken)} of {len(names)} incidents are yours now.")

    async def decline(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome:
        return await self._act(
            actor, reference, event_key, lambda i, world, now: people.decline(i, actor.id, world, now)
        )

    async def release(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome:
        return await self._act(
            actor, reference, event_key, lambda i, world, now: people.release(i, actor.id, world, now)
        )

    async def resolve(
        self, actor: Actor, reference: str | None, *, cause: str = "", note: str = "", event_key: str | None = None
    ) -> Outcome:
        return await self._act(
            actor, reference, event_key, lambda i, _, now: people.resolve(i, actor.id, now, cause, note)
        )

    async def take(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome:
        return await self._act(actor, reference, event_key, lambda i, _, now: people.take_over(i, actor.id, now))

    async def escalate(
        self, actor: Actor, reference: str | None, *, seen: tuple[int, int] | None = None, event_key: str | None = None
    ) -> Outcome:
        return await self._act(
            actor, reference, event_key, lambda i, world, now: people.escalate_now(i, actor.id, world, now, seen)
        )

    async def snooze(self, actor: Actor, reference: str | None, until: str, *, event_key: str | None = None) -> Outcome:
        end = moment(until, self._clock.now(), actor.person.timezone if actor.person else "UTC")
        return await self._act(actor, reference, event_key, lambda i, _, now: people.snooze(i, actor.id, end, now))

    async def hand(
        self, actor: Actor, reference: str | None, person: str, *, note: str = "", event_key: str | None = None
    ) -> Outcome:
        return await self._act(
            actor, reference, event_key, lambda i, world, now: people.hand_over(i, actor.id, person, world, now, note)
        )

    async def note(self, actor: Actor, reference: str | None, text: str, *, event_key: str | None = None) -> Outcome:
        return await self._act(actor, reference, event_key, lambda i, _, now: notes.note(i, actor.id, text, now))

    async def mark(self, actor: Actor, reference: str | None, verdict: str, *, event_key: str | None = None) -> Outcome:
        return await self._act(actor, reference, event_key, lambda i, _world, _now: notes.mark(i, actor.id, verdict))

    async def no_problem(
        self, actor: Actor, reference: str | None, kind: str, text: str, *, event_key: str | None = None
    ) -> Outcome:
        return await self._act(
            actor, reference, event_key, lambda i, world, now: notes.no_problem(i, actor.id, kind, text, world, now)
        )

    async def paged(self, incident: Incident) -> Collection[str]:
        pages = await self._store.pages_of(incident.id)
        told = [page for page in pages if page.kind is PageKind.PAGE and page.state not in _NEVER_SENT]
        if any(page.person is None for page in told):
            return ()
        return {page.person for page in told if page.person is not None}

    async def shown(self, message: str) -> Sequence[Incident]:
        names = {page.incident: None for page in await self._store.pages_led_by(message) if page.incident}
        found = [await self._store.incident(name) for name in names]
        return [incident for incident in found if incident is not None]

    async def split(self, actor: Actor, message: str, reference: str, *, event_key: str | None = None) -> Outcome:
        incident = await self.incident(reference)
        pages = await self._store.pages_led_by(message)
        if not await pipeline.split(self._store, pages, incident.id, actor.id, self._clock.now(), event_key):
            return Outcome(incident, False, "that click has been recorded already")
        self._changed(incident)
        return Outcome(incident, True, f"{incident.id} has a message of its own now.")

    async def step(
        self,
        actor: Actor,
        reference: str | None,
        step: str,
        state: str,
        text: str = "",
        *,
        event_key: str | None = None,
    ) -> Outcome:
        incident = await self._one(actor, reference)
        rendered = await self._store.rendering(incident.id)
        target = progress.named(rendered, step, incident.id)
        if target.kind == "decision" and state == "done":
            text = _chosen(target, text)
        try:
            outcome = await self._act(
                actor, incident.id, event_key, lambda i, world, now: _stepped(i, actor, target, state, text, world, now)
            )
        except steps.AlreadyError as already:
            return Outcome(await self._store.incident(incident.id), False, f"{incident.id}: {already}.")
        if outcome.changed and outcome.incident is not None and state == "done" and target.verify:
            self._check_again(outcome.incident, target)
        return outcome

    def _check_again(self, incident: Incident, step: RenderedStep) -> None:
        """Looks whether the step has helped. What the check says is written down, and shown by an edit."""

        async def tell(result: Rendered) -> bool:
            """Whether that is enough: it passes, there is no such check any more, or the step is not done after all."""
            check = next((one for one in result.steps if one.id == step.verify), None)
            now_is = await self._store.incident(incident.id)
            mark = steps.mark_of(now_is, step.id) if now_is is not None else None
            if check is None or check.check is None or mark is None or mark.state != "done":
                return True
            line = f"after {progress.label_of(step)}: {progress.verdict_of(check)}"
            world, now = self._world(), self._clock.now()
            await pipeline.act(self._store, incident.id, lambda i: steps.verified(i, line), world, now, None)
            return check.check.verdict is Verdict.PASS

        self._renderings.check_again(incident.id, self._facts(incident), tell)

    async def opened(self, actor: Actor, reference: str) -> None:
        incident = await self.incident(reference)
        if actor.id not in incident.readers:
            world, now = self._world(), self._clock.now()
            await pipeline.act(self._store, incident.id, lambda i: steps.opened(i, actor.id), world, now, None)

    async def report(
        self, actor: Actor, reference: str, step: str, kind: str, text: str, *, event_key: str | None = None
    ) -> Outcome:
        incident = await self.incident(reference)
        rendered = await self._store.rendering(incident.id)
        if rendered is None or not rendered.runbook:
            raise UsageError(f"{incident.id} has no runbook that could be wrong")
        target = _named(progress.named(rendered, step, incident.id)) if step.strip() else None
        channel, told_by = self._desk_of(rendered.owner, incident), self.name_of(actor.id)
        return await self._act(
            actor,
            incident.id,
            event_key,
            lambda i, _, now: steps.report(i, actor.id, rendered.runbook, target, kind, text, told_by, channel, now),
        )

    def _desk_of(self, owner: str, incident: Incident) -> str:
        """Where the owners of a runbook read what is to be mended."""
        kind, _, name = owner.rpartition(":")
        if kind in {"team", ""} and name in self.book.teams:
            return self.book.teams[name].channel or incident.channel
        if kind in {"person", ""} and name in self.book.people:
            return self.book.people[name].slack
        return incident.channel

    async def _act(self, actor: Actor, reference: str | None, event_key: str | None, decide: _Decide) -> Outcome:
        incident = await self._one(actor, reference)
        # Taken once: a reload in between must not let a decision name people whom the pages then look up elsewhere.
        world, now = self._world(), self._clock.now()
        try:
            decision = await pipeline.act(
                self._store, incident.id, lambda i: _by_link(decide(i, world, now), actor), world, now, event_key
            )
        except ConflictError as error:
            if error.holder is None:
                raise
            told = str(error).replace(people.short(error.holder), self.name_of(error.holder))
            raise type(error)(told, error.holder) from None
        if decision is None:
            return Outcome(await self._store.incident(incident.id), False, "that click has been recorded already")
        self._changed(decision.incident)
        self._count(decision, incident)
        told = self._spoken(decision, actor) if not exercise.result_of(decision.incident) else _test_over(decision)
        return Outcome(decision.incident, True, told)

    def _count(self, decision: Decision, before: Incident) -> None:
        if decision.event is None:
            return
        telemetry.decisions.labels(decision.event).inc()
        if before.exercise:
            return
        if decision.event is Event.ACKED and before.state is State.OPEN and before.paged_at is not None:
            telemetry.acked(before.id, (self._clock.now() - before.paged_at).total_seconds())

    def _spoken(self, decision: Decision, actor: Actor) -> str:
        incident = decision.incident
        woken = ", ".join(self.name_of(f"person:{reached.person}") for reached in decision.wake)
        match decision.event:
            case Event.ACKED:
                until = incident.ack_expires_at.strftime("%H:%M UTC") if incident.ack_expires_at else "further notice"
                return f"{incident.id} is yours until {until}, then you are asked again."
            case Event.TAKEN:
                had = ", ".join(self.name_of(f"person:{told.person}") for told in decision.tell)
                return f"{incident.id} is yours now{f'; {had} is told' if had else ''}."
            case Event.SNOOZED if incident.snoozed_until is not None:
                until = _local(incident.snoozed_until, actor)
                return f"{incident.id} is yours and quiet until {until}. It pages again then, or at once if it worsens."
            case Event.DECLINED if not decision.wake and not decision.channels and incident.next_at is not None:
                again = incident.next_at.strftime("%H:%M UTC")
                return (
                    f"{incident.id} is left to the others: everybody has been paged already, and is again at {again}."
                )
            case Event.DECLINED | Event.ESCALATED:
                return f"{incident.id}: {woken or 'nobody'} is being woken now."
            case Event.HANDED:
                return f"{incident.id}: {woken} is being woken for it now; without an ack the ladder begins."
            case Event.NOTED:
                return f"{incident.id}: written down, note {len(incident.notes)}."
            case Event.MARKED:
                return f"{incident.id}: marked, {decision.why}."
            case Event.RELEASED:
                return f"{incident.id} is released; {woken or 'nobody'} is being woken now."
            case Event.RESOLVED if incident.next_at is not None:
                again = incident.next_at.strftime("%H:%M UTC")
                return f"{incident.id} is resolved. Its alerts still fire: it opens again if they do at {again}."
            case _:
                return _otherwise(decision)

    def name_of(self, actor: str | None) -> str:
        person = self.book.people.get((actor or "").removeprefix("person:"))
        return person.name if person else (actor or "nobody")

    async def _one(self, actor: Actor, reference: str | None) -> Incident:
        if reference is None:
            return await self._only_open(actor)
        if reference == "last":
            newest = await self._store.recent(1)
            if not newest:
                raise UsageError("there has been no incident yet")
            return newest[0]
        return await self.incident(reference)

    async def _only_open(self, actor: Actor) -> Incident:
        unresolved = await self._store.unresolved()
        mine = [incident for incident in unresolved if actor.person and await self._paged(incident, actor.person.id)]
        choice = mine or unresolved
        if not choice:
            raise UsageError("no incident is open")
        if len(choice) > 1:
            names = ", ".join(f"{incident.id} ({incident.title})" for incident in choice[:5])
            raise SeveralError(f"several are open, name one: {names}", [incident.id for incident in choice[:5]])
        return choice[0]

    async def _paged(self, incident: Incident, person: str) -> bool:
        return any(page.person == person for page in await self._store.pages_of(incident.id))

    async def incident(self, reference: str) -> Incident:
        number = reference.upper().removeprefix("INC-")
        found = await self._store.incident(f"INC-{number}") if number.isdigit() else None
        if found is None:
            of_agent = [incident for incident in await self._store.unresolved() if incident.agent == reference]
            of_agent = [incident for incident in of_agent if not incident.exercise] or of_agent  # a drill comes last
            found = of_agent[0] if len(of_agent) == 1 else None
        if found is None:
            raise UsageError(f'there is no incident "{reference}"; `incidents` lists them')
        return found

    async def incidents(self, *, only_open: bool = True, limit: int = 1000) -> Sequence[Incident]:
        if only_open:
            return sorted(await self._store.unresolved(), key=lambda i: int(i.id.removeprefix("INC-")), reverse=True)[
                :limit
            ]
        return await self._store.recent(limit)

    async def incident_of_message(self, channel: str, ts: str) -> str | None:
        found = await self._store.incidents_of_message(channel, ts)
        known = {incident.id: incident for incident in await self._store.unresolved()}
        going_on = [name for name in found if name in known]
        if len(found) > 1 and len(going_on) != 1:
            example = (going_on or found)[0]
            raise UsageError(f"that message is about {len(found)} incidents; name one, for example {example}")
        return next(iter(going_on or found), None)

    async def rendered(self, incident: Incident, *, fresh: bool = False) -> Rendered | None:
        if fresh:
            return await self._renderings.fresh(incident, self._facts(incident))
        return await self._store.rendering(incident.id)

    async def status(self) -> Sequence[AgentStatus]:
        world, now = self._world(), self._clock.now()
        unresolved = await self._store.unresolved()
        vitals = await self.accounts.vitals() if self.accounts is not None else {}
        rows = []
        for agent in world.agents.values():
            mine = [incident for incident in unresolved if incident.agent == agent.id and not incident.exercise]
            labels = {"agent": agent.id}
            _, policy = policy_of(owner_of(labels, world.agents, world.book), labels, world.agents, world.book)
            reached = reach(policy.steps[0], world.book, now, "critical").people
            rows.append(
                AgentStatus(
                    agent=agent.id,
                    title=agent.name,
                    health=_health(mine),
                    owner=agent.owner,
                    oncall=tuple(person.person for person in reached),
                    incidents=tuple(incident.id for incident in mine),
                    vitals=vitals.get(agent.id),
                )
            )
        return rows

    def oncall(self, at: datetime | None = None) -> dict[str, Any]:
        return roster(self.book, at or self._clock.now())


def _stepped(
    incident: Incident, actor: Actor, step: RenderedStep, state: str, text: str, world: World, now: datetime
) -> Decision:
    known = _named(step)
    if state == "done" and step.kind == "escalate":
        to = {"next": ""}.get(text, text) if text == "next" or text.startswith("level:") else step.to
        return steps.escalate(incident, actor.id, known, to, world, now)
    if state == "done" and step.kind == "handoff":
        return steps.hand_off(incident, actor.id, known, text, now)
    return steps.mark(incident, actor.id, known, state, text, now)


def _named(step: RenderedStep) -> steps.Named:
    return steps.Named(step.id, progress.label_of(step))


def _chosen(step: RenderedStep, text: str) -> str:
    choice = progress.choice_of(step, text)
    if choice is None:
        known = ", ".join(f'"{one.label}"' for one in step.choices)
        said = f'"{text}" is no answer to it' if text.strip() else "it needs an answer"
        raise UsageError(f"{progress.label_of(step)}: {said}; choose one of {known}")
    return choice.label


def _otherwise(decision: Decision) -> str:
    incident = decision.incident
    match decision.event:
        case Event.STEPPED:
            told = decision.why.partition("\n")[0]
            return f"{incident.id}: {told}."
        case Event.REPORTED:
            return f"{incident.id}: filed for the owner of the runbook in {decision.tasks[0].channel}."
        case _:
            return f"{incident.id} is {incident.state}."


def _test_over(decision: Decision) -> str:
    return f"{decision.incident.id} is over. The {decision.incident.exercise} {decision.why}."


def _local(at: datetime, actor: Actor) -> str:
    zone = actor.person.timezone if actor.person else "UTC"
    return f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"


def _by_link(decision: Decision, actor: Actor) -> Decision:
    """The audit says by which way somebody acted from outside Slack."""
    words = {"email": "by the link in an e-mail", "webhook": "by the link sent through a webhook"}.get(actor.via)
    return replace(decision, why=f"{decision.why} {words}") if words else decision


def roster(book: Book, at: datetime) -> dict[str, Any]:
    """Who is on duty in each schedule at that instant, and until when."""
    rows = []
    for schedule in book.schedules.values():
        duty = on_duty(schedule, at, book.almanac)
        until = duty.until.isoformat() if duty.until else None
        rows.append({"schedule": schedule.id, "people": list(duty.people), "until": until})
    return {"at": at.isoformat(), "schedules": rows}


def _health(incidents: Sequence[Incident]) -> str:
    if not incidents:
        return "ok"
    incidents = [incident for incident in incidents if not incident.suppressed]
    if not incidents:
        return "hidden"
    if any(alert.state is AlertState.NO_DATA for incident in incidents for alert in incident.going_on):
        return "no_data"
    return "acked" if all(incident.state is State.ACKED for incident in incidents) else "firing"
