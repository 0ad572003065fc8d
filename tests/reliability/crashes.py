"""One page's whole life on real processes, with a SIGKILL at one point of it: opened, card, page, runbook, escalated,
acknowledged, edited, resolved. What Slack got is counted at Slack, which writes down each post before it answers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world import ANA, BEN, World

ARMED = Path(__file__).parent / "armed"
ROOT = Path(__file__).parents[2]
PATIENCE = 90.0


@dataclass(frozen=True)
class Result:
    """`lost` and `duplicates` count pages; `recovery` is seconds from the start after the kill until it is ready."""

    point: str
    occurrence: int
    killed: bool
    lost: tuple[str, ...]
    duplicates: tuple[str, ...]
    recovery: float
    seconds: float

    @property
    def good(self) -> bool:
        return not self.lost and len(self.duplicates) <= int(self.killed)


class Life:
    """Follows one incident from its alert to its end, and starts the pager again whenever it dies."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.killed = 0
        self.recovery = 0.0

    async def play(self, armed: dict[str, str]) -> None:
        world = self.world
        await self._start(armed)
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await self.until(lambda: world.pages_to(ANA), "page to Ana")
        await self.until(lambda: world.pages_to(BEN), "page to Ben")
        await self.until(self._acked, "ack")
        await self.until(lambda: _shows(world.cards(), "Acknowledged"), "the card shows the ack")
        world.agents["refund-agent"].values["agent_tool_errors"] = 0
        await self.until(lambda: self._states() == {"resolved"}, "resolved")
        await self.until(lambda: _shows(world.cards(), "Resolved"), "the card shows the end")
        await self.until(self._quiet, "nothing is owed any more")

    async def _start(self, armed: dict[str, str]) -> None:
        paths = f"{ARMED}{os.pathsep}{ROOT}"
        try:
            await self.world.start(env={**armed, "PYTHONPATH": paths})
        except (AssertionError, OSError):
            await asyncio.sleep(1)  # a kill is noticed by those who ask it before its end is
            if self.alive:
                raise

    @property
    def alive(self) -> bool:
        return self.world.process is not None and self.world.process.returncode is None

    async def _again(self) -> None:
        self.killed += 1
        begun = time.monotonic()
        await self._start({"AGENTPAGER_POINTS": os.devnull})
        self.recovery = time.monotonic() - begun

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            if not self.alive:
                await self._again()
            try:
                found = condition()
                found = await found if asyncio.iscoroutine(found) else found
            except OSError:
                found = None  # it has just died
            if found:
                return
            if time.monotonic() > end:
                raise AssertionError(f"waited {PATIENCE:g} s for {what}:\n{self.world.log()[-3000:]}")
            await asyncio.sleep(0.05)

    def _states(self) -> set[str]:
        return {state for (state,) in self.world.rows("SELECT state FROM incidents")}

    async def _acked(self) -> bool:
        """Ben presses until somebody has it: an unanswered click is pressed again."""
        if self._states() == {"acked"}:
            return True
        (first, *_) = self.world.pages_to(BEN)
        await self.world.slack.click(BEN, "inc.ack", BEN, first["ts"])
        return self._states() == {"acked"}

    def _quiet(self) -> bool:
        owed = "SELECT id FROM pages WHERE state IN ('due', 'sending', 'unknown')"
        return self.alive and not self.world.rows(owed)


async def run(folder: Path, point: str, occurrence: int) -> Result:
    """With no point nobody is killed."""
    begun = time.monotonic()
    armed = {"AGENTPAGER_CRASH_AT": f"{point}:{occurrence}"} if point else {}
    async with World(folder, wait="3s") as world:
        life = Life(world)
        await life.play(armed | {"AGENTPAGER_POINTS": str(folder / "points")})
        lost, duplicates = tally(world)
    return Result(point, occurrence, life.killed > 0, lost, duplicates, life.recovery, time.monotonic() - begun)


def tally(world: World) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the rows call sent and Slack never got, and what Slack got more than once; pictures are files, counted by
    their number."""
    landed = Counter(
        page
        for entry in world.slack.calls("chat.postMessage")
        if entry["answer"].get("ok")
        for page in _pages_of(entry["answer"].get("message") or {})
    )
    sent = {page: lead or page for page, lead in world.rows("SELECT id, lead FROM pages WHERE state = 'sent'")}
    pictures = [page for page in sent if page.endswith(".chart")]
    shared = sum(1 for file in world.slack.uploads.values() if file.get("thread"))
    lost = sorted({lead for page, lead in sent.items() if page not in pictures and not landed[lead]})
    lost += pictures[shared:]
    return tuple(lost), tuple(sorted(page for page, times in landed.items() if times > 1))


def _pages_of(message: dict[str, Any]) -> list[str]:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return [payload["page_id"]] if payload.get("page_id") else []


def _shows(cards: list[dict[str, Any]], word: str) -> bool:
    return any(word.lower() in str(card).lower() for card in cards)


def points_passed(folder: Path) -> Counter[str]:
    return Counter((folder / "points").read_text().split("\n")[:-1])
