"""Words about shifts over a real store: each is told once, to the person, also over restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from core_world import AGENTS, BOOK, NOW
from hand_clock import HandClock

from bot.duty import Duty
from bot.incidents.decision import World
from bot.oncall.model import Schedule
from bot.paging.model import Page, PageKind
from bot.settings import Shifts
from bot.store.database import Database

HANDOVER = datetime(2026, 11, 4, 9, 0, tzinfo=UTC)  # Ben to Ana
ROTA = {
    "id": "primary",
    "layers": [{"people": ["ana", "ben"], "every": "1w", "handoff": "Wed 09:00", "start": "2026-10-21"}],
}


class Pauses:
    """Implements ports.Rest."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def rest(self, slack: str) -> tuple[datetime, datetime] | None:
        self.asked.append(slack)
        return HANDOVER + timedelta(hours=12), HANDOVER + timedelta(hours=22)


class House:
    def __init__(self, folder) -> None:
        self.folder, self.clock, self.pauses = folder, HandClock(NOW), Pauses()
        self.settings = Shifts(messages=True)
        self.rotas(ROTA)
        self.woken = 0

    def rotas(self, *rotas: dict) -> None:
        schedules = {rota["id"]: Schedule.model_validate(rota) for rota in rotas}
        self.world = World(AGENTS, BOOK.model_copy(update={"schedules": schedules}), "#agent-pages")

    async def open(self) -> None:
        self.store = Database("sqlite:///pager.db", self.folder)
        await self.store.open()
        self.duty = Duty(
            self.store, self.clock, lambda: self.world, lambda: (), lambda: self.settings, self._wake, self.pauses
        )

    def _wake(self) -> None:
        self.woken += 1

    async def at(self, moment: datetime) -> list[Page]:
        """Everything that has been told by then."""
        self.clock.time = moment
        await self.duty.tick()
        return [page for page in await self.store.waiting(moment + timedelta(days=365)) if page.kind is PageKind.SHIFT]


@pytest.fixture
async def house(tmp_path):
    one = House(tmp_path)
    await one.open()
    yield one
    await one.store.close()


def first_lines(pages: list[Page]) -> list[tuple[str, str]]:
    return [(page.channel, page.text.partition("\n")[0]) for page in sorted(pages, key=lambda page: page.due_at)]


AHEAD = ("U0ANA", "You will be on call for primary from Wed 4 Nov 09:00 UTC")
BEGINS = ("U0ANA", "You are on call for primary until Wed 11 Nov 09:00 UTC")


async def test_a_shift_is_told_once_a_day_before_and_once_when_it_begins(house):
    assert await house.at(HANDOVER - timedelta(hours=24, seconds=1)) == []
    for moment in (HANDOVER - timedelta(hours=24), HANDOVER - timedelta(hours=23)):
        assert first_lines(await house.at(moment)) == [AHEAD]
    for moment in (HANDOVER, HANDOVER + timedelta(minutes=1)):
        assert first_lines(await house.at(moment)) == [AHEAD, BEGINS]
    assert house.woken == 2


async def test_a_restart_tells_nothing_twice(house):
    await house.at(HANDOVER)
    await house.store.close()
    await house.open()
    assert first_lines(await house.at(HANDOVER + timedelta(minutes=5))) == [BEGINS]


async def test_a_beginning_in_a_short_stop_is_told_and_an_old_one_is_not(house):
    assert first_lines(await house.at(HANDOVER + timedelta(minutes=119))) == [BEGINS]
    assert len(await house.at(HANDOVER + timedelta(days=7, hours=2))) == 1


async def test_nobody_is_told_unless_it_is_asked_for(house):
    house.settings = Shifts()
    assert await house.at(HANDOVER) == []


async def test_how_long_before_is_a_setting(house):
    house.settings = Shifts(messages=True, ahead=timedelta(hours=2))
    assert await house.at(HANDOVER - timedelta(hours=3)) == []
    assert first_lines(await house.at(HANDOVER - timedelta(hours=2))) == [AHEAD]


async def test_whoever_is_put_on_call_at_short_notice_is_told_at_once(house):
    assert await house.at(HANDOVER - timedelta(days=2)) == []
    override = {"person": "cat", "from": "2026-11-02T12:00", "until": "2026-11-02T18:00"}
    house.rotas(ROTA | {"overrides": [override]})
    told = await house.at(HANDOVER - timedelta(days=2) + timedelta(minutes=1))
    assert ("U0CAT", "You will be on call for primary from Mon 2 Nov 12:00 UTC") in first_lines(told)


async def test_slack_is_asked_for_pauses_once_a_message_and_the_warning_is_in_it(house):
    (page,) = await house.at(HANDOVER)
    await house.at(HANDOVER + timedelta(minutes=1))
    assert house.pauses.asked == ["U0ANA"]
    assert "Slack pauses your notifications from 21:00 to 07:00" in page.text
    assert (page.person, page.reason) == ("ana", "your shift begins")


async def test_schedules_are_not_walked_at_every_look(house, monkeypatch):
    walks = []
    monkeypatch.setattr("bot.duty._planned", lambda *args: walks.append(args) or [])
    for minutes in range(59):
        await house.at(HANDOVER + timedelta(minutes=minutes))
    assert len(walks) == 1
    await house.at(HANDOVER + timedelta(minutes=60))
    house.rotas(ROTA)
    await house.at(HANDOVER + timedelta(minutes=61))
    assert len(walks) == 3
