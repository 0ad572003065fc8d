"""Shows windows: a skeleton at once, since Slack's trigger lasts three seconds, then the real thing.

Where no window can be opened, what was wanted is done all the same if that is safe, else the words for it are told.
"""

from __future__ import annotations

import logging
from typing import Any

from bot.errors import AgentpagerError, RemoteError
from bot.incidents.model import Incident, State
from bot.ports import Actor
from bot.slack import answers
from bot.slack.errors import call
from bot.slack.facts import actor_name
from bot.slack.kit import actions, button, section
from bot.slack.reception import Reception
from bot.slack.rows import value_of
from bot.slack.text import span
from bot.slack.web import redact
from bot.slack.windows import frame
from bot.slack.windows.base import NothingToDoError, Visit, Window
from bot.slack.windows.close import ResolveWindow
from bot.slack.windows.frame import Memory, Values, View
from bot.slack.windows.hand import HandWindow
from bot.slack.windows.hold import OPEN, EscalateWindow, MoreWindow, SnoozeWindow, TakeWindow
from bot.slack.windows.note import NoiseWindow, NoteWindow
from bot.slack.windows.silence import SilenceWindow
from bot.slack.windows.split import SplitWindow

logger = logging.getLogger(__name__)

_ALL: tuple[Window, ...] = (
    SilenceWindow(),
    HandWindow(),
    NoteWindow(),
    NoiseWindow(),
    SnoozeWindow(),
    ResolveWindow(),
    TakeWindow(),
    EscalateWindow(),
    MoreWindow(),
    SplitWindow(),
)
WINDOWS = {window.name: window for window in _ALL}


class Opening:
    def __init__(self, reception: Reception) -> None:
        self._at = reception

    def visit(self, actor: Actor) -> Visit:
        return Visit(self._at.desks, actor, self._at.clock.now())

    async def not_theirs(self, actor: Actor, incident: Incident) -> bool:
        """Others have been paged for it and have not answered yet; this one was not."""
        if incident.state is not State.OPEN or incident.suppressed:
            return False
        paged = await self._at.desks.commands.paged(incident)
        return bool(paged) and actor.id.removeprefix("person:") not in paged

    def taken(self, incident: Incident) -> answers.Answer | None:
        """`Ana Ruiz acknowledged INC-7 3 s ago`, for the one who came second, with a way to take it all the same."""
        if incident.acked_at is None or incident.acked_by is None:
            return None
        name = actor_name(incident.acked_by, self._at.book)
        text = f"{name} acknowledged {incident.id} {span(self._at.clock.now() - incident.acked_at)} ago."
        over = button("Take over…", f"{OPEN}take", value_of(incident))
        return {"text": text, "blocks": [section(text), actions(f"{incident.id}.taken", [over])]}

    async def open(self, name: str, subject: str, actor: Actor, body: dict[str, Any]) -> bool:
        """Whether the window stands there. `body` is the click's: with its trigger, or the window it was made in."""
        window, reply = WINDOWS[name], str(body.get("response_url") or "")
        title = window.title(subject)
        before = body.get("view") or {}
        inside = before.get("type") == "modal"
        memory = Memory.unpacked(str(before.get("private_metadata") or "")) if inside else Memory(subject)
        view_id = str(before.get("id") or "") if inside else await self._skeleton(title, body)
        if not view_id:
            return False
        view = await self.drawn(window, actor, Memory(subject, reply=reply or memory.reply), Values())
        try:
            await call("views.update", self._at.web.views_update(view_id=view_id, view=view))
        except RemoteError as error:
            logger.warning("slack: a window could not be filled: %s", redact(str(error)))
            await self._at.tell(reply, self.words(name, subject))
        return True

    async def _skeleton(self, title: str, body: dict[str, Any]) -> str:
        """The id of the window; empty when Slack does not open one."""
        try:
            request = self._at.web.views_open(trigger_id=str(body.get("trigger_id") or ""), view=frame.skeleton(title))
            opened = await call("views.open", request)
        except RemoteError as error:
            logger.info("slack: no window could be opened: %s", redact(str(error)))
            return ""
        return str((opened.get("view") or {}).get("id") or "")

    async def drawn(
        self, window: Window, actor: Actor, memory: Memory, values: Values, warning: list[str] | None = None
    ) -> View:
        """The window as it is now; what cannot be asked any more is told in it. `warning` comes first."""
        title = window.title(memory.subject)
        try:
            visit = self.visit(actor)
            if window.name != "split":
                memory = memory.seeing(await visit.incident(memory))
            view = await window.draw(visit, memory, values)
        except (NothingToDoError, AgentpagerError) as error:
            return frame.said(title, str(error))
        except Exception:  # the window is open and must not wait for ever
            logger.exception("slack: the window %s of %s could not be drawn", window.name, memory.subject)
            return frame.said(title, "That failed inside agentpager. Try again.")
        if window.name == "more":  # leads to another window
            view = view | {"private_metadata": memory.packed()[:3000]}
        if warning:
            top = section("*Meanwhile:*", *warning, "Look again, and press the button once more if you still want it.")
            view = view | {"blocks": [top, *view["blocks"]]}
        return view

    def words(self, name: str, subject: str) -> answers.Answer:
        return answers.say(f"The window could not be opened. Write instead: {WINDOWS[name].instead(subject)}")
