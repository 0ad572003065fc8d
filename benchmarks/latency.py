"""Seconds from a threshold crossed to a page in Slack: ours beside Prometheus with Alertmanager, in one run.

    python -m benchmarks.latency [--trials N] [--answer-ms N] [--keep DIRECTORY]

Both systems run for the whole time, with a scrape and an evaluation interval of 1 s, and watch agents of one process.
Trials alternate; each crosses the threshold of an agent that has been quiet so far. The moments are spread evenly over
the scrape interval, in random order and alike for both: neither is lucky with its scrapes. Ends with 1 when ours is
not faster at the median, or lost a page, and with 2 when the reference is not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agents import Agent, Agents
from benchmarks.contenders import BINARIES, Contender, Ours, Reference
from benchmarks.machine import describe, load

TRIAL_SECONDS = 10.0
SETTLE_SECONDS = 5.0
INTERVAL = 1.0
PAUSE = 0.5  # at least, between a page and the next crossing


@dataclass(frozen=True)
class Trial:
    to_scrape: float
    to_post: float

    @property
    def from_scrape(self) -> float:
        return self.to_post - self.to_scrape


async def trial(contender: Contender, agent: Agent, phase: float) -> Trial | None:
    """Crosses `phase` of an interval after a scrape of this agent. None when no message came in time."""
    since = time.time() + PAUSE - agent.scraped
    await asyncio.sleep(PAUSE + (phase * INTERVAL - since) % INTERVAL)
    agent.cross()
    assert agent.crossed is not None
    deadline = time.monotonic() + TRIAL_SECONDS
    while (posted := contender.posted(agent)) is None:
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(0.02)
    assert agent.seen is not None
    return Trial(agent.seen - agent.crossed, posted - agent.crossed)


def phases(count: int) -> list[float]:
    """A random moment in each of `count` equal parts of the interval, shuffled."""
    found = [(part + random.random()) / count for part in range(count)]
    random.shuffle(found)
    return found


async def run(directory: Path, trials: int, answer_seconds: float) -> int:
    agents = Agents(("ours", "reference"), trials)
    await agents.start()
    ours = Ours(directory / "ours", agents.of["ours"], agents.port, answer_seconds)
    reference = Reference(directory / "reference", agents.of["reference"], agents.port, answer_seconds)
    contenders: tuple[Contender, ...] = (ours, reference)
    found: dict[str, list[Trial]] = {contender.name: [] for contender in contenders}
    for folder in ("ours", "reference"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    try:
        for contender in contenders:
            await contender.start()
        await asyncio.sleep(SETTLE_SECONDS)
        for number, phase in enumerate(phases(trials)):
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                one = await trial(contender, contender.agents[number], phase)
                found[contender.name] += [one] if one else []
        await asyncio.sleep(1)
        cards = [at - agent.crossed for agent in ours.agents if (at := ours.card(agent)) is not None and agent.crossed]
    finally:
        for contender in contenders:
            await contender.stop()
        await agents.stop()
    return report(found[ours.name], found[reference.name], cards, trials)


def report(ours: list[Trial], reference: list[Trial], cards: list[float], trials: int) -> int:
    lost = trials - len(ours), trials - len(reference)
    print(f"trials: {trials} each; no message within {TRIAL_SECONDS:g} s: ours {lost[0]}, reference {lost[1]}\n")
    if not ours or not reference:
        return 1
    print("| seconds | ours p50 | p95 | max | reference p50 | p95 | max | ratio p50 | p95 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = {
        "crossing → post": [[each.to_post for each in side] for side in (ours, reference)],
        "crossing → scrape": [[each.to_scrape for each in side] for side in (ours, reference)],
        "scrape → post": [[each.from_scrape for each in side] for side in (ours, reference)],
    }
    for name, (us, them) in rows.items():
        print(f"| {name} | {cells(us)} | {cells(them)} | {ratio(us, them, 0.5)} | {ratio(us, them, 0.95)} |")
    if cards:
        print(f"| crossing → channel card | {cells(cards)} | | | | | |")
    faster = quantile(rows["crossing → post"][0], 0.5) < quantile(rows["crossing → post"][1], 0.5)
    print(f"\nours is {'' if faster else 'NOT '}below the reference at p50")
    return 0 if faster and not lost[0] else 1


def cells(values: Sequence[float]) -> str:
    return f"{quantile(values, 0.5):.2f} | {quantile(values, 0.95):.2f} | {max(values):.2f}"


def ratio(ours: Sequence[float], reference: Sequence[float], share: float) -> str:
    return f"{quantile(ours, share) / quantile(reference, share):.2f}"


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between the two nearest values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def main() -> int:
    parser = argparse.ArgumentParser(description="Threshold to Slack: ours beside Prometheus with Alertmanager.")
    parser.add_argument("--trials", type=int, default=20, help="of each system (default 20)")
    parser.add_argument("--answer-ms", type=float, default=0, help="how long both Slacks take to answer (default 0)")
    parser.add_argument("--keep", type=Path, help="put configurations and logs there and leave them")
    options = parser.parse_args()
    if missing := [name for name in BINARIES if shutil.which(name) is None]:
        print(f"not installed: {', '.join(missing)} (Debian: apt install {' '.join(missing)})", file=sys.stderr)
        return 2
    print(describe(*BINARIES))
    print(f"running both for about {25 + 5 * options.trials} s", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        directory = (options.keep or Path(scratch)).resolve()
        code = asyncio.run(run(directory, options.trials, options.answer_ms / 1000))
    print(load())
    return code


if __name__ == "__main__":
    sys.exit(main())
