"""What a failed call to Slack means. Turns every exception of the client into a RemoteError that says what is known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.errors import RemoteError
from bot.paging.attempt import UNREACHABLE

# Slack's documentation says that part of the work may have been done when it answers with these.
MAYBE_DONE = frozenset({"internal_error", "fatal_error", "service_unavailable"})
# Refused now, but the same call may pass later.
PASSING = frozenset({"request_timeout", "team_added_to_org", "accesslimited", "ekm_access_denied"})
LAYOUT = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "block_mismatch",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "metadata_too_large",
        "msg_too_long",
        "invalid_json",
    }
)
DEFAULT_WAIT_SECONDS = 10.0


async def call(method: str, request: Awaitable[Any]) -> dict[str, Any]:
    """The answer of one Web API call, or a RemoteError."""
    try:
        answer = await request
    except SlackApiError as error:
        raise refused(method, error) from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise RemoteError(f"{method}: Slack cannot be reached: {error}", code=UNREACHABLE) from error
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        what = "no answer in time" if isinstance(error, asyncio.TimeoutError) else f"connection lost: {error}"
        raise RemoteError(f"{method}: {what}", unknown=True) from error
    except (AttributeError, TypeError, ValueError) as error:
        # The SDK trips over answers that are no JSON object.
        raise RemoteError(f"{method}: unreadable answer: {error}", unknown=True) from error
    return answer.data if isinstance(answer.data, dict) else {}


def refused(method: str, error: SlackApiError) -> RemoteError:
    """Classifies an answer that arrived: `ok: false`, or a status other than 200."""
    response = error.response
    status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    code = str(data.get("error") or "") if isinstance(data, dict) else ""
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        seconds = _retry_after(getattr(response, "headers", None) or {})
        return RemoteError(
            f"{method}: told to wait {seconds:g} s", code=code or "ratelimited", retry_after_seconds=seconds
        )
    if status >= 500 or code in MAYBE_DONE:
        return RemoteError(f"{method}: Slack failed ({code or status})", code=code, unknown=True)
    if code:
        needed = f", needs {data['needed']}" if isinstance(data, dict) and data.get("needed") else ""
        return RemoteError(f"{method}: {code}{needed}", code=code, permanent=code not in PASSING)
    if status == 200:
        return RemoteError(f"{method}: unreadable answer", unknown=True)
    return RemoteError(f"{method}: HTTP status {status} without an answer of Slack's")


def _retry_after(headers: Any) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = value[0] if isinstance(value, list) else str(value)
            return min(max(float(text), 1.0), 3600.0) if text.strip().isdigit() else DEFAULT_WAIT_SECONDS
    return DEFAULT_WAIT_SECONDS
