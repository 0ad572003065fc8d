"""Makes one request of an action to a declared service. One call is one attempt, and each carries the same key.

As with other webhooks the address is looked up once and that answer is connected to, nothing is redirected, and one
deadline counts for everything. What may be asked is decided elsewhere (actions/allowed.py).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import aiohttp
from yarl import URL

from bot.channels.webhook import address_of, failure, refusal, session_of, signature
from bot.errors import RemoteError
from bot.paging.words import one_line
from bot.runbooks.rendered import RenderedCall
from bot.settings import ActionWebhook

KEY = "Idempotency-Key"
_THREADS = 2
_SHOWN_OF_ANSWER = 500  # bytes


class ActionDoor:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolve-action")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ask(self, service: ActionWebhook, call: RenderedCall, run_id: str, now: datetime) -> str:
        """The status and the beginning of the answer. Every failure is a RemoteError; none repeats the address."""
        url = _joined(address_of(service), call.path)
        raw = call.body.encode()
        try:
            async with (
                session_of(service, self._threads) as session,
                session.request(
                    call.method, url, data=raw or None, headers=_headers(service, raw, run_id, now),
                    allow_redirects=False,
                ) as answer,
            ):  # fmt: skip
                if not 200 <= answer.status < 300:
                    raise await refusal(answer, now)
                return f"{answer.status} {await _said(answer)}".strip()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise failure(error, url.host or "") from error


async def _said(answer: aiohttp.ClientResponse) -> str:
    """The status has said that it is done; an answer that breaks off after it changes nothing of that."""
    try:
        return one_line((await answer.content.read(_SHOWN_OF_ANSWER)).decode(errors="replace"))
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""


def _headers(service: ActionWebhook, raw: bytes, run_id: str, now: datetime) -> dict[str, str]:
    """What the configuration gives never replaces the key or the signature."""
    headers = {"User-Agent": "agentpager"} | ({"Content-Type": "application/json"} if raw else {})
    if service.bearer_token is not None and (token := service.bearer_token.get_secret_value()):
        headers["Authorization"] = f"Bearer {token}"
    own = {name.lower() for name in (*headers, KEY)}
    headers |= {name: value.get_secret_value() for name, value in service.headers.items() if name.lower() not in own}
    return headers | signature(service, run_id, raw, now) | {KEY: run_id}


def _joined(base: URL, path: str) -> URL:
    """The path as it was shown, sign by sign, behind the address."""
    if base.query_string or base.fragment:
        raise RemoteError("its address has a query or a fragment, so no path can be put behind it", permanent=True)
    return URL(str(base).rstrip("/") + path, encoded=True)
