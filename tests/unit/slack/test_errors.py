"""What each answer of Slack's means for the outbox."""

from __future__ import annotations

from types import SimpleNamespace

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from bot.errors import RemoteError
from bot.slack.errors import call


def _refusal(status: int, error: str = "", headers: dict | None = None) -> SlackApiError:
    data = {"ok": False, "error": error} if error else {}
    return SlackApiError("no", SimpleNamespace(status_code=status, data=data, headers=headers or {}))


async def _meaning(error: Exception) -> RemoteError:
    async def fails():
        raise error

    with pytest.raises(RemoteError) as caught:
        await call("chat.postMessage", fails())
    return caught.value


@pytest.mark.parametrize(
    "code",
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "invalid_auth",
        "token_revoked",
        "account_inactive",
        "missing_scope",
        "invalid_blocks",
        "unknown_method",
        "user_not_found",
        "a_code_of_next_year",
    ],
)
async def test_a_refusal_is_permanent_and_known(code):
    error = await _meaning(_refusal(200, code))
    assert (error.code, error.permanent, error.unknown, error.retry_after_seconds) == (code, True, False, None)


@pytest.mark.parametrize(
    ("status", "code", "headers", "seconds"),
    [
        (429, "ratelimited", {"Retry-After": "7"}, 7.0),
        (200, "ratelimited", {"retry-after": "3"}, 3.0),
        (429, "", {}, 10.0),
        (429, "ratelimited", {"Retry-After": "soon"}, 10.0),
        (429, "ratelimited", {"Retry-After": "0"}, 1.0),
    ],
)
async def test_told_to_wait(status, code, headers, seconds):
    error = await _meaning(_refusal(status, code, headers))
    assert (error.retry_after_seconds, error.permanent, error.unknown) == (seconds, False, False)


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, ""), (503, ""), (200, "internal_error"), (200, "fatal_error"), (200, "service_unavailable"), (200, "")],
)
async def test_an_answer_that_may_hide_a_success_is_unknown(status, code):
    error = await _meaning(_refusal(status, code))
    assert (error.unknown, error.permanent) == (True, False)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError(),
        ConnectionResetError(),
        AttributeError("'list' object has no attribute 'get'"),
    ],
)
async def test_a_lost_answer_is_unknown(error):
    meaning = await _meaning(error)
    assert (meaning.unknown, meaning.permanent) == (True, False)


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectorError(SimpleNamespace(host="x", port=1, ssl=None), OSError(111, "refused")),
        aiohttp.ConnectionTimeoutError(),
    ],
)
async def test_a_connection_that_never_stood_has_sent_nothing(error):
    meaning = await _meaning(error)
    assert (meaning.unknown, meaning.permanent, meaning.retry_after_seconds) == (False, False, None)


async def test_a_status_of_somebody_in_between_is_neither_permanent_nor_unknown():
    error = await _meaning(_refusal(403))
    assert (error.permanent, error.unknown) == (False, False)


async def test_the_scope_that_is_missing_is_named():
    refusal = SlackApiError(
        "no", SimpleNamespace(status_code=200, data={"error": "missing_scope", "needed": "chat:write"}, headers={})
    )
    assert "needs chat:write" in str(await _meaning(refusal))
