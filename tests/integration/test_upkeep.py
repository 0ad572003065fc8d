"""The looks ahead on a real store, with a calendar server and a Slack that answer as the test says."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from core_world import NOW
from fake_slack import FakeSlack
from hand_clock import HandClock
from metrics_world import Server, answer

from bot import checker, judge, telemetry
from bot.config import load
from bot.errors import RemoteError
from bot.oncall import feeds
from bot.oncall.duty import at_duty
from bot.pager import Pager
from bot.paging.model import Page, PageKind
from bot.slack.client import SlackMessenger
from bot.sources import read_sources
from bot.store.database import Database
from bot.upkeep import Upkeep

MAIN = """
metrics: {{scrape: {{targets: []}}}}
slack: {{bot_token: xoxb-fake-bot-token, app_token: xapp-1, channel: "#agent-pages", api_url: "{api}"}}
"""
ONCALL = """
people:
  ana: {{name: Ana Ruiz, slack: U0ANA}}
  ben: {{name: Ben Cole, slack: U0BEN}}
  cat: {{name: Cat Doe, slack: U0CAT}}
teams:
  payments: {{members: [ana, ben]}}
schedules:
  primary: {{layers: [{layer}]}}
escalation_policies:
  payments: {{steps: [{{notify: ["schedule:primary"]}}]}}
fallback: "person:cat"
"""
ALWAYS = "{people: [ben], start: 2026-01-05}"
ROTA = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20261101T000000Z\r\nDTEND:20271101T000000Z\r\n"
    "SUMMARY:NAME\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


class World:
    """`pauses` are the seconds that were waited between questions to Slack."""

    def __init__(self, folder: Path, slack: FakeSlack, store: Database) -> None:
        self.folder = folder
        self.slack = slack
        self.store = store
        self.clock = HandClock(NOW)
        self.pauses: list[float] = []

    def write(self, layer: str = ALWAYS, oncall: str = ONCALL) -> None:
        (self.folder / "agentpager.yaml").write_text(MAIN.format(api=self.slack.api_url))
        for name in ("oncall", "agents", "alerts", "runbooks"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "oncall" / "a.yaml").write_text(oncall.format(layer=layer))
        (self.folder / "agents" / "a.yaml").write_text('agents: {refund-agent: {owner: "team:payments"}}\n')

    async def start(self) -> None:
        """As `serve` does; also again, for a restart."""
        copies = feeds.kept(await self.store.feeds())
        sources = read_sources(self.folder, {}, copies)
        self.pager = Pager(self.folder / "agentpager.yaml", {}, sources, load(sources), self.store, self.clock)
        self.pager.copies = copies
        self.messenger = SlackMessenger(self.pager.config.settings.slack, lambda: self.pager.config.book, self.clock)
        self.learned: list[str] = []
        self.upkeep = Upkeep(
            self.pager,
            self.store,
            self.clock,
            {},
            self.messenger.doubt,
            self._pause,
            lambda accounts: self.learned.extend(account.slack for account in accounts),
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def told(self) -> dict[str, tuple[str, str, str]]:
        """Summary of each own alert that goes on → name, severity, owner of its incident."""
        return {
            alert.annotations["summary"]: (alert.name, alert.severity.value, incident.owner)
            for incident in await self.store.unresolved()
            for alert in incident.going_on
        }

    def on_duty(self) -> tuple[str, ...]:
        book = self.pager.config.book
        return at_duty(book.schedules["primary"], self.clock.now(), book.almanac)[0]


async def without_a_process(question, _seconds=0.0):
    return checker.ANSWERS[question["ask"]](json.loads(json.dumps(question)))


@pytest.fixture
async def world(tmp_path, monkeypatch):
    """The child process is left out; what it answers is the same, and what is left is quick."""
    monkeypatch.setattr(judge, "ask", without_a_process)
    async with FakeSlack() as slack:
        store = Database("sqlite:///pager.db", tmp_path)
        await store.open()
        world = World(tmp_path, slack, store)
        world.write()
        await world.start()
        yield world
        await world.messenger.close()
        await store.close()


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


def gauge(metric) -> float:
    return metric._value.get()


FEED = ("CalendarFeedFailed", "warning", "person:cat")
UNREAD = "The calendar of schedule primary cannot be read"


async def test_a_calendar_that_fails_keeps_its_last_good_copy_and_tells_after_the_grace(world, server):
    server.pages["/rota.ics"] = answer(ROTA.replace("NAME", "ana").encode())
    world.write(f'{{ical: "{server.url}/rota.ics"}}')
    await world.start()
    assert world.on_duty() == ()

    await world.upkeep.read_feeds()
    assert world.on_duty() == ("ana",), "what was read counts without a restart"

    server.pages["/rota.ics"] = answer(b"<html>moved</html>")
    world.clock.time += timedelta(minutes=15)
    assert not await world.upkeep.read_feeds()
    assert world.on_duty() == ("ana",)
    assert await world.told() == {}
    assert gauge(telemetry.feeds_failing) == 1

    await world.start()
    assert world.on_duty() == ("ana",), "a restart while it fails"
    world.clock.time += timedelta(minutes=60)
    await world.upkeep.read_feeds()
    assert await world.told() == {UNREAD: FEED}

    server.pages["/rota.ics"] = answer(ROTA.replace("NAME", "ben").encode())
    world.clock.time += timedelta(minutes=15)
    assert await world.upkeep.read_feeds()
    assert world.on_duty() == ("ben",)
    assert await world.told() == {}


async def test_a_calendar_that_was_never_read_stops_no_start_and_is_told_at_once(world, server):
    world.write(f'{{ical: "{server.url}/rota.ics"}}')
    await world.start()
    await world.upkeep.read_feeds()
    assert world.on_duty() == ()
    assert await world.told() == {UNREAD: ("CalendarFeedFailed", "critical", "person:cat")}


async def test_a_calendar_is_read_at_its_interval_and_its_stamps_are_no_reload(world, server):
    server.pages["/rota.ics"] = answer(ROTA.replace("NAME", "ana").encode())
    world.write(f'{{ical: "{server.url}/rota.ics"}}')
    await world.start()
    await world.upkeep.read_feeds()
    before = world.pager.config
    stamped = ROTA.replace("NAME", "ana").replace("UID:1\r\n", "UID:1\r\nDTSTAMP:20261104T020000Z\r\n")
    server.pages["/rota.ics"] = answer(stamped.encode())
    world.clock.time += timedelta(minutes=14)
    await world.upkeep.read_feeds()
    assert len(server.requests) == 1
    world.clock.time += timedelta(minutes=1)
    await world.upkeep.read_feeds()
    assert len(server.requests) == 2
    assert world.pager.config is before


async def test_an_address_that_is_taken_out_of_the_files_is_told_no_more(world, server):
    world.write(f'{{ical: "{server.url}/rota.ics"}}')
    await world.start()
    await world.upkeep.read_feeds()
    world.write()
    await world.pager.poll_files()
    await world.upkeep.read_feeds()
    assert await world.told() == {}


async def test_the_proof_is_the_work_of_a_child(world, monkeypatch):
    monkeypatch.undo()
    world.write("{people: [ben], start: 2026-01-05, until: 2026-11-20}")
    await world.start()
    await world.upkeep.prove_coverage()
    assert [name for name, _, _ in (await world.told()).values()] == ["CoverageGap"]


async def test_hours_that_nobody_covers_are_told_to_the_owner_until_they_are_covered(world):
    assert await world.upkeep.prove_coverage()
    assert await world.told() == {}
    world.write("{people: [ben], start: 2026-01-05, until: 2026-11-20}")
    await world.pager.poll_files()
    await world.upkeep.prove_coverage()
    summary = "Nobody is on call in primary from Fri 2026-11-20 00:00 on (UTC)"
    assert await world.told() == {summary: ("CoverageGap", "warning", "team:payments")}
    assert gauge(telemetry.coverage_gaps) == 1
    world.write()
    await world.pager.poll_files()
    await world.upkeep.prove_coverage()
    assert await world.told() == {}


async def test_a_deactivated_member_is_told_to_somebody_else_until_they_are_back(world):
    world.slack.users["U0BEN"] = {"deleted": True}
    assert await world.upkeep.look_after_people()
    summary = "No page to Ben Cole would arrive: U0BEN is deactivated"
    assert await world.told() == {summary: ("OwnerUnreachable", "critical", "person:cat")}
    assert gauge(telemetry.unreachable) == 1
    (page,) = [page for page in await world.store.waiting(NOW) if page.kind == "page"]
    assert page.person == "cat"
    assert world.pauses == [1.0] * 3, "one question a second"

    world.slack.users["U0BEN"] = {}
    assert await world.upkeep.look_after_people()
    assert await world.told() == {}


async def test_who_is_deactivated_is_passed_over_at_once_although_slack_would_take_the_message(world):
    page = Page(id="p", incident=None, kind=PageKind.NOTICE, channel="U0BEN", due_at=NOW, text="x", reason="x")
    world.slack.users["U0BEN"] = {"deleted": True}
    await world.upkeep.look_after_people()
    with pytest.raises(RemoteError) as caught:
        await world.messenger.post(page, None, None, None)
    assert (caught.value.permanent, caught.value.code) == (True, "user_disabled")
    assert world.slack.calls("chat.postMessage") == []

    world.slack.users["U0BEN"] = {}
    await world.messenger.post(page, None, None, None)
    assert len(world.slack.posted("U0BEN")) == 1, "mended since: it goes out before the next look"


async def test_without_an_answer_a_doubted_member_is_posted_to(world):
    page = Page(id="p", incident=None, kind=PageKind.NOTICE, channel="U0BEN", due_at=NOW, text="x", reason="x")
    world.messenger.doubt({"U0BEN"})
    world.slack.mode("error_500", method="users.info")
    await world.messenger.post(page, None, None, None)
    assert len(world.slack.posted("U0BEN")) == 1


@pytest.mark.parametrize(
    ("user", "words", "severity"),
    [
        ({"missing": True}, "No page to Ana Ruiz would arrive: there is no Slack user U0ANA", "critical"),
        ({"is_bot": True}, "No page to Ana Ruiz would arrive: U0ANA is a bot", "critical"),
        ({"team_id": "T0X"}, "No page to Ana Ruiz would arrive: U0ANA belongs to another workspace (T0X)", "critical"),
        (
            {"is_ultra_restricted": True},
            "No page to Ana Ruiz would arrive: U0ANA is a guest, whose clicks are refused",
            "critical",
        ),
    ],
)
async def test_every_kind_of_account_that_cannot_be_paged(world, user, words, severity):
    """The team's ladder begins with Ben, who can be reached."""
    world.slack.users["U0ANA"] = user
    await world.upkeep.look_after_people()
    assert await world.told() == {words: ("OwnerUnreachable", severity, "team:payments")}


@pytest.mark.parametrize("mode", [{"name": "error_500"}, {"name": "refused", "error": "invalid_auth"}])
async def test_slack_not_answering_is_no_verdict(world, mode):
    world.slack.users["U0BEN"] = {"deleted": True}
    await world.upkeep.look_after_people()
    told = await world.told()
    world.slack.users["U0BEN"] = {}
    world.slack.mode(**mode, method="users.info")
    await world.start()  # nothing is remembered but what stands in the store
    assert not await world.upkeep.look_after_people()
    assert await world.told() == told != {}


async def test_told_to_wait_it_waits_and_asks_again(world):
    world.slack.mode("rate_limited", method="users.info", count=1, retry_after=7)
    assert await world.upkeep.look_after_people()
    assert world.pauses == [7.0, 1.0, 1.0, 1.0]
    assert [entry["args"]["user"] for entry in world.slack.calls("users.info")] == ["U0CAT", "U0CAT", "U0ANA", "U0BEN"]


async def test_what_is_due_is_started_and_not_again_before_its_time(world):
    asked = lambda: len(world.slack.calls("auth.test"))  # noqa: E731

    async def tick(**later: float) -> int:
        world.clock.time += timedelta(**later)
        await world.upkeep.tick()
        for task in list(world.upkeep._running.values()):
            await task
        return asked()

    assert await tick() == 0, "not while everything starts"
    assert await tick(minutes=2) == 1
    assert await tick(minutes=59) == 1
    assert await tick(minutes=1) == 2
    world.write(oncall=ONCALL.replace("U0BEN", "U0BENNY"))
    await world.pager.poll_files()
    assert await tick(seconds=30) == 3, "somebody has another account"


async def test_what_slack_says_of_people_is_passed_on(world):
    await world.upkeep.look_after_people()
    assert sorted(world.learned) == ["U0ANA", "U0BEN", "U0CAT"]


# --- user groups ------------------------------------------------------------------------------------------------------

GROUP = "S0615G0KT"
FOLLOWED = ONCALL.replace("primary: {{layers", f"primary: {{{{usergroup: {GROUP}, layers").replace(
    "payments: {{members: [ana, ben]}}", 'payments: {{members: [ana, ben], channel: "#payments-agents"}}'
)
TURNS = "{people: [ana, ben], every: 1d, handoff: '09:00', start: 2026-01-05}"
# Nobody from the start of 3 November to that of the 5th.
BREAK = "{people: [ben], start: 2026-01-05, until: 2026-11-03}, {people: [ana], start: 2026-11-05}"


async def notices(world):
    """What was told beside incidents: where, and the text."""
    return [(page.channel, page.text) for page in await world.store.waiting(world.clock.now()) if page.incident is None]


async def following(world, layer=ALWAYS):
    world.write(layer, FOLLOWED)
    await world.start()
    return await world.upkeep.follow_schedules()


async def test_a_user_group_gets_who_is_on_duty_and_is_left_alone_while_that_is_so(world):
    world.slack.groups[GROUP] = ["U0ANA", "U0OLD"]
    assert await following(world)
    assert world.slack.groups[GROUP] == ["U0BEN"]
    assert await world.upkeep.follow_schedules()
    assert len(world.slack.calls("usergroups.users.update")) == 1
    assert await notices(world) == []


async def test_a_user_group_changes_hands_with_the_shift_and_not_before(world):
    world.slack.groups[GROUP] = []
    await following(world, TURNS)
    first = list(world.slack.groups[GROUP])

    async def tick(hours):
        world.clock.time += timedelta(hours=hours)
        await world.upkeep.tick()
        for task in list(world.upkeep._running.values()):
            await task
        return world.slack.groups[GROUP], len(world.slack.calls("usergroups.users.list"))

    await tick(0.1)
    asked = len(world.slack.calls("usergroups.users.list"))
    assert await tick(0.1) == (first, asked)
    after, asked_again = await tick(24)
    assert after != first
    assert {*after, *first} == {"U0ANA", "U0BEN"}
    assert asked_again == asked + 1


async def test_without_a_user_group_slack_is_not_asked(world):
    assert await world.upkeep.follow_schedules()
    assert [entry for entry in world.slack.journal if entry["method"].startswith("usergroups.")] == []


async def test_while_nobody_is_on_duty_the_group_keeps_its_members_and_its_owner_is_told_once(world):
    world.slack.groups[GROUP] = ["U0BEN"]
    for _ in range(3):  # and twice of them after a restart
        assert await following(world, BREAK)
        await world.upkeep.follow_schedules()
    assert world.slack.groups[GROUP] == ["U0BEN"]
    ((channel, told),) = await notices(world)
    assert channel == "#payments-agents"
    assert told.startswith("Nobody is on duty in primary\n")
    assert "until 2026-11-05 00:00 UTC" in told


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("missing_scope", "add usergroups:read and usergroups:write"),
        ("paid_teams_only", "need a paid plan"),
        ("unknown_method", "has no user groups"),
    ],
)
async def test_where_slack_has_no_user_groups_for_us_the_owner_is_told_once_and_nothing_else_is_concerned(
    world, code, says
):
    world.slack.mode("refused", method="usergroups.users.list", error=code)
    for _ in range(2):
        assert await following(world), "it is not tried again before its time"
    ((channel, told),) = await notices(world)
    assert channel == "#payments-agents"
    assert code in told
    assert says in told
    assert await world.told() == {}


async def test_slack_failing_is_tried_again_and_nobody_is_told(world):
    world.slack.groups[GROUP] = []
    world.slack.mode("error_500", method="usergroups.users.update", count=1)
    assert not await following(world)
    assert await notices(world) == []
    assert await world.upkeep.follow_schedules()
    assert world.slack.groups[GROUP] == ["U0BEN"]
