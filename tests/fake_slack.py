"""A small Slack: Web API, Socket Mode and signed requests over real sockets, journalling each call before it answers.

Run alone with `python tests/fake_slack.py --port N --journal FILE`, or in a test `async with FakeSlack() as slack`.

`POST /control` takes one JSON object:
  {"mode": M, "method": "chat.postMessage", "channel": "#x", "count": 1, …}   how calls are answered; M is one of
        ok                 as Slack would
        rate_limited       429 with "retry_after" seconds
        error_500          500; with "landed": true the message is there all the same
        refused            ok:false with "error", for example channel_not_found
        close              the message lands, then the connection is closed unanswered ("landed": false: it does not)
        silent             no answer for "seconds" (default 3600); "landed" as given
        slow               the right answer after "seconds"
        garbage            200 with something that is not JSON
    Without "count" a mode holds until the next "mode": "ok".
  {"do": "click", "user": U, "action": "inc.ack", "channel": C, "ts": T}      a person presses a button
  {"do": "command", "user": U, "text": "status"}
  {"do": "mention", "user": U, "channel": C, "text": "ack", "thread_ts": T}
  {"do": "write", "user": U, "text": "ack", "thread_ts": T}                   a direct message to the app
  {"do": "choose", "user": U, "action": "inc.more", "label": "Silence", "channel": C, "ts": T}   of an overflow menu
  {"do": "submit", "user": U, "view_id": V, "values": {"reason": "why"}}      a window's button; "use" and "close" alike
  {"do": "shortcut", "user": U, "callback": "message.ack", "channel": C, "ts": T}
  {"do": "disconnect" | "deaf" | "drop"}        Socket Mode: planned refresh, open but silent, cut
  {"users": {"U1": {"deleted": true}}} · {"missing": ["#gone"]} · {"limits": true}
`GET /journal`, `GET /messages?channel=#x`, `GET /answers` read back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from urllib.request import Request, urlopen

from aiohttp import ClientSession, WSMsgType, web

from bot.demo.limits import Limits

TEAM = "T0HOME"
BOT_USER = "U0BOT"
BOT_ID = "B0BOT"
BOT_TOKEN = "xoxb-fake-bot-token"
APP_TOKEN = "xapp-fake-app-token"
SIGNING_SECRET = "fake-signing-secret"
SCOPES = (
    "commands,chat:write,chat:write.public,im:write,app_mentions:read,users:read,users:read.email,"
    "channels:history,groups:history,im:history,files:write,dnd:read,usergroups:read,usergroups:write"
)
_WRITES = {"chat.postMessage", "chat.update", "chat.postEphemeral"}


@dataclass
class Mode:
    name: str
    method: str = ""
    channel: str = ""
    count: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def fits(self, method: str, channel: str) -> bool:
        return self.method in {"", method} and self.channel in {"", channel} and self.count != 0


class FakeSlack:
    """`events_url` set: interactions go there as signed requests; otherwise through the open web socket."""

    def __init__(self, port: int = 0, journal: Path | None = None, events_url: str = "") -> None:
        self.port = port
        self.events_url = events_url
        self.journal: list[dict[str, Any]] = []
        self.channels: dict[str, str] = {}  # name → id
        self.messages: dict[str, list[dict[str, Any]]] = {}  # channel id → messages, oldest first
        self.ephemeral: list[dict[str, Any]] = []
        self.responses: list[dict[str, Any]] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.hashes: dict[str, str] = {}  # of views; another one after each change
        self.homes: dict[str, dict[str, Any]] = {}
        self.planned: dict[str, str] = {}
        self.uploads: dict[str, dict[str, Any]] = {}  # files: their bytes, and the thread they were put into
        self.users: dict[str, dict[str, Any]] = {}
        self.missing: set[str] = set()
        self.groups: dict[str, list[str]] = {}  # user group → who is in it
        self.pauses: dict[str, dict[str, Any]] = {}  # user → what dnd.info says besides
        self.scopes = SCOPES
        self.limits = False
        self.lives_for: float | None = None  # seconds that a connection is said to last
        self.only_one = False  # a new connection ends those before it
        self.knows: frozenset[str] | None = None  # the only methods there are; all others answer unknown_method
        self.violations = 0
        self.connections = 0
        self.modes: list[Mode] = []
        self.sockets: list[web.WebSocketResponse] = []
        self._deaf: set[int] = set()
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._journal_path = journal
        self._numbers = itertools.count(1)
        self._limits = Limits()
        self._closed_until: dict[tuple[str, str], float] = {}
        self._runner: web.AppRunner | None = None
        self._http: ClientSession | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> FakeSlack:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/api/{method}", self._api)
        app.router.add_get("/api/{method}", self._api)
        app.router.add_get("/socket/{ticket}", self._socket)
        app.router.add_post("/response/{number}", self._response)
        app.router.add_post("/upload/{number}", self._upload)
        app.router.add_post("/control", self._control)
        app.router.add_get("/journal", self._get_journal)
        app.router.add_get("/messages", self._get_messages)
        app.router.add_get("/answers", self._get_answers)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._http = ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in list(self.sockets):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(), 0.2)
        assert self._runner is not None
        assert self._http is not None
        await self._http.close()
        await self._runner.cleanup()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    # --- what tests say -----------------------------------------------------------------------------------------

    def mode(self, name: str, *, method: str = "", channel: str = "", count: int | None = None, **options: Any) -> None:
        if name == "ok":
            self.modes = []
        else:
            self.modes.append(Mode(name, method, channel, count, options))

    def channel_id(self, channel: str) -> str:
        """`#name`, an id, or a user id, which means the direct message."""
        if channel.startswith(("U", "W")):
            return f"D{channel[1:]}"
        if channel.startswith(("C", "D", "G")) and channel.upper() == channel:
            return channel
        name = channel.lstrip("#")
        return self.channels.setdefault(name, f"C{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}")

    def posted(self, channel: str) -> list[dict[str, Any]]:
        return self.messages.get(self.channel_id(channel), [])

    def calls(self, method: str) -> list[dict[str, Any]]:
        return [entry for entry in self.journal if entry["method"] == method]

    async def click(
        self, user: str, action: str, channel: str, ts: str, *, action_ts: str | None = None, team: str = TEAM
    ) -> dict[str, Any]:
        """Presses a button of a stored message; the answer says whether and how the app acknowledged."""
        channel = self.channel_id(channel)
        message = next((each for each in self.messages.get(channel, []) if each["ts"] == ts), {"text": "nothing"})
        button = _button(message, action)
        payload = {
            "type": "block_actions",
            "team": {"id": team, "domain": "home"},
            "user": {"id": user, "team_id": team, "username": user.lower()},
            "api_app_id": "A0APP",
            "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False},
            "trigger_id": self._number("trigger"),
            "channel": {"id": channel, "name": "x"},
            "message": {key: value for key, value in message.items() if key != "channel"},
            "response_url": f"http://127.0.0.1:{self.port}/response/{self._number('r')}",
            "actions": [
                {
                    "type": "button",
                    "action_id": action,
                    "block_id": button["block_id"],
                    "value": button["value"],
                    "action_ts": action_ts or self._ts(),
                }
            ],
        }
        return await self.deliver("interactive", payload)

    async def choose(self, user: str, action: str, label: str, channel: str, ts: str, *, team: str = TEAM) -> Any:
        """Picks the option of an overflow menu whose text begins with `label`."""
        channel = self.channel_id(channel)
        message = next(each for each in self.messages.get(channel, []) if each["ts"] == ts)
        block, menu = _element(message.get("blocks") or [], action)
        option = next(each for each in menu["options"] if each["text"]["text"].startswith(label))
        done = {"type": menu["type"], "action_id": action, "block_id": block, "action_ts": self._ts()}
        return await self._act(user, done | {"selected_option": option}, channel, message, team)

    async def press(self, user: str, action: str, value: str, channel: str = "#general") -> Any:
        """A button of a message that only this person sees: Slack keeps none of those."""
        done = {"type": "button", "action_id": action, "block_id": "b", "value": value, "action_ts": self._ts()}
        return await self._act(user, done, self.channel_id(channel), {"ts": self._ts(), "text": ""}, TEAM)

    async def _act(self, user: str, action: dict[str, Any], channel: str, message: dict[str, Any], team: str) -> Any:
        payload = self._from(user, team) | {
            "type": "block_actions",
            "container": {"type": "message", "message_ts": message["ts"], "channel_id": channel},
            "trigger_id": self._number("trigger"),
            "channel": {"id": channel, "name": "x"},
            "message": {key: value for key, value in message.items() if key != "channel"},
            "response_url": f"http://127.0.0.1:{self.port}/response/{self._number('r')}",
            "actions": [action],
        }
        return await self.deliver("interactive", payload)

    async def submit(self, user: str, view_id: str, values: dict[str, Any] | None = None, *, team: str = TEAM) -> Any:
        """Presses the button at the foot of a window. `values`: action id → what was typed or picked; everything else
        is as the window presets it. Carries out what the answer says."""
        shown = self._shown_view(view_id, values)
        answer = await self.deliver("interactive", self._from(user, team) | {"type": "view_submission", "view": shown})
        said = answer["payload"]
        if said.get("response_action") == "update":
            self._show_view(view_id, {"view": said["view"]})
        elif answer["acked"] and said.get("response_action") in {None, "clear"}:
            self.views.pop(view_id)
        return answer

    async def close(self, user: str, view_id: str) -> Any:
        shown = self._shown_view(view_id, None)
        payload = {"type": "view_closed", "view": shown, "is_cleared": False}
        return await self.deliver("interactive", self._from(user, TEAM) | payload)

    async def use(self, user: str, view_id: str, action: str, values: dict[str, Any] | None = None) -> Any:
        """A button, or an input with `dispatch_action`, inside a window."""
        shown = self._shown_view(view_id, values)
        block, element = _element(self.views[view_id]["blocks"], action)
        done = {"type": element["type"], "action_id": action, "block_id": block, "action_ts": self._ts()}
        done |= (
            {"value": element["value"]}
            if "value" in element
            else shown["state"]["values"].get(block, {}).get(action, {})
        )
        payload = {
            "type": "block_actions",
            "container": {"type": "view", "view_id": view_id},
            "trigger_id": self._number("trigger"),
            "view": shown,
            "actions": [done],
        }
        return await self.deliver("interactive", self._from(user, TEAM) | payload)

    async def shortcut(self, user: str, callback: str, channel: str, ts: str, *, team: str = TEAM) -> Any:
        """An entry of the menu of a message."""
        channel = self.channel_id(channel)
        message = next(each for each in self.messages.get(channel, []) if each["ts"] == ts)
        payload = {
            "type": "message_action",
            "callback_id": callback,
            "trigger_id": self._number("trigger"),
            "message_ts": ts,
            "channel": {"id": channel, "name": "x"},
            "message": {key: value for key, value in message.items() if key != "channel"},
            "response_url": f"http://127.0.0.1:{self.port}/response/{self._number('r')}",
        }
        return await self.deliver("interactive", self._from(user, team) | payload)

    def _from(self, user: str, team: str) -> dict[str, Any]:
        return {
            "team": {"id": team, "domain": "home"},
            "user": {"id": user, "team_id": team, "username": user.lower()},
            "api_app_id": "A0APP",
        }

    def _shown_view(self, view_id: str, values: dict[str, Any] | None) -> dict[str, Any]:
        view = self.views[view_id]
        state: dict[str, Any] = {}
        for block in view["blocks"]:
            inputs = [block["element"]] if block["type"] == "input" else block.get("elements", [])
            for element in [*inputs, block.get("accessory") or {}]:
                if isinstance(element, dict) and element.get("action_id") and element.get("type") != "button":
                    state.setdefault(block["block_id"], {})[element["action_id"]] = _state_of(element, values or {})
        return {"id": view_id, "team_id": TEAM, "hash": self.hashes.get(view_id, ""), "state": {"values": state}} | view

    async def command(
        self, user: str, text: str, *, channel: str = "#general", team: str = TEAM, trigger: str | None = None
    ) -> dict[str, Any]:
        payload = {
            "command": "/agent",
            "text": text,
            "team_id": team,
            "team_domain": "home",
            "user_id": user,
            "user_name": user.lower(),
            "channel_id": self.channel_id(channel),
            "channel_name": channel.lstrip("#"),
            "api_app_id": "A0APP",
            "trigger_id": self._number("trigger") if trigger is None else trigger,
            "response_url": f"http://127.0.0.1:{self.port}/response/{self._number('r')}",
        }
        return await self.deliver("slash_commands", payload)

    async def mention(
        self,
        user: str,
        text: str,
        *,
        channel: str,
        thread_ts: str = "",
        team: str = TEAM,
        event_id: str | None = None,
        bot_id: str = "",
    ) -> dict[str, Any]:
        event: dict[str, Any] = {
            "type": "app_mention",
            "user": user,
            "text": f"<@{BOT_USER}> {text}",
            "ts": self._ts(),
            "channel": self.channel_id(channel),
            "team": team,
            "user_team": team,
        }
        event |= {"thread_ts": thread_ts} if thread_ts else {}
        event |= {"bot_id": bot_id} if bot_id else {}
        return await self._event(event, event_id)

    async def write(
        self, user: str, text: str, *, thread_ts: str = "", team: str = TEAM, event_id: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """A person writes to the app; `more` is for what Slack adds to other kinds: `subtype`, `bot_id`, `hidden`."""
        event: dict[str, Any] = {
            "type": "message",
            "channel_type": "im",
            "channel": self.channel_id(user),
            "user": user,
            "text": text,
            "ts": self._ts(),
            "team": team,
        }
        event |= {"thread_ts": thread_ts} if thread_ts else {}
        return await self._event(event | more, event_id)

    async def _event(self, event: dict[str, Any], event_id: str | None) -> dict[str, Any]:
        payload = {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A0APP",
            "event": event,
            "event_id": self._number("Ev") if event_id is None else event_id,
            "event_time": int(time.time()),
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True}],
        }
        return await self.deliver("events_api", payload)

    async def deliver(self, kind: str, payload: dict[str, Any], seconds: float = 5.0) -> dict[str, Any]:
        """`{"acked": bool, "status": int, "payload": {...}}`; as Slack does, through the way that is configured."""
        if self.events_url:
            return await self._deliver_http(kind, payload, seconds)
        envelope = self._number("envelope")
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._acks[envelope] = future
        live = [socket for socket in self.sockets if not socket.closed and id(socket) not in self._deaf]
        if not live:
            return {"acked": False, "status": 0, "payload": {}}
        await live[-1].send_json(
            {"type": kind, "envelope_id": envelope, "payload": payload, "accepts_response_payload": True}
        )
        try:
            answer = await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return {"acked": False, "status": 0, "payload": {}}
        return {"acked": True, "status": 200, "payload": answer.get("payload") or {}}

    async def _deliver_http(self, kind: str, payload: dict[str, Any], seconds: float) -> dict[str, Any]:
        if kind == "events_api":
            body, content_type = json.dumps(payload), "application/json"
        else:
            form = {"payload": json.dumps(payload)} if kind == "interactive" else payload
            body, content_type = urlencode(form), "application/x-www-form-urlencoded"
        assert self._http is not None
        headers = signed(body, int(time.time())) | {"content-type": content_type}
        try:
            async with asyncio.timeout(seconds), self._http.post(self.events_url, data=body, headers=headers) as answer:
                text = await answer.text()
                status = answer.status
        except (TimeoutError, OSError):
            return {"acked": False, "status": 0, "payload": {}}
        try:
            said = json.loads(text) if text else {}
        except ValueError:
            said = {"text": text}
        return {"acked": status == 200, "status": status, "payload": said}

    async def disconnect(self) -> None:
        """The planned refresh: Slack asks for a new connection."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    def go_deaf(self, *sockets: web.WebSocketResponse) -> None:
        """The connections stay open; nothing comes through them any more, not even a pong."""
        self._deaf |= {id(socket) for socket in sockets or self.sockets}

    async def drop(self, *sockets: web.WebSocketResponse) -> None:
        for socket in sockets or list(self.sockets):
            if (transport := socket._req.transport if socket._req else None) is not None:
                transport.abort()

    # --- Web API ------------------------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        args = await _arguments(request)
        channel = str(args.get("channel") or "")
        if channel and not channel.isupper() and channel[0] != "#" and not channel[0].isupper():
            channel = args["channel"] = f"#{channel}"  # Slack takes the bare name too
        now = time.monotonic()
        self.violations += self._closed_until.get(self._scope(method, channel), 0.0) > now
        mode = self._mode_for(method, channel)
        entry = {"n": len(self.journal), "at": time.time(), "method": method, "args": args, "mode": mode.name}
        entry["way"] = f"{request.method} {request.query_string}".strip()
        answer: dict[str, Any] = {}
        if mode.name in {"ok", "slow"} or mode.options.get("landed", mode.name == "close"):
            answer = self._carry_out(method, args, request)
        entry["answer"] = answer
        self._write(entry)
        return await self._misbehave(mode, method, channel, answer, request)

    def _mode_for(self, method: str, channel: str) -> Mode:
        if self.knows is not None and method not in self.knows:
            return Mode("refused", options={"error": "unknown_method"})
        named = {channel, self.channel_id(channel) if channel else ""}
        for mode in self.modes:
            if mode.fits(method, channel) or any(mode.fits(method, name) for name in named):
                if mode.count is not None:
                    mode.count -= 1
                return mode
        if self.limits and (wait := self._limited(method, channel)):
            return Mode("rate_limited", options={"retry_after": wait})
        return Mode("ok")

    def _limited(self, method: str, channel: str) -> int:
        """Slack's own limits: of each method a minute, and of messages by channel and second."""
        now = time.monotonic()
        if method == "chat.postMessage":
            return self._limits.post(self.channel_id(channel), now)
        return self._limits.call(method, now)

    def _scope(self, method: str, channel: str) -> tuple[str, str]:
        """What a Retry-After closes: one channel for messages, the whole method for everything else."""
        return method, self.channel_id(channel) if channel and method == "chat.postMessage" else ""

    async def _misbehave(
        self, mode: Mode, method: str, channel: str, answer: dict[str, Any], request: web.Request
    ) -> web.StreamResponse:
        match mode.name:
            case "rate_limited":
                seconds = mode.options.get("retry_after", 1)
                self._closed_until[self._scope(method, channel)] = time.monotonic() + seconds
                refusal = {"ok": False, "error": "ratelimited"}
                return web.json_response(refusal, status=429, headers={"Retry-After": str(seconds)})
            case "error_500":
                return web.Response(status=mode.options.get("status", 500), text="oops")
            case "refused":
                return web.json_response({"ok": False, "error": mode.options.get("error", "channel_not_found")})
            case "garbage":
                return web.Response(text="<html>not JSON", content_type="application/json")
            case "close":
                assert request.transport is not None
                request.transport.abort()
            case "silent":
                await asyncio.sleep(mode.options.get("seconds", 3600))
            case "slow":
                await asyncio.sleep(mode.options.get("seconds", 1))
        return web.json_response(answer, headers={"x-oauth-scopes": self.scopes})

    def _carry_out(self, method: str, args: dict[str, Any], request: web.Request) -> dict[str, Any]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or str(args.get("token") or "")
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if token != wanted:
            return {"ok": False, "error": "invalid_auth" if token else "not_authed"}
        handler = getattr(self, "_do_" + method.replace(".", "_"), None)
        if handler is None:
            return {"ok": False, "error": "unknown_method"}
        answer: dict[str, Any] = handler(args)
        return {"ok": "error" not in answer, **answer}

    def _do_auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://home.example/",
            "team": "Home",
            "user": "agentpager",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT_ID,
        }

    def _do_apps_connections_open(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"ws://127.0.0.1:{self.port}/socket/{self._number('ticket')}"}

    def _do_conversations_open(self, args: dict[str, Any]) -> dict[str, Any]:
        user = str(args.get("users") or "")
        if self.users.get(user, {}).get("missing"):
            return {"error": "user_not_found"}
        return {"channel": {"id": self.channel_id(user)}}

    def _do_users_info(self, args: dict[str, Any]) -> dict[str, Any]:
        user = str(args.get("user") or "")
        known = self.users.get(user, {})
        if known.get("missing"):
            return {"error": "user_not_found"}
        shown = {"id": user, "team_id": TEAM, "name": user.lower(), "deleted": False, "is_bot": False}
        return {"user": shown | {"is_restricted": False, "is_ultra_restricted": False} | known}

    def _do_dnd_info(self, args: dict[str, Any]) -> dict[str, Any]:
        nothing = {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}
        return nothing | self.pauses.get(str(args.get("user")), {})

    def _do_usergroups_users_list(self, args: dict[str, Any]) -> dict[str, Any]:
        group = str(args.get("usergroup"))
        return {"users": self.groups[group]} if group in self.groups else {"error": "no_such_subteam"}

    def _do_usergroups_users_update(self, args: dict[str, Any]) -> dict[str, Any]:
        users = [user for user in str(args.get("users") or "").split(",") if user]
        if not users:
            return {"error": "no_users_provided"}
        self.groups[str(args.get("usergroup"))] = users
        return {"usergroup": {"id": args.get("usergroup"), "users": users}}

    def _do_chat_postMessage(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = str(args.get("channel") or "")
        if channel in self.missing or self.users.get(channel, {}).get("missing"):
            return {"error": "channel_not_found"}
        if problem := layout_problem(args):
            return {"error": problem}
        message = _message(args) | {"type": "message", "user": BOT_USER, "bot_id": BOT_ID, "ts": self._ts()}
        message["channel"] = self.channel_id(channel)
        self.messages.setdefault(message["channel"], []).append(message)
        return {"channel": message["channel"], "ts": message["ts"], "message": message}

    def _do_chat_update(self, args: dict[str, Any]) -> dict[str, Any]:
        if problem := layout_problem(args):
            return {"error": problem}
        for message in self.messages.get(str(args.get("channel")), []):
            if message["ts"] == args.get("ts"):
                message.update(_message(args), edited={"ts": self._ts()})
                return {"channel": message["channel"], "ts": message["ts"], "text": message.get("text", "")}
        return {"error": "message_not_found"}

    def _do_chat_postEphemeral(self, args: dict[str, Any]) -> dict[str, Any]:
        if problem := layout_problem(args):
            return {"error": problem}
        self.ephemeral.append(args)
        return {"message_ts": self._ts()}

    def _do_chat_scheduleMessage(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = str(args.get("channel") or "")
        if channel in self.missing:
            return {"error": "channel_not_found"}
        number = self._number("Q")
        self.planned[number] = self.channel_id(channel)
        return {"channel": self.channel_id(channel), "scheduled_message_id": number, "post_at": args.get("post_at")}

    def _do_chat_deleteScheduledMessage(self, args: dict[str, Any]) -> dict[str, Any]:
        found = self.planned.pop(str(args.get("scheduled_message_id")), None)
        return {} if found else {"error": "invalid_scheduled_message_id"}

    def _do_conversations_history(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = str(args.get("channel") or "")
        if channel != self.channel_id(channel) or channel.startswith("U"):
            return {"error": "channel_not_found"}
        oldest = float(args.get("oldest") or 0)
        found = [
            each
            for each in self.messages.get(channel, [])
            if float(each["ts"]) >= oldest and each.get("thread_ts") in {None, each["ts"]}
        ]
        return _slice(list(reversed(found)), args)

    def _do_conversations_replies(self, args: dict[str, Any]) -> dict[str, Any]:
        found = [
            each
            for each in self.messages.get(str(args.get("channel")), [])
            if args.get("ts") in {each["ts"], each.get("thread_ts")}
        ]
        return _slice(found, args)

    def _do_files_getUploadURLExternal(self, args: dict[str, Any]) -> dict[str, Any]:
        if "files:write" not in self.scopes.split(","):
            return {"ok": False, "error": "missing_scope", "needed": "files:write", "provided": self.scopes}
        number = f"F{next(self._numbers):08d}"
        self.uploads[number] = {"name": args["filename"], "length": int(args["length"])}
        return {"ok": True, "file_id": number, "upload_url": f"http://127.0.0.1:{self.port}/upload/{number}"}

    def _do_files_completeUploadExternal(self, args: dict[str, Any]) -> dict[str, Any]:
        files = args["files"] if isinstance(args["files"], list) else json.loads(args["files"])
        if any(len(self.uploads.get(each["id"], {}).get("bytes", b"")) == 0 for each in files):
            return {"ok": False, "error": "file_not_found"}
        for each in files:
            self.uploads[each["id"]] |= {"channel": args.get("channel_id"), "thread": args.get("thread_ts")}
        return {"ok": True, "files": files}

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        place = self.uploads.get(request.match_info["number"])
        body = await request.read()
        if place is None or len(body) != place["length"] or "Authorization" in request.headers:
            return web.Response(status=400)
        place["bytes"] = body
        return web.Response(text=f"OK - {len(body)}")

    def _do_views_open(self, args: dict[str, Any]) -> dict[str, Any]:
        return self._show_view(self._number("V"), args)

    _do_views_push = _do_views_open

    def _do_views_publish(self, args: dict[str, Any]) -> dict[str, Any]:
        """The home tab of one member; kept under their id."""
        view = _decoded(args.get("view"))
        if view.get("type") != "home" or not 0 < len(view.get("blocks", [])) <= 100 or layout_problem(_part(view)):
            return {"error": "invalid_arguments"}
        self.homes[str(args.get("user_id"))] = view
        return {"view": {"id": self._number("V"), "hash": self._number("h")}}

    async def open_home(self, user: str, tab: str = "home") -> dict[str, Any]:
        """A person opens the app's home tab."""
        event = {"type": "app_home_opened", "user": user, "tab": tab, "channel": f"D{user}", "event_ts": self._ts()}
        return await self._event(event, None)

    async def click_home(self, user: str, action: str, value: str, action_ts: str = "1.1") -> dict[str, Any]:
        """A button of the home tab: there is no message, and so no address to answer to."""
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": TEAM},
            "team": {"id": TEAM, "domain": "home"},
            "api_app_id": "A0APP",
            "container": {"type": "view", "view_id": "V1"},
            "view": {"id": "V1", "type": "home", **self.homes[user]},
            "trigger_id": self._number("trigger"),
            "actions": [{"type": "button", "action_id": action, "value": value, "action_ts": action_ts}],
        }
        return await self.deliver("interactive", payload)

    def _do_views_update(self, args: dict[str, Any]) -> dict[str, Any]:
        view_id = str(args.get("view_id"))
        if view_id not in self.views:
            return {"error": "not_found"}
        if args.get("hash") and args["hash"] != self.hashes[view_id]:
            return {"error": "hash_conflict"}
        return self._show_view(view_id, args)

    def _show_view(self, view_id: str, args: dict[str, Any]) -> dict[str, Any]:
        self.views[view_id] = _decoded(args.get("view"))
        self.hashes[view_id] = self._number("h")
        return {"view": {"id": view_id, "hash": self.hashes[view_id]}}

    # --- Socket Mode ----------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        if self.only_one:
            await self.drop()
        self.sockets.append(socket)
        self.connections += 1
        about = {"debug_info": {"approximate_connection_time": self.lives_for}} if self.lives_for else {}
        await socket.send_json({"type": "hello", "num_connections": len(self.sockets), **about})
        try:
            while not socket.closed:
                message = await socket.receive()
                if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR}:
                    break
                if id(socket) in self._deaf:
                    continue
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    answer = json.loads(message.data)
                    future = self._acks.pop(answer.get("envelope_id", ""), None)
                    if future is not None and not future.done():
                        future.set_result(answer)
        finally:
            self.sockets.remove(socket)
        return socket

    # --- control and reading back ---------------------------------------------------------------------------------

    async def _response(self, request: web.Request) -> web.Response:
        answer = await request.json()
        self.responses.append(answer | {"response": request.match_info["number"]})
        self._write({"at": time.time(), "method": "response_url", "args": answer, "mode": "ok", "answer": {}})
        return web.Response(text="ok")

    async def _control(self, request: web.Request) -> web.Response:
        order = await request.json()
        self.users |= order.pop("users", {})
        self.missing |= set(order.pop("missing", []))
        self.limits = order.pop("limits", self.limits)
        self.events_url = order.pop("events_url", self.events_url)
        if "mode" in order:
            self.mode(order.pop("mode"), **order)
        do = order.pop("do", "")
        if do == "click":
            try:
                return web.json_response(await self.click(order.pop("user"), order.pop("action"), **order))
            except LookupError as error:
                return web.json_response({"acked": False, "status": 0, "payload": {}, "error": str(error)})
        if do in {"choose", "submit", "use", "close", "shortcut"}:
            try:
                return web.json_response(await getattr(self, do)(**order))
            except (LookupError, StopIteration) as error:
                return web.json_response({"acked": False, "status": 0, "payload": {}, "error": str(error)})
        if do == "command":
            return web.json_response(await self.command(order.pop("user"), order.pop("text"), **order))
        if do == "mention":
            return web.json_response(await self.mention(order.pop("user"), order.pop("text"), **order))
        if do == "write":
            return web.json_response(await self.write(order.pop("user"), order.pop("text"), **order))
        if do == "disconnect":
            await self.disconnect()
        elif do == "drop":
            await self.drop()
        elif do == "deaf":
            self.go_deaf()
        return web.json_response({"ok": True})

    async def _get_journal(self, _: web.Request) -> web.Response:
        return web.json_response(self.journal)

    async def _get_messages(self, request: web.Request) -> web.Response:
        return web.json_response(self.posted(request.query["channel"]))

    async def _get_answers(self, _: web.Request) -> web.Response:
        seen = {"ephemeral": self.ephemeral, "responses": self.responses, "views": self.views}
        return web.json_response(seen | {"violations": self.violations, "connections": self.connections})

    def _write(self, entry: dict[str, Any]) -> None:
        self.journal.append(entry)
        if self._journal_path is not None:
            with self._journal_path.open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def _number(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers)}"

    def _ts(self) -> str:
        return f"{int(time.time())}.{next(self._numbers):06d}"


class Control:
    """For a fake that runs as its own process. Blocking; `url` is without a slash at the end."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, **order: Any) -> dict[str, Any]:
        return self._ask("/control", order)

    def click(self, user: str, action: str, channel: str, ts: str, **more: Any) -> dict[str, Any]:
        return self(do="click", user=user, action=action, channel=channel, ts=ts, **more)

    def command(self, user: str, text: str, **more: Any) -> dict[str, Any]:
        return self(do="command", user=user, text=text, **more)

    def mention(self, user: str, text: str, channel: str, **more: Any) -> dict[str, Any]:
        return self(do="mention", user=user, text=text, channel=channel, **more)

    def write(self, user: str, text: str, **more: Any) -> dict[str, Any]:
        return self(do="write", user=user, text=text, **more)

    def journal(self) -> list[dict[str, Any]]:
        return self._ask("/journal")

    def messages(self, channel: str) -> list[dict[str, Any]]:
        return self._ask("/messages?" + urlencode({"channel": channel}))

    def answers(self) -> dict[str, Any]:
        return self._ask("/answers")

    def _ask(self, path: str, order: dict[str, Any] | None = None) -> Any:
        data = json.dumps(order).encode() if order is not None else None
        request = Request(self.url + path, data=data, headers={"content-type": "application/json"})
        with urlopen(request, timeout=15) as answer:
            return json.load(answer)


def signed(body: str, timestamp: int, secret: str = SIGNING_SECRET) -> dict[str, str]:
    base = f"v0:{timestamp}:{body}".encode()
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": str(timestamp), "x-slack-signature": f"v0={digest}"}


def _part(view: dict[str, Any]) -> dict[str, Any]:
    """A home tab holds a hundred blocks, and is not counted as a whole: each block as in a message."""
    return {"text": "home", "blocks": view["blocks"][:50]}


def layout_problem(args: dict[str, Any]) -> str:
    """Slack's documented limits, as far as we can meet them."""
    blocks = _decoded(args.get("blocks")) or []
    if not blocks and not args.get("text"):
        return "no_text"
    if len(str(args.get("text") or "")) > 40_000:
        return "msg_too_long"
    if len(json.dumps(blocks, ensure_ascii=False)) > 13_200:
        return "msg_blocks_too_long"
    block_ids = [block["block_id"] for block in blocks if "block_id" in block]
    bad = len(blocks) > 50 or len(block_ids) != len(set(block_ids)) or any(not _block_is_good(each) for each in blocks)
    return "invalid_blocks" if bad else ""


def _block_is_good(block: dict[str, Any]) -> bool:
    match block.get("type"):
        case "header":
            return block["text"]["type"] == "plain_text" and 0 < len(block["text"]["text"]) <= 150
        case "section":
            shown = block.get("fields", [])
            texts = [block["text"]["text"]] if "text" in block else []
            good = len(shown) <= 10 and all(0 < len(each["text"]) <= 2000 for each in shown)
            return good and bool(texts or shown) and all(0 < len(text) <= 3000 for text in texts)
        case "context":
            return 0 < len(block["elements"]) <= 10 and all(0 < len(each["text"]) <= 3000 for each in block["elements"])
        case "actions":
            ids = [each["action_id"] for each in block["elements"]]
            texts_fit = all(_control_is_good(each) for each in block["elements"])
            return 0 < len(ids) <= 25 and len(ids) == len(set(ids)) and texts_fit
        case "divider":
            return True
        case _:
            return False


def _control_is_good(element: dict[str, Any]) -> bool:
    if element["type"] == "overflow":
        shown = element["options"]
        return 0 < len(shown) <= 5 and all(
            0 < len(each["text"]["text"]) <= 75 and len(each["value"]) <= 150 for each in shown
        )
    return len(element["text"]["text"]) <= 75 and len(element.get("value", "")) <= 2000


async def _arguments(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        return dict(await request.json())
    form = dict(parse_qsl(await request.text(), keep_blank_values=True))
    return dict(request.query) | form


def _message(args: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _decoded(args[key]) for key in ("text", "blocks", "metadata") if args.get(key) is not None}
    return kept | ({"thread_ts": args["thread_ts"]} if args.get("thread_ts") else {})


def _shown(message: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
    """Metadata is given only to those who ask for it."""
    wanted = str(args.get("include_all_metadata", "")).lower() in {"1", "true"}
    return message if wanted else {key: value for key, value in message.items() if key != "metadata"}


def _slice(messages: list[dict[str, Any]], args: dict[str, Any]) -> dict[str, Any]:
    start = int(args.get("cursor") or 0)
    end = start + int(args.get("limit") or 100)
    more = {"next_cursor": str(end)} if end < len(messages) else {"next_cursor": ""}
    shown = [_shown(each, args) for each in messages[start:end]]
    return {"messages": shown, "has_more": end < len(messages), "response_metadata": more}


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in {"[", "{"} else value


def _button(message: dict[str, Any], action: str) -> dict[str, Any]:
    for block in message.get("blocks") or []:
        for element in [*block.get("elements", []), block.get("accessory") or {}]:
            if element.get("action_id") == action:
                return {"value": element["value"], "block_id": block["block_id"]}
    raise LookupError(f"no button {action} in {message.get('text')}")


def _element(blocks: list[dict[str, Any]], action: str) -> tuple[str, dict[str, Any]]:
    """The id of its block, and the element."""
    for block in blocks:
        inside = [block["element"]] if block["type"] == "input" else block.get("elements", [])
        for element in [*inside, block.get("accessory") or {}]:
            if isinstance(element, dict) and element.get("action_id") == action:
                return block["block_id"], element
    raise LookupError(f"nothing here is called {action}")


def _state_of(element: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What Slack's `view.state.values` says of one input."""
    kind, action = element["type"], element["action_id"]
    said = values.get(action)
    if kind == "plain_text_input":
        return {"type": kind, "value": said if action in values else element.get("initial_value")}
    if kind == "datetimepicker":
        return {"type": kind, "selected_date_time": said if action in values else element.get("initial_date_time")}
    if kind == "users_select":
        return {"type": kind, "selected_user": said if action in values else element.get("initial_user")}
    if kind == "checkboxes":
        found = [each for each in element["options"] if each["value"] in said] if action in values else None
        return {"type": kind, "selected_options": element.get("initial_options", []) if found is None else found}
    options = [
        *element.get("options", []),
        *(o for group in element.get("option_groups", []) for o in group["options"]),
    ]
    picked = next((each for each in options if each["value"] == said), None) if action in values else None
    return {"type": kind, "selected_option": element.get("initial_option") if action not in values else picked}


async def main() -> None:
    parser = argparse.ArgumentParser(description="A small Slack for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--events-url", default="", help="deliver interactions there instead of by Socket Mode")
    options = parser.parse_args()
    async with FakeSlack(options.port, options.journal, options.events_url) as slack:
        print(f"fake slack on {slack.api_url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
