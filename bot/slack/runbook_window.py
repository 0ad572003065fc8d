"""Clicks on steps of a runbook, below messages and in the window behind the Runbook button."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from slack_bolt.app.async_app import AsyncApp

from bot.errors import AgentpagerError, RemoteError
from bot.incidents.model import Incident
from bot.ports import Actor
from bot.runbooks import progress
from bot.runbooks.rendered import Rendered
from bot.slack import answers, rows, runbook_view, steps
from bot.slack.authorize import NotAllowedError, caller_of, moment_of
from bot.slack.errors import call
from bot.slack.kit import Part, fit
from bot.slack.reception import SLOW, Reception
from bot.slack.text import plain
from bot.slack.web import redact

logger = logging.getLogger(__name__)

_STATES = {
    steps.DONE: "done",
    steps.SKIP: "skipped",
    steps.FAIL: "failed",
    steps.UNDO: "undone",
    steps.ESCALATE: "done",
} | {f"{steps.CHOOSE}.{number}": "done" for number in range(steps.MAX_CHOICES)}
_ASKING = (steps.NOTE, steps.HAND_OFF, runbook_view.REPORT)
_FIRST_INPUT = {
    runbook_view.NOTE_VIEW: "text",
    runbook_view.HAND_OFF_VIEW: "answer.0",
    runbook_view.REPORT_VIEW: "text",
}


@dataclass(frozen=True)
class _Window:
    """An open runbook window: its id with Slack, whose it is, and the page it shows."""

    id: str
    incident: str
    page: int


class RunbookWindow:
    def __init__(self, reception: Reception) -> None:
        self._at = reception

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(rows.RUNBOOK)(self._on_open)
        for action_id in _STATES:
            bolt.action(action_id)(self._on_mark)
        for action_id in _ASKING:
            bolt.action(action_id)(self._on_ask)
        bolt.action(runbook_view.AGAIN)(self._on_again)
        for way in ("back", "on"):
            bolt.action(f"{runbook_view.TURN}.{way}")(self._on_turn)
        for callback in _FIRST_INPUT:
            bolt.view(callback)(self._on_submit)

    # --- opening ----------------------------------------------------------------------------------------------------

    async def _on_open(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        reference = str(action.get("value") or "").partition("|")[0]
        actor = self._caller(body)
        if actor is not None:
            url = body.get("response_url")
            self._at.spawn(self.show(reference, str(body.get("trigger_id") or ""), url, actor))

    async def show(self, reference: str, trigger: str, url: str | None, actor: Actor | None = None) -> None:
        """A skeleton at once, since the trigger lasts three seconds; then the real thing with fresh checks. Without a
        window the same is told through `url`. `actor` counts as a reader."""
        view_id = ""
        try:
            opened = await call(
                "views.open", self._at.web.views_open(trigger_id=trigger, view=runbook_view.skeleton(reference))
            )
            view_id = str((opened.get("view") or {}).get("id") or "")
        except RemoteError as error:
            logger.info("slack: views.open failed, answering with a message: %s", redact(str(error)))
        view = await self._view(reference, fresh=True)
        if view_id:
            await self._update(view_id, view)
        else:
            told = [Part(0, block) for block in view["blocks"] if block["type"] != "actions"]
            await self._at.tell(url, {"text": f"Runbook {reference}", "blocks": fit(told, ", see the thread")})
        if actor is not None:
            await self._read(actor, reference)

    async def _read(self, actor: Actor, reference: str) -> None:
        try:
            await self._at.desks.commands.opened(actor, reference)
        except AgentpagerError as error:
            logger.info("slack: a reader of %s is not recorded: %s", reference, redact(str(error)))

    async def _view(
        self, reference: str, page: int | None = None, notice: str = "", *, fresh: bool = False
    ) -> dict[str, Any]:
        """Without a page the one on which the next step stands."""
        try:
            incident, rendered = await self._runbook(reference, fresh=fresh)
        except AgentpagerError as error:
            return runbook_view.failed(reference, f"The runbook could not be shown: {error}")
        except Exception:  # the window is open and must not wait for ever
            logger.exception("slack: the runbook of %s could not be shown", reference)
            return runbook_view.failed(reference, "The runbook could not be shown: something failed inside agentpager.")
        if page is None and rendered is not None:
            following = progress.next_step(rendered, incident.progress)
            page = runbook_view.page_of(following, incident, rendered)
        return runbook_view.window(incident, rendered, self._at.book, self._at.clock.now(), page or 0, notice)

    async def _runbook(self, reference: str, *, fresh: bool = False) -> tuple[Incident, Rendered | None]:
        commands = self._at.desks.commands
        incident = await commands.incident(reference)
        rendered = await commands.rendered(incident, fresh=fresh)
        return await commands.incident(reference), rendered

    async def _on_again(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        window = _window_of(body)
        if self._caller(body) is not None and window is not None:
            self._at.spawn(self._redraw(window, window.page, "The checks have been run again.", fresh=True))

    async def _on_turn(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        window, wanted = _window_of(body), steps.read_value(str(action.get("value") or ""))[1]
        if self._caller(body) is not None and window is not None and wanted.isdecimal():
            self._at.spawn(self._redraw(window, int(wanted)))

    async def _redraw(self, window: _Window, page: int | None, notice: str = "", *, fresh: bool = False) -> None:
        await self._update(window.id, await self._view(window.incident, page, notice, fresh=fresh))

    async def _update(self, view_id: str, view: dict[str, Any]) -> None:
        await self._at.quietly("views.update", self._at.web.views_update(view_id=view_id, view=view))

    # --- marking ----------------------------------------------------------------------------------------------------

    async def _on_mark(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        reference, step, choice = steps.read_value(str(action.get("value") or ""))
        actor = self._caller(body)
        if actor is None:
            await ack()
            return
        state = _STATES[action["action_id"]]
        key = f"{reference}|{action['action_id']}|{step}|{caller_of(body).user}|{moment_of(body, action)}"
        task = self._at.spawn(self._mark(actor, reference, step, state, choice, key))
        in_time = await self._at.done_in_time(task)
        await ack()
        window, url = _window_of(body), body.get("response_url")
        if window is not None:
            self._at.spawn(self._show_mark(window, task, in_time=in_time))
        elif in_time:
            self._at.tell_later(url, answers.say(task.result()))
        else:
            self._at.tell_later(url, answers.say(SLOW))
            self._at.spawn(self._tell_when_done(task, url, f"{reference}: recorded."))

    async def _mark(self, actor: Actor, reference: str, step: str, state: str, choice: str, key: str) -> str:
        """Returns what the person must be told, empty when the message or window itself shows it."""
        try:
            outcome = await self._at.desks.commands.step(actor, reference, step, state, choice, event_key=key)
        except AgentpagerError as error:
            return str(error)
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: step %s of %s by %s failed", step, reference, actor.id)
            return _broken(reference, step, state)
        return "" if outcome.changed else outcome.message

    async def _show_mark(self, window: _Window, task: asyncio.Task[str], *, in_time: bool) -> None:
        if not in_time:
            await self._redraw(window, window.page, SLOW)
        told = await task
        await self._redraw(window, window.page if told else None, told)

    async def _tell_when_done(self, task: asyncio.Task[str], url: str | None, recorded: str) -> None:
        await self._at.tell(url, answers.say(await task or recorded))

    # --- asking for words -------------------------------------------------------------------------------------------

    async def _on_ask(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        if self._caller(body) is not None:
            self._at.spawn(self._ask(body, action))

    async def _ask(self, body: dict[str, Any], action: dict[str, Any]) -> None:
        """On top of the runbook window when there is one."""
        reference, step_id, _ = steps.read_value(str(action.get("value") or ""))
        window, trigger = _window_of(body), str(body.get("trigger_id") or "")
        try:
            incident, rendered = await self._runbook(reference)
            form = _form(action["action_id"], incident, rendered, step_id)
            if window is not None:
                await call("views.push", self._at.web.views_push(trigger_id=trigger, view=form))
            else:
                await call("views.open", self._at.web.views_open(trigger_id=trigger, view=form))
        except AgentpagerError as error:
            told = f"The window could not be opened: {redact(str(error))}. Try again."
            if window is not None:
                await self._redraw(window, window.page, told)
            else:
                await self._at.tell(body.get("response_url"), answers.say(told))

    async def _on_submit(self, ack: Any, body: dict[str, Any]) -> None:
        view = body.get("view") or {}
        first = _FIRST_INPUT[str(view.get("callback_id"))]
        try:
            actor = self._at.authorize(body)
        except NotAllowedError as refusal:
            await ack(response_action="errors", errors={first: _short(str(refusal) or "nothing was done")})
            return
        reference, step_id, _ = steps.read_value(str(view.get("private_metadata") or ""))
        task = self._at.spawn(self._submit(actor, view, reference, step_id))
        if not await self._at.done_in_time(task):
            await ack(response_action="update", view=runbook_view.failed(reference, SLOW))
            self._at.spawn(self._show_late(str(view.get("id") or ""), reference, task))
            return
        refused, told = task.result()
        if refused:
            await ack(response_action="errors", errors={first: _short(refused)})
            return
        await ack()
        if parent := str(view.get("previous_view_id") or ""):
            self._at.spawn(self._redraw(_Window(parent, reference, 0), None, told))

    async def _submit(self, actor: Actor, view: dict[str, Any], reference: str, step_id: str) -> tuple[str, str]:
        """(why not, what is told). A window is submitted once: its id is the key."""
        commands, key = self._at.desks.commands, f"{reference}|{view.get('callback_id')}|{view.get('id')}"
        try:
            _, rendered = await self._runbook(reference)
            step = progress.named(rendered, step_id, reference) if step_id else None
            match view.get("callback_id"):
                case runbook_view.HAND_OFF_VIEW:
                    told = runbook_view.answers(view, step)
                    outcome = await commands.step(actor, reference, step_id, "done", told, event_key=key)
                case runbook_view.NOTE_VIEW:
                    about = f"{progress.label_of(step)}: " if step is not None else ""
                    told = f"{plain(about, 80)} {runbook_view.typed(view, 'text')}".strip()
                    outcome = await commands.note(actor, reference, told, event_key=key)
                case _:
                    place, kind = runbook_view.typed(view, "step"), runbook_view.typed(view, "kind")
                    told = runbook_view.typed(view, "text")
                    outcome = await commands.report(actor, reference, place, kind, told, event_key=key)
        except AgentpagerError as error:
            return str(error), ""
        except Exception:  # what somebody has typed must not be lost without a word
            logger.exception("slack: a window of %s by %s failed", reference, actor.id)
            return "Not recorded: something failed inside agentpager. Try again.", ""
        return "", outcome.message

    async def _show_late(self, view_id: str, reference: str, task: asyncio.Task[tuple[str, str]]) -> None:
        refused, told = await task
        await self._update(view_id, runbook_view.failed(reference, refused or told))

    def _caller(self, body: dict[str, Any]) -> Actor | None:
        """None, and told, when it is nobody who may do this."""
        try:
            return self._at.authorize(body)
        except NotAllowedError as refusal:
            window = _window_of(body)
            if window is not None and str(refusal):
                self._at.spawn(self._update(window.id, runbook_view.failed(window.incident, str(refusal))))
            self._at.tell_later(body.get("response_url"), answers.say(str(refusal)))
            return None


def _form(action_id: str, incident: Incident, rendered: Rendered | None, step_id: str) -> dict[str, Any]:
    if action_id == runbook_view.REPORT and rendered is not None:
        return runbook_view.report_view(incident.id, rendered)
    step = progress.named(rendered, step_id, incident.id)
    if action_id == steps.HAND_OFF:
        return runbook_view.hand_off_view(incident.id, step)
    return runbook_view.note_view(incident.id, step)


def _window_of(body: dict[str, Any]) -> _Window | None:
    view = body.get("view")
    if not isinstance(view, dict):
        return None
    reference, page, _ = steps.read_value(str(view.get("private_metadata") or ""))
    return _Window(str(view.get("id") or ""), reference, int(page) if page.isdecimal() else 0)


def _broken(reference: str, step: str, state: str) -> str:
    return (
        "Not recorded: something failed inside agentpager. Try again, or run "
        f"`agentpager step {reference} {step} {state}`."
    )


def _short(text: str) -> str:
    return plain(text, 250)
