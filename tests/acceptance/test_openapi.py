"""The OpenAPI document against the running server: schemathesis asks every operation what it says it takes, and what it
says it does not take, and looks at every answer.

The server has pages under way, a runbook with actions, and a token; the world behind it is real but for Slack.
Requests are the same each time; what they find depends on what was done before, as for every client.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys

from agent_control import Control, equip
from world import World

TOKEN = "agp_for-this-test-only"
# Half of all values are names that there are here: otherwise everything would be answered by 404.
CONFIG = """
color = false
continue-on-failure = true

[generation]
mode = "all"
deterministic = true
max-examples = 8
allow-x00 = true

[phases.stateful]
enabled = false

[dictionaries.id]
values = ["INC-1", "INC-2", "2", "slow-agent", "SIL-1", "SIL-2", "ROTA-1", "DRILL-1"]
[dictionaries.incident]
values = ["INC-1", "INC-2", "slow-agent"]
[dictionaries.agent]
values = ["refund-agent", "slow-agent"]
[dictionaries.step]
values = ["pause", "lower", "model", "1", "2"]
[dictionaries.person]
values = ["ana", "ben", "chris"]
[dictionaries.target]
values = ["person:ana", "schedule:primary", "team:payments", "refund-agent"]
[dictionaries.time]
values = ["2h", "09:00", "2026-12-24T09:00"]
[dictionaries.words]
values = ["we look at it", "a new model"]
[dictionaries.matcher]
values = ['agent="refund-agent"', 'alertname=~"Slow.*"']

[parameters]
"path.id" = {dictionary = "id", probability = 0.6}
"path.agent" = {dictionary = "agent", probability = 0.6}
"path.step" = {dictionary = "step", probability = 0.6}
"path.target" = {dictionary = "target", probability = 0.6}
"query.agent" = {dictionary = "agent", probability = 0.6}
"query.incident" = {dictionary = "incident", probability = 0.6}
"body.person" = {dictionary = "person", probability = 0.5}
"body.people[*]" = {dictionary = "person", probability = 0.8}
"body.to" = {dictionary = "person", probability = 0.6}
"body.target" = {dictionary = "target", probability = 0.6}
"body.incident" = {dictionary = "incident", probability = 0.8}
"body.step" = {dictionary = "step", probability = 0.8}
"body.matchers[*]" = {dictionary = "matcher", probability = 0.6}

[[operations]]
include-operation-id = "post_overrides"
parameters = {"body.until" = {dictionary = "time", probability = 0.8}}

[[operations]]
include-operation-id = ["post_silences", "post_silences_preview"]
parameters = {"body.reason" = {dictionary = "words", probability = 0.8}}

# That one instant is before another is more than a schema can say.
[[operations]]
include-operation-id = "get_report"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]
"""


async def schemathesis(world: World, folder) -> tuple[int, str]:
    (folder / "schemathesis.toml").write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run",
        f"http://127.0.0.1:{world.port}/api/pager/openapi.json", "--header", f"Authorization: Bearer {TOKEN}",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_what_the_document_says_is_what_the_server_does(tmp_path):
    (tmp_path / "bot").mkdir()
    agents = ("refund-agent", "slow-agent")
    async with Control(tmp_path) as control, World(tmp_path / "bot", agents=agents) as world:
        equip(world, control)
        main = world.directory / "agentpager.yaml"
        listen = f'listen: "127.0.0.1:{world.port}"'
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        tokens = f'{{ci: {{hash: "sha256:{digest}", scopes: [admin]}}}}'
        more = f'{listen}, external_url: "https://pager.example.com", limit: {{per_second: 0}}, tokens: {tokens}'
        main.write_text(main.read_text().replace(listen, more))
        world.headers = {"Authorization": f"Bearer {TOKEN}"}
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        world.agents["slow-agent"].values["agent_tool_errors"] = 12
        await world.start()
        await world.until(lambda: world.rows("SELECT 1 FROM renderings"), "the runbook")

        code, told = await schemathesis(world, tmp_path)
        assert code == 0, told[-20_000:]
        assert "Tested: 49" in told, told[-3000:]

        assert (await world.get("/-/ready"))["checks"]["store"] == "ok"
        assert "Traceback" not in world.log()
        assert (await world.cli("audit", "verify"))[0] == 0
        rows = [json.loads(doc) for (doc,) in world.rows("SELECT doc FROM audit")]
        ours = [row for row in rows if row["actor"] == "token:ci" or row["detail"].get("token") == "ci"]
        done = {"incident.acked", "incident.handed", "incident.noted", "drill.begun", "rota.override"}
        assert done <= {row["action"] for row in ours}
        assert {row["actor"] for row in ours} > {"token:ci", "person:ana"}
