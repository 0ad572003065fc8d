"""Two servers on one database: the second waits outside, and takes over from one that was stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from world import ANA, World, free_port


async def serve(config: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "serve", "--config", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def test_a_second_server_is_refused_and_takes_over_from_one_that_was_stopped(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        first = world.process
        assert first is not None
        elsewhere = tmp_path / "elsewhere.yaml"
        port = free_port()
        elsewhere.write_text((tmp_path / "agentpager.yaml").read_text().replace(f":{world.port}", f":{port}"))

        second = await serve(elsewhere)
        said, _ = await second.communicate()
        assert second.returncode == 2
        assert (
            f"another agentpager is using the database {tmp_path}/agentpager.db: process {first.pid} on"
            in said.decode()
        )
        assert "Traceback" not in said.decode()

        first.send_signal(signal.SIGSTOP)
        world.agents["refund-agent"].values["agent_tool_errors"] = 9
        try:
            world.port = port
            while not await world.is_ready():  # refused until the lease of the first has run out
                if second.returncode is not None:
                    second = await serve(elsewhere)
                await asyncio.sleep(0.2)
            world.process = second
            await world.until(lambda: world.pages_to(ANA), "the page of the second server")
            first.send_signal(signal.SIGCONT)
            assert await asyncio.wait_for(first.wait(), 30) == 1
            lost = [line for line in world.log().splitlines() if '"lease.lost"' in line]
            assert len(lost) == 1
            assert second.returncode is None
            assert len(world.pages_to(ANA)) == 1
        finally:
            if first.returncode is None:
                first.kill()
                await first.wait()
