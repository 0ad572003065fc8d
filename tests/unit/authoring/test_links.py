"""Which links of runbooks lead nowhere, asked over real HTTP."""

from __future__ import annotations

from datetime import date

from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from config_files import sources_of

from bot.authoring.links import ask
from bot.authoring.lint import addresses, findings

RUNBOOK = """schema: runbook/v1
id: slow
title: Slow
owner: team:payments
steps:
  - {id: page, kind: link, title: Page, url: "https://status.example.com/slow"}
  - {id: board, kind: link, title: Board, url: "https://example.com/{{ agent.id }}"}
  - {id: up, kind: escalate, title: Up, to: "level:2"}
links:
  - {title: Board, url: "https://board.example.com"}
"""


async def test_only_what_is_not_there_is_dead():
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]))

    app = web.Application()
    app.router.add_get("/{status}", answer)
    async with TestServer(app) as server:
        base = f"http://127.0.0.1:{server.port}"
        nobody = f"http://127.0.0.1:{unused_port()}/200"
        gone = await ask([*(f"{base}/{status}" for status in (200, 401, 403, 404, 410, 500)), nobody, "ftp://x"])
    assert sorted(gone) == sorted([f"{base}/404", f"{base}/410", nobody])
    assert gone[f"{base}/404"] == "server returned HTTP status 404 Not Found"
    assert gone[nobody] == "Connection refused"


def test_a_dead_link_is_told_where_it_stands():
    sources = sources_of({"runbooks/slow.yaml": RUNBOOK})
    assert addresses(sources) == {"https://status.example.com/slow", "https://board.example.com"}
    gone = {"https://board.example.com": "Connection refused"}
    (found,) = findings(sources, date(2026, 11, 21), gone=gone)
    assert str(found) == (
        "runbooks/slow.yaml:10:20 RB042 dead-link nothing is there: Connection refused (correct or remove the link)"
    )
