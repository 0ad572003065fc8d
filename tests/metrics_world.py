"""A target under the test's control: raw HTTP on real sockets, so that it can misbehave as no library would."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

from bot.metrics.scrape import Scraper
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.settings import Metrics

TEXT = "text/plain; version=0.0.4"


def answer(body=b"", status="200 OK", content_type=TEXT, **headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server:
    """Answers each path by what `pages` holds: bytes, a function of the request's headers, or a coroutine function
    of (headers, writer) that writes by itself. Keeps the headers of every request."""

    def __init__(self, context=None):
        self.pages = {}
        self.requests = []
        self.context = context
        self.open = 0
        self.most_open = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                path = head[0].split(" ")[1]
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                headers[":path"] = path
                self.requests.append(headers)
                self.open += 1
                self.most_open = max(self.open, self.most_open)
                try:
                    if not await self._answer(path.partition("?")[0], headers, writer):
                        break
                finally:
                    self.open -= 1
        writer.close()

    async def _answer(self, path, headers, writer):
        page = self.pages.get(path, answer(b"no such page", "404 Not Found"))
        if asyncio.iscoroutinefunction(page):
            await page(headers, writer)
            return False
        writer.write(page(headers) if callable(page) else page)
        await writer.drain()
        return True


class Watch:
    """A scraper over a real store."""

    def __init__(self, base_dir, **scrape):
        self.store = SeriesStore(3600, threading.RLock())
        self.times = []
        self.base_dir = Path(base_dir)
        self.scraper = Scraper(self.settings(**scrape), self.store, self.base_dir, self.times.append)

    @staticmethod
    def settings(**scrape):
        return Metrics.model_validate({"scrape": {"interval": "200ms", "timeout": "150ms", **scrape}})

    async def __aenter__(self):
        self._task = asyncio.create_task(self.scraper.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def query(self, expression, at=None):
        """The answer at a time, by default that of the newest scrape."""
        found = Engine(self.store).instant(parse(expression), max(self.times) if at is None else at)
        return [(dict(labels), value) for labels, value in found.samples]

    def value(self, expression):
        found = self.query(expression)
        assert len(found) == 1, (expression, found, self.reasons())
        return found[0][1]

    def reasons(self):
        return {each["scrapeUrl"]: each["lastError"] for each in self.scraper.targets()}

    def health(self):
        return {each["scrapeUrl"]: each["health"] for each in self.scraper.targets()}

    async def until(self, true, seconds=10):
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.02)

    async def scrapes(self, count=1):
        """Waits for that many more."""
        done = len(self.times)
        await self.until(lambda: len(self.times) >= done + count)


def certificate(folder):
    """A self-signed certificate for 127.0.0.1 and the name `agent.internal`, made by openssl."""
    assert shutil.which("openssl")
    names = "subjectAltName=IP:127.0.0.1,DNS:agent.internal"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=agent", "-addext", names]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"
