"""From a click to the card that shows it, with a thousand open incidents, by Socket Mode and by HTTP.

    python -m benchmarks.click [--open N] [--clicks N] [--between SECONDS] [--keep DIRECTORY] [--goal-ms N]

One `agentpager serve` with its watcher, once for each mode, and a Slack that notes when each request arrives. Every
click acknowledges another incident from the direct message about it. `answered` is when Slack has the acknowledgement,
which is after the change is on disk; `message` and `card` are when the edit of that message, and that of the card in
the channel, arrive. Ends with 1 when a click or an edit is lost, or the slowest hundredth of the cards takes longer
than 300 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.ack import at_share, files, message, spread
from benchmarks.contenders import write
from benchmarks.machine import describe, load
from benchmarks.past import fill, stamp, today
from benchmarks.processes import end, fetch, spawn, until
from bot.paging.model import PageKind
from bot.slack.rows import ACK
from tests.fake_slack import SIGNING_SECRET, FakeSlack
from tests.ports import free_port

GOAL_MS = 300.0
_PATIENCE = 10.0


@dataclass
class Found:
    """Seconds from the click, of each click whose answer and edits have arrived."""

    mode: str
    going_on: int
    clicks: int
    answered: list[float] = field(default_factory=list)
    message: list[float] = field(default_factory=list)
    card: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return self.clicks - min(len(self.answered), len(self.message), len(self.card))

    def row(self) -> str:
        cells = [self.mode, f"{self.going_on:,}", str(self.clicks)]
        for seconds in (self.answered, self.message, self.card):
            cells += [f"{at_share(seconds, share):.0f} ms" for share in (0.5, 0.99)]
        return "| " + " | ".join([*cells, f"{at_share(self.card, 1):.0f} ms", str(self.lost)]) + " |"


_HEADINGS = (
    "mode", "open", "clicks", "answered p50", "p99", "message p50", "p99", "card p50", "p99", "max", "lost",
)  # fmt: skip


async def measure(directory: Path, mode: str, going_on: int, clicks: int, between: float) -> Found:
    database = directory / "agentpager.db"
    if not database.exists():
        await asyncio.to_thread(fill, database, 0, going_on, today())
    port = free_port()
    events = f"http://127.0.0.1:{port}/slack/events" if mode == "http" else ""
    async with FakeSlack(events_url=events) as slack:
        numbers = spread(database, clicks)
        slack.messages["D0ANA"] = [message(number) for number in numbers]
        slack.messages["C0PAGES"] = [
            {"channel": "C0PAGES", "ts": stamp(number, PageKind.CARD), "type": "message", "text": ""}
            for number in numbers
        ]
        made = files(port, slack.api_url)
        made["agentpager.yaml"]["slack"] |= {"mode": mode, "signing_secret": SIGNING_SECRET}
        write(directory, made)
        process = await spawn(
            (sys.executable, "-m", "bot", "serve", "--config", str(directory)), directory / "serve.log"
        )
        try:

            async def ready() -> bool:
                answer = await fetch(f"http://127.0.0.1:{port}/-/ready")
                return bool(answer and answer.get("ready"))

            await until(ready, "the server is ready")
            await asyncio.sleep(3)  # the watcher's first rounds are over
            found = Found(mode, going_on, len(numbers))
            for number in numbers:
                await _click(slack, number, found)
                await asyncio.sleep(between)
        finally:
            await end(process)
    return found


async def _click(slack: FakeSlack, number: int, found: Found) -> None:
    before, at = len(slack.journal), time.time()
    wanted = {stamp(number, PageKind.PAGE): found.message, stamp(number, PageKind.CARD): found.card}
    answer = await slack.click("U0ANA", ACK, "D0ANA", stamp(number, PageKind.PAGE))
    if answer["acked"]:
        found.answered.append(time.time() - at)
    deadline = time.monotonic() + _PATIENCE
    while wanted and time.monotonic() < deadline:
        for call in slack.journal[before:]:
            edited = call["method"] == "chat.update" and wanted.pop(str(call["args"].get("ts")), None)
            if isinstance(edited, list):
                edited.append(call["at"] - at)
        await asyncio.sleep(0.002)


def main() -> int:
    parser = argparse.ArgumentParser(description="From a click to the card that shows it.")
    parser.add_argument("--open", type=int, default=1_000, dest="going_on")
    parser.add_argument("--clicks", type=int, default=100)
    parser.add_argument(
        "--between", type=float, default=2.6, help="seconds; each click edits two messages, and Slack takes 50 a minute"
    )
    parser.add_argument("--keep", type=Path, help="put configuration, database and log there, and leave them")
    parser.add_argument("--goal-ms", type=float, default=GOAL_MS, help="what the slowest hundredth of cards may take")
    options = parser.parse_args()
    print(describe())
    print("| " + " | ".join(_HEADINGS) + " |")
    print("|" + "---|" * len(_HEADINGS))
    slow = False
    for mode in ("socket", "http"):
        with tempfile.TemporaryDirectory() as scratch:
            directory = (options.keep / mode if options.keep else Path(scratch)).resolve()
            directory.mkdir(parents=True, exist_ok=True)
            found = asyncio.run(measure(directory, mode, options.going_on, options.clicks, options.between))
        print(found.row(), flush=True)
        slow = slow or found.lost > 0 or at_share(found.card, 0.99) > options.goal_ms
    print(load())
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
