"""Posts one page to a configured address, signed as Standard Webhooks says. One call is one attempt.

The address is looked up once and that answer is connected to; addresses of the own network are refused unless allowed,
link-local and metadata ones always. No redirects, no proxy from the environment, one deadline for everything.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

import aiohttp
from pydantic import SecretStr
from yarl import URL

from bot.addresses import DeniedAddressError, GuardedResolver, is_denied, is_private
from bot.errors import RemoteError
from bot.paging.body import content_type
from bot.paging.words import one_line
from bot.settings import Webhook

UNREACHED = "webhook_unreachable"
DENIED = "address_denied"
_THREADS = 4
_DEFAULT_WAIT = 10.0
_LONGEST_WAIT = 3600.0
_SHOWN_OF_ANSWER = 500  # bytes
_PASSING = frozenset({408, 425})  # this very request may pass later


class Service(Protocol):
    """What all declared addresses have in common."""

    @property
    def url(self) -> SecretStr: ...

    @property
    def secret(self) -> SecretStr | None: ...

    @property
    def allow_private(self) -> bool: ...

    @property
    def timeout(self) -> timedelta: ...


class Webhooks:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolve")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, webhook: Webhook, page_id: str, body: str, now: datetime) -> None:
        """Every failure is a RemoteError that does not repeat the address: it may hold a secret."""
        raw = body.encode()
        headers = {"Content-Type": content_type(webhook), "User-Agent": "agentpager"}
        given = {name: value.get_secret_value() for name, value in webhook.headers.items()}
        headers |= {name: value for name, value in given.items() if name.lower() != "content-type"}
        headers |= signature(webhook, page_id, raw, now)
        url = address_of(webhook)
        try:
            async with (
                session_of(webhook, self._threads) as session,
                session.post(url, data=raw, headers=headers, allow_redirects=False) as answer,
            ):
                if not 200 <= answer.status < 300:
                    raise await refusal(answer, now)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise failure(error, url.host or "") from error

    async def knock(self, service: Service) -> None:
        """Connects, with TLS where the address says so, and asks nothing. RemoteError when that fails."""
        url = address_of(service)
        try:
            async with asyncio.timeout(service.timeout.total_seconds()):
                await self._connect(service, url)
        except (OSError, TimeoutError) as error:
            raise failure(error, url.host or "") from error

    async def _connect(self, service: Service, url: URL) -> None:
        host, port = url.host or "", url.port or 443
        tls = url.scheme == "https"
        resolver = GuardedResolver(self._threads, _denied_by(service))
        last: OSError = OSError(None, "the name has no address")
        for found in await resolver.resolve(host, port, socket.AF_UNSPEC):
            try:
                _, writer = await asyncio.open_connection(
                    found["host"], port, ssl=tls or None, server_hostname=host if tls else None
                )
            except OSError as error:
                last = error
            else:
                writer.close()
                return
        raise last


def session_of(service: Service, threads: Executor) -> aiohttp.ClientSession:
    """One for each call: what may be connected to depends on the service, and calls are few."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(threads, _denied_by(service)), use_dns_cache=False, force_close=True
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=service.timeout.total_seconds()),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def signature(service: Service, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The id of the page or run is the key by which a receiver knows a repeat; without dots, which part the signed
    text."""
    at, message_id = str(int(now.timestamp())), message_id.replace(".", ":")
    headers = {"webhook-id": message_id, "webhook-timestamp": at}
    secret = service.secret.get_secret_value() if service.secret is not None else ""
    if secret:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return headers


def address_of(service: Service) -> URL:
    """Addresses written as numbers are judged here; names when they are looked up."""
    try:
        url = URL(service.url.get_secret_value())
    except ValueError:
        raise RemoteError("the address cannot be read", permanent=True) from None
    if why := _denied_by(service)(url.host or ""):
        raise RemoteError(f"{url.host} is {why}", code=DENIED, permanent=True)
    return url


def _denied_by(service: Service) -> Callable[[str], str]:
    def denied(address: str) -> str:
        if is_denied(address):
            return "a link-local or metadata address, which is never posted to"
        if not service.allow_private and is_private(address):
            return "a private address; allow_private: true permits it"
        return ""

    return denied


async def refusal(answer: aiohttp.ClientResponse, now: datetime) -> RemoteError:
    status, host = answer.status, answer.url.host
    said = (await answer.content.read(_SHOWN_OF_ANSWER)).decode(errors="replace")
    text = f"{host} answers {status} {one_line(said)}".strip()
    if 300 <= status < 400:
        return RemoteError(f"{host} answers {status}: redirects are not followed", code=str(status), permanent=True)
    if status in {429, 503}:
        seconds = _retry_after(answer.headers.get("Retry-After", ""), now)
        if status == 429 or seconds is not None:
            return RemoteError(text, code=str(status), retry_after_seconds=seconds or _DEFAULT_WAIT)
    return RemoteError(text, code=str(status), permanent=status < 500 and status not in _PASSING)


def _retry_after(text: str, now: datetime) -> float | None:
    try:
        seconds = float(text) if text.strip().isdigit() else (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 1.0), _LONGEST_WAIT)


def failure(error: Exception, host: str) -> RemoteError:
    cause = error.__cause__ or error
    denied = next((each for each in (error, cause) if isinstance(each, DeniedAddressError)), None)
    if denied is not None:
        return RemoteError(one_line(denied.strerror or str(denied)), code=DENIED, permanent=True)
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return RemoteError(f"{host}: no answer in time", unknown=True)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return RemoteError(f"{host} cannot be reached: {_why(error)}", code=UNREACHED)
    if isinstance(error, ValueError | aiohttp.InvalidURL):
        return RemoteError(f"{host or 'its address'} cannot be used ({type(error).__name__})", permanent=True)
    return RemoteError(f"{host}: connection lost: {_why(error)}", unknown=True)


def _why(error: Exception) -> str:
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return one_line(getattr(inner, "strerror", None) or str(inner) or type(error).__name__)
