"""The Web API clients: one address, one pool, one time limit, no retries of their own, nothing secret in logs."""

from __future__ import annotations

import logging
import re  # noqa: TID251 - fixed patterns, never a user's
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

TIMEOUT_SECONDS = 10
_CONNECT_SECONDS = 5.0
# Shorter than any balancer keeps an idle connection, so that a page is not written into one that is just being closed.
_IDLE_SECONDS = 8.0
_SECRETS = re.compile(r"x(?:ox[a-z]|app)-[A-Za-z0-9-]+|(?<=ticket=)[^&\s'\"]+|(?<=hooks\.slack\.com/)[^\s'\"]+")


class Redactor(logging.Filter):
    """Blanks tokens and one-time addresses, and drops the SDK's lines that carry whole request bodies."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "body:" in text or "request body" in text:
            text = text.split("body:", 1)[0].split("request body", 1)[0] + "(body left out)"
        record.msg, record.args = redact(text), ()
        if record.exc_info and record.exc_info[1] is not None:
            record.msg += redact(f": {type(record.exc_info[1]).__name__}: {record.exc_info[1]}")
            record.exc_info, record.exc_text = None, None
        return True


def redact(text: str) -> str:
    return _SECRETS.sub("[redacted]", text)


def quiet_logger(name: str) -> logging.Logger:
    """For the SDK and Bolt. Errors only: their lower levels print bodies, and what matters is reported by ourselves."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.ERROR)
    if not any(isinstance(each, Redactor) for each in logger.filters):
        logger.addFilter(Redactor())
    return logger


class _Client(AsyncWebClient):
    """Sends every call as POST, what it says in the body. Slack takes any method so; the SDK writes some of it into the
    address, which leaves ids of people and names of files in the logs of proxies, and not every server reads it."""

    async def api_call(self, api_method: str, **request: Any) -> AsyncSlackResponse:
        if not any(request.get(key) for key in ("data", "json", "files")):
            said = dict(request.pop("params", None) or {})
            token = {"token": said.pop("token")} if "token" in said else {}  # goes into a header
            request |= {"http_verb": "POST", "data": said, "params": token}
        return await super().api_call(api_method, **request)


def web_client(token: str, api_url: str, session: aiohttp.ClientSession | None = None) -> AsyncWebClient:
    """The SDK's own retries are off: after a lost answer they would post the same page twice."""
    return _Client(
        token=token or None,
        base_url=api_url,
        timeout=TIMEOUT_SECONDS,
        session=session,
        retry_handlers=[],
        logger=quiet_logger("bot.slack.sdk"),
    )


def new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, sock_connect=_CONNECT_SECONDS),
        connector=aiohttp.TCPConnector(limit=20, keepalive_timeout=_IDLE_SECONDS),
    )
