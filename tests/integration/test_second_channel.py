"""From a page that Slack does not take to the mail that does, and from its link back to the incident, over a real store
and a real HTTP server. The clock is set by hand."""

from __future__ import annotations

import asyncio
import re  # noqa: TID251 - fixed pattern
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import uvicorn
from core_world import BOOK, GROUP, NOW, WORLD, alert
from hand_clock import HandClock
from http_world import app_of

from bot import delivery, pipeline
from bot.channels.switch import SecondChannels
from bot.commands import Desk
from bot.courier import Courier
from bot.errors import RemoteError
from bot.incidents.decision import World
from bot.incidents.model import Incident, State
from bot.joint import Update
from bot.oncall.model import NotificationRule
from bot.paging import notify
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Actor, Posted
from bot.renderings import Renderings
from bot.settings import Settings
from bot.store.database import Database
from bot.web import ack_links

RULES = {"high": (NotificationRule(by="slack"), NotificationRule(by="email", after=timedelta(minutes=3)))}
ANA = BOOK.people["ana"].model_copy(
    update={"email": "ana@example.com", "timezone": "Europe/Madrid", "notification_rules": RULES}
)
WITH_MAIL = BOOK.model_copy(update={"people": {**BOOK.people, "ana": ANA}})
SLACK, MAIL = "INC-1.1.page.ana", "INC-1.1.page.ana.email"
REFUSED = RemoteError("550 no such user", code="550", permanent=True)
NO_ANSWER = RemoteError("no answer in time", unknown=True)
UNREACHED = RemoteError("cannot be reached", code="mail_server_unreachable")
SETTINGS = Settings.model_validate(
    {
        "http": {"external_url": "https://pager.example.com/"},
        "notify": {"email": {"host": "localhost", "from": "pager@example.com"}},
    }
)


class DeadWatcher:
    async def ask(self, method: str, params: dict, seconds: float) -> None:
        raise RemoteError("the watcher is not running", code="watcher_down")


class Town:
    """What stands between a page to Slack and a mail; `errors` are raised by the next sends. Implements Channels, and
    ack_links.Backend."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock(NOW)
        self.world = World(WORLD.agents, WITH_MAIL, WORLD.channel)
        self.store = Database("sqlite:///pager.db", folder)
        self.errors: list[RemoteError] = []
        self.sent: list[tuple[Page, Incident | None]] = []
        self.others: list[list[str]] = []
        self.links = SecondChannels(lambda: SETTINGS, lambda: self.world.book, folder, self.clock)

    async def __aenter__(self) -> Town:
        await self.store.open()
        async with self.store.transaction() as tx:
            self.links.key = self.ack_key = await tx.key("ack-links", "0f" * 32)
        renderings = Renderings(self.store, DeadWatcher(), self.clock, on_late=lambda: None)
        self.courier = Courier(self.store, self, renderings, self.clock, lambda: self.world, lambda _: {"oncall": []})
        self.commands = Desk(self.store, renderings, self.clock, lambda: self.world, lambda _: {}, lambda _: None)
        self.task = asyncio.create_task(self.courier.run())
        listener = socket.create_server(("127.0.0.1", 0))
        app = app_of(ack_links.operations(self))
        self.server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        self.serving = asyncio.create_task(self.server.serve([listener]))
        self.site = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.task.cancel()
        await self.courier.stop()
        await asyncio.wait({self.task, self.serving}, timeout=5)
        self.links.close()
        await self.store.close()

    async def send(self, page: Page, incident: Incident | None, rendered: object, others: Sequence = ()) -> None:
        self.sent.append((page, incident))
        self.others.append([each.id for each, _ in others])
        if self.errors:
            raise self.errors.pop(0)

    async def page(self, page_id: str) -> Page | None:
        return await self.store.page(page_id)

    async def fire(self, **labels: str) -> None:
        update = Update(group=GROUP, evaluated_at=self.clock.now(), alerts=(alert(labels=labels),))
        await pipeline.observe(self.store, update, self.world, self.clock.now())
        self.courier.wake()

    async def slack_says(self, error: RemoteError | None, page_id: str = SLACK) -> None:
        claimed = await delivery.claim(self.store, page_id, self.clock.now())
        assert claimed is not None
        if error is None:
            await delivery.sent(self.store, claimed[0], Posted("D1", "1.0"), 1, self.clock.now())
        else:
            await delivery.failed(self.store, claimed[0], error, self.world, self.clock.now())

    async def look(self) -> list[str]:
        rows = await delivery.tell_otherwise(self.store, ["INC-1"], self.world, self.clock.now())
        self.courier.wake()
        return [row.id for row in rows]

    async def incident(self) -> Incident:
        found = await self.store.incident("INC-1")
        assert found is not None
        return found

    async def until(self, state: PageState, page_id: str = MAIL) -> Page:
        for _ in range(400):
            self.courier.wake()
            page = await self.store.page(page_id)
            if page is not None and page.state is state:
                return page
            await asyncio.sleep(0.01)
        raise AssertionError(f"{page_id} is {page.state if page else 'not there'}, not {state}")

    async def link(self, page_id: str = MAIL) -> str:
        page = await self.store.page(page_id)
        assert page is not None
        link = self.links._link(page)
        assert link is not None
        assert link.url.startswith("https://pager.example.com/ack/")
        return link.url.removeprefix("https://pager.example.com")

    async def ask(self, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.site + path, allow_redirects=False) as answer,
        ):
            return (
                answer.status,
                re.sub(r"<style>.*?</style>", "", await answer.text(), flags=re.DOTALL),
                dict(answer.headers),
            )


@pytest.fixture
async def town(tmp_path):
    async with Town(tmp_path) as town:
        yield town


def ids(town: Town) -> list[str]:
    return [page.id for page, _ in town.sent]


async def test_the_mail_goes_out_when_its_rule_says_so(town):
    await town.fire()
    await town.slack_says(None)
    town.clock.advance(minutes=2, seconds=59)
    assert await town.look() == []
    assert town.sent == []
    town.clock.advance(seconds=1)
    page = await town.until(PageState.SENT)
    assert (page.slack_channel, page.ts) == (None, None)
    assert ids(town) == [MAIL]
    assert await town.store.outdated() == [], "a mail is not edited"


async def test_an_ack_takes_the_waiting_mail_back(town):
    await town.fire()
    await town.slack_says(None)
    await town.commands.ack(Actor("person:ana", "Ana", "slack", ANA), "INC-1")
    town.clock.advance(minutes=5)
    await town.until(PageState.CANCELLED)
    assert town.sent == []


async def test_a_refusing_token_sends_the_mail_at_once_with_an_audit_row(town):
    await town.fire()
    await town.slack_says(RemoteError("invalid_auth", code="invalid_auth", permanent=True))
    assert await town.look() == [MAIL]
    assert await town.look() == [], "once"
    page = await town.until(PageState.SENT)
    assert page.reason.endswith("Slack refuses agentpager's token (invalid_auth)")
    rows = [entry for _, entry, _ in await town.store.audit_rows(MAIL)]
    assert [entry.action for entry in rows] == ["page.otherwise", "page.sent"]
    assert rows[0].detail == {"incident": "INC-1", "channel": "email:ana@example.com", "person": "ana"}


async def test_somebody_whom_slack_refuses_for_good_gets_the_mail_and_the_ladder_waits(town):
    await town.fire()
    await town.slack_says(RemoteError("user_disabled", code="user_disabled", permanent=True))
    await town.until(PageState.SENT)
    assert (await town.incident()).step == 0, "the mail is a way to the same person"


async def test_when_no_way_to_somebody_is_left_the_next_person_is_woken(town):
    await town.fire()
    town.errors = [REFUSED]
    await town.slack_says(RemoteError("user_disabled", code="user_disabled", permanent=True))
    await town.until(PageState.FAILED)
    for _ in range(200):
        if (await town.incident()).step == 1:
            break
        await asyncio.sleep(0.01)
    assert (await town.incident()).step == 1


async def test_an_unknown_outcome_is_repeated_once_and_then_given_up(town):
    await town.fire()
    await town.slack_says(None)
    town.errors = [NO_ANSWER, NO_ANSWER, NO_ANSWER]
    town.clock.advance(minutes=3)
    await town.until(PageState.UNKNOWN)
    assert ids(town) == [MAIL]
    town.clock.advance(seconds=19)
    town.courier.wake()
    await asyncio.sleep(0.05)
    assert ids(town) == [MAIL], "not while the first can still land"
    town.clock.advance(seconds=2)
    page = await town.until(PageState.FAILED)
    assert ids(town) == [MAIL, MAIL]
    assert "it may have arrived" in page.error


async def test_a_server_that_is_down_is_tried_until_it_is_up(town):
    await town.fire()
    town.errors = [UNREACHED, UNREACHED]
    town.clock.advance(minutes=3)
    for _ in range(200):  # each round waits for what the one before has written down
        page = await town.store.page(MAIL)
        if page is None or page.state is PageState.SENT:
            break
        if page.state is PageState.DUE:
            town.clock.advance(seconds=10)
            town.courier.wake()
        await asyncio.sleep(0.02)
    await town.until(PageState.SENT)
    assert ids(town) == [MAIL] * 3


async def test_what_was_being_sent_at_a_crash_is_sent_again_once_it_can_no_longer_land(town):
    await town.fire()
    town.clock.advance(minutes=3)
    town.task.cancel()
    await asyncio.sleep(0)
    claimed = await delivery.claim(town.store, MAIL, town.clock.now())
    assert claimed is not None
    town.task = asyncio.create_task(town.courier.run())
    await town.until(PageState.UNKNOWN)
    town.clock.advance(seconds=21)
    await town.until(PageState.SENT)
    assert ids(town) == [MAIL]


async def storm(town: Town, count: int) -> None:
    alerts = [alert(f"E{index}", labels={"cause": str(index)}) for index in range(count)]
    update = Update(group=GROUP, evaluated_at=town.clock.now(), alerts=tuple(alerts))
    await pipeline.observe(town.store, update, town.world, town.clock.now())


async def test_many_at_once_are_one_message_and_each_is_a_row_of_its_own(town):
    await storm(town, 40)
    town.clock.advance(minutes=3)
    last = await town.until(PageState.SENT, "INC-40.1.page.ana.email")
    assert ids(town) == [MAIL]
    assert len(town.others[0]) == 39
    assert (last.lead, (await town.until(PageState.SENT)).lead) == (MAIL, MAIL)


async def test_after_a_message_there_is_a_short_rest_and_then_the_rest_goes_together(town):
    await town.fire()
    town.clock.advance(minutes=3)
    await town.until(PageState.SENT)
    await storm(town, 20)
    town.clock.advance(minutes=3)
    await town.until(PageState.SENT, "INC-5.1.page.ana.email")
    assert len(town.sent) == 2
    await town.commands.ack(Actor("person:ana", "Ana", "slack", ANA), "INC-1")
    assert (await town.incident()).state is State.ACKED


async def test_a_message_of_many_that_fails_is_sent_again_as_one(town):
    await storm(town, 10)
    town.errors = [NO_ANSWER]
    town.clock.advance(minutes=3)
    await town.until(PageState.UNKNOWN)
    town.clock.advance(seconds=21)
    await town.until(PageState.SENT, "INC-10.1.page.ana.email")
    assert ids(town) == [MAIL, MAIL]
    assert [len(others) for others in town.others] == [9, 9]


# The link


async def test_the_page_behind_the_link_shows_and_does_nothing(town):
    await town.fire()
    path = await town.link()
    for _ in range(3):
        status, text, headers = await town.ask(path)
    assert status == 200
    assert "ErrorsHigh of refund-agent" in text
    assert "Nobody has it yet." in text
    assert "You act as Ana." in text
    assert '<form method="post"><button type="submit">I have it</button></form>' in text
    assert (await town.ask(path, "HEAD"))[0] == 200
    assert (await town.incident()).state is State.OPEN
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "<script" not in text


async def test_the_button_takes_the_incident_in_the_name_of_the_person(town):
    await town.fire()
    path = await town.link()
    status, _, headers = await town.ask(path, "POST")
    assert (status, headers["Location"]) == (303, path)
    incident = await town.incident()
    assert (incident.state, incident.acked_by) == (State.ACKED, "person:ana")
    acked = next(e for _, e, _ in await town.store.audit_rows("INC-1") if e.action == "incident.acked")
    assert (acked.actor, acked.why) == ("person:ana", "acknowledged by the link in an e-mail")
    status, text, _ = await town.ask(path)
    assert status == 200
    assert "You have it until 04:00; then you are asked whether you still do." in text
    assert "<button" not in text


async def test_a_link_works_once(town):
    await town.fire()
    path = await town.link()
    await town.ask(path, "POST")
    ana = Actor("person:ana", "Ana", "slack", ANA)
    await town.commands.release(ana, "INC-1")
    status, text, _ = await town.ask(path, "POST")
    assert status == 409
    assert "This link has been used already." in text
    assert (await town.incident()).state is State.OPEN


async def test_a_click_that_came_too_late_leaves_the_link_unused(town):
    await town.fire()
    path = await town.link()
    ben = Actor("person:ben", "Ben", "slack", BOOK.people["ben"])
    await town.commands.ack(ben, "INC-1")
    status, text, _ = await town.ask(path, "POST")
    assert (status, "Ben has it." in text) == (409, True)
    await town.commands.release(ben, "INC-1")
    assert (await town.ask(path, "POST"))[0] == 303


async def test_a_link_runs_out(town):
    await town.fire()
    path = await town.link()
    town.clock.advance(minutes=30)
    assert "<button" in (await town.ask(path))[1]
    town.clock.advance(seconds=1)
    status, text, _ = await town.ask(path, "POST")
    assert status == 409
    assert "This link worked until Wed 03:30." in text
    assert "agentpager ack INC-1 --as ana" in text
    assert (await town.incident()).state is State.OPEN


async def test_of_a_resolved_incident_there_is_nothing_to_do(town):
    await town.fire()
    path = await town.link()
    await town.commands.resolve(Actor("person:ben", "Ben", "slack", BOOK.people["ben"]), "INC-1")
    for method, expected in (("GET", 200), ("POST", 409)):
        status, text, _ = await town.ask(path, method)
        assert (status, "this incident is resolved" in text) == (expected, True)
        assert "<button" not in text


async def test_who_has_left_the_book_acts_no_more(town):
    await town.fire()
    path = await town.link()
    people = {name: person for name, person in town.world.book.people.items() if name != "ana"}
    town.world = World(WORLD.agents, WITH_MAIL.model_copy(update={"people": people}), WORLD.channel)
    assert (await town.ask(path, "POST"))[0] == 404


@pytest.mark.parametrize(
    "change", [lambda p: p[:-3] + "abc", lambda p: p + "x" * 700, lambda p: "/ack/x", lambda p: "/ack/a.b"]
)
async def test_a_link_that_is_none_of_ours_says_so(town, change: Callable[[str], str]):
    await town.fire()
    path = change(await town.link())
    for method in ("GET", "POST"):
        status, text, _ = await town.ask(path, method)
        assert (status, "This link does not work" in text) == (404, True)
    assert (await town.incident()).state is State.OPEN


async def test_titles_are_text_on_the_page(town):
    update = Update(
        group=GROUP,
        evaluated_at=NOW,
        alerts=(alert(annotations={"summary": "<img src=x onerror=alert(1)>\u202e"}),),
    )
    await pipeline.observe(town.store, update, town.world, NOW)
    _, text, _ = await town.ask(await town.link())
    assert "<img" not in text
    assert "&lt;img src=x" in text


async def test_only_a_page_to_a_person_has_a_link(town):
    page = Page(id="n", incident=None, kind=PageKind.NOTICE, channel="email:a@b", due_at=NOW, reason="test")
    assert town.links._link(page) is None
    step = Page(id="n", incident="INC-1", kind=PageKind.PAGE, channel="webhook:ops", due_at=NOW, reason="test")
    assert town.links._link(step) is None
    assert notify.has_second_channel(WITH_MAIL)
