"""One HTTP GET of somebody else's page: one deadline, a cap on the decompressed size, credentials kept to their host.
And one question to somebody else's API, where any status is an answer.

Stays out of what the page means. Every failure is a RemoteError whose message can stand in `lastError`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from yarl import URL

from bot.addresses import GuardedResolver, is_denied
from bot.errors import RemoteError
from bot.settings import TLS, Access

MAX_REDIRECTS = 10  # as Go's client, which Prometheus uses
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DECOMPRESS_STEP = 256 * 1024
_RESOLVER_THREADS = 16
_KEEP_ALIVE_SECONDS = 90.0  # longer than usual intervals: a new connection per scrape costs more than the scrape


@dataclass(frozen=True)
class Answer:
    body: bytes
    content_type: str
    url: str  # where it came from after redirects
    tag: str = ""
    modified: str = ""
    unchanged: bool = False  # nothing but that: the question named a tag or a date, and it is still of that state


@dataclass(frozen=True)
class Said:
    """What an API answered, whatever it was."""

    status: int
    reason: str
    body: bytes
    retry_after: float | None = None  # seconds
    location: str = ""


class Client:
    """One session for all targets. Files named in credentials are relative to `base_dir` and read for each request."""

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolve")
        connector = aiohttp.TCPConnector(
            limit=0,  # targets that hang must not use up the connections of the others
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            resolver=GuardedResolver(self._threads),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,  # done here, in steps, so that a small body cannot become a huge one unseen
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
        )
        self._contexts: dict[tuple[TLS, float], ssl.SSLContext] = {}

    async def close(self) -> None:
        await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get(
        self, url: str, access: Access, headers: Mapping[str, str], *, timeout_seconds: float, max_bytes: int
    ) -> Answer:
        """The whole answer within the time, or a RemoteError."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._follow(URL(url), access, headers, max_bytes)
        except TimeoutError:
            raise RemoteError(f"no complete answer within {timeout_seconds:g}s") from None
        except RemoteError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RemoteError(_reason(error)) from error

    async def ask(
        self,
        method: str,
        url: str,
        access: Access,
        headers: Mapping[str, str],
        fields: Sequence[tuple[str, str]],
        *,
        max_bytes: int,
    ) -> Said:
        """With the fields in the address, or by POST as a form. Redirects are not followed; time is the caller's."""
        start = URL(url)
        own = {"Accept": "application/json", "Accept-Encoding": "gzip", **headers}
        try:
            own |= await self._credentials(start, access)
            _refuse_address(start)
            async with self._session.request(
                method,
                start.with_user(None),
                params=None if method == "POST" else fields,
                data=fields if method == "POST" else None,
                headers=own,
                ssl=self._tls(access.tls),
                server_hostname=access.tls.server_name if access.tls and start.scheme == "https" else None,
                allow_redirects=False,
            ) as response:
                body = await _body(response, max_bytes, by_lines=False)
                told = response.headers
                return Said(
                    response.status,
                    response.reason or "",
                    body,
                    _seconds(told.get("Retry-After", "")),
                    told.get("Location", ""),
                )
        except RemoteError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RemoteError(_reason(error)) from error

    async def _follow(self, start: URL, access: Access, headers: Mapping[str, str], max_bytes: int) -> Answer:
        url = start.with_user(None)
        own = await self._credentials(start, access)
        for _ in range(MAX_REDIRECTS + 1):
            home = _may_know(start, url)
            _refuse_address(url)
            async with self._session.get(
                url,
                headers={**headers, **own} if home else headers,
                ssl=self._tls(access.tls) if home else True,
                server_hostname=access.tls.server_name if home and access.tls and url.scheme == "https" else None,
                allow_redirects=False,
            ) as response:
                if response.status in _REDIRECTS and "Location" in response.headers:
                    url = _redirected(url, response.headers["Location"])
                    response.close()
                    continue
                if response.status == 304 and {"If-None-Match", "If-Modified-Since"} & set(headers):
                    return Answer(b"", "", str(url), unchanged=True)
                if response.status != 200:
                    response.close()
                    raise RemoteError(f"server returned HTTP status {response.status} {response.reason or ''}".strip())
                body = await _body(response, max_bytes)
                told = response.headers
                tag, modified = told.get("ETag", ""), told.get("Last-Modified", "")
                return Answer(body, told.get("Content-Type", ""), str(url), tag, modified)
        raise RemoteError(f"more than {MAX_REDIRECTS} redirects")

    async def _credentials(self, url: URL, access: Access) -> dict[str, str]:
        if access.bearer_token is not None:
            return _bearer(access.bearer_token.get_secret_value())
        if access.bearer_token_file is not None:
            return _bearer(await asyncio.to_thread(self._secret, access.bearer_token_file))
        if access.basic_auth is not None and access.basic_auth.password_file is not None:
            password = await asyncio.to_thread(self._secret, access.basic_auth.password_file)
            return _basic(access.basic_auth.username, password)
        if access.basic_auth is not None:
            return _basic(access.basic_auth.username, access.basic_auth.password.get_secret_value())
        if url.user is not None:
            return _basic(url.user, url.password or "")
        return {}

    def _secret(self, file: str) -> str:
        """Read each time: tokens are rotated."""
        try:
            return (self._base_dir / file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RemoteError(f"cannot read {file}: {_reason(error)}") from None

    def _tls(self, tls: TLS | None) -> ssl.SSLContext | bool:
        """Contexts are kept, or every scrape would shake hands anew; a changed file makes a new one."""
        if tls is None:
            return True
        changed = max((self._changed(file) for file in (tls.ca_file, tls.cert_file, tls.key_file) if file), default=0.0)
        key = (tls, changed)
        if key not in self._contexts:
            self._contexts = {known: context for known, context in self._contexts.items() if known[0] != tls}
            self._contexts[key] = self._new_context(tls)
        return self._contexts[key]

    def _changed(self, file: str) -> float:
        try:
            return (self._base_dir / file).stat().st_mtime
        except OSError as error:
            raise RemoteError(f"cannot read {file}: {_reason(error)}") from None

    def _new_context(self, tls: TLS) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._base_dir / tls.ca_file) if tls.ca_file else None)
        if tls.cert_file:
            key_file = str(self._base_dir / tls.key_file) if tls.key_file else None
            context.load_cert_chain(str(self._base_dir / tls.cert_file), key_file)
        if tls.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _may_know(start: URL, url: URL) -> bool:
    """Credentials go to the host they were given for, and to the same host's https when it sends us there."""
    if url.host != start.host:
        return False
    return (url.scheme, url.port) == (start.scheme, start.port) or (start.scheme == "http" and url.scheme == "https")


def _refuse_address(url: URL) -> None:
    if is_denied(url.host or ""):
        raise RemoteError(f"{url.host} is a link-local or metadata address, which is never asked")


def _redirected(url: URL, location: str) -> URL:
    new = url.join(URL(location)).with_fragment(None)
    if new.scheme not in {"http", "https"} or not new.host:
        raise RemoteError(f"redirected to {str(new)[:200]!r}, which is not http or https")
    if url.scheme == "https" and new.scheme == "http":
        raise RemoteError(
            f"redirected from https to {str(new)[:200]!r}: the answer could be read and changed on its way"
        )
    return new.with_user(None)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _seconds(text: str) -> float | None:
    """Of a Retry-After that counts seconds; one that names a day is rare, and as good as none."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


async def _body(response: aiohttp.ClientResponse, max_bytes: int, *, by_lines: bool = True) -> bytes:
    """Read in pieces and given up as soon as it is too large, so that memory stays within twice the cap."""
    body = bytearray()
    async for piece in _decoded(response):
        body += piece
        if len(body) > max_bytes:
            response.close()
            raise RemoteError(f"the body is larger than the limit of {max_bytes} bytes")
    if by_lines and body and _ends_by_closing(response) and not body.endswith(b"\n") and not body.endswith(b"# EOF"):
        raise RemoteError("the connection closed in the middle of a line")
    return bytes(body)


def _ends_by_closing(response: aiohttp.ClientResponse) -> bool:
    """Without a length or chunks, half a body looks like a whole one, and half a number like another number."""
    return not {"Content-Length", "Transfer-Encoding", "Content-Encoding"} & set(response.headers)


async def _decoded(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        async for piece in response.content.iter_any():
            yield piece
    elif encoding in {"gzip", "x-gzip"}:
        async for piece in _gunzipped(response):
            yield piece
    else:
        raise RemoteError(f"Content-Encoding {encoding[:40]!r} was not asked for")


async def _gunzipped(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    async for packed in response.content.iter_any():
        rest = packed
        while rest:
            if unpacker.eof:
                unpacker = zlib.decompressobj(wbits=31)  # gzip allows members in a row
            try:
                piece = unpacker.decompress(rest, _DECOMPRESS_STEP)
            except zlib.error as error:
                raise RemoteError(f"the body is not gzip as it claims: {error}") from None
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            yield piece
    while not unpacker.eof:
        piece = unpacker.decompress(b"", _DECOMPRESS_STEP)
        if not piece and not unpacker.eof:
            raise RemoteError("the gzip body ends too early")
        yield piece


def _reason(error: BaseException) -> str:
    """The system's words without Python's: what a person can act on."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, OSError) and inner.errno and inner.errno > 0 and not isinstance(inner, ssl.SSLError):
        return os.strerror(inner.errno)
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return str(error) or type(error).__name__
