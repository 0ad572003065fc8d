"""Commands that need no server, with a calendar at an address: the copy in the database, or the address itself."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner
from metrics_world import Server, answer

from bot.cli.main import cli
from bot.oncall.feeds import Copy
from bot.store.database import Database

ONCALL = """
people:
  ana: {{name: Ana Ruiz, slack: U0ANA}}
  cat: {{name: Cat Doe, slack: U0CAT}}
teams:
  payments: {{members: [ana]}}
schedules:
  primary: {{layers: [{{ical: "{url}"}}]}}
escalation_policies:
  payments: {{steps: [{{notify: ["schedule:primary"]}}]}}
fallback: "person:cat"
"""
ROTA = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20200101T000000Z\r\nDTEND:20990101T000000Z\r\n"
    "SUMMARY:Ana Ruiz\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
AT = "2026-11-21T02:00:00Z"


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
def main(tmp_path, server):
    for name in ("oncall", "agents", "alerts", "runbooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "agentpager.yaml").write_text("slack: {bot_token: xoxb-1, app_token: xapp-1}\n")
    (tmp_path / "oncall" / "a.yaml").write_text(ONCALL.format(url=f"{server.url}/rota.ics"))
    (tmp_path / "agents" / "a.yaml").write_text('agents: {refund-agent: {owner: "team:payments"}}\n')
    return tmp_path / "agentpager.yaml"


async def run(main, *arguments: str) -> tuple[int, str]:
    options = [*arguments, "--config", str(main)]
    result = await asyncio.to_thread(CliRunner().invoke, cli, options)
    assert "Traceback" not in result.output
    return result.exit_code, result.output


async def test_without_a_copy_nobody_is_on_duty_and_check_says_so(main, server):
    code, output = await run(main, "check", "--at", AT)
    assert code == 1
    assert sorted(line.split()[1] for line in output.splitlines()) == ["coverage-gap", "feed-not-read"]
    assert server.requests == []
    assert not (main.parent / "agentpager.db").exists(), "a look makes no database"


async def test_the_copy_in_the_database_counts_for_every_command(main, server):
    store = Database("sqlite:///agentpager.db", main.parent)
    await store.open()
    async with store.transaction() as tx:
        await tx.save_feed(f"{server.url}/rota.ics", Copy(text=ROTA).model_dump_json())
    await store.close()
    assert await run(main, "check", "--at", AT) == (0, "")
    _, shown = await run(main, "oncall", "--at", AT, "-o", "json")
    assert json.loads(shown)["schedules"][0]["people"] == ["ana"]
    _, shown = await run(main, "explain", "refund-agent", "--at", AT, "-o", "json")
    assert json.loads(shown)["steps"][0]["people"] == ["ana"]
    assert server.requests == []


async def test_check_reads_the_address_when_it_is_asked_to(main, server):
    server.pages["/rota.ics"] = answer(ROTA.encode())
    assert await run(main, "check", "--fetch", "--at", AT) == (0, "")
    server.pages["/rota.ics"] = answer(b"<html>moved</html>")
    code, output = await run(main, "check", "--fetch", "--days", "0")
    assert code == 1
    assert "feed-not-read the calendar at" in output
    assert "has not been read: the answer is not a calendar" in output


async def test_the_address_to_subscribe_to_is_asked_of_the_running_server(main, server):
    main.write_text(main.read_text() + f'http: {{listen: "127.0.0.1:{server.port}"}}\n')
    server.pages["/api/pager/calendars/person:ana"] = answer(b'{"url": "https://pager.example.com/calendar/T/ana.ics"}')
    printed = (0, "https://pager.example.com/calendar/T/ana.ics\n")
    assert await run(main, "oncall", "feed", "person:ana") == printed
    assert await run(main, "oncall", "feed", "person:ana", "--revoke") == printed
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["oncall", "--config", str(main), "feed", "person:ana"])
    assert (result.exit_code, result.output) == printed


async def test_a_database_of_an_older_release_is_as_none(main):
    (main.parent / "agentpager.db").write_bytes(b"")
    code, output = await run(main, "check", "--days", "0")
    assert (code, output.count("feed-not-read")) == (1, 1)
