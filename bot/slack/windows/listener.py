"""Hears what opens a window, changes one, submits it or closes it."""

from __future__ import annotations

import asyncio
import logging
import re  # noqa: TID251 - fixed patterns, matched against our own names
from dataclasses import dataclass, field
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError, ConflictError, RemoteError
from bot.incidents.model import State
from bot.ports import Actor
from bot.slack import answers, rows, storm
from bot.slack.authorize import NotAllowedError
from bot.slack.changes import broken
from bot.slack.errors import call
from bot.slack.reception import SLOW, Reception
from bot.slack.scopes import SHORTCUTS
from bot.slack.windows import frame
from bot.slack.windows.base import InputError, NothingToDoError, Window
from bot.slack.windows.frame import CALLBACK, INPUT, Memory, Values
from bot.slack.windows.hold import OPEN
from bot.slack.windows.meanwhile import meanwhile
from bot.slack.windows.opening import WINDOWS, Opening

logger = logging.getLogger(__name__)

ACK_MESSAGE, NOTE_MESSAGE = SHORTCUTS


@dataclass(frozen=True)
class _Result:
    """What became of a submit: errors under inputs, another view in its place, or words once it has closed."""

    errors: dict[str, str] = field(default_factory=dict)
    view: dict[str, Any] | None = None
    text: str = ""


class Windows:
    def __init__(self, reception: Reception) -> None:
        self._at = reception
        self._opening = Opening(reception)

    def register(self, bolt: AsyncApp) -> None:
        for menu in (rows.MORE, storm.MORE):
            bolt.action(menu)(self._on_menu)
        bolt.action(rows.RESOLVE)(self._on_resolve)
        bolt.action(re.compile(f"^{re.escape(OPEN)}"))(self._on_offer)
        bolt.action(re.compile(f"^{re.escape(INPUT)}"))(self._on_input)
        for name in (*WINDOWS, "told"):
            bolt.view(CALLBACK + name)(self._on_submit)
            bolt.view_closed(CALLBACK + name)(self._on_close)
        for callback in SHORTCUTS:
            bolt.shortcut(callback)(self._on_message)

    # --- what opens one -----------------------------------------------------------------------------------------------

    async def _on_menu(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        chosen = str((action.get("selected_option") or {}).get("value") or "")
        name, _, rest = chosen.partition("|")
        await self._asked(ack, body, name, rest.partition("|")[0])

    async def _on_offer(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        subject = str(action.get("value") or "").partition("|")[0]
        await self._asked(ack, body, str(action["action_id"]).removeprefix(OPEN), subject)

    async def _on_resolve(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await self._asked(ack, body, "resolve", str(action.get("value") or "").partition("|")[0])

    async def _asked(self, ack: Any, body: dict[str, Any], name: str, subject: str) -> None:
        await ack()
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            self._at.tell_later(body.get("response_url"), answers.say(str(refusal)))
            return
        if name in WINDOWS:
            self._at.spawn(self._open(name, subject, actor, body))

    async def _open(self, name: str, subject: str, actor: Actor, body: dict[str, Any]) -> None:
        if await self._opening.open(name, subject, actor, body):
            return
        url = body.get("response_url")
        if name == "resolve" and (told := await self._resolved(subject, actor, str(body.get("trigger_id") or ""))):
            await self._at.tell(url, answers.say(told))
            return
        await self._at.tell(url, self._opening.words(name, subject))

    async def _resolved(self, subject: str, actor: Actor, trigger: str) -> str:
        """Without a window there is nothing to ask whoever has it: it is closed. Empty for anybody else."""
        try:
            incident = await self._at.desks.commands.incident(subject)
            if incident.state is not State.ACKED or incident.acked_by != actor.id:
                return ""
            key = f"{subject}|{rows.RESOLVE}|{actor.id}|{trigger}"
            return (await self._at.desks.commands.resolve(actor, subject, event_key=key)).message
        except AgentpagerError as error:
            return str(error)

    async def _on_message(self, ack: Any, body: dict[str, Any]) -> None:
        """An entry of the menu of one of our messages."""
        await ack()
        url = body.get("response_url")
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            self._at.tell_later(url, answers.say(str(refusal)))
            return
        self._at.spawn(self._of_message(body, actor))

    async def _of_message(self, body: dict[str, Any], actor: Actor) -> None:
        url, message = body.get("response_url"), body.get("message") or {}
        channel = str((body.get("channel") or {}).get("id") or "")
        stands = str(message.get("thread_ts") or message.get("ts") or body.get("message_ts") or "")
        try:
            subject = await self._at.desks.commands.incident_of_message(channel, stands)
            if subject is None:
                await self._at.tell(url, answers.say("That message is about no incident of agentpager."))
            elif body.get("callback_id") == NOTE_MESSAGE:
                await self._open("note", subject, actor, body)
            else:
                self._at.tell_later(url, await self._acked(subject, actor, body))
        except AgentpagerError as error:
            await self._at.tell(url, answers.say(str(error)))
        except Exception:  # whoever asked must get an honest answer, whatever failed
            logger.exception("slack: %s by %s failed", body.get("callback_id"), actor.id)
            await self._at.tell(url, answers.say(broken("ack", None)))

    async def _acked(self, subject: str, actor: Actor, body: dict[str, Any]) -> answers.Answer:
        commands = self._at.desks.commands
        incident = await commands.incident(subject)
        if await self._opening.not_theirs(actor, incident) and await self._opening.open("take", subject, actor, body):
            return answers.say("")
        try:
            key = f"{subject}|{ACK_MESSAGE}|{actor.id}|{body.get('action_ts') or body.get('trigger_id')}"
            return answers.say((await commands.ack(actor, subject, event_key=key)).message)
        except ConflictError as error:
            taken = self._opening.taken(await commands.incident(subject)) if error.holder else None
            return taken or answers.say(str(error))

    # --- what happens in one ------------------------------------------------------------------------------------------

    async def _on_input(self, ack: Any, body: dict[str, Any]) -> None:
        """Something was chosen on which another line of the window depends."""
        await ack()
        view = body.get("view") or {}
        window = WINDOWS.get(str(view.get("callback_id") or "").removeprefix(CALLBACK))
        try:
            actor = self._at.authorize(body)
        except NotAllowedError:
            return  # it is told at the submit
        if window is not None:
            self._at.spawn(self._redraw(window, actor, view))

    async def _redraw(self, window: Window, actor: Actor, view: dict[str, Any]) -> None:
        memory = Memory.unpacked(str(view.get("private_metadata") or ""))
        values = Values((view.get("state") or {}).get("values") or {})
        # What was seen at first stays what is compared at the submit.
        drawn = await self._opening.drawn(window, actor, memory, values)
        if drawn["callback_id"] == view.get("callback_id"):
            drawn = drawn | {"private_metadata": memory.packed()[:3000]}
        # `hash`: a later change has drawn it already.
        request = self._at.web.views_update(view_id=str(view["id"]), hash=str(view.get("hash") or ""), view=drawn)
        await self._at.quietly("views.update", request)

    async def _on_close(self, ack: Any) -> None:
        """Nothing was asked for, so nothing is done."""
        await ack()

    async def _on_submit(self, ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        window = WINDOWS.get(str(view.get("callback_id") or "").removeprefix(CALLBACK))
        if window is None:
            await ack()
            return
        memory = Memory.unpacked(str(view.get("private_metadata") or ""))
        title = window.title(memory.subject)
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack(response_action="update", view=frame.said(title, str(refusal) or "Nothing was done."))
            return
        values = Values((view.get("state") or {}).get("values") or {})
        key = f"view|{view.get('id', '')}|{view.get('hash', '')}"
        task = self._at.spawn(self._submitted(window, actor, memory, values, key))
        if not await self._at.done_in_time(task):
            await ack(response_action="update", view=frame.said(title, SLOW))
            self._at.spawn(self._tell_when_done(task, str(view.get("id") or ""), title, memory))
            return
        result = task.result()
        if result.errors:
            await ack(response_action="errors", errors=result.errors)
        elif result.view is not None:
            await ack(response_action="update", view=result.view)
        else:
            await ack()
            self._at.tell_later(memory.reply, answers.say(result.text))

    async def _submitted(self, window: Window, actor: Actor, memory: Memory, values: Values, key: str) -> _Result:
        title = window.title(memory.subject)
        try:
            visit = self._opening.visit(actor)
            if window.checked:
                news = meanwhile(memory, await visit.incident(memory), visit.book, visit.now)
                if news:
                    return _Result(view=await self._opening.drawn(window, actor, memory, values, news))
            return _Result(text=await window.submit(visit, memory, values, key))
        except InputError as error:
            return _Result({error.name: str(error)})
        except (NothingToDoError, ConflictError, AgentpagerError) as error:
            return _Result(view=frame.said(title, str(error)))
        except Exception:  # a submit must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", window.name, memory.subject, actor.id)
            return _Result(view=frame.said(title, broken(window.name, memory.subject)))

    async def _tell_when_done(self, task: asyncio.Task[_Result], view_id: str, title: str, memory: Memory) -> None:
        result = await task
        text = result.text or "; ".join(result.errors.values())
        view = result.view or frame.said(title, text or "Recorded.")
        try:
            await call("views.update", self._at.web.views_update(view_id=view_id, view=view))
        except RemoteError:  # closed meanwhile
            await self._at.tell(memory.reply, answers.say(text or f"{memory.subject}: not recorded. Look again."))
