"""Requests of actions over a real connection: what goes out, what may be connected to, and what each answer means."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac

import pytest
from aiohttp import web
from core_world import NOW
from webhook_receiver import Receiver, receiver

from bot.channels.action import ActionDoor
from bot.channels.webhook import DENIED, UNREACHED
from bot.errors import RemoteError
from bot.runbooks.rendered import RenderedCall
from bot.settings import ActionWebhook

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
RUN = "RUN-1B9CC197D7C0E8F3"
ALLOW = [{"path": "/agents/*/pause"}]


def service(address: Receiver | str, **changes: object) -> ActionWebhook:
    url = address if isinstance(address, str) else f"http://127.0.0.1:{address.port}/api/"
    given = {"url": url, "bearer_token": "token-1", "allow_private": True, "timeout": "2s", "allow": ALLOW}
    return ActionWebhook.model_validate(given | changes)


async def ask(given: ActionWebhook, **changes: str) -> str:
    call = RenderedCall(
        **{"webhook": "x", "method": "POST", "path": "/agents/a%20b/pause", "body": '{"a":"é"}'} | changes
    )
    door = ActionDoor()
    try:
        return await door.ask(given, call, RUN, NOW)
    finally:
        door.close()


async def refused(given: ActionWebhook, **changes: str) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await ask(given, **changes)
    return caught.value


async def test_the_request_is_the_one_that_was_shown_with_its_key_and_token():
    async with receiver() as one:
        one.answer = lambda: web.Response(text='{"paused":\n true}')
        assert await ask(service(one)) == '200 {"paused": true}'
        ((request, body),) = one.requests
    assert (request.method, request.raw_path, body) == ("POST", "/api/agents/a%20b/pause", '{"a":"é"}'.encode())
    assert request.headers["Idempotency-Key"] == RUN
    assert request.headers["Authorization"] == "Bearer token-1"
    assert request.headers["Content-Type"] == "application/json"
    assert "webhook-signature" not in request.headers


async def test_without_a_body_nothing_claims_to_be_one():
    async with receiver() as one:
        await ask(service(one), method="DELETE", body="")
        ((request, body),) = one.requests
    assert (request.method, body) == ("DELETE", b"")
    assert "Content-Type" not in request.headers


async def test_a_secret_signs_it_as_standard_webhooks_says():
    async with receiver() as one:
        await ask(service(one, secret=SECRET))
        ((request, body),) = one.requests
    at = str(int(NOW.timestamp()))
    signed = hmac.new(KEY, f"{RUN}.{at}.".encode() + body, hashlib.sha256).digest()
    assert request.headers["webhook-id"] == RUN
    assert request.headers["webhook-timestamp"] == at
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"


async def test_headers_of_the_configuration_replace_neither_key_nor_token():
    async with receiver() as one:
        more = {"X-Team": "payments", "idempotency-key": "mine", "authorization": "Basic x", "webhook-id": "y"}
        await ask(service(one, headers=more))
        ((request, _),) = one.requests
    assert request.headers["X-Team"] == "payments"
    assert request.headers.getall("Idempotency-Key") == [RUN]
    assert request.headers.getall("Authorization") == ["Bearer token-1"]
    assert request.headers.getall("webhook-id") == [RUN]


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (500, {}, {"permanent": False, "unknown": False, "retry_after_seconds": None}),
        (429, {"Retry-After": "7"}, {"permanent": False, "retry_after_seconds": 7.0}),
        (503, {"Retry-After": "7"}, {"permanent": False, "retry_after_seconds": 7.0}),
        (400, {}, {"permanent": True}),
        (401, {}, {"permanent": True}),
        (409, {}, {"permanent": True, "code": "409"}),
        (422, {}, {"permanent": True}),
        (302, {"Location": "http://127.0.0.1:1/"}, {"permanent": True}),
        (307, {"Location": "http://127.0.0.1:1/"}, {"permanent": True}),
    ],
)
async def test_what_each_refusal_means(status, headers, expected):
    async with receiver() as one:
        one.answer = lambda: web.Response(status=status, headers=headers, text="no")
        error = await refused(service(one))
        assert len(one.requests) == 1, "a redirect is not followed, nothing is repeated here"
    assert {name: getattr(error, name) for name in expected} == expected
    assert "token-1" not in str(error)


async def test_no_answer_in_time_is_of_unknown_outcome():
    async with receiver() as one:

        async def never() -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response()

        one.answer = never
        error = await refused(service(one, timeout="100ms"))
    assert (error.unknown, error.permanent) == (True, False)


async def test_an_answer_that_breaks_off_after_its_status_has_said_enough():
    async with receiver() as one:

        async def broken() -> web.StreamResponse:
            request = one.requests[-1][0]
            answer = web.StreamResponse(headers={"Content-Length": "1000"})
            await answer.prepare(request)
            await answer.write(b"")
            assert request.transport is not None
            request.transport.close()
            return answer

        one.answer = broken
        assert (await ask(service(one))).startswith("200")


async def test_a_large_answer_is_cut_and_hostile_text_is_one_line():
    async with receiver() as one:
        one.answer = lambda: web.Response(text="a\r\n\u202eb" + "x" * 100_000)
        said = await ask(service(one))
    assert said.startswith("200 a bx")
    assert len(said) < 600


async def test_addresses_that_must_not_be_asked():
    async with receiver() as one:
        private = await refused(service(one, allow_private=False))
        assert one.requests == []
    assert (private.code, private.permanent) == (DENIED, True)
    metadata = await refused(service("http://169.254.169.254/"))
    assert (metadata.code, metadata.permanent) == (DENIED, True)


async def test_nobody_there_is_known_not_to_have_been_asked():
    async with receiver() as one:
        given = service(one)
    error = await refused(given)
    assert (error.code, error.unknown, error.permanent) == (UNREACHED, False, False)


async def test_no_path_is_put_behind_a_query():
    error = await refused(service("http://127.0.0.1:1/?a=b"))
    assert error.permanent
    assert "query or a fragment" in str(error)
