"""A storm: ten thousand alerts at one instant over a hundred owners, with Slack's real limits on.

    python -m benchmarks.storm [--alerts N] [--agents N] [--kill] [--outage WAY] [--keep DIRECTORY]

One `agentpager serve` with its watcher, one exporter of all series, one Slack that keeps to its limits and writes down
every call. Each owner has a channel and a direct message; each crossing is of one agent, so that by default every alert
is an incident of its own. Ends with 1 when something was lost, posted twice or too late.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.contenders import write
from benchmarks.machine import describe, load
from benchmarks.processes import children, cpu_seconds, end, fetch, peak_mib, spawn, until
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.ports import free_port

LATE_AFTER = 20.0  # seconds from the storm to those who come late
LATE_OWNERS = 10  # as many edits as Slack takes in ten seconds, beside those of the storm
DOWN_SECONDS = 60.0
KILLED_AFTER = 40  # messages accepted
RESTART_SECONDS = 2.0

# How a call is answered while Slack is down; `refused` closes the port.
WAYS: dict[str, dict[str, Any]] = {
    "refused": {},
    "500": {"name": "error_500"},
    "reset": {"name": "close", "landed": False},
    "hang": {"name": "silent", "landed": False, "seconds": 3600},
    "429": {"name": "rate_limited", "retry_after": 10},
    "403": {"name": "error_500", "status": 403},
    "okfalse": {"name": "refused", "error": "internal_error"},
    "slow": {"name": "slow", "seconds": 10},
    "posted-reset": {"name": "close", "landed": True, "method": "chat.postMessage"},
}


@dataclass
class Storm:
    """Which agent belongs to whom, and which alerts are critical. Owners are `o0`, `o1` and so on."""

    alerts: int
    agents: int
    owners: int
    critical: int
    late: int
    crossed: set[int] = field(default_factory=set)
    scraped_at: dict[int, float] = field(default_factory=dict)  # by number of crossed series

    def agent(self, number: int) -> int:
        return number % self.agents

    def owner(self, agent: int) -> int:
        return agent % self.owners

    def is_critical(self, number: int) -> bool:
        """As many of each owner, spread over the whole page."""
        rows = max(self.alerts // self.owners, 1)
        row, owner = divmod(number, self.owners)
        return number < self.alerts and (row - owner) % rows < self.critical / self.owners

    def late_numbers(self) -> range:
        return range(self.alerts, self.alerts + self.late)

    def late_agent(self, number: int) -> int:
        """Agents of their own, of few owners."""
        return self.agents + (number - self.alerts)

    def page(self) -> bytes:
        self.scraped_at.setdefault(len(self.crossed), time.time())
        lines = ["# TYPE storm_errors gauge"]
        for number in range(self.alerts + self.late):
            agent = self.agent(number) if number < self.alerts else self.late_agent(number)
            tier = "critical" if self.is_critical(number) else "warning"
            value = 38 if number in self.crossed else 0
            lines.append(f'storm_errors{{agent="agent-{agent}",tool="t{number}",tier="{tier}"}} {value}')
        return ("\n".join(lines) + "\n").encode()


class Installation:
    """The pager under test with everything around it."""

    def __init__(self, directory: Path, storm: Storm) -> None:
        self.directory = directory
        self.storm = storm
        self.slack = FakeSlack()
        self.slack.limits = True
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self._runner: web.AppRunner | None = None
        self._exporter = 0

    async def __aenter__(self) -> Installation:
        await self.slack.__aenter__()
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._exporter = self._runner.addresses[0][1]
        write(self.directory, self._files())
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self.process)
        assert self._runner is not None
        await self._runner.cleanup()
        await self.slack.__aexit__(None, None, None)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self.storm.page(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def start(self) -> None:
        command = (sys.executable, "-m", "bot", "serve", "--config", str(self.directory))
        self.process = await spawn(command, self.directory / f"serve-{time.time():.0f}.log")

    async def scraped(self) -> bool:
        ready = await fetch(f"http://127.0.0.1:{self.port}/-/ready")
        if not ready or not ready.get("ready"):
            return False
        targets = await fetch(f"http://127.0.0.1:{self.port}/api/v1/targets")
        return bool(targets) and all(target["health"] == "up" for target in targets["data"]["activeTargets"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.directory / "agentpager.db")) as connection:
            return connection.execute(query).fetchall()

    def posts(self) -> list[dict[str, Any]]:
        """Accepted messages."""
        return [call for call in self.slack.calls("chat.postMessage") if call["answer"].get("ok")]

    def waiting(self) -> int:
        return int(self.rows("select count(*) from pages where state in ('due', 'sending', 'unknown')")[0][0])

    def _files(self) -> dict[str, Any]:
        storm = self.storm
        owners = [f"o{number}" for number in range(storm.owners)]
        total = [*range(storm.agents), *(storm.late_agent(number) for number in storm.late_numbers())]
        late = {storm.late_agent(number): place % LATE_OWNERS for place, number in enumerate(storm.late_numbers())}
        registry = {
            f"agent-{agent}": {
                "title": f"Agent {agent}",
                "owner": f"team:o{late.get(agent, storm.owner(agent))}",
                "stage": "walk",
            }
            for agent in total
        }
        rules = [
            {
                "alert": "ToolErrors",
                "expr": f'storm_errors{{tier="{tier}"}} > 5',
                "labels": {"severity": tier},
                "annotations": {"summary": "{{ $labels.agent }}: {{ $value }} errors of {{ $labels.tool }}"},
            }
            for tier in ("critical", "warning")
        ]
        policies = {
            name: {"steps": [{"notify": [f"person:{name}"], "wait": "1h"}], "fallback_wait": "1h"} for name in owners
        }
        return {
            "agentpager.yaml": {
                "metrics": {
                    "scrape": {
                        "interval": "1s",
                        "timeout": "1s",
                        "targets": [{"url": f"http://127.0.0.1:{self._exporter}/metrics"}],
                    }
                },
                "rules": {"interval": "1s"},
                "slack": {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN, "api_url": self.slack.api_url},
                "http": {"listen": f"127.0.0.1:{self.port}"},
            },
            "alerts/storm.yaml": {"groups": [{"name": "storm", "rules": rules}]},
            "oncall/all.yaml": {
                "people": {name: {"name": name.upper(), "slack": f"U0{name.upper()}"} for name in owners},
                "teams": {
                    name: {"members": [name], "lead": name, "channel": f"#{name}", "escalation": name}
                    for name in owners
                },
                "escalation_policies": policies,
                "fallback": "person:o0",
            },
            "agents/all.yaml": {"agents": registry},
        }


@dataclass
class Found:
    """What the rows and Slack's own journal say, in seconds from the crossing."""

    first_pages: dict[str, float]  # of each incident
    criticals: dict[str, float]
    owners: dict[str, float]
    late: dict[str, float]
    not_in_their_message: int
    lost: int
    twice: int


def count(place: Installation, began: float) -> Found:
    """An incident is paged when a message that Slack has accepted to its owner names or counts it."""
    storm = place.storm
    landed = {(call["answer"]["channel"], call["answer"]["ts"]): float(call["at"]) for call in place.posts()}
    edited: dict[tuple[str, str], list[float]] = {}
    for call in place.slack.calls("chat.update"):
        if call["answer"].get("ok"):
            edited.setdefault((call["answer"]["channel"], call["answer"]["ts"]), []).append(float(call["at"]))
    severities = {row[0]: json.loads(row[1]) for row in place.rows("select id, doc from incidents")}
    first: dict[str, float] = {}
    seen: dict[str, float] = {}
    people: dict[str, float] = {}
    for (doc,) in place.rows("select doc from pages where kind in ('page', 'card') and state = 'sent'"):
        page = json.loads(doc)
        address, incident = (page["slack_channel"], page["ts"]), page["incident"]
        if address not in landed:
            continue
        # Shown by the post itself, or by the edit that it joined by: the last one before that was written down.
        joined = [at for at in edited.get(address, []) if at <= _seconds(page["sent_at"])]
        at = (landed[address] if page["claimed_at"] or not joined else joined[-1]) - began
        seen[incident] = min(at, seen.get(incident, at))
        if page["kind"] == "page":
            first[incident] = min(at, first.get(incident, at))
            people[page["person"]] = min(at, people.get(page["person"], at))
    told = {one["fingerprint"] for key, doc in severities.items() if key in seen for one in doc["alerts"]}
    late = {f"agent-{storm.late_agent(number)}" for number in storm.late_numbers()}
    ids = [call["args"]["metadata"] for call in place.posts()]
    pages = [json.loads(each) if isinstance(each, str) else each for each in ids]
    names = [each["event_payload"]["page_id"] for each in pages]
    return Found(
        first,
        {key: first[key] for key, doc in severities.items() if doc["severity"] == "critical" and key in first},
        people,
        {key: seen[key] for key, doc in severities.items() if doc["agent"] in late and key in seen},
        len(severities) - len(first),
        len(storm.crossed) - len(told),
        len(names) - len(set(names)),
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def settle(place: Installation, done: Callable[[], bool], seconds: float) -> None:
    """Until `done` and no row waits any more."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        await asyncio.sleep(0.5)
        try:
            if done() and not place.waiting():
                return
        except sqlite3.Error:
            continue


async def run(options: argparse.Namespace, directory: Path) -> int:
    storm = Storm(options.alerts, options.agents or options.alerts, options.owners, options.critical, options.late)
    async with Installation(directory, storm) as place:
        await place.start()
        await until(place.scraped, "agentpager is ready")
        await asyncio.sleep(3)
        began, idle = time.time(), busy_seconds()
        storm.crossed |= set(range(storm.alerts))
        recovered = None
        if options.outage:
            recovered = await outage(place, options.outage)
        if options.kill:
            await killed(place)

        def everybody() -> bool:
            return bool(place.rows("select 1 from incidents limit 1"))

        await settle(place, everybody, options.patience)
        late_at = None
        if storm.late and not options.kill and not options.outage:
            await asyncio.sleep(max(began + LATE_AFTER - time.time(), 0))
            late_at = time.time()
            storm.crossed |= set(storm.late_numbers())
            await asyncio.sleep(3)
            await settle(place, lambda: True, 60)
        memory = peak(place)
        others = (busy_seconds() - idle - own_seconds(place)) / (time.time() - began) / (os.cpu_count() or 1)
        print(f"share of the machine taken by others meanwhile, about: {max(others, 0):.0%}")
        return report(place, began, late_at, recovered, memory)


def busy_seconds() -> float:
    """Processor time that all processes have taken since the machine started."""
    user, nice, system, *_ = (int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def own_seconds(place: Installation) -> float:
    """That of the processes measured and of this one, their start included."""
    assert place.process is not None
    pids = [place.process.pid, *children(place.process.pid), os.getpid()]
    return sum(cpu_seconds(pid) for pid in pids)


async def outage(place: Installation, way: str) -> float:
    if way == "refused":
        await place.slack.__aexit__(None, None, None)
    else:
        place.slack.mode(**WAYS[way])
    await asyncio.sleep(DOWN_SECONDS)
    if way == "refused":
        await place.slack.__aenter__()
    place.slack.mode("ok")
    return time.time()


async def killed(place: Installation) -> None:
    assert place.process is not None
    while len(place.posts()) < KILLED_AFTER:
        await asyncio.sleep(0.005)
    place.process.kill()
    await place.process.wait()
    rows = dict(place.rows("select state, count(*) from pages where kind in ('page', 'card') group by state"))
    sending = place.rows(
        "select count(distinct coalesce(lead, id)) from pages where state = 'sending' and kind in ('page', 'card')"
    )
    posted = len(place.posts())
    print(f"killed after {posted} messages; rows {rows}, messages under way {sending[0][0]}")
    await asyncio.sleep(RESTART_SECONDS)
    started = time.time()
    await place.start()
    await until(place.scraped, "agentpager is ready again")
    print(f"ready {time.time() - started:.1f} s after the restart")
    place.restarted = started  # type: ignore[attr-defined]


def peak(place: Installation) -> str:
    assert place.process is not None
    pids = [place.process.pid, *children(place.process.pid)]
    return " + ".join(f"{peak_mib(pid):.0f} MiB, {cpu_seconds(pid):.1f} s" for pid in pids)


def report(place: Installation, began: float, late_at: float | None, recovered: float | None, memory: str) -> int:
    found = count(place, began)
    storm, slack = place.storm, place.slack
    calls = [call for call in slack.journal if call["at"] >= began]
    told = [call for call in calls if call["mode"] == "rate_limited"]
    posts = [call for call in place.posts() if call["at"] >= began]
    storm_posts = [call for call in posts if late_at is None or call["at"] < late_at]
    seen = storm.scraped_at.get(storm.alerts, began) - began
    late = sorted(found.late.values())
    early = sorted(at for key, at in found.first_pages.items() if key not in found.late)
    rows: list[tuple[str, str]] = [
        ("alerts, agents, owners, criticals", f"{storm.alerts}, {storm.agents}, {storm.owners}, {storm.critical}"),
        ("incidents", str(place.rows("select count(*) from incidents")[0][0])),
        ("scrape that saw it", f"{seen:.2f} s"),
        ("incident rows written", _written(place, began)),
        ("calls", f"{len(calls)} ({_by_method(calls)})"),
        (
            "posts (messages and cards)",
            f"{len(storm_posts)}" + (f" + {len(posts) - len(storm_posts)} late" if late else ""),
        ),
        ("429", str(len(told))),
        ("calls inside a Retry-After", str(slack.violations)),
        ("first page, last page", _ends(early)),
        ("owners: p50, last", _spread(found.owners.values(), storm.owners)),
        ("criticals: p50, last", _spread(found.criticals.values(), storm.critical)),
        ("cards: last", _cards(posts, began)),
        ("alerts that no message shows (yet, while rows wait)", str(found.lost)),
        ("incidents on the card only so far", str(found.not_in_their_message)),
        ("posted twice", str(found.twice)),
        ("rows still waiting", str(place.waiting())),
        ("pager + watcher: peak RSS, CPU", memory),
    ]
    if late_at is not None and late:
        offset = late_at - began
        rows.append(("late: shown p50, last", _spread([at - offset for at in late], storm.late)))
    if recovered is not None:
        after = max((call["at"] for call in posts), default=began) - recovered
        last = max(found.first_pages.values(), default=0) - (recovered - began)
        rows.append(("after Slack is back: last page, last message", f"{last:.1f} s, {after:.1f} s"))
    if (restarted := getattr(place, "restarted", None)) is not None:
        after_restart = sorted(call["at"] - restarted for call in posts if call["at"] > restarted)
        rows.append(("after the restart: first, last message", _ends(after_restart)))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"| {name:<{width}} | {value} |")
    print(load())
    return 1 if (found.lost and not place.waiting()) or found.twice or slack.violations else 0


def _written(place: Installation, began: float) -> str:
    stamps = [row[0] for row in place.rows("select at from audit where subject like 'INC-%'")]
    return f"{min(stamps) - began:.2f} – {max(stamps) - began:.2f} s" if stamps else "none"


def _by_method(calls: Sequence[dict[str, Any]]) -> str:
    found: dict[str, int] = {}
    for call in calls:
        found[call["method"]] = found.get(call["method"], 0) + 1
    return ", ".join(f"{name} {number}" for name, number in sorted(found.items()))


def _cards(posts: Sequence[dict[str, Any]], began: float) -> str:
    stamps = [call["at"] - began for call in posts if not str(call["answer"]["channel"]).startswith("D")]
    return f"{max(stamps):.1f} s of {len(stamps)}" if stamps else "none"


def _ends(values: Sequence[float]) -> str:
    return f"{min(values):.2f} s, {max(values):.2f} s of {len(values)}" if values else "none"


def _spread(values: Any, wanted: int) -> str:
    ordered = sorted(values)
    if not ordered:
        return f"none of {wanted}"
    return f"{ordered[len(ordered) // 2]:.2f} s, {ordered[-1]:.2f} s, {len(ordered)} of {wanted}"


def main() -> int:
    parser = argparse.ArgumentParser(description="A storm of alerts against Slack's limits.")
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--agents", type=int, default=0, help="one for each alert unless said")
    parser.add_argument("--owners", type=int, default=100)
    parser.add_argument("--critical", type=int, default=100)
    parser.add_argument("--late", type=int, default=100, help="alerts that come 20 s later, of ten owners")
    parser.add_argument("--kill", action="store_true", help="SIGKILL in the middle, restart after 2 s")
    parser.add_argument("--outage", choices=WAYS, help="Slack is down so for the first 60 s")
    parser.add_argument("--patience", type=float, default=90, help="seconds until what has not arrived is lost")
    parser.add_argument("--keep", type=Path, help="put configuration, database and logs there and leave them")
    options = parser.parse_args()
    if options.kill or options.outage:
        options.late = 0
    print(describe())
    with tempfile.TemporaryDirectory() as scratch:
        directory = (options.keep or Path(scratch)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        return asyncio.run(run(options, directory))


if __name__ == "__main__":
    sys.exit(main())
