"""Timelines, exports, reports and digests over HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from core_world import BOOK, NOW, opened
from http_world import app_of
from starlette.applications import Starlette

from bot.errors import UsageError
from bot.records.digest import Digest, Section
from bot.records.report import report
from bot.records.timeline import Story, story
from bot.records.usage import Usage, usages
from bot.runbooks.model import Runbook
from bot.settings import Http
from bot.web import records

CRM = Runbook.model_validate(
    {
        "schema": "runbook/v1",
        "id": "crm",
        "title": "CRM",
        "reviewed_on": "2026-11-01",
        "steps": [{"id": "look", "kind": "manual", "title": "Look", "text": "look"}],
    }
)


class Noon:
    def now(self) -> datetime:
        return NOW


class Bookkeeper:
    def __init__(self) -> None:
        self.asked: list[tuple] = []

    async def timeline(self, reference: str) -> Story:
        if reference != "INC-1":
            raise UsageError(f'there is no incident "{reference}"')
        return story(opened(), [], [], BOOK, NOW)

    async def report(self, start, end, by=None):
        self.asked.append((start, end, by))
        return report([], start, end, by)

    async def handover(self, schedule: str) -> Digest:
        return Digest(title=schedule, sections=(Section(heading="Open now", lines=("nothing",)),))

    async def weekly(self) -> Digest:
        return Digest(title="The week", sections=())

    async def daily(self) -> Digest:
        return Digest(title="The day", sections=())

    async def runbooks(self, days: int) -> list[Usage]:
        self.asked.append((days,))
        return usages([CRM], [], NOW.date())


class Backend:
    clock = Noon()

    def __init__(self) -> None:
        self.records = Bookkeeper()


@pytest.fixture
def backend() -> Backend:
    return Backend()


@dataclass
class Answer:
    status_code: int
    headers: dict[str, str]
    text: str

    def json(self):
        return json.loads(self.text)


class Site:
    """Asks the application as uvicorn would."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def get(self, path: str, token: str = "Bearer secret") -> Answer:
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        plain, _, query = path.partition("?")
        headers = [(b"host", b"localhost"), (b"authorization", token.encode())]
        scope = {"type": "http", "method": "GET", "path": plain, "query_string": query.encode(), "headers": headers}
        await self._app(scope | {"client": ("127.0.0.1", 1)}, receive, send)
        begun = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], begun, b"".join(part.get("body", b"") for part in sent[1:]).decode())


@pytest.fixture
def site(backend) -> Site:
    return Site(app_of(records.operations(backend), Http.model_validate({"token": "secret"})))


async def test_a_timeline_is_the_story(site):
    answer = await site.get("/api/pager/incidents/INC-1/timeline")
    assert answer.status_code == 200
    assert Story.model_validate(answer.json()).id == "INC-1"


async def test_what_there_is_not_is_not_found(site):
    answer = await site.get("/api/pager/incidents/INC-9/timeline")
    assert (answer.status_code, answer.json()["error"]) == (404, 'there is no incident "INC-9"')


async def test_an_export_is_markdown_or_json(site):
    page = await site.get("/api/pager/incidents/INC-1/export")
    assert page.headers["content-type"] == "text/markdown; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.text.startswith("# INC-1: ")
    assert (await site.get("/api/pager/incidents/INC-1/export?format=json")).json()["id"] == "INC-1"


async def test_a_report_is_of_the_last_week_if_nothing_else_is_said(site, backend):
    assert (await site.get("/api/pager/report")).json()["total"]["incidents"] == 0
    await site.get("/api/pager/report?from=2026-11-01T00:00:00%2B01:00&to=2026-11-02T00:00Z&by=rule")
    assert backend.records.asked == [
        (NOW - timedelta(days=7), NOW, None),
        (datetime.fromisoformat("2026-10-31T23:00Z"), datetime.fromisoformat("2026-11-02T00:00Z"), "rule"),
    ]


async def test_a_report_as_markdown(site):
    assert (await site.get("/api/pager/report?format=markdown")).text.startswith(
        "# On-call report, 2026-10-28 to 2026-11-04\n"
    )


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (
            "/api/pager/report?from=yesterday",
            'from cannot be "yesterday": write an instant such as 2026-12-24T18:00:00Z',
        ),
        (
            "/api/pager/report?to=2026-11-01T00:00",
            'to cannot be "2026-11-01T00:00": add an offset, for example 2026-12-24T18:00:00Z',
        ),
        ("/api/pager/report?from=2026-11-04T02:00Z", "to: the end is not after the beginning"),
        (
            "/api/pager/report?from=0001-01-01T00:00%2B10:00",
            'from cannot be "0001-01-01T00:00+10:00": write an instant such as 2026-12-24T18:00:00Z',
        ),
        ("/api/pager/report?by=zodiac", 'by must be one of agent, rule, person, team, not "zodiac"'),
        ("/api/pager/report?format=pdf", 'format must be one of json, markdown, not "pdf"'),
        ("/api/pager/incidents/INC-1/export?format=pdf", 'format must be one of markdown, json, not "pdf"'),
        ("/api/pager/handover", 'missing key "schedule" in the request'),
    ],
)
async def test_a_mistake_is_named(site, path, error):
    answer = await site.get(path)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_hand_overs_and_the_week(site):
    assert (await site.get("/api/pager/handover?schedule=primary")).json() == {
        "title": "primary",
        "figures": [],
        "sections": [{"heading": "Open now", "lines": ["nothing"]}],
    }
    assert (await site.get("/api/pager/digest")).json()["title"] == "The week"


async def test_nobody_reads_without_the_token(site):
    for path in ("incidents/INC-1/timeline", "incidents/INC-1/export", "report", "handover", "digest"):
        assert (await site.get(f"/api/pager/{path}", token="")).status_code == 401


async def test_a_digest_is_of_the_week_or_of_the_day(site):
    told = [(await site.get(f"/api/pager/digest{query}")).json()["title"] for query in ("", "?of=week", "?of=day")]
    assert told == ["The week", "The week", "The day"]
    refused = await site.get("/api/pager/digest?of=year")
    assert (refused.status_code, refused.json()["error"]) == (400, 'of must be one of day, week, not "year"')


async def test_the_use_of_runbooks_is_of_the_last_90_days_if_nothing_else_is_said(site, backend):
    (told,) = (await site.get("/api/pager/runbooks")).json()
    assert (told["runbook"], told["reviewed_on"], told["fired"], told["last_used"]) == ("crm", "2026-11-01", 0, None)
    await site.get("/api/pager/runbooks?days=7")
    assert backend.records.asked == [(90,), (7,)]


@pytest.mark.parametrize("days", ["x", "-1", "1.5", "99999"])
async def test_days_that_are_no_number_are_refused(site, days):
    answer = await site.get(f"/api/pager/runbooks?days={quote(days)}")
    assert answer.status_code == 400
