"""The Web API clients: one address, one pool, one time limit, no retries of their own, nothing secret in logs."""

from __future__ import annotations

import logging
import re  # noqa: TID251 - fixed patterns, never a user's

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

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


def web_client(token: str, api_url: str, session: aiohttp.ClientSession | None = None) -> AsyncWebClient:
    """The SDK's own retries are off: after a lost answer they would post the same page twice."""
    return AsyncWebClient(
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
