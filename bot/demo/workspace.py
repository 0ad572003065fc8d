"""A local Slack-like workspace: the Web API, Socket Mode, response URLs, uploads and the web page on one port.

It knows no app but the one in its scene, and nothing of what that app does. aiohttp serves it because uvicorn needs a
further package for websockets.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from bot.demo.api import WebApi
from bot.demo.delivery import Delivery, SignedHttp, SocketMode
from bot.demo.interactions import Interactions, UnusableUrlError
from bot.demo.limits import Limits
from bot.demo.page import Page, Panel, Pulse
from bot.demo.state import Scene, World

MAX_BODY_BYTES = (1 << 20) + 65_536
STOP_SECONDS = 2.0


class Workspace:
    """`start` it on a port, talk to `url`, `stop` it. With `request_url` the app gets signed HTTP requests instead of
    Socket Mode envelopes."""

    def __init__(
        self,
        scene: Scene,
        *,
        panel: Panel | None = None,
        request_url: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._request_url = request_url
        self._panel = panel
        self.pulse = Pulse()
        self.world = World(scene, self.pulse.beat)
        self.sockets = SocketMode(scene.app.id)
        self.url = ""
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._interactions: Interactions | None = None
        self._page: Page | None = None
        self._upload_key = secrets.token_urlsafe(24)

    async def start(self, port: int, host: str = "127.0.0.1") -> None:
        """Listens; port 0 takes a free one. OSError when the port is taken."""
        self._session = aiohttp.ClientSession()
        interactions = Interactions(self.world, self._delivery(self._session), self._clock, lambda: self.url)
        self._interactions = interactions
        self._api = WebApi(self.world, interactions, Limits(), self._socket_url, self._upload_url)
        self._page = Page(self.world, interactions, self.pulse, self._clock, self._panel)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(self._page.routes())
        app.add_routes(
            [
                web.route("*", "/api/{method}", self._call),
                web.get("/socket", self.sockets.handle),
                web.post("/response/{key}", self._respond),
                web.post("/upload/{file}/{key}", self._upload),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        chosen = self._runner.addresses[0][1]
        self.url = f"http://{host}:{chosen}"

    async def stop(self) -> None:
        if self._page is not None:
            await self._page.stop()
        if self._interactions is not None:
            await self._interactions.stop()
        await self.sockets.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def _delivery(self, session: aiohttp.ClientSession) -> Delivery:
        if not self._request_url:
            return self.sockets
        return SignedHttp(self._request_url, self.world.app.signing_secret, session, self._clock)

    def _socket_url(self) -> str:
        return (
            f"{self.url.replace('http', 'ws', 1)}/socket?ticket={self.sockets.new_ticket()}&app_id={self.world.app.id}"
        )

    def _upload_url(self, file_id: str) -> str:
        return f"{self.url}/upload/{file_id}/{self._upload_key}"

    async def _upload(self, request: web.Request) -> web.Response:
        """The bytes of a file, as the body or as a form's file; only at an address that the API has given out."""
        file = self.world.files.get(request.match_info["file"])
        if file is None or not secrets.compare_digest(request.match_info["key"], self._upload_key):
            return web.Response(status=404, text="no such upload")
        if request.content_type == "multipart/form-data":
            parts = [part for part in (await request.post()).values() if isinstance(part, web.FileField)]
            content = parts[0].file.read() if parts else b""
        else:
            content = await request.read()
        if len(content) != file.size:
            return web.Response(status=400, text=f"got {len(content)} bytes instead of {file.size}")
        file.content = content
        return web.Response(text=f"OK - {len(content)}")

    async def _call(self, request: web.Request) -> web.Response:
        values = await _arguments(request)
        if values is None:
            return web.json_response({"ok": False, "error": "invalid_json"})
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else str(values.get("token") or "")
        reply = self._api.call(request.match_info["method"], token, values, self._clock())
        return web.json_response(reply.body, status=reply.status, headers=reply.headers)

    async def _respond(self, request: web.Request) -> web.Response:
        values = await _arguments(request)
        assert self._interactions is not None
        try:
            self._interactions.respond(request.match_info["key"], values or {})
        except UnusableUrlError as error:
            return web.json_response({"ok": False, "error": error.code}, status=404)
        return web.Response(text="ok")


async def _arguments(request: web.Request) -> dict[str, Any] | None:
    """Query, form or JSON arguments alike; None when a JSON body is not an object."""
    values: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        text = await request.text()
        try:
            body = json.loads(text) if text else {}
        except ValueError:
            return None
        return values | body if isinstance(body, dict) else None
    form = await request.post()
    return values | {key: value for key, value in form.items() if isinstance(value, str)}
