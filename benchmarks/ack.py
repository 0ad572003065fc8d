"""How long a click takes until the message shows it, with ten thousand open incidents and a million past ones.

    python -m benchmarks.ack [--open N] [--past N] [--clicks N] [--keep DIRECTORY] [--goal-ms N]

One `agentpager serve` with its watcher and a Slack that notes when each request arrives. A click is measured from the
moment Slack hands it over to the arrival of the `chat.update` that redraws the message it stands under. Once with the
open incidents alone, once with the past ones as well. Ends with 1 when a click is lost or the slowest twentieth takes
longer than 300 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import write
from benchmarks.machine import describe, load
from benchmarks.past import fill, stamp, today
from benchmarks.processes import end, fetch, peak_mib, spawn, until
from bot.paging.model import PageKind
from bot.slack.rows import ACK
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.ports import free_port

GOAL_MS = 300.0
_BETWEEN = 3.0  # seconds between two clicks: each edits two messages, and Slack takes fifty edits a minute
_PATIENCE = 10.0


@dataclass(frozen=True)
class Found:
    past: int
    going_on: int
    start_seconds: float
    answered: list[float]
    shown: list[float]
    lost: int
    size_mib: float
    peak_mib: float

    def row(self) -> str:
        cells = [
            f"{self.past:,}",
            f"{self.going_on:,}",
            f"{self.size_mib:,.0f} MiB",
            f"{self.start_seconds:.1f} s",
            f"{at_share(self.answered, 0.5):.0f} ms",
            f"{at_share(self.shown, 0.5):.0f} ms",
            f"{at_share(self.shown, 0.95):.0f} ms",
            f"{at_share(self.shown, 1):.0f} ms",
            f"{self.lost}",
            f"{self.peak_mib:.0f} MiB",
        ]
        return "| " + " | ".join(cells) + " |"


_HEADINGS = (
    "past", "open", "database", "start", "recorded p50", "shown p50", "shown p95", "shown max", "lost", "pager's peak",
)  # fmt: skip


def at_share(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def files(port: int, api_url: str) -> dict[str, Any]:
    return {
        "agentpager.yaml": {
            "rules": {"interval": "1s"},
            "slack": {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN, "api_url": api_url},
            "http": {"listen": f"127.0.0.1:{port}"},
        },
        "oncall/all.yaml": {
            "people": {"ana": {"name": "Ana", "slack": "U0ANA"}},
            "teams": {"o": {"members": ["ana"], "lead": "ana"}},
            "fallback": "person:ana",
        },
    }


def message(number: int) -> dict[str, Any]:
    """As the bot has posted it: what a click takes from it is the value of its button."""
    button = {"type": "button", "action_id": ACK, "value": f"INC-{number}|3"}
    actions = {"type": "actions", "block_id": "actions", "elements": [button]}
    address = {"channel": "D0ANA", "ts": stamp(number, PageKind.PAGE), "type": "message"}
    return address | {"text": f"INC-{number}", "blocks": [actions]}


async def measure(directory: Path, past: int, going_on: int, clicks: int) -> Found:
    database = directory / "agentpager.db"
    if not database.exists():
        began = time.monotonic()
        await asyncio.to_thread(fill, database, past, going_on, today())
        print(f"filled with {past + going_on:,} incidents in {time.monotonic() - began:.0f} s", file=sys.stderr)
    port = free_port()
    async with FakeSlack() as slack:
        numbers = spread(database, clicks)
        slack.messages["D0ANA"] = [message(number) for number in numbers]
        slack.messages["C0PAGES"] = [
            {"channel": "C0PAGES", "ts": stamp(number, PageKind.CARD), "type": "message", "text": ""}
            for number in numbers
        ]
        write(directory, files(port, slack.api_url))
        command = (sys.executable, "-m", "bot", "serve", "--config", str(directory))
        began = time.monotonic()
        process = await spawn(command, directory / "serve.log")
        try:

            async def ready() -> bool:
                answer = await fetch(f"http://127.0.0.1:{port}/-/ready")
                return bool(answer and answer.get("ready"))

            await until(ready, "the server is ready")
            started = time.monotonic() - began
            await asyncio.sleep(3)  # the watcher's first rounds are over
            answered, shown = [], []
            for number in numbers:
                took = await _click(slack, number)
                answered += [took[0]] if took else []
                shown += [took[1]] if took and took[1] is not None else []
                await asyncio.sleep(_BETWEEN)
            peak = peak_mib(process.pid)
        finally:
            await end(process)
    size = sum(path.stat().st_size for path in directory.glob("agentpager.db*")) / 2**20
    return Found(past, going_on, started, answered, shown, clicks - len(shown), size, peak)


def spread(database: Path, clicks: int) -> list[int]:
    """Numbers of incidents that nobody has taken."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = [row[0] for row in connection.execute("SELECT number FROM incidents WHERE state = 'open'")]
    return sorted(found)[:: max(len(found) // clicks, 1)][:clicks]


async def _click(slack: FakeSlack, number: int) -> tuple[float, float | None] | None:
    """Seconds until it was acknowledged to Slack, and until the edit arrived."""
    ts, before, at = stamp(number, PageKind.PAGE), len(slack.journal), time.time()
    answer = await slack.click("U0ANA", ACK, "D0ANA", ts)
    acknowledged = time.time() - at
    if not answer["acked"]:
        return None
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for call in slack.journal[before:]:
            if call["method"] == "chat.update" and call["args"].get("ts") == ts:
                return acknowledged, call["at"] - at
        await asyncio.sleep(0.002)
    return acknowledged, None


def main() -> int:
    parser = argparse.ArgumentParser(description="From a click to its edit.")
    parser.add_argument("--open", type=int, default=10_000, dest="going_on")
    parser.add_argument("--past", type=int, default=1_000_000)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument(
        "--keep", type=Path, help="put configuration, database and log there, leave them, use them again"
    )
    parser.add_argument("--goal-ms", type=float, default=GOAL_MS, help="what the slowest twentieth may take")
    options = parser.parse_args()
    print(describe())
    print("| " + " | ".join(_HEADINGS) + " |")
    print("|" + "---|" * len(_HEADINGS))
    slow = False
    for past in sorted({0, options.past}):
        with tempfile.TemporaryDirectory() as scratch:
            directory = (options.keep / str(past) if options.keep else Path(scratch)).resolve()
            directory.mkdir(parents=True, exist_ok=True)
            found = asyncio.run(measure(directory, past, options.going_on, options.clicks))
        print(found.row(), flush=True)
        slow = slow or found.lost > 0 or at_share(found.shown, 0.95) > options.goal_ms
    print(load())
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
