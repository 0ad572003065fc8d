"""What people write: `/agent …`, `@bot …` in threads, and direct messages. One grammar, the same answers."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError, SeveralError, UsageError
from bot.incidents.model import Incident
from bot.oncall.moments import moment
from bot.ports import Actor
from bot.slack import answers, by_hand, silence_words
from bot.slack.account_words import cost
from bot.slack.authorize import NotAllowedError, caller_of, moment_of
from bot.slack.changes import broken, carry_out
from bot.slack.gate_words import readiness
from bot.slack.grammar import CHANGES, OF_INCIDENT, Request, parse, wish
from bot.slack.reception import SLOW, Reception
from bot.slack.runbook_window import RunbookWindow

logger = logging.getLogger(__name__)

TEST_MY_PAGE = "duty.test"  # the button of messages about a shift
_EVENTS_REMEMBERED = 5_000


class Words:
    def __init__(self, reception: Reception) -> None:
        self._at = reception
        self._window = RunbookWindow(reception)
        self._events: OrderedDict[str, None] = OrderedDict()

    def register(self, bolt: AsyncApp) -> None:
        bolt.command("/agent")(self._on_command)
        bolt.event("app_mention")(self._on_words)
        bolt.event("message")(self._on_message)
        for number in range(answers.MOST_CHOICES):
            bolt.action(f"{answers.RUN_WORDS}.{number}")(self._on_choice)
        bolt.action(TEST_MY_PAGE)(self._on_test)

    async def _on_command(self, ack: Any, body: dict[str, Any]) -> None:
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack(**answers.say(str(refusal)))
            return
        request = parse(str(body.get("text") or ""))
        trigger = str(body.get("trigger_id") or "")
        key = f"command|{trigger}" if trigger else None
        task = self._at.spawn(
            self._answer(request, actor, wish(request)[0], key, trigger=trigger, url=body.get("response_url"))
        )
        if await self._at.done_in_time(task):
            answer = task.result()
            if answer["text"]:
                await ack(**answer, response_type="in_channel" if request.here else "ephemeral")
            else:  # a window has opened
                await ack()
        else:
            await ack(SLOW if request.verb in CHANGES else "Still looking…")
            self._at.spawn(self._tell_answer(task, body.get("response_url"), request.here))

    async def _on_choice(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """A button that stands for words: `value` is what would have been typed."""
        text = str(action.get("value") or "")
        await self._on_button(ack, body, action, lambda _: parse(text))

    async def _on_test(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """**Test my page**: of the one who clicks, whoever the message is to."""
        await self._on_button(ack, body, action, lambda _: parse("test me"))

    async def _on_button(
        self, ack: Any, body: dict[str, Any], action: dict[str, Any], request_of: Callable[[Actor], Request]
    ) -> None:
        url = body.get("response_url")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack()
            self._at.tell_later(url, answers.say(str(refusal)))
            return
        request = request_of(actor)
        key = f"{action.get('action_id', '')}|{caller_of(body).user}|{moment_of(body, action)}"
        trigger = str(body.get("trigger_id") or "")
        task = self._at.spawn(self._answer(request, actor, wish(request)[0], key, trigger=trigger, url=url))
        if await self._at.done_in_time(task):
            await ack()
            await self._told(body, actor, task.result())
        else:
            await ack()
            await self._told(body, actor, answers.say(SLOW))
            self._at.spawn(self._told_when_done(body, actor, task))

    async def _told(self, body: dict[str, Any], actor: Actor, answer: answers.Answer) -> None:
        """Where the click came from; from the home tab there is no message to answer under, so directly."""
        if not answer["text"]:
            return
        if url := body.get("response_url"):
            self._at.tell_later(str(url), answer)
        elif actor.person is not None:
            where: dict[str, Any] = {"channel": actor.person.slack, "link_names": False, "parse": "none"}
            self._at.spawn(self._at.quietly("chat.postMessage", self._at.web.chat_postMessage(**where, **answer)))

    async def _told_when_done(self, body: dict[str, Any], actor: Actor, task: asyncio.Task[answers.Answer]) -> None:
        await self._told(body, actor, await task)

    async def _on_message(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        """Only what a person has just written to us directly: our own pages and every edit come here as well."""
        plain = event.get("channel_type") == "im" and not any(event.get(key) for key in ("subtype", "bot_id", "hidden"))
        if plain and str(event.get("text") or "").strip():
            await self._on_words(body, event)

    async def _on_words(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        event_id = str(body.get("event_id") or f"{event.get('channel')}.{event.get('ts')}")
        if event_id in self._events:
            return
        channel, thread = str(event.get("channel") or ""), str(event.get("thread_ts") or "")
        alone = event.get("channel_type") == "im"
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            if str(refusal):
                self._at.spawn(self._at.whisper(channel, thread, event, answers.say(str(refusal))))
            return
        request = parse(_without_mention(str(event.get("text") or ""), self._at.home.bot_user if self._at.home else ""))
        task = self._at.spawn(self._answer_in_thread(request, actor, channel, thread, f"event|{event_id}", alone))
        if await self._at.done_in_time(task):
            self._remember(event_id)
            self._at.spawn(self._at.whisper(channel, thread, event, task.result(), here=request.here))
        else:
            self._at.spawn(self._whisper_when_done(task, channel, thread, event, request))

    async def _answer_in_thread(
        self, request: Request, actor: Actor, channel: str, thread: str, key: str, alone: bool
    ) -> answers.Answer:
        reference = wish(request)[0]
        if reference is None and thread and request.verb in OF_INCIDENT | {"runbook"}:
            try:
                reference = await self._at.desks.commands.incident_of_message(channel, thread)
            except AgentpagerError as error:
                return answers.say(str(error))
        return await self._answer(request, actor, reference, key, in_full=alone)

    async def _answer(
        self,
        request: Request,
        actor: Actor,
        reference: str | None,
        key: str | None,
        *,
        in_full: bool = False,
        trigger: str = "",
        url: str | None = None,
    ) -> answers.Answer:
        """An answer with an empty text has been given already, by a window."""
        try:
            if request.verb in {"silence", "unsilence"}:
                return answers.say(await self._silence(request, actor, key))
            if request.verb in by_hand.VERBS:
                return await by_hand.answer(self._at, request, actor, key)
            if request.verb == "runbook":
                return await self._runbook(reference, actor, trigger, url)
            if request.verb in CHANGES:
                outcome = await carry_out(
                    self._at.desks.commands, request.verb, actor, reference, key, wish(request)[1]
                )
                return answers.say(outcome.message)
            return await self._look_up(request, actor, in_full)
        except SeveralError as error:
            more = wish(request)[1]
            return answers.choose(str(error), [f"{request.verb} {one} {more}".strip() for one in error.names])
        except AgentpagerError as error:
            return answers.say(str(error))
        except Exception:  # a command must get an honest answer, whatever failed
            logger.exception("slack: /agent %s by %s failed", request.verb, actor.id)
            if request.verb in CHANGES:
                return answers.say(broken(request.verb, reference))
            return answers.say("That failed inside agentpager. Try again.")

    async def _silence(self, request: Request, actor: Actor, key: str | None) -> str:
        if request.verb == "unsilence":
            if not request.argument:
                raise UsageError("name the silence: unsilence SIL-3; `silences` lists them")
            ended = await self._at.desks.silencing.expire(actor, request.argument)
            return f"{ended.id} has ended; what it hid and still fires wakes its owner."
        wish = silence_words.parse(request.raw)
        incident = await self._at.desks.commands.incident(wish.incident) if wish.incident else None
        draft = wish.draft(incident, self._at.clock.now())
        made, hidden = await self._at.desks.silencing.add(actor, draft, event_key=key)
        return silence_words.made(made, hidden)

    async def _runbook(self, reference: str | None, actor: Actor, trigger: str, url: str | None) -> answers.Answer:
        """Opens the window, where there is a click or command to open it with; otherwise a button that does."""
        incident = await self._meant(reference)
        if not trigger:
            return answers.runbook_button(incident)
        self._at.spawn(self._window.show(incident.id, trigger, url, actor))
        return {"text": ""}

    async def _meant(self, reference: str | None) -> Incident:
        """By its number, its agent, or words of its title; without any the only one that is open."""
        rows = await self._at.desks.commands.incidents()
        if reference is not None:
            try:
                return await self._at.desks.commands.incident(reference)
            except UsageError:
                wanted = reference.lower().split()
                rows = [row for row in rows if all(word in _searched(row) for word in wanted)]
        if len(rows) == 1:
            return rows[0]
        if not rows:
            which = f' that "{reference}" could mean' if reference is not None else ""
            raise UsageError(f"no incident is open{which}; `incidents 24h` lists those of the last day")
        raise SeveralError("several are open; which one?", [row.id for row in rows])

    async def _mine(self, actor: Actor) -> list[Incident]:
        rows = await self._at.desks.commands.incidents()
        person = actor.person.id if actor.person else ""
        return [row for row in rows if row.acked_by == actor.id or person in await self._at.desks.commands.paged(row)]

    async def _look_up(self, request: Request, actor: Actor, in_full: bool) -> answers.Answer:
        book, now = self._at.book, self._at.clock.now()
        match request.verb:
            case "status":
                return answers.status(await self._at.desks.commands.status(), request.argument, book, now)
            case "cost":
                return await self._cost(request.argument)
            case "incidents" if request.argument in {"", "open"}:
                return answers.incidents(await self._at.desks.commands.incidents(), "open", book, now)
            case "incidents" if request.argument == "mine":
                return answers.incidents(await self._mine(actor), "mine", book, now)
            case "incidents":
                rows = await self._at.desks.commands.incidents(only_open=False, limit=200)
                return answers.incidents(answers.last_day(rows, now), "24h", book, now)
            case "silences":
                return answers.silences(await self._at.desks.silencing.silences(), book, now)
            case "oncall":
                wanted, at = _at_time(request, now, actor)
                return answers.oncall(self._at.desks.commands.oncall(at), wanted, book, now, at)
            case "readiness":
                return await self._readiness(request.argument)
            case "show":
                return await self._show(request.argument)
            case "help":
                return answers.help_on(request.argument)
            case _:
                return answers.unknown(request, in_full=in_full)

    async def _cost(self, wanted: str) -> answers.Answer:
        accounts = self._at.desks.accounts
        if accounts is None:
            raise UsageError("costs are not counted here")
        return cost(await accounts.spending(wanted or None), alone=bool(wanted))

    async def _show(self, wanted: str) -> answers.Answer:
        bundles = self._at.desks.bundles
        if not wanted or bundles is None:
            raise UsageError("name an agent: show refund-agent; `status` lists them")
        return answers.agent(await bundles.bundle(wanted))

    async def _readiness(self, wanted: str) -> answers.Answer:
        gate = self._at.desks.gate
        if gate is None:
            raise UsageError("readiness is not looked at here")
        return readiness(await gate.verdicts(wanted or None), alone=bool(wanted))

    async def _tell_answer(self, task: asyncio.Task[answers.Answer], url: str | None, here: bool) -> None:
        await self._at.tell(url, await task, here=here)

    async def _whisper_when_done(
        self, task: asyncio.Task[answers.Answer], channel: str, thread: str, event: dict[str, Any], request: Request
    ) -> None:
        if request.verb in CHANGES:
            await self._at.whisper(channel, thread, event, answers.say(SLOW))
        await self._at.whisper(channel, thread, event, await task, here=request.here)

    def _remember(self, event_id: str) -> None:
        self._events[event_id] = None
        while len(self._events) > _EVENTS_REMEMBERED:
            self._events.popitem(last=False)


def _searched(incident: Incident) -> str:
    names = " ".join(alert.name for alert in incident.alerts)
    return f"{incident.title} {incident.agent or ''} {names}".lower()


def _at_time(request: Request, now: datetime, actor: Actor) -> tuple[str, datetime | None]:
    """`payments at 18:00` → the team, and the instant where the person lives."""
    words = list(request.words)
    if "at" not in words:
        return request.argument, None
    place = words.index("at")
    zone = actor.person.timezone if actor.person else "UTC"
    return " ".join(words[:place]), moment(" ".join(words[place + 1 :]), now, zone)


def _without_mention(text: str, bot_user: str) -> str:
    """`<@U0BOT> ack` → `ack`; also where the name stands later in the line. Somebody else's mention stays: it may be
    the one to hand an incident to."""
    ours = (f"<@{bot_user}>", f"<@{bot_user}|")
    return " ".join(word for word in text.split() if not word.startswith(ours))
