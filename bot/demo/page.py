"""What the web page asks of the workspace: one snapshot per redraw, a stream that says when, and what people do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from bot.demo.delivery import NotAcknowledgedError
from bot.demo.interactions import Interactions, NoSuchThingError
from bot.demo.shapes import message_json, view_json
from bot.demo.state import Channel, Message, Quiet, World

STATIC = Path(__file__).parent / "static"
SHOWN_MESSAGES = 200
QUIET_SECONDS = 15.0
MAX_TEXT = 8_000
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}
MIME = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = "default-src 'self'; img-src 'self' https: data:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"


class Panel(Protocol):
    """Something to try out beside the workspace, shown on the page's right."""

    def state(self) -> dict[str, Any]:
        """JSON values for the page."""

    async def act(self, target: str, action: str) -> None:
        """KeyError or ValueError when there is no such target or action."""


class Pulse:
    """Tells every open page that something has changed."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def beat(self) -> None:
        for listener in self._listeners:
            listener.set()

    def listen(self) -> asyncio.Event:
        event = asyncio.Event()
        self._listeners.add(event)
        return event

    def forget(self, event: asyncio.Event) -> None:
        self._listeners.discard(event)


class Page:
    def __init__(
        self, world: World, interactions: Interactions, pulse: Pulse, clock: Callable[[], float], panel: Panel | None
    ) -> None:
        self._world = world
        self._interactions = interactions
        self._pulse = pulse
        self._clock = clock
        self._panel = panel
        self._closing = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._static),
            web.get("/static/{name}", self._static),
            web.get("/ui/state", self._state),
            web.get("/ui/stream", self._stream),
            web.post("/ui/say", _answered(self._say)),
            web.get("/ui/file/{id}", self._file),
            web.post("/ui/click", _answered(self._click)),
            web.post("/ui/options", _answered(self._options)),
            web.post("/ui/shortcut", _answered(self._shortcut)),
            web.post("/ui/tab", _answered(self._tab)),
            web.post("/ui/quiet", _answered(self._quiet)),
            web.post("/ui/submit", _answered(self._submit)),
            web.post("/ui/close", _answered(self._close)),
            web.post("/ui/read", _answered(self._read)),
            web.post("/ui/panel", _answered(self._act)),
        ]

    async def stop(self) -> None:
        self._closing = True
        self._pulse.beat()

    # --- reading ---

    async def _static(self, request: web.Request) -> web.StreamResponse:
        file = STATIC / request.match_info.get("name", "index.html")
        if file.parent != STATIC or file.suffix not in MIME or not file.is_file():
            raise web.HTTPNotFound
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=file.read_bytes(), content_type=MIME[file.suffix], charset="utf-8", headers=headers)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """A picture as the reader sees it; whatever else was uploaded is only ever a download."""
        file = self._world.files.get(request.match_info["id"])
        if file is None or not file.complete:
            raise web.HTTPNotFound
        kind = PICTURES.get(Path(file.name).suffix, "application/octet-stream")
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
        if kind not in PICTURES.values():
            headers["Content-Disposition"] = "attachment"
        return web.Response(body=file.content, content_type=kind, headers=headers)

    async def _state(self, request: web.Request) -> web.Response:
        user = request.query.get("as", "")
        if user not in self._world.users or self._world.users[user].is_bot:
            user = next(one.id for one in self._world.users.values() if not one.is_bot)
        channel = request.query.get("channel", "")
        return web.json_response(self.snapshot(user, channel), headers={"Cache-Control": "no-store"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        changed = self._pulse.listen()
        try:
            while not self._closing:
                await response.write(b"event: change\ndata: 1\n\n")
                try:
                    await asyncio.wait_for(changed.wait(), QUIET_SECONDS)
                except TimeoutError:
                    continue
                await asyncio.sleep(0.03)  # several changes at once make one redraw
                changed.clear()
        except ConnectionError:
            pass
        finally:
            self._pulse.forget(changed)
        return response

    def snapshot(self, user: str, channel: str) -> dict[str, Any]:
        """Everything `user` sees, with the messages of `channel`."""
        world = self._world
        world.open_dm(user)
        channels = world.channels_of(user)
        current = next((one for one in channels if one.id == channel), channels[0])
        app_shortcuts, quiet = world.app.shortcuts, world.quiet.get(user)
        return {
            "me": user,
            "team": world.scene.team,
            "app": {
                "name": world.app.name,
                "user": world.app.user_id,
                "connected": self._interactions.app_connected,
                "commands": list(world.app.commands),
                "takesDirectMessages": world.app.takes_direct_messages,
                "hasHome": world.app.has_home,
                "shortcuts": [{"name": one.name, "id": one.callback_id, "kind": one.kind} for one in app_shortcuts],
            },
            "home": view_json(world, world.homes[user]) if user in world.homes else None,
            "groups": [{"id": one.id, "handle": one.handle, "users": one.users} for one in world.groups.values()],
            "quiet": {"begins": quiet.begins, "ends": quiet.ends} if quiet is not None else None,
            "people": [self._person(one.id) for one in world.users.values() if not one.is_bot],
            "names": {one.id: one.real_name for one in world.users.values()},
            "channelNames": {one.id: one.name for one in world.channels.values() if one.kind != "im"},
            "channels": [self._channel(one, user) for one in channels],
            "channel": current.id,
            "messages": [self._message(one) for one in world.visible(current.id, user)[-SHOWN_MESSAGES:]],
            "views": [view_json(world, world.views[view_id]) for view_id in world.stacks.get(user, [])],
            "panel": self._panel.state() if self._panel is not None else None,
            "now": self._clock(),
        }

    def _person(self, user: str) -> dict[str, Any]:
        """`waiting` is how many direct messages they have not looked at."""
        one = self._world.users[user]
        dm = self._world.channels.get(f"D{user[1:]}")
        waiting = len(self._world.unread(dm.id, user)) if dm is not None else 0
        return {"id": user, "name": one.real_name, "title": one.title, "timezone": one.timezone, "waiting": waiting}

    def _channel(self, channel: Channel, user: str) -> dict[str, Any]:
        unread = self._world.unread(channel.id, user)
        mentions = unread if channel.kind == "im" else [one for one in unread if f"<@{user}>" in _all_text(one)]
        return {
            "id": channel.id,
            "name": self._world.app.name if channel.kind == "im" else channel.name,
            "kind": channel.kind,
            "topic": channel.topic,
            "members": len(channel.members),
            "unread": len(unread),
            "mentions": len(mentions),
        }

    def _message(self, message: Message) -> dict[str, Any]:
        shown = message_json(self._world, message)
        shown.pop("metadata", None)
        return {**shown, "ephemeral": bool(message.ephemeral_to), "reply": message.is_reply}

    # --- acting ---

    async def _say(self, body: Mapping[str, Any]) -> dict[str, Any]:
        user, channel = self._user(body), self._channel_id(body)
        text, thread_ts = str(body.get("text", "")).strip()[:MAX_TEXT], str(body.get("thread_ts") or "")
        if not text:
            return {}
        if self._world.channels[channel].kind == "im" and not self._world.app.takes_direct_messages:
            return {"error": "Sending messages to this app has been turned off."}
        command, _, rest = text.partition(" ")
        if not command.startswith("/"):
            self._interactions.say(user, channel, text, thread_ts)
        elif thread_ts:
            return {"error": f"{command} is not supported in threads. Sorry!"}
        elif command not in self._world.app.commands:
            return {"error": f"{command} is not a valid command."}
        else:
            await self._interactions.command(user, channel, command, rest.strip())
        return {}

    async def _click(self, body: Mapping[str, Any]) -> dict[str, Any]:
        user, action, values = self._user(body), dict(body.get("action") or {}), dict(body.get("values") or {})
        if body.get("view"):
            await self._interactions.click_in_view(user, str(body["view"]), action, values)
        else:
            await self._interactions.click(user, self._channel_id(body), str(body.get("ts")), action, values)
        return {}

    async def _options(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._interactions.suggestions(self._user(body), body, str(body.get("typed") or "")[:MAX_TEXT])

    async def _shortcut(self, body: Mapping[str, Any]) -> dict[str, Any]:
        ts = str(body.get("ts") or "")
        channel = self._channel_id(body) if ts else ""
        await self._interactions.shortcut(self._user(body), str(body.get("callback_id")), channel, ts)
        return {}

    async def _tab(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._interactions.open_tab(self._user(body), "home" if body.get("tab") == "home" else "messages")
        return {}

    async def _quiet(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Switches the nightly pause of one's notifications."""
        user = self._user(body)
        if self._world.quiet.pop(user, None) is None:
            self._world.quiet[user] = Quiet()
        self._pulse.beat()
        return {}

    async def _submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        values = dict(body.get("values") or {})
        return {"errors": await self._interactions.submit(self._user(body), str(body.get("view")), values)}

    async def _close(self, body: Mapping[str, Any]) -> dict[str, Any]:
        await self._interactions.close(self._user(body), str(body.get("view")))
        return {}

    async def _read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._world.mark_read(self._channel_id(body), self._user(body))
        return {}

    async def _act(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self._panel is not None:
            try:
                await self._panel.act(str(body.get("target")), str(body.get("action")))
            except (KeyError, ValueError):
                raise NoSuchThingError("panel action") from None
            self._pulse.beat()
        return {}

    def _user(self, body: Mapping[str, Any]) -> str:
        user = str(body.get("as"))
        if user not in self._world.users or self._world.users[user].is_bot:
            raise NoSuchThingError("person")
        return user

    def _channel_id(self, body: Mapping[str, Any]) -> str:
        channel = self._world.channels.get(str(body.get("channel")))
        if channel is None or self._user(body) not in channel.members:
            raise NoSuchThingError("channel")
        return channel.id


Action = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


def _answered(action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    """JSON in, JSON out. Only application/json: another site's page cannot send that here unasked."""

    async def handle(request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        try:
            body = await request.json()
        except ValueError:
            raise web.HTTPBadRequest from None
        try:
            return web.json_response(await action(body if isinstance(body, dict) else {}))
        except NotAcknowledgedError as error:
            return web.json_response({"error": error.code})
        except NoSuchThingError as error:
            return web.json_response({"error": f"no such {error}"}, status=404)

    return handle


def _all_text(message: Message) -> str:
    return message.text + json.dumps(message.blocks, ensure_ascii=False)
