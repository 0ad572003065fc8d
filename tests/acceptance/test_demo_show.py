"""`agentpager demo` as a visitor runs it: break an agent, a page arrives, acknowledge it, ignore another, Ctrl-C."""

import asyncio
import contextlib
import os
import re  # noqa: TID251 - fixed pattern
import signal
import socket
import sys
import time

import aiohttp
import pytest

ANA, BEN = "U0ANARUIZ", "U0BENCOLE"
PATIENCE = 40.0


class Visitor:
    """The page's own requests."""

    def __init__(self, session):
        self._session = session

    async def post(self, path, **body):
        async with self._session.post(f"/ui/{path}", json=body) as response:
            return await response.json()

    async def messages(self, user, channel):
        async with self._session.get("/ui/state", params={"as": user, "channel": channel}) as response:
            return (await response.json())["messages"]

    async def until(self, user, channel, words, seconds=PATIENCE):
        """The first message in `channel` whose text holds all of `words`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in await self.messages(user, channel):
                if all(word in message["text"] for word in words):
                    return message
            await asyncio.sleep(0.2)
        raise AssertionError(f"no message with {words}: {[one['text'] for one in await self.messages(user, channel)]}")


@contextlib.asynccontextmanager
async def demo(directory, *more):
    """A running demo: its process, its page's address, and what it has printed so far."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", "--no-open", "--port", str(port), "--dir", str(directory), *more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    printed = []
    try:
        async with asyncio.timeout(70):
            while not (printed and printed[-1].startswith("Open http")):
                line = (await process.stdout.readline()).decode()
                assert line, "".join(printed)
                printed.append(line)
        yield process, printed[-1].split()[1], printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)  # as a visitor ends it: only then the bot ends with it
        try:
            await asyncio.wait_for(process.communicate(), 30)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def button(message, label):
    for block in message["blocks"]:
        for element in block.get("elements", []):
            if element.get("type") == "button" and element["text"]["text"] == label:
                return {"block_id": block["block_id"], "action_id": element["action_id"]}
    raise AssertionError(f"no button {label}")


async def break_and_acknowledge(visitor):
    """billing-agent loses its fresh data, Ana is paged and takes it."""
    await visitor.post("panel", **{"as": ANA}, target="billing-agent", action="data_stale")
    page = await visitor.until(ANA, "D0ANARUIZ", ["billing-agent", "price-list", "INC-1"])
    action = button(page, "Acknowledge")
    click = await visitor.post("click", **{"as": ANA}, channel="D0ANARUIZ", ts=page["ts"], action=action)
    assert click == {}
    await visitor.until(ANA, "CAGENTPAGES", ["Acknowledged by Ana Ruiz"])


async def test_a_visitor_breaks_agents_acknowledges_one_ignores_one_and_leaves(tmp_path):
    async with demo(tmp_path / "demo") as (process, url, printed), aiohttp.ClientSession(url) as session:
        visitor = Visitor(session)
        ports = [int(port) for port in re.findall(r"\d{4,5}", printed[0])]

        await break_and_acknowledge(visitor)

        await visitor.post("panel", **{"as": ANA}, target="refund-agent", action="credential_expired")
        await visitor.until(ANA, "D0ANARUIZ", ["refund-agent", "INC-2"])
        await visitor.until(BEN, "D0BENCOLE", ["ESCALATED", "refund-agent", "INC-2"])
        assert not [one for one in await visitor.messages(BEN, "D0BENCOLE") if "INC-1" in one["text"]]

        await visitor.post("panel", **{"as": ANA}, target="billing-agent", action="mend")
        await visitor.until(ANA, "CAGENTPAGES", ["Resolved", "billing-agent"])

        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)

    for port in (*ports, int(url.rpartition(":")[2])):
        with socket.socket() as one:
            assert one.connect_ex(("127.0.0.1", port)) != 0


async def test_a_page_is_acknowledged_over_signed_http_too(tmp_path):
    async with demo(tmp_path / "demo", "--mode", "http") as (_, url, _), aiohttp.ClientSession(url) as session:
        await break_and_acknowledge(Visitor(session))


async def test_a_bot_that_dies_ends_the_demo_with_the_reason(tmp_path):
    async with demo(tmp_path / "demo") as (process, _, _):
        [bot] = await _children(process.pid)
        os.kill(bot, signal.SIGKILL)

        output = (await asyncio.wait_for(process.stdout.read(), 20)).decode()
        assert await process.wait() == 1

    assert "the bot ended with exit code -9" in output
    assert "bot.log" in output


async def _children(pid):
    child = await asyncio.create_subprocess_exec("pgrep", "-P", str(pid), stdout=asyncio.subprocess.PIPE)
    return [int(one) for one in (await child.communicate())[0].split()]
