"""One GET against real sockets: what comes back, what is refused and with which words, who gets to see credentials."""

import asyncio
import gzip
import os
import socket
import ssl
import zlib
from pathlib import Path

import pytest
from metrics_world import Server, answer, certificate

from bot.errors import RemoteError
from bot.metrics.fetch import Client
from bot.settings import Access

MIB = 1024 * 1024


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
async def client(tmp_path):
    client = Client(tmp_path)
    yield client
    await client.close()


async def get(client, url, *, timeout_seconds=5, max_bytes=MIB, **access):
    return await client.get(
        url,
        Access.model_validate(access),
        {"Accept-Encoding": "gzip"},
        timeout_seconds=timeout_seconds,
        max_bytes=max_bytes,
    )


async def refusal(client, url, **settings):
    with pytest.raises(RemoteError) as refused:
        await get(client, url, **settings)
    return str(refused.value)


# Bodies


async def test_a_plain_body(server, client):
    server.pages["/metrics"] = answer(b"a 1\n")
    got = await get(client, f"{server.url}/metrics")
    assert (got.body, got.content_type) == (b"a 1\n", "text/plain; version=0.0.4")


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"a 1\n" * 1000, mtime=0),
        gzip.compress(b"a 1\n" * 400, mtime=0) + gzip.compress(b"a 1\n" * 600, mtime=0),
    ],
)
async def test_a_gzip_body(server, client, packed):
    server.pages["/metrics"] = answer(packed, Content_Encoding="gzip")
    assert (await get(client, f"{server.url}/metrics")).body == b"a 1\n" * 1000


async def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(server, client):
    server.pages["/fits"] = answer(b"x" * MIB)
    server.pages["/over"] = answer(b"x" * (MIB + 1))
    assert len((await get(client, f"{server.url}/fits")).body) == MIB
    assert await refusal(client, f"{server.url}/over") == "the body is larger than the limit of 1048576 bytes"


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def growth_during(work):
    """The most that resident memory grew while `work` ran."""
    before = most = resident_bytes()
    task = asyncio.ensure_future(work)
    while not task.done():
        most = max(most, resident_bytes())
        await asyncio.sleep(0.005)
    return most - before, await task


async def test_a_hundred_mebibytes_are_given_up_early_and_without_memory(server, client):
    written = []

    async def huge(headers, writer):
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {100 * MIB}\r\n\r\n".encode())
        for _ in range(100):
            writer.write(b"x" * MIB)
            await writer.drain()
            written.append(MIB)

    server.pages["/metrics"] = huge
    grown, words = await growth_during(refusal(client, f"{server.url}/metrics", max_bytes=16 * MIB))
    assert "larger than the limit" in words
    assert grown < 64 * MIB
    assert len(written) < 40


async def test_a_gzip_bomb_is_given_up_at_the_limit(server, client):
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\n" * MIB) for _ in range(256)) + packer.flush()
    assert len(bomb) < MIB
    server.pages["/metrics"] = answer(bomb, Content_Encoding="gzip")
    grown, words = await growth_during(refusal(client, f"{server.url}/metrics", max_bytes=16 * MIB))
    assert "larger than the limit of 16777216" in words
    assert grown < 64 * MIB


def raw(text):
    async def page(headers, writer):
        writer.write(text)
        await writer.drain()

    return page


@pytest.mark.parametrize(
    ("bytes_sent", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n", "payload is not completed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n", "payload is not completed"),
        (b"HTTP/1.0 200 OK\r\n\r\na 1\nb 12", "in the middle of a line"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"a 1\n" * 99, mtime=0)[:-9],
            "ends too early",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\na 1\n", "not gzip"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\na 1\n", "'br' was not asked for"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "server returned HTTP status 503 Busy"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ""),
        (b"", ""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", ""),
    ],
)
async def test_answers_that_are_none(server, client, bytes_sent, words):
    server.pages["/metrics"] = raw(bytes_sent)
    reason = await refusal(client, f"{server.url}/metrics")
    assert words in reason
    assert reason


async def test_a_body_that_ends_by_closing_is_whole_when_its_last_line_is(server, client):
    server.pages["/metrics"] = raw(b"HTTP/1.0 200 OK\r\n\r\na 1\nb 12\n")
    assert (await get(client, f"{server.url}/metrics")).body == b"a 1\nb 12\n"


async def test_a_drip_is_cut_off_at_the_deadline_of_the_whole_scrape(server, client):
    async def drip(headers, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.05)

    server.pages["/metrics"] = drip
    assert await refusal(client, f"{server.url}/metrics", timeout_seconds=0.3) == "no complete answer within 0.3s"


async def test_silence_and_refused_connections(server, client):
    async def silence(headers, writer):
        await asyncio.sleep(30)

    server.pages["/metrics"] = silence
    assert await refusal(client, f"{server.url}/metrics", timeout_seconds=0.2) == "no complete answer within 0.2s"
    assert await refusal(client, "http://127.0.0.1:1/metrics") == "Connection refused"


async def test_a_name_that_does_not_exist(client):
    assert await refusal(client, "http://nothing.invalid/metrics")


# Redirects


async def test_a_redirect_to_the_same_page_with_a_slash_keeps_credentials(server, client):
    server.pages["/metrics"] = answer(b"", "307 Temporary Redirect", Location="/metrics/")
    server.pages["/metrics/"] = answer(b"a 1\n")
    got = await get(client, f"{server.url}/metrics", bearer_token="t0ken")
    assert (got.body, got.url) == (b"a 1\n", f"{server.url}/metrics/")
    assert server.requests[1]["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_credentials_are_not_shown_to_another_host_or_port(server, client, host):
    async with Server() as other:
        other.pages["/x"] = answer(b"a 1\n")
        server.pages["/metrics"] = answer(b"", "302 Found", Location=f"http://{host}:{other.port}/x")
        assert (
            await get(client, f"{server.url}/metrics", basic_auth={"username": "u", "password": "p"})
        ).body == b"a 1\n"
        assert "Authorization" not in other.requests[0]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://169.254.169.254/latest/meta-data/", "metadata address"),
        ("http://[fe80::1]/", "metadata address"),
        ("http://[::ffff:169.254.169.254]/", "metadata address"),
        ("http://2852039166/", "2852039166"),  # 169.254.169.254 as one number
        ("file:///etc/passwd", "not http or https"),
        ("/metrics", "more than 10 redirects"),
        ("http://[broken/", ""),
    ],
)
async def test_redirects_that_are_not_followed(server, client, location, words):
    server.pages["/metrics"] = answer(b"", "302 Found", Location=location)
    assert words in await refusal(client, f"{server.url}/metrics", timeout_seconds=2)


async def test_a_metadata_address_is_not_asked_even_when_configured(client):
    assert "never asked" in await refusal(client, "http://169.254.169.254/metrics")


async def test_a_name_that_points_at_a_metadata_address_is_not_followed(client, monkeypatch):
    def look_up(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    words = await refusal(client, "http://rebound.example/metrics")
    assert words.startswith("rebound.example is a link-local or metadata address")


async def test_a_proxy_from_the_environment_is_not_used(server, client, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.pages["/metrics"] = answer(b"a 1\n")
    assert (await get(client, f"{server.url}/metrics")).body == b"a 1\n"


# Credentials


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({"bearer_token": "abc"}, "Bearer abc"),
        ({"bearer_token_file": "token"}, "Bearer from-file"),
        ({"basic_auth": {"username": "ana", "password": "pässword"}}, "Basic YW5hOnDDpHNzd29yZA=="),
        ({"basic_auth": {"username": "ana", "password_file": "token"}}, "Basic YW5hOmZyb20tZmlsZQ=="),
    ],
)
async def test_credentials(server, client, tmp_path, access, header):
    (tmp_path / "token").write_text("from-file\n")
    server.pages["/metrics"] = answer(b"")
    await get(client, f"{server.url}/metrics", **access)
    assert server.requests[0]["Authorization"] == header


async def test_credentials_in_the_url(server, client):
    server.pages["/metrics"] = answer(b"")
    await get(client, f"http://ana:secret@127.0.0.1:{server.port}/metrics")
    assert server.requests[0]["Authorization"] == "Basic YW5hOnNlY3JldA=="


async def test_a_token_file_is_read_anew_each_time(server, client, tmp_path):
    server.pages["/metrics"] = answer(b"")
    for token in ("one", "two"):
        (tmp_path / "token").write_text(token)
        await get(client, f"{server.url}/metrics", bearer_token_file="token")
    assert [request["Authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]


async def test_a_missing_token_file_is_named(server, client):
    words = await refusal(client, f"{server.url}/metrics", bearer_token_file="secrets/token")
    assert words == "cannot read secrets/token: No such file or directory"
    assert server.requests == []


async def test_a_token_with_a_line_break_is_refused_and_not_shown(server, client):
    words = await refusal(client, f"{server.url}/metrics", bearer_token="abc\r\nX: y")
    assert "abc" not in words


# TLS


@pytest.fixture
async def secure(tmp_path):
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with Server(context) as server:
        server.pages["/metrics"] = answer(b"a 1\n")
        yield server


@pytest.mark.parametrize(
    "tls",
    [
        {"ca_file": "cert.pem"},
        {"ca_file": "cert.pem", "server_name": "agent.internal"},
        {"insecure_skip_verify": "true"},
    ],
)
async def test_tls_with_the_right_settings(secure, client, tls):
    assert (await get(client, f"{secure.url}/metrics", tls=tls)).body == b"a 1\n"


@pytest.mark.parametrize("tls", [None, {"ca_file": "cert.pem", "server_name": "other.internal"}])
async def test_a_certificate_that_does_not_hold_is_refused(secure, client, tls):
    assert "certificate" in (await refusal(client, f"{secure.url}/metrics", tls=tls)).lower()


@pytest.mark.parametrize("file", ["none.pem", "key.pem"])
async def test_a_certificate_file_that_is_none_is_refused(secure, client, file):
    assert await refusal(client, f"{secure.url}/metrics", tls={"ca_file": file})


async def test_a_client_certificate_is_shown(secure, client, tmp_path):
    secure.context.verify_mode = ssl.CERT_REQUIRED
    secure.context.load_verify_locations(tmp_path / "cert.pem")
    tls = {"ca_file": "cert.pem", "cert_file": "cert.pem", "key_file": "key.pem"}
    assert (await get(client, f"{secure.url}/metrics", tls=tls)).body == b"a 1\n"
    assert await refusal(client, f"{secure.url}/metrics", tls={"ca_file": "cert.pem"})


async def test_https_does_not_fall_back_to_http(secure, client, server):
    server.pages["/metrics"] = answer(b"a 1\n")
    secure.pages["/metrics"] = answer(b"", "301 Moved Permanently", Location=f"{server.url}/metrics")
    assert "from https to" in await refusal(client, f"{secure.url}/metrics", tls={"ca_file": "cert.pem"})
    assert server.requests == []
