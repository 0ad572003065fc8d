"""Webhooks over a real connection: the signature, what may be connected to, and what each failure means."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket

import pytest
from aiohttp import web
from core_world import NOW
from webhook_receiver import Receiver, receiver

from bot.channels.webhook import DENIED, UNREACHED, Webhooks
from bot.errors import RemoteError
from bot.settings import Webhook

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
PAGE, ID = "INC-1.1.page.ana.webhook.ops", "INC-1:1:page:ana:webhook:ops"


def webhook(address: Receiver | str, **changes: object) -> Webhook:
    url = address if isinstance(address, str) else f"http://127.0.0.1:{address.port}/hook"
    return Webhook.model_validate({"url": url, "secret": SECRET, "allow_private": True, **changes})


async def post(given: Webhook, body: str = '{"a": "é"}') -> None:
    hooks = Webhooks()
    try:
        await hooks.post(given, PAGE, body, NOW)
    finally:
        hooks.close()


async def refusal(given: Webhook) -> RemoteError:
    with pytest.raises(RemoteError) as raised:
        await post(given)
    return raised.value


async def test_what_is_posted_and_how_it_is_signed():
    async with receiver() as there:
        await post(webhook(there, headers={"Authorization": "Bearer t"}))
    ((request, body),) = there.requests
    assert (request.method, request.path, body) == ("POST", "/hook", '{"a": "é"}'.encode())
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer t"
    assert request.headers["webhook-id"] == ID
    assert request.headers["webhook-timestamp"] == "1793757600"
    expected = hmac.new(KEY, f"{ID}.1793757600.".encode() + body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


async def test_the_same_page_has_the_same_id_each_time():
    async with receiver() as there:
        await post(webhook(there))
        await post(webhook(there))
    assert [request.headers["webhook-id"] for request, _ in there.requests] == [ID, ID]


async def test_without_a_secret_nothing_is_signed():
    async with receiver() as there:
        await post(webhook(there, secret=None))
    assert "webhook-signature" not in there.requests[0][0].headers


@pytest.mark.parametrize(
    ("status", "headers", "permanent", "wait"),
    [
        (400, {}, True, None),
        (401, {}, True, None),
        (404, {}, True, None),
        (410, {}, True, None),
        (408, {}, False, None),
        (429, {}, False, 10.0),
        (429, {"Retry-After": "7"}, False, 7.0),
        (429, {"Retry-After": "Wed, 04 Nov 2026 02:01:00 GMT"}, False, 60.0),
        (503, {"Retry-After": "20"}, False, 20.0),
        (500, {}, False, None),
        (503, {}, False, None),
        (302, {"Location": "http://169.254.169.254/"}, True, None),
    ],
)
async def test_what_is_answered_decides_what_becomes_of_the_page(status, headers, permanent, wait):
    async with receiver() as there:
        there.answer = lambda: web.Response(status=status, headers=headers, text="why")
        error = await refusal(webhook(there))
    assert (error.permanent, error.retry_after_seconds, error.unknown) == (permanent, wait, False)
    assert error.code == str(status)
    assert len(there.requests) == 1, "nothing is followed, nothing repeated"


async def test_an_answer_that_does_not_come_is_an_unknown_outcome():
    async def never() -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    async with receiver() as there:
        there.answer = never
        error = await refusal(webhook(there, timeout="200ms"))
    assert error.unknown


async def test_a_connection_cut_after_the_request_is_an_unknown_outcome():
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    error = await refusal(webhook(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    server.close()
    assert error.unknown


async def test_nobody_there_means_nothing_was_sent():
    async with receiver() as there:
        given = webhook(there)
    error = await refusal(given)
    assert (error.code, error.unknown, error.permanent) == (UNREACHED, False, False)


@pytest.mark.parametrize(
    ("address", "allow_private"),
    [
        ("http://127.0.0.1:PORT/", False),
        ("http://localhost:PORT/", False),
        ("http://2130706433:PORT/", False),
        ("http://[::ffff:127.0.0.1]:PORT/", False),
        ("http://0.0.0.0:PORT/", False),
        ("http://169.254.169.254/latest/meta-data", True),
        ("http://[::ffff:169.254.169.254]/", True),
        ("http://[fd00:ec2::254]/", True),
    ],
)
async def test_addresses_of_the_own_network_and_metadata_are_not_reached(address, allow_private):
    async with receiver() as there:
        try:
            given = webhook(address.replace("PORT", str(there.port)), allow_private=allow_private)
        except ValueError:
            return  # not even an address
        error = await refusal(given)
    assert (error.code, error.permanent) == (DENIED, True)
    assert there.requests == []


async def test_a_name_that_changes_its_address_is_looked_up_once(monkeypatch):
    answers = iter(["93.184.216.34", "127.0.0.1"])
    asked: list[str] = []

    def look_up(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    connected: list[str] = []

    async def connect(*_args, addr_infos, **_more):
        connected.extend(info[4][0] for info in addr_infos)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("aiohappyeyeballs.start_connection", connect)
    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    error = await refusal(webhook("http://rebound.example/", allow_private=False))
    assert error.code == UNREACHED
    assert (asked, connected) == (["rebound.example"], ["93.184.216.34"])


async def test_a_name_that_points_inside_is_refused(monkeypatch):
    def look_up(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    error = await refusal(webhook("http://inside.example/", allow_private=False))
    assert (error.code, error.permanent) == (DENIED, True)
    assert "inside.example is a private address; allow_private: true permits it" in str(error)


async def test_no_proxy_of_the_environment_sees_it(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with receiver() as there:
        await post(webhook(there))
    assert len(there.requests) == 1


async def test_errors_do_not_tell_the_address():
    async with receiver() as there:
        there.answer = lambda: web.Response(status=500)
        url = f"http://127.0.0.1:{there.port}/bot12345:canary/sendMessage?token=canary"
        assert "canary" not in str(await refusal(webhook(url)))
    assert "canary" not in str(await refusal(webhook(url)))


async def test_a_knock_connects_and_posts_nothing():
    async with receiver() as there:
        hooks = Webhooks()
        await hooks.knock(webhook(there))
        with pytest.raises(RemoteError) as raised:
            await hooks.knock(webhook(there, allow_private=False))
        hooks.close()
    assert raised.value.code == DENIED
    assert there.requests == []
